/* docstrings.c: what help() says about the methods that are called straight in C. */
#include "network_methods.h"

#define X_AND_Y                                                                                    \
    "x : array_like, (n, inputs) or (inputs,)\n"                                                   \
    "    Samples; a 1-D x is one sample. Any real number type, strides and byte\n"                 \
    "    order; it is never changed.\n"                                                            \
    "y : array_like, (n, outputs), or (n,) integer labels, or (n,) for one output\n"               \
    "    Targets; for a 1-D x without the leading n.\n"

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

const char bp_loss_doc[] = "loss($self, x, y)\n--\n\n"
                           "C, the mean of the loss C_0 over the samples.\n\n"
                           "Parameters\n----------\n" X_AND_Y "\nReturns\n-------\nfloat\n\n" RAISES;

const char bp_losses_doc[] =
    "losses($self, x, y)\n--\n\n"
    "C_0 of each sample; for squared_error the sum over the output nodes of (a - y)^2.\n\n"
    "Parameters\n----------\n" X_AND_Y
    "\nReturns\n-------\nndarray of float64, (n,), or a scalar for a 1-D x\n\n" RAISES;

const char bp_accuracy_doc[] =
    "accuracy($self, x, y)\n--\n\n"
    "The share of samples whose class is that of their target.\n\n"
    "The class is the index of the largest output, or for one output node whether it\n"
    "is at least 0.5; the same for a target. A sample with an output or target that is NaN\n"
    "counts as wrong.\n\n"
    "Parameters\n----------\n" X_AND_Y "\nReturns\n-------\nfloat\n    From 0 to 1.\n\n" RAISES;

const char bp_step_doc[] =
    "step($self, x, y, optimizer)\n--\n\n"
    "One step of the optimizer on all samples as one batch.\n\n"
    "Parameters\n----------\n" X_AND_Y
    "optimizer : SGD, Adam, AdamW or RMSprop\n    Its state belongs to this network from then on.\n\n"
    "Returns\n-------\nfloat\n    C before the step.\n\n" RAISES;
