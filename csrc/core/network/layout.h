/* layout.h: what a network is, and where each of its numbers lies.
 * Depends on kernels/kernels.h, base/ and libc.
 *
 * The parameters are one vector. In storage order, the one that users see, each layer has its
 * weights as [inputs][outputs], then its bias as [outputs]. Packed, the one that training runs on,
 * the weights lie in panels [outputs / P][inputs][P] and the bias is filled up to whole panels. Pads
 * of parameters and of an optimizer's state are zeros, and stay so while all numbers are finite.
 */
#ifndef BP_LAYOUT_H
#define BP_LAYOUT_H

#include <stdatomic.h>

#include "kernels/kernels.h"
#include "core/base/status.h"

/* Functions that the user wrote. All read and write panels, `stride` apart, of `rows` rows and
 * `columns` columns, write 0 into pads, and set bp_network.failed when they fail. */
struct bp_custom_activation {
    /* out[n][j] = g(z[n][j]), or g'(z[n][j]) times factor[n][j] unless factor is NULL; out may be
     * factor */
    void (*g)(void *context, const struct bp_kernels *, size_t rows, size_t columns,
              const bp_real *z, bp_real *out, size_t stride);
    void (*g_prime)(void *context, const struct bp_kernels *, size_t rows, size_t columns,
                    const bp_real *z, const bp_real *factor, bp_real *out, size_t stride);
    void *context;
};

struct bp_custom_loss {
    /* losses[n] = C_0 of row n */
    void (*value)(void *context, const struct bp_kernels *, size_t rows, size_t columns,
                  const bp_real *a, const bp_real *y, size_t stride, double *losses);
    /* out[n][j] = dC_0/da_j of row n */
    void (*derivative)(void *context, const struct bp_kernels *, size_t rows, size_t columns,
                       const bp_real *a, const bp_real *y, bp_real *out, size_t stride);
    void *context;
    size_t targets; /* columns of y, or 0 for as many as of a, which `columns` are */
};

/* How a layer's parameters move. */
struct bp_freedom {
    double rate, bias_rate;    /* factors of the optimizer's rate; 0: they do not move */
    unsigned char *mask;       /* [inputs][outputs]: 0 where w_jk is 0 and stays so; or NULL */
};

/* one layer l: z = W a_prev + b, a = g(z); offsets count numbers */
struct bp_layer {
    size_t inputs, outputs;
    bool bias;
    enum bp_activation activation;
    const struct bp_custom_activation *custom; /* used instead of activation, or NULL */
    double l1, l2;                             /* added to C: Σ l1 |w| + l2/2 w², biases not */
    double dropout;                            /* the share of nodes left out while training */
    struct bp_freedom freedom;
    size_t weights_at, bias_at;               /* in storage order */
    size_t packed_weights_at, packed_bias_at; /* packed */
    size_t packed_stride;                       /* from a panel of weights to the next */
};

/* What the layers' freedoms come to. */
struct bp_restraint {
    bool masked; /* some layer has a mask */
    bool rated;  /* some factor is not 1 */
    bool scaled; /* some factor is neither 1 nor 0 */
    size_t lowest; /* the first layer of which something moves, or bp_network.count */
};

struct bp_network {
    const struct bp_kernels *kernels;
    enum bp_loss loss;
    const struct bp_custom_loss *custom_loss; /* used instead of loss, or NULL */
    const atomic_bool *failed;                /* a custom function set it; NULL without any */
    size_t count; /* of layers */
    struct bp_layer *layers;
    size_t parameters; /* numbers in storage order */
    size_t packed;     /* numbers when packed, pads included */
    size_t widest;     /* the most nodes of any layer, the input layer included */
    bool fused;        /* the last activation and the loss have a common stable derivative */
    bool custom;       /* some function is the user's */
    bool penalized;    /* some layer has l1 or l2 */
    bool dropout;      /* some layer has */
    struct bp_restraint restraint;
};

/* A vector of parameters, gradients or optimizer state. */
struct bp_vector {
    bp_real *numbers;
    bool packed;
};

/* One layer's part of a bp_vector: w_jk = w[(j / P) * stride + k * row + j % P]; bias[j] or NULL. */
struct bp_weights {
    bp_real *w;
    size_t row, stride;
    bp_real *bias;
};

/* The numbers a vector in storage order must have room for: kernels read whole panels, so a panel
 * follows the last parameter. */
size_t bp_room(const struct bp_network *);

/* The same for a packed vector: a square of a panel's width follows the last number. */
size_t bp_packed_room(const struct bp_network *);

/* Fills in all that follows from the layers' own settings, from kernels and from loss. BP_OK or BP_TOO_LARGE. */
enum bp_status bp_network_lay_out(struct bp_network *);

/* Sets net->restraint; to be called when a layer's freedom has changed. */
void bp_note_freedom(struct bp_network *);

/* Copies thread `me`'s share of parameters [bp_room] into packed [net->packed], or back; pads are
 * left alone. */
void bp_pack(const struct bp_network *, const bp_real *parameters, bp_real *packed, size_t me,
             size_t threads);
void bp_unpack(const struct bp_network *, const bp_real *packed, bp_real *parameters, size_t me,
               size_t threads);

/* Copies what is frozen of parameters into packed; masks are to be applied to it. */
void bp_pack_frozen(const struct bp_network *, const bp_real *parameters, bp_real *packed);

/* The first layer of which a number in the vector is not finite, counted from 0, or net->count. */
size_t bp_first_not_finite(const struct bp_network *, struct bp_vector);

/* Whether all pads are zeros; for assertions, and not there with NDEBUG. */
bool bp_pads_are_zeros(const struct bp_network *, const bp_real *packed);

/* how many columns y has */
static inline size_t
bp_targets(const struct bp_network *net)
{
    return net->custom_loss && net->custom_loss->targets > 0 ? net->custom_loss->targets
                                                            : net->layers[net->count - 1].outputs;
}

static inline size_t
bp_panels(const struct bp_network *net, size_t columns)
{
    return (columns * net->kernels->size + BP_PANEL_BYTES - 1) / BP_PANEL_BYTES; /* a shift, no division */
}

/* The first column past panels [..., last) of `columns`. */
static inline size_t
bp_end_of(const struct bp_network *net, size_t last, size_t columns)
{
    const size_t end = last * net->kernels->panel;
    return end < columns ? end : columns;
}

/* base + offset, in numbers */
static inline bp_real *
bp_at(const struct bp_network *net, bp_real *base, size_t offset)
{
    return (char *)base + offset * net->kernels->size;
}

static inline const bp_real *
bp_const_at(const struct bp_network *net, const bp_real *base, size_t offset)
{
    return (const char *)base + offset * net->kernels->size;
}

/* Layer l's part of a vector */
static inline struct bp_weights
bp_layer_weights(const struct bp_network *net, size_t l, struct bp_vector vector)
{
    const struct bp_layer *layer = &net->layers[l];
    if (vector.packed)
        return (struct bp_weights){
            .w = bp_at(net, vector.numbers, layer->packed_weights_at),
            .row = net->kernels->panel,
            .stride = layer->packed_stride,
            .bias = layer->bias ? bp_at(net, vector.numbers, layer->packed_bias_at) : NULL,
        };
    return (struct bp_weights){
        .w = bp_at(net, vector.numbers, layer->weights_at),
        .row = layer->outputs,
        .stride = net->kernels->panel,
        .bias = layer->bias ? bp_at(net, vector.numbers, layer->bias_at) : NULL,
    };
}

/* A vector that is only read: the one place where it loses its const, as a struct has one kind. */
static inline struct bp_vector
bp_reading(const bp_real *numbers, bool packed)
{
    return (struct bp_vector){(bp_real *)numbers, packed};
}

/* The least odd number not below rows: panels one after the other then do not meet in the same
 * sets of a cache. */
static inline size_t
bp_padded(size_t rows)
{
    return rows | 1;
}

#endif
