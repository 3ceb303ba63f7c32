/* normal.h: JᵀJ, or JJᵀ where residuals are fewer than parameters, from J by blocks of rows. Of J there
 * are the columns of parameters that move.
 * Depends on residuals.h and matrix.h. */
#ifndef BP_NORMAL_H
#define BP_NORMAL_H

#include "matrix.h"
#include "residuals.h"

struct bp_normal {
    struct bp_residuals *residuals;
    bool dual;               /* JJᵀ, in slots */
    struct bp_matrix matrix; /* as it is */
    struct bp_matrix factor; /* U of what is solved with */
    double *turned; /* J of a block and an output, dual: of all: [rows / P][columns][P] */
    size_t turned_stride;
    double *panels; /* the same as [columns / P][rows][P]; not for dual */
    size_t panels_stride;
    double *nodes; /* inputs and every a, then every delta, turned: [rows / P][nodes][P] each */
    size_t *nodes_at; /* where those of a layer begin: inputs of l, then delta of l */
};

/* The layout for so many samples: bytes of memory, SIZE_MAX where that does not fit. */
struct bp_normal_shape {
    bool dual;
    size_t rows, blocks, room, slots, order; /* rows of a block */
    size_t bytes;
};
struct bp_normal_shape
bp_normal_shape(const struct bp_network *, size_t samples, bool primal);

/* BP_OK or BP_NO_MEMORY; to be freed in any case. */
enum bp_status
bp_normal_init(struct bp_normal *, struct bp_residuals *, bool dual);
void
bp_normal_free(struct bp_normal *);

/* The matrix at a point; false when it was stopped. */
bool
bp_normal_at(struct bp_normal *, struct bp_point);

#endif
