/* block.h: members of a population that are trained side by side, one a lane of the vectors.
 * Depends on member.h and kernels/.
 *
 * `group` numbers lie side by side, one of each member, wherever a network alone has one number.
 * A block is trained for all epochs of a span before the next one begins, so that what it works on stays
 * in a cache. */
#ifndef BP_BLOCK_H
#define BP_BLOCK_H

#include "member.h"

/* One member in its lane. */
struct lane {
    size_t member;
    bool alive; /* has not diverged, nor ended by itself */
    struct bp_optimizer optimizer;
    struct bp_optimizer_step rule; /* the last step's */
    const struct bp_data *data, *validation;
    const struct bp_random *random; /* of its own, or NULL */
    uint32_t *order;                /* room for one, or NULL */
    const uint32_t *chosen;         /* rows that are trained on, or NULL for all */
    const double *rates;            /* of the steps of the span, or NULL for the optimizer's */
};

/* How the members of a population are trained in blocks. */
struct block_plan {
    size_t vectors, group;
    double cost;       /* of a block of members with the same rows, a member alone being 1 */
    double cost_apart; /* of another block; INFINITY where it is not worth while */
    size_t samples;    /* of an epoch */
    size_t batch;      /* samples of a step */
    size_t together;   /* samples whose losses are added up together */
    size_t part;       /* of these are loaded at a time */
    size_t rows;       /* samples there is room for */
    size_t nodes;      /* numbers of parameters, pads included, of a member */
    bool own;          /* each member may train on rows of its own, or in an order of its own */
    bool sharing;      /* blocks of members with the same rows load samples once for all of them */
    bool roomy;        /* there is room for rows of each member */
    bool plain, chain; /* as bp_train would do it */
};

/* Samples as they are trained on. */
struct loaded {
    bp_real *x, *y;         /* as in bp_block_step */
    bp_real *panels;        /* of one member, or of each: [panels][LOADED_ROWS][P] */
    const bp_real **places; /* [group]: a row of each member in them */
    bool own;               /* rows of each member, in this epoch */
    bool same_rows;         /* all members have the same rows, though perhaps in other orders */
    bp_real *factors;       /* [rows][group] */
    bp_real *numbers;       /* [BP_RULE_NUMBERS][group] */
    double *weights;        /* [rows][group] */
    bool plain_x, plain_y;  /* rows of all need no conversion */
    bool all;               /* all samples of an epoch are loaded, and stay the same */
    size_t factors_for;     /* the batch that the factors are right for; 0 for none */
};

enum {
    LOADED_ROWS = 8, /* gathered at a time */
    BP_MOST_LANES = BP_MOST_BLOCK_VECTORS * 16
};

/* What one thread trains blocks with, one after the other. */
struct block {
    const struct bp_population *population;
    const struct block_plan *plan;
    struct bp_block_step lanes;
    struct lane *lane; /* [group] */
    size_t count;      /* lanes in use */
    bool all_alive;    /* these */
    bool alike;        /* all have the same optimizer, at the same step */
    struct {
        bp_real *parameters, *state[BP_STATES];
    } good; /* after the last epoch of finite numbers, but for lanes that are not alive */
    struct loaded loaded;
    struct {
        double *weight; /* [group]: Σ w_n of the samples that were loaded for this epoch's sums */
        int64_t *right; /* [group]: lanes.sums.right, where it is wanted */
        double *parts;  /* [samples + 1]: which part of the samples so many are, or NULL where they are many: a
                           division for each member is a part of the smallest epochs */
        bool in_a_row;  /* lanes' members follow one another, and so do their figures */
    } sums;
    struct bp_span span;
    size_t step; /* done in the span */
    struct bp_watch watch;
    bp_real *gradient; /* of steps in parts, or NULL */
    void *memory;
};

/* BP_OK, BP_NO_MEMORY or BP_TOO_LARGE; to be closed in any case. */
enum bp_status
bp_open_block(struct block *, const struct bp_population *, const struct block_plan *);
void
bp_close_block(struct block *);

/* A vector of all members in their lanes from storage order, or back, of the lanes that are `wanted`. */
void
bp_into_lanes(const struct block *, const bp_real *members, bp_real *lanes);
void
bp_out_of_lanes(const struct block *, const bool *wanted, const bp_real *lanes, bp_real *members);

/* Whether all lanes have the same optimizer, at the same step. */
bool
bp_lanes_are_alike(const struct block *);

/* The first lane that is alive, or lane 0. */
size_t
bp_leader_of(const struct block *);

/* Whether the parameters of lane i are finite; what lies between rows of W does not count. */
bool
bp_lane_is_finite(const struct block *, size_t i);

/* numbers[i] = value, in the network's precision */
static inline void
bp_put(const struct bp_network *net, bp_real *numbers, size_t i, double value)
{
    if (net->kernels->dtype == BP_FLOAT32)
        ((float *)numbers)[i] = (float)value;
    else
        ((double *)numbers)[i] = value;
}

#endif
