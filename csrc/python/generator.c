#include "generator.h"

#include <numpy/random/bitgen.h>

/* The functions behind NumPy's BitGenerator object, which must outlive `random`. 0, or -1 with an exception. */
static int
read_bit_generator(PyObject *object, struct bp_random *random)
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

static int
take(struct bp_held_generator *generator)
{
    PyObject *taken = PyObject_CallNoArgs(generator->acquire);

    if (!taken)
        return -1;
    Py_DECREF(taken);
    generator->held = true;
    return 0;
}

/* Whatever exception is set stays. */
static void
give_back(struct bp_held_generator *generator)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyObject *released = PyObject_CallNoArgs(generator->release);
    if (!released)
        PyErr_WriteUnraisable(generator->release);
    Py_XDECREF(released);
    generator->held = false;
    PyErr_Restore(type, value, traceback);
}

/* Takes the lock for one use, or gives it back. What a signal handler raises meanwhile is left to the next poll, and
 * the lock waited for on: nobody holds it for long. */
static void
hold(void *context, bool held)
{
    struct bp_held_generator *generator = context;
    PyObject *type, *value, *traceback;

    bp_take_gil(generator->gil);
    if (held) {
        PyErr_Fetch(&type, &value, &traceback);
        while (take(generator) < 0) {
            if (type)
                PyErr_Clear();
            else
                PyErr_Fetch(&type, &value, &traceback);
        }
        PyErr_Restore(type, value, traceback);
    }
    else
        give_back(generator);
    bp_give_up_gil(generator->gil);
}

int
bp_hold_generator(struct bp_held_generator *generator, PyObject *bits, struct bp_gil *gil)
{
    PyObject *lock = PyObject_GetAttrString(bits, "lock");

    *generator = (struct bp_held_generator){.bits = Py_NewRef(bits), .gil = gil};
    /* looked up now: later there may be no memory for it */
    generator->acquire = lock ? PyObject_GetAttrString(lock, "acquire") : NULL;
    generator->release = generator->acquire ? PyObject_GetAttrString(lock, "release") : NULL;
    Py_XDECREF(lock);
    if (!generator->release || read_bit_generator(bits, &generator->random) < 0 ||
        (!gil && take(generator) < 0)) {
        bp_release_generator(generator);
        return -1;
    }
    if (gil) {
        generator->random.hold = hold;
        generator->random.holder = generator;
    }
    return 0;
}

void
bp_release_generator(struct bp_held_generator *generator)
{
    if (generator->held)
        give_back(generator);
    Py_CLEAR(generator->bits);
    Py_CLEAR(generator->acquire);
    Py_CLEAR(generator->release);
}
