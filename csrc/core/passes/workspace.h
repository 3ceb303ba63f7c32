/* workspace.h: all that a forward and a backward pass write besides parameters and results, sized
 * once. Depends on nonzeros.h, data/, network/ and base/. */
#ifndef BP_WORKSPACE_H
#define BP_WORKSPACE_H

#include "core/base/poll.h"
#include "core/data/arrays.h"
#include "core/network/layout.h"
#include "kernels/mixed.h"
#include "nonzeros.h"

/* Panels of one layer, [nodes / P][rows][P]. Some share memory: z with a where nothing asks for z
 * afterwards, dC_da with delta where nothing asks for dC_da. */
struct bp_nodes {
    bp_real *z, *a;
    bp_real *dC_da, *delta;
    bp_real *dropped; /* a without the nodes left out; NULL for a layer without dropout, or without
                         BP_DROPOUT */
};

/* delta and dC_da turned round, [rows / P][nodes][P], `stride` from a panel to the next */
struct bp_turned {
    bp_real *delta[2], *dC_da;
    size_t stride;
};

/* What a large layer's sums are added up from, besides what lies where the sum will be (division.h): quarters,
 * three for each thread, and parts of a whole layer, where several threads have parts. NULL without. */
struct bp_sum_parts {
    bp_real *own, *common;
    size_t own_each, common_each; /* numbers of a quarter, of a part */
};

/* Factors rounded to bfloat16, as kernels/mixed.h says; two of each in turn, as others may still read
 * the last layer's. NULL without BP_ROUNDED. */
struct bp_rounded {
    bp_bfloat16 *rows[2];  /* left: what a layer reads; on the way back its delta */
    bp_bfloat16 *turned[2]; /* left: what a layer reads, turned round */
    bp_bfloat16 *delta[2]; /* right */
    size_t rows_stride, turned_stride, delta_stride;
    bp_bfloat16 *pieces; /* right: of weights, one per thread */
};

/* What a pass puts down and takes up again on its way. */
struct bp_scratch {
    bp_real *gradient_chunks; /* three per thread */
    size_t gradient_chunk;    /* numbers of each, bp_gradient_chunk: to compute it takes a division */
    double *partial_sums;     /* bp_parts of every layer */
    bp_real *deltas;          /* Σ_n delta of the first layer */
    struct bp_nonzeros *nonzeros; /* of a sparse batch, in the place of x; else NULL */
    const char **ahead;       /* where the rows of the next batch begin, once that is looked up */
    struct bp_watch *watch;   /* looked at between rows by what runs on the caller's thread; or NULL */
};

/* The one block of memory that all of a workspace lies in. */
struct bp_block {
    void *memory;
    size_t size;    /* bytes */
    unsigned flags; /* it was laid out with */
};

struct bp_workspace {
    size_t rows;   /* there is room for */
    size_t stride; /* from a panel of [rows][P] to the next */
    bp_real *x, *y;
    bp_real *dC_dx;          /* NULL unless asked for */
    bp_real *mask, *present; /* 1 where there is a target, else 0; a or z of these; or both NULL */
    struct bp_nodes *nodes;  /* one per layer */
    struct bp_turned turned;
    struct bp_rounded rounded;
    struct bp_sum_parts sum_parts;
    double *losses, *factors; /* one per row: C_0, and what its delta is multiplied by */
    int64_t *classes, *wanted;
    struct bp_scratch scratch;
    struct bp_block block;
};

enum {
    BP_KEEP_Z = 1,         /* z and dC_da of every layer can be read afterwards */
    BP_FORWARD_ONLY = 2,   /* no room for a backward pass */
    BP_INPUT_GRADIENT = 4, /* dC_dx too */
    BP_MASK = 8,           /* mask and present too */
    BP_DROPOUT = 16,       /* for passes with bp_pass.dropout, and for no others */
    BP_SPARSE = 32,        /* scratch.nonzeros, and no x */
    BP_ROUNDED = 64,       /* for passes with bp_pass.mixed, and for no others */
};

/* Rows of weights that are worked on at a time. */
enum { BP_CHUNK_ROWS = 128 };

/* What one thread sums at a time of quarters stays in its second cache: BP_OWN_PANELS panels, whole tiles, of
 * BP_OWN_ROWS rows at most, or more panels of fewer rows; BP_OWN_ROOM rows of a panel with what pads them. */
enum { BP_OWN_PANELS = 12, BP_OWN_ROWS = 256, BP_OWN_ROOM = BP_OWN_PANELS * (BP_OWN_ROWS + 2) };

/* Rows and panels of weights whose gradient is computed and used at a time: 24 KiB of it at most, and
 * panels enough for groups of two and of three. */
enum { BP_GRADIENT_ROWS = 64, BP_GRADIENT_PANELS = 6 };

/* how many numbers that is */
static inline size_t
bp_gradient_chunk(const struct bp_network *net)
{
    const size_t panels = bp_panels(net, net->widest);
    return BP_GRADIENT_ROWS * (panels < BP_GRADIENT_PANELS ? panels : BP_GRADIENT_PANELS) *
           net->kernels->panel;
}

/* Parts of layer l's parameters whose squares are added up on their own: BP_CHUNK_ROWS rows of a
 * panel of weights, or a panel of the bias; the parts of a row come one after the other. */
size_t
bp_parts(const struct bp_network *, size_t l);

/* Makes room for `rows` rows: anew in an empty workspace, all zeros, or in the memory that `ws`
 * has, or in more. What it held is lost. BP_OK, or BP_NO_MEMORY or BP_TOO_LARGE and `ws` is
 * empty. */
enum bp_status
bp_workspace_lay_out(struct bp_workspace *ws, const struct bp_network *, size_t rows,
                     size_t threads, unsigned flags);

/* The same for passes on rows of these data, `rows` of them at most: with BP_MASK and BP_SPARSE as
 * they need it, and room for their non-zeros. */
enum bp_status
bp_workspace_for(struct bp_workspace *ws, const struct bp_network *, const struct bp_data *,
                 size_t rows, size_t threads, unsigned flags);

/* The bytes that it takes. */
static inline size_t
bp_workspace_bytes(const struct bp_workspace *ws)
{
    const struct bp_nonzeros *nonzeros = ws->scratch.nonzeros;
    return ws->block.size + (nonzeros ? nonzeros->bytes : 0);
}

/* What layer l reads; NULL for a sparse x. */
static inline const bp_real *
bp_input_of(const struct bp_workspace *ws, size_t l)
{
    if (l == 0)
        return ws->x;
    return ws->nodes[l - 1].dropped ? ws->nodes[l - 1].dropped : ws->nodes[l - 1].a;
}

/* Leaves it empty, all zeros. */
void
bp_workspace_free(struct bp_workspace *);

#endif
