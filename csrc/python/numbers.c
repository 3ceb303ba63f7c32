#include "numbers.h"

#include "core/base/memory.h"

static void
free_capsule(PyObject *capsule)
{
    bp_free(PyCapsule_GetPointer(capsule, NULL));
}

/* Takes over `memory`, which may be NULL where there was none; NULL with an exception. */
static PyObject *
new_owner(void *memory)
{
    if (!memory)
        return bp_raise(BP_NO_MEMORY);
    PyObject *owner = PyCapsule_New(memory, NULL, free_capsule);
    if (!owner)
        bp_free(memory);
    return owner;
}

/* A new array on `memory`, which `owner` keeps; takes over the reference to it. */
static PyObject *
new_array(PyObject *owner, void *memory, int dimensions, const npy_intp *shape, int type_number)
{
    PyObject *array = PyArray_SimpleNewFromData(dimensions, shape, type_number, memory);

    if (!array) {
        Py_DECREF(owner);
        return NULL;
    }
    /* takes over the reference to the owner even where it fails */
    if (PyArray_SetBaseObject((PyArrayObject *)array, owner) < 0)
        Py_CLEAR(array);
    return array;
}

PyObject *
bp_array_on(void *memory, int dimensions, const npy_intp *shape, int type_number)
{
    PyObject *owner = new_owner(memory);
    return owner ? new_array(owner, memory, dimensions, shape, type_number) : NULL;
}

int
bp_new_numbers(struct bp_numbers *numbers, size_t count, enum bp_dtype dtype)
{
    const size_t size = dtype == BP_FLOAT32 ? sizeof(float) : sizeof(double);
    void *memory = bp_allocate(bp_size_sum(count, BP_PANEL_BYTES / size), size);

    *numbers = (struct bp_numbers){.at = memory, .count = count, .dtype = dtype};
    numbers->owner = new_owner(memory);
    return numbers->owner ? 0 : -1;
}

PyObject *
bp_array_of_numbers(const struct bp_numbers *numbers)
{
    const npy_intp count = (npy_intp)numbers->count;
    return new_array(Py_NewRef(numbers->owner), numbers->at, 1, &count,
                     bp_type_number(numbers->dtype));
}

void
bp_release_numbers(struct bp_numbers *numbers)
{
    Py_CLEAR(numbers->owner);
    *numbers = (struct bp_numbers){0};
}
