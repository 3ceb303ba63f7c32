#include "precision.h"

int
bp_read_precision(const struct bp_kernels *kernels, const char *name, const struct bp_mixed **mixed)
{
    const char *why_not = NULL;
    const int precision = bp_find_name(bp_precision_names, name, "precision");

    if (precision < 0)
        return -1;
    if (precision != BP_AS_NETWORK && kernels->dtype != BP_FLOAT32) {
        PyErr_Format(PyExc_ValueError, "precision '%s' is for float32 networks, not for float64",
                     name);
        return -1;
    }
    *mixed = bp_select_mixed(kernels, (enum bp_precision)precision, &why_not);
    if (!*mixed && why_not) {
        PyErr_Format(PyExc_ValueError,
                     "precision '%s' needs AMX, or AVX512-BF16 of an AMD processor: %s. 'float32' is "
                     "the fastest here; 'bfloat16-emulated' rounds alike, slowly",
                     name, why_not);
        return -1;
    }
    return 0;
}

/* products(dtype, precision) -> the instructions that compute the products of a training, by name */
PyObject *
bp_products_function(PyObject *module, PyObject *args)
{
    const struct bp_module *state = PyModule_GetState(module);
    const struct bp_mixed *mixed;
    const char *dtype, *precision;

    if (!PyArg_ParseTuple(args, "ss:products", &dtype, &precision))
        return NULL;
    const int place = bp_find_name(bp_dtype_names, dtype, "dtype");
    if (place < 0 || bp_read_precision(state->kernels[place], precision, &mixed) < 0)
        return NULL;
    return PyUnicode_FromString(mixed ? mixed->name : state->kernels[place]->isa);
}
