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
    PyObject *rng = PyObject_GetAttrString(network, "rng"), *lock = NULL, *taken = NULL;

    *held = (struct bp_held_generator){0};
    held->bits = rng ? PyObject_GetAttrString(rng, "bit_generator") : NULL;
    lock = held->bits ? PyObject_GetAttrString(held->bits, "lock") : NULL;
    /* looked up now: later there may be no memory for it */
    held->release = lock ? PyObject_GetAttrString(lock, "release") : NULL;
    if (held->release && bp_read_bit_generator(held->bits, &held->random) == 0)
        taken = PyObject_CallMethod(lock, "acquire", NULL);
    Py_XDECREF(rng);
    Py_XDECREF(lock);
    if (!taken) {
        Py_CLEAR(held->bits);
        Py_CLEAR(held->release);
        return -1;
    }
    Py_DECREF(taken);
    return 0;
}

void
bp_release_generator(struct bp_held_generator *held)
{
    PyObject *type, *value, *traceback;

    if (!held->release)
        return;
    PyErr_Fetch(&type, &value, &traceback); /* of the call that held it */
    PyObject *released = PyObject_CallNoArgs(held->release);
    if (!released)
        PyErr_WriteUnraisable(held->release);
    Py_XDECREF(released);
    Py_CLEAR(held->release);
    Py_CLEAR(held->bits);
    PyErr_Restore(type, value, traceback);
}
