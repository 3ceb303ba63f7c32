#include "generator.h"

#include <numpy/random/bitgen.h>

int
bp_read_bit_generator(PyObject *object, struct bp_random *random)
{
    PyObject *capsule = PyObject_GetAttrString(object, "capsule");
    bitgen_t *generator = capsule ? PyCapsule_GetPointer(capsule, "BitGenerator") : NULL;

    Py_XDECREF(capsule); /* the object itself keeps it alive */
    if (!generator)
        return -1;
    random->next = generator->next_uint32;
    random->state = generator->state;
    return 0;
}

int
bp_draw_keys_of(PyObject *network, const struct bp_network *net, uint64_t *keys)
{
    PyObject *rng = PyObject_GetAttrString(network, "rng");
    PyObject *bits = rng ? PyObject_GetAttrString(rng, "bit_generator") : NULL;
    PyObject *lock = bits ? PyObject_GetAttrString(bits, "lock") : NULL;
    PyObject *taken = NULL, *released = NULL;
    struct bp_random random;

    if (lock && bp_read_bit_generator(bits, &random) == 0)
        taken = PyObject_CallMethod(lock, "acquire", NULL);
    if (taken) {
        bp_draw_keys(net, &random, keys);
        released = PyObject_CallMethod(lock, "release", NULL);
    }
    Py_XDECREF(rng);
    Py_XDECREF(bits);
    Py_XDECREF(lock);
    Py_XDECREF(taken);
    Py_XDECREF(released);
    return released ? 0 : -1;
}
