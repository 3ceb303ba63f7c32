/* pass.h: one batch on its way through a network, and who does what of it.
 * Depends on workspace.h, data/, network/ and base/.
 *
 * Every thread of a team calls the functions of this room with the same arguments but `me`; each
 * does its share. A result is complete after the next bp_meet(). The bits do not depend on the
 * number of threads, nor on how samples are grouped into batches.
 */
#ifndef BP_PASS_H
#define BP_PASS_H

#include "core/base/pieces.h"
#include "core/base/sizes.h"
#include "core/data/arrays.h"
#include "core/network/dropout.h"
#include "core/network/grouping.h"
#include "workspace.h"

struct bp_pass {
    const struct bp_network *net;
    struct bp_workspace *ws;
    struct bp_vector parameters;
    struct bp_team *team;
    size_t me, threads;
    size_t rows;                      /* of this batch, at most ws->rows */
    struct bp_grouping sums;          /* how sums over them associate */
    const struct bp_dropout *dropout; /* while training; NULL leaves out nothing */
    const struct bp_mixed *mixed;     /* products of rounded factors; NULL for exact ones */
    struct bp_halt *halt; /* what this is a part of, and is looked at between products; or NULL: it goes on to its end */
    bool masked; /* some targets are missing, as data.mask says; ws: with BP_MASK */
    /* rows of the next batch that bp_backward asks for, and bytes of a number in them */
    const char *const *ahead;
    size_t ahead_rows, ahead_bytes;
};

/* The rows of the batch that are this thread's */
static inline struct bp_rows
bp_own_rows(const struct bp_pass *pass)
{
    size_t first, last;
    bp_share(pass->rows, pass->threads, pass->me, &first, &last);
    return (struct bp_rows){NULL, first, last - first};
}

/* Panels [0, count), in pieces for the threads of the team: multiples of `grain`, which a product takes at a time;
 * once for each of `groups`, where this thread is number `me`. Written as a whole, as a struct that is changed and
 * copied takes a good part of the time of a pass of the smallest networks. */
static inline struct bp_pieces
bp_divide_among(const struct bp_pass *pass, size_t count, size_t grain, size_t groups, size_t me)
{
    return (struct bp_pieces){
        .team = pass->team,
        .count = count,
        .threads = pass->threads,
        .me = me,
        .grain = grain,
        .groups = groups,
    };
}

/* The same, once */
static inline struct bp_pieces
bp_divide(const struct bp_pass *pass, size_t count, size_t grain)
{
    return bp_divide_among(pass, count, grain, 1, pass->me);
}

/* Whether layer l's weights are divided among threads by outputs j while they are changed. Rows k
 * of W belong to one thread where the delta is carried past them: it reads them, then changes them.
 * Where only the forward pass reads W, the same columns belong to it as there, and stay in its
 * processor's cache, unless they are so few that the shares would be unequal. */
static inline bool
bp_by_columns(const struct bp_pass *pass, size_t l, bool carry)
{
    enum { FEW_PANELS = 8 };
    return !carry &&
           bp_panels(pass->net, pass->net->layers[l].outputs) >= FEW_PANELS * pass->threads;
}

/* Nodes of layer l that are left out while training: their entries of `from`, the layer's first
 * panel, become 0 in `to`, which may be `from`. In panels [first, last) and rows `rows`. */
void
bp_drop_nodes(const struct bp_pass *, size_t l, size_t first, size_t last, struct bp_rows rows,
              const bp_real *from, bp_real *to);

/* Whether there are any. */
static inline bool
bp_drops(const struct bp_pass *pass, size_t l)
{
    return pass->dropout && pass->net->layers[l].dropout > 0;
}

/* out = m where there is a target, else fill: rows `own` of the last layer. */
void
bp_fill_missing(const struct bp_pass *, struct bp_rows own, const bp_real *m, double fill,
                bp_real *out);

/* Whether all this is given up: products need not be made any more. */
static inline bool
bp_is_given_up(const struct bp_pass *pass)
{
    return pass->halt && bp_halts(pass->halt, pass->me == 0);
}

/* Of `count` panels, those that are worked on before the next look whether it is given up: `few`, or all. */
static inline size_t
bp_until_a_look(const struct bp_pass *pass, size_t few, size_t count)
{
    return pass->halt ? few : count;
}

/* Products run over this many terms at a time, whole panels of them: a block of a panel, 16 KiB,
 * then stays in the nearest cache while all rows pass by. */
enum { BP_DEPTH_BLOCK = 256 };

/* The product over all of its depth, block by block; every panel's block in turn. Blocks are whole
 * panels of a, about equally deep: a short one would be mostly loads and stores of its sums. *p is
 * changed. */
static inline void
bp_product_over_depth(const struct bp_pass *pass, struct bp_product *p)
{
    const struct bp_network *net = pass->net;
    const size_t depth = p->depth, panels = bp_panels(net, depth);
    const size_t blocks = bp_quotient_up(depth, BP_DEPTH_BLOCK),
                 panel = net->kernels->panel;

    for (size_t i = 0; i < blocks && !bp_is_given_up(pass); i++) {
        size_t first, last;
        bp_share(panels, blocks, i, &first, &last);
        p->depth = bp_end_of(net, last, depth) - first * panel;
        net->kernels->product(p);
        p->a = bp_const_at(net, p->a, (last - first) * p->a_stride);
        p->b = bp_const_at(net, p->b, p->depth * p->b_row);
        p->resume = true;
    }
}

#endif
