/* peak_function.c: fma_peak(dtype, seconds), the measured peak of one core. */
#include "module.h"

#include "kernels/peak.h"

PyObject *
bp_fma_peak_function(PyObject *module, PyObject *args)
{
    const struct bp_module *state = PyModule_GetState(module);
    const char *name;
    double seconds, peak;

    if (!PyArg_ParseTuple(args, "sd:fma_peak", &name, &seconds))
        return NULL;
    const int dtype = bp_find_name(bp_dtype_names, name, "dtype");
    if (dtype < 0)
        return NULL;
    if (!(seconds >= 0 && seconds <= 60)) {
        PyErr_SetString(PyExc_ValueError, "seconds must be from 0 to 60");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    peak = bp_fma_peak(state->kernels[dtype], seconds);
    Py_END_ALLOW_THREADS
    return PyFloat_FromDouble(peak);
}
