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
bp_hold_generator(struct bp_held_generator *held, PyObject *network)
{
    PyObject *rng = PyObject_GetAttrString(network, "rng"), *taken = NULL;

    *held = (struct bp_held_generator){0};
    held->bits = rng ? PyObject_GetAttrString(rng, "bit_generator") : NULL;
    held->lock = held->bits ? PyObject_GetAttrString(held->bits, "lock") : NULL;
    if (held->lock && bp_read_bit_generator(held->bits, &held->random) == 0)
        taken = PyObject_CallMethod(held->lock, "acquire", NULL);
    Py_XDECREF(rng);
    if (!taken) {
        Py_CLEAR(held->bits);
        Py_CLEAR(held->lock);
        return -1;
    }
    Py_DECREF(taken);
    return 0;
}

void
bp_release_generator(struct bp_held_generator *held)
{
    PyObject *type, *value, *traceback;

    if (!held->lock)
        return;
    PyErr_Fetch(&type, &value, &traceback); /* of the call that held it */
    PyObject *released = PyObject_CallMethod(held->lock, "release", NULL);
    if (!released)
        PyErr_WriteUnraisable(held->lock);
    Py_XDECREF(released);
    Py_CLEAR(held->lock);
    Py_CLEAR(held->bits);
    PyErr_Restore(type, value, traceback);
}
