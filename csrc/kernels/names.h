/* names.h: every function, rule and precision that has a name, each in one list: the enumerators and
 * the names users write both come from it. Depends on libc only.
 *
 * A count is no enumerator, so that a switch without a default which misses one is a warning. */
#ifndef BP_NAMES_H
#define BP_NAMES_H

#include <stdbool.h>

#define BP_EACH_DTYPE(X)                                                                           \
    X(BP_FLOAT32, "float32")                                                                       \
    X(BP_FLOAT64, "float64")

/* a_j = g(z_j) of one node alone; and whether g' is computed from z, else from a */
#define BP_EACH_ELEMENTWISE(X)                                                                     \
    X(BP_IDENTITY, "identity", false)                                                              \
    X(BP_SIGMOID, "sigmoid", false)                                                                \
    X(BP_TANH, "tanh", false)                                                                      \
    X(BP_RELU, "relu", false)                                                                      \
    X(BP_LEAKY_RELU, "leaky_relu", false)                                                          \
    X(BP_ELU, "elu", true)                                                                         \
    X(BP_GELU, "gelu", true)                                                                       \
    X(BP_SILU, "silu", true)                                                                       \
    X(BP_SOFTPLUS, "softplus", true)

/* softmax takes a whole row */
#define BP_EACH_ACTIVATION(X)                                                                      \
    BP_EACH_ELEMENTWISE(X)                                                                         \
    X(BP_SOFTMAX, "softmax", false)

#define BP_EACH_LOSS(X)                                                                            \
    X(BP_SQUARED_ERROR, "squared_error")                                                           \
    X(BP_MEAN_SQUARED_ERROR, "mean_squared_error")                                                 \
    X(BP_BINARY_CROSS_ENTROPY, "binary_cross_entropy")                                             \
    X(BP_CROSS_ENTROPY, "cross_entropy")                                                           \
    X(BP_HUBER, "huber")

/* what an optimizer does with a gradient; PyTorch's rules of the same names */
#define BP_EACH_RULE(X)                                                                            \
    X(BP_SGD, "sgd")                                                                               \
    X(BP_ADAM, "adam")                                                                             \
    X(BP_ADAMW, "adamw")                                                                           \
    X(BP_RMSPROP, "rmsprop")

/* of the products of a training */
#define BP_EACH_PRECISION(X)                                                                       \
    X(BP_AS_NETWORK, "float32")                                                                    \
    X(BP_BFLOAT16, "bfloat16")                                                                     \
    X(BP_BFLOAT16_EMULATED, "bfloat16-emulated")

#define BP_ENUMERATOR(enumerator, ...) enumerator,
#define BP_ONE(enumerator, ...) +1

enum bp_dtype { BP_EACH_DTYPE(BP_ENUMERATOR) };
enum bp_activation { BP_EACH_ACTIVATION(BP_ENUMERATOR) };
enum bp_loss { BP_EACH_LOSS(BP_ENUMERATOR) };
enum bp_rule { BP_EACH_RULE(BP_ENUMERATOR) };
enum bp_precision { BP_EACH_PRECISION(BP_ENUMERATOR) };

enum {
    BP_DTYPES = BP_EACH_DTYPE(BP_ONE),
    BP_ACTIVATIONS = BP_EACH_ACTIVATION(BP_ONE),
    BP_LOSSES = BP_EACH_LOSS(BP_ONE),
    BP_RULES = BP_EACH_RULE(BP_ONE),
};

#undef BP_ENUMERATOR
#undef BP_ONE

/* in the order of the enumerators; NULL ends each */
extern const char *const bp_dtype_names[], *const bp_activation_names[], *const bp_loss_names[],
    *const bp_rule_names[], *const bp_precision_names[];

/* Whether g' is computed from z; from a = g(z) otherwise. */
static inline bool
bp_derivative_needs_z(enum bp_activation g)
{
#define BP_NEEDS_Z(enumerator, name, needs_z)                                                      \
    case enumerator:                                                                               \
        return needs_z;
    switch (g) {
        BP_EACH_ACTIVATION(BP_NEEDS_Z)
    }
#undef BP_NEEDS_Z
    return false;
}

#endif
