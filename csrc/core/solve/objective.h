/* objective.h: C = Σ w_n C_0 / Σ w_n over all samples, and sums over them, by blocks of rows.
 * Depends on solving.h, crew.h, passes/ and below.
 *
 * Blocks are dealt to groups by the shape of network and data alone; a group is summed by one
 * thread, in order, and groups are added in order: the bits do not depend on the threads. */
#ifndef BP_OBJECTIVE_H
#define BP_OBJECTIVE_H

#include "core/passes/alone.h"
#include "crew.h"
#include "solving.h"

/* Σ over the samples of a group, or over all */
struct bp_sums {
    double loss; /* Σ w_n C_0 */
    size_t right;
    double *gradient; /* [parameters] */
};

struct bp_objective {
    const struct bp_solving *asked;
    struct bp_crew *crew;
    size_t rows, blocks, groups; /* rows of a block */
    struct bp_workspace *ws;     /* one a thread */
    struct bp_workspace held_out;
    bp_real **gradients;  /* of a block: one a thread, [bp_room] */
    struct bp_sums *sums; /* one a group */
    double *sum_numbers;  /* that their gradients lie in */
    double weight;        /* Σ w_n */
    unsigned char *free;  /* [parameters]: whether each moves; NULL where all do */
    size_t resident; /* where one block is all: the point of the last forward pass, or 0 */
    size_t evaluations; /* of C, since the last row of the record */
    double polled;
    atomic_bool stop; /* the caller asked for it */
};

/* One visit of all blocks, after a forward pass of each. */
struct bp_sweep {
    const bp_real *parameters; /* [bp_room] */
    size_t point;              /* a number above 0 that is the parameters' own */
    void (*visit)(void *context, const struct bp_pass *, size_t me, size_t group, size_t first);
    void *context;
    bool alone; /* thread 0 visits all of them, in order */
};

/* `rows` of a block at most. BP_OK, BP_NO_MEMORY or BP_TOO_LARGE; to be freed in any case. */
enum bp_status
bp_objective_init(struct bp_objective *, const struct bp_solving *, struct bp_crew *, size_t rows,
                  unsigned flags);
void
bp_objective_free(struct bp_objective *);

/* Rows of a block whose numbers stay in a processor's second cache. */
size_t
bp_block_rows(const struct bp_network *);

/* Thread 0. False when it was asked to stop, or a custom function failed: the sums then mean
 * nothing. */
bool
bp_sweep(struct bp_objective *, const struct bp_sweep *);

/* For a visit: adds losses and right classes of the block to its group. */
void
bp_add_losses(struct bp_objective *, const struct bp_pass *, size_t group, size_t first);

/* For a visit: from delta of the last layer back, and ∂/∂w of what moves to the group's gradient. */
void
bp_add_gradient(struct bp_objective *, const struct bp_pass *, size_t me, size_t group);

/* Sets the sums of all groups to zero. */
void
bp_clear_sums(struct bp_objective *);

/* Σ over the groups, in order; gradient [parameters], or NULL. */
struct bp_sums
bp_all_sums(const struct bp_objective *, double *gradient);

/* The weight of sample n. */
static inline double
bp_sample_weight(const struct bp_objective *o, size_t n)
{
    return o->asked->data.weights ? o->asked->data.weights[n] : 1;
}

/* Loss and accuracy on the validation data into the record; false as for bp_sweep. */
bool
bp_validate(struct bp_objective *, const bp_real *parameters, double *record);

/* Plain vectors, and numbers of the network's precision. */
double
bp_dot(size_t count, const double *a, const double *b);
double
bp_largest(size_t count, const double *a);
void
bp_to_doubles(const struct bp_network *, size_t count, const bp_real *from, double *to);

/* The entries of parameters that move, one after the other, and back: the others are 0. `to` may be
 * `from`. */
void
bp_gather_free(const struct bp_objective *, const double *from, double *to);
void
bp_scatter_free(const struct bp_objective *, const double *from, double *to);

/* asked->parameters = from, of what moves, rounded likewise. */
void
bp_leave_at(const struct bp_objective *, const double *from);

/* to = from, rounded to the network's precision, and to float32 with `single`. */
void
bp_from_doubles(const struct bp_solving *, size_t count, const double *from, bp_real *to);

#endif
