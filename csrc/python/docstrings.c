/* docstrings.c: what help() says about the methods that are called straight in C. */
#include "network_jacobians.h"
#include "network_methods.h"

#define X_AND_Y                                                                                    \
    "x : array_like, (n, inputs) or (inputs,)\n"                                                   \
    "    Samples; a 1-D x is one sample. Any real number type, strides and byte\n"                 \
    "    order; it is never changed.\n"                                                            \
    "y : array_like, (n, outputs), or (n,) integer labels, or (n,) for one output\n"               \
    "    Targets; for a 1-D x without the leading n.\n"

#define X                                                                                          \
    "x : array_like, (n, inputs) or (inputs,)\n"                                                   \
    "    Samples; a 1-D x is one sample.\n"

#define WEIGHTS                                                                                    \
    "sample_weight : array_like, (n,), optional\n"                                                 \
    "    Finite weights w_n >= 0, not all 0; 1 each by default.\n"

#define MASK                                                                                       \
    "target_mask : array_like of bool, of y's shape, optional\n"                                   \
    "    False where a target is missing, as for fit. Not for labels.\n"

#define RAISES                                                                                     \
    "Raises\n------\n"                                                                             \
    "TypeError\n    For a dtype that is not a real number, or labels that are not integers.\n"     \
    "ValueError\n    For a wrong shape, or a label that is no output's index.\n"

const char bp_classify_doc[] =
    "classify($self, x)\n--\n\n"
    "The index of the output node with the highest activation, for each sample.\n\n"
    "With one output node: 1 where its activation is at least 0.5, else 0. For a sample with\n"
    "an output that is NaN: 0.\n\n"
    "Parameters\n----------\n"
    "x : array_like, (n, inputs) or (inputs,)\n    Samples; a 1-D x is one sample.\n\n"
    "Returns\n-------\nndarray of int64, (n,), or a scalar for a 1-D x\n\n" RAISES;

const char bp_loss_doc[] =
    "loss($self, x, y, *, sample_weight=None, target_mask=None)\n--\n\n"
    "C, the mean of the loss C_0 over the samples; with weights the sum of w_n C_0 over that of w_n.\n\n"
    "Parameters\n----------\n" X_AND_Y WEIGHTS MASK "\nReturns\n-------\nfloat\n\n" RAISES;

const char bp_losses_doc[] =
    "losses($self, x, y, *, sample_weight=None, target_mask=None)\n--\n\n"
    "C_0 of each sample; for squared_error the sum over the output nodes of (a - y)^2.\n\n"
    "With weights it is w_n C_0.\n\n"
    "Parameters\n----------\n" X_AND_Y WEIGHTS MASK
    "\nReturns\n-------\nndarray of float64, (n,), or a scalar for a 1-D x\n\n" RAISES;

const char bp_accuracy_doc[] =
    "accuracy($self, x, y)\n--\n\n"
    "The share of samples whose class is that of their target.\n\n"
    "The class is the index of the largest output, or for one output node whether it\n"
    "is at least 0.5; the same for a target. A sample with an output or target that is NaN\n"
    "counts as wrong. A regression has none, but r2: y must be labels, or the loss a\n"
    "cross-entropy, or the outputs those of sigmoid, softmax or functions of your own.\n\n"
    "Parameters\n----------\n" X_AND_Y "\nReturns\n-------\nfloat\n    From 0 to 1.\n\n" RAISES;

const char bp_step_doc[] =
    "step($self, x, y=None, optimizer=None, *, dC_da=None, sample_weight=None, target_mask=None)\n--\n\n"
    "One step of the optimizer on all samples as one batch.\n\n"
    "With dC_da in the place of y it descends a loss that is computed elsewhere. The gradient is the\n"
    "mean over the samples as ever; dC_da belongs to the outputs net(x), so dropout leaves nothing out.\n\n"
    "Parameters\n----------\n" X_AND_Y
    "optimizer : SGD, Adam, AdamW or RMSprop\n    Its state belongs to this network from then on. Needed.\n"
    "dC_da : array_like, (n, outputs), or (n,) for one output\n"
    "    dC_0/da of each sample's outputs, in the place of y; as for gradient.\n" WEIGHTS MASK
    "\nReturns\n-------\nfloat\n    C before the step; NaN with dC_da, where the loss is not known.\n\n" RAISES
    "KeyboardInterrupt\n    On Ctrl-C; a step of more than some hundredths of a second is then left undone, but for\n"
    "    what dropout has drawn from rng.\n";

const char bp_jacobian_vector_doc[] =
    "jacobian_vector($self, x, v)\n--\n\n"
    "How fast the outputs move where x moves by v: the sum over k of da_j/dx_k v_k.\n\n"
    "By two forward passes, without the Jacobian; exact but for rounding.\n\n"
    "Parameters\n----------\n" X
    "v : array_like, of x's shape\n    A direction for each sample.\n\n"
    "Returns\n-------\nndarray, (n, outputs), or (outputs,) for a 1-D x\n\n" RAISES;

const char bp_vector_jacobian_doc[] =
    "vector_jacobian($self, x, u)\n--\n\n"
    "The derivative with respect to x of outputs weighted by u: the sum over j of u_j da_j/dx_k.\n\n"
    "By one backward pass, without the Jacobian.\n\n"
    "Parameters\n----------\n" X
    "u : array_like, (n, outputs), or (n,) for one output\n    For each sample; for a 1-D x without the leading n.\n\n"
    "Returns\n-------\nndarray, (n, inputs), or (inputs,) for a 1-D x\n\n" RAISES;
