/* squares_function.c: pairwise_squares(numbers), for penalties with the bits of the engine's. */
#include "numbers.h"

PyObject *
bp_pairwise_squares_function(PyObject *module, PyObject *numbers)
{
    const struct bp_module *state = PyModule_GetState(module);
    PyArrayObject *array = (PyArrayObject *)numbers;
    double sum;

    for (int dtype = 0; PyArray_Check(numbers) && dtype < BP_DTYPES; dtype++) {
        if (PyArray_TYPE(array) != bp_type_number((enum bp_dtype)dtype) || !PyArray_ISCARRAY_RO(array))
            continue;
        Py_BEGIN_ALLOW_THREADS
        sum = state->kernels[dtype]->pairwise_squares((size_t)PyArray_SIZE(array), PyArray_DATA(array));
        Py_END_ALLOW_THREADS
        return PyFloat_FromDouble(sum);
    }
    PyErr_SetString(PyExc_TypeError, "numbers must be a C-contiguous array of float32 or float64");
    return NULL;
}
