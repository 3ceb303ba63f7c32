/* operands.h: what the functions of backprop.kernels take and give, from signatures as NumPy writes those of its
 * generalized ufuncs. Depends on arrays.h and numbers.h.
 *
 *     (n?,k) a, (j,k)^T weights, (j) bias? -> (n?,j)
 *
 * An array has its axes in parentheses; axes of one letter have one length. n? may be missing, from all arrays
 * together; bias? may be left out; (n?,k)|(n?,k,k) is either shape; (...) is any shape, the same each time. A word
 * alone is no array: "activation" and "loss" stand for an argument `name`, that of such a function, any other for a
 * number. Arrays of two axes, or of one, go into panels, with ^T turned round. */
#ifndef BP_OPERANDS_H
#define BP_OPERANDS_H

#include "arrays.h"
#include "numbers.h"

enum { BP_MOST_OPERANDS = 3 };

/* One argument of a signature, or what comes back. */
struct bp_term {
    char name[16];
    const char *shapes[2]; /* what begins at each parenthesis; NULL past the last */
    bool optional, turned;
};

struct bp_terms {
    struct bp_term arguments[BP_MOST_OPERANDS], result; /* operands among them are counted on their own */
    size_t count; /* of the arguments */
};

/* An argument: an array of the call's precision, and its numbers as the kernel reads them. */
struct bp_operand {
    PyArrayObject *array; /* or NULL where it was left out or is none */
    struct bp_array lie;  /* rows and columns, turned round where asked for */
    bp_real *panels;      /* NULL where it has more than two axes */
    size_t stride;
    bool second; /* has the second of its shapes */
};

/* One call. */
struct bp_kernel_call {
    struct bp_network net; /* its kernels; without layers, which is all that bp_gather and the like need */
    struct bp_operand operands[BP_MOST_OPERANDS], result;
    size_t sizes['z' + 1]; /* of each letter's axis; 0 while it is not known */
    bool single;           /* the axis n is missing */
    bool whole;            /* shapes are (...): numbers lie one after the other, in no panels */
    int function;          /* an enum bp_activation or bp_loss */
    double number;
};

/* Takes a signature apart: a mistake in one is an assertion. */
void bp_parse_terms(const char *signature, struct bp_terms *);

/* Takes what an argument is given. Arrays are checked against the term's shapes, and the letters' sizes learnt.
 * 0, or -1 with a TypeError or ValueError. */
int bp_take_operand(struct bp_kernel_call *, const struct bp_module *, const struct bp_term *,
                    PyObject *given, struct bp_operand *);

/* Whether `out` fits the result: 0, or -1 with a TypeError or ValueError. */
int bp_check_out(const struct bp_kernel_call *, const struct bp_term *, PyObject *out);

/* A new array for the result; NULL with an exception. */
PyArrayObject *bp_new_result(const struct bp_kernel_call *, const struct bp_term *);

/* Without the GIL: the panels of every operand that has some, and room for those of the result. */
enum bp_status bp_gather_operands(struct bp_kernel_call *, const struct bp_term *result);

/* Without the GIL: the result's panels, if it has some, to its array's memory. */
void bp_read_result(const struct bp_kernel_call *, bp_real *target);

void bp_release_operands(struct bp_kernel_call *);

/* rows x columns panels of zeros that operand->panels points to */
enum bp_status bp_make_panels(const struct bp_network *, size_t rows, size_t columns,
                              struct bp_operand *);

#endif
