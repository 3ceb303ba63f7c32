#include "member_samples.h"

/* names of one member's arrays, for messages */
struct names {
    char x[48], y[48], weight[64];
};

static struct names
names_of(const char *prefix, size_t i, const struct bp_given_member_samples *given)
{
    struct names names;
    char member[32];

    PyOS_snprintf(member, sizeof(member), "[%zu]", i);
    PyOS_snprintf(names.x, sizeof(names.x), "%sx%s", prefix, given->own_x ? member : "");
    PyOS_snprintf(names.y, sizeof(names.y), "%sy%s", prefix, given->own_y ? member : "");
    PyOS_snprintf(names.weight, sizeof(names.weight), "%ssample_weight%s", prefix,
                  given->own_weight ? member : "");
    return names;
}

/* One member's part of `object`, or the object itself: a new reference; NULL for NULL, or with an exception. */
static PyObject *
part_of(PyObject *object, bool own, size_t i)
{
    if (!object)
        return NULL;
    return own ? PySequence_GetItem(object, (Py_ssize_t)i) : Py_NewRef(object);
}

/* -1 where `object` does not have a part for each member. */
static int
check_members(PyObject *object, bool own, size_t members, const char *prefix, const char *name)
{
    if (!object || !own)
        return 0;
    const Py_ssize_t length = PySequence_Size(object);
    if (length < 0 || (size_t)length == members)
        return length < 0 ? -1 : 0;
    PyErr_Format(PyExc_ValueError, "%s%s must have one part for each of the %zu members, but has %zd",
                 prefix, name, members, length);
    return -1;
}

/* The part of one member. */
static int
read_one(struct bp_samples *samples, const struct bp_network *net, size_t i,
         const struct bp_given_member_samples *given, const char *prefix)
{
    const struct names names = names_of(prefix, i, given);
    PyObject *x = part_of(given->x, given->own_x, i), *y = part_of(given->y, given->own_y, i);
    PyObject *mask = part_of(given->target_mask, given->own_mask, i);
    PyObject *weight = part_of(given->sample_weight, given->own_weight, i);
    int result = -1;

    if (!PyErr_Occurred() && bp_refuse_sparse(x, names.x) == 0 && bp_read_samples(samples, net, x, y, names.x, names.y) == 0 &&
        (!mask || bp_read_mask(samples, net, mask) == 0) &&
        (!y || bp_check_targets(samples, net, names.y) == 0) &&
        (!weight || bp_read_weights(samples, weight, names.weight, false) == 0))
        result = bp_check_sample_count(&samples->data, names.x);
    Py_XDECREF(x);
    Py_XDECREF(y);
    Py_XDECREF(mask);
    Py_XDECREF(weight);
    return result;
}

int
bp_read_member_samples(struct bp_member_samples *samples, const struct bp_network *net,
                       size_t members, const struct bp_given_member_samples *given,
                       const char *prefix)
{
    const bool own = given->own_x || given->own_y || given->own_weight || given->own_mask;

    *samples = (struct bp_member_samples){.count = own ? members : 1};
    if (check_members(given->x, given->own_x, members, prefix, "x") < 0 ||
        check_members(given->y, given->own_y, members, prefix, "y") < 0 ||
        check_members(given->sample_weight, given->own_weight, members, prefix, "sample_weight") < 0 ||
        check_members(given->target_mask, given->own_mask, members, prefix, "target_mask") < 0)
        return -1;
    samples->held = PyMem_Calloc(samples->count, sizeof(*samples->held));
    samples->data = PyMem_Calloc(samples->count, sizeof(*samples->data));
    if (!samples->held || !samples->data) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < samples->count; i++) {
        if (read_one(&samples->held[i], net, i, given, prefix) < 0)
            return -1;
        samples->data[i] = samples->held[i].data;
        if (samples->data[i].x.rows != samples->data[0].x.rows) {
            PyErr_Format(PyExc_ValueError,
                         "all members must have as many samples, but %sx[0] has %zu and %sx[%zu] %zu",
                         prefix, samples->data[0].x.rows, prefix, i, samples->data[i].x.rows);
            return -1;
        }
    }
    return 0;
}

void
bp_release_member_samples(struct bp_member_samples *samples)
{
    for (size_t i = 0; samples->held && i < samples->count; i++)
        bp_release_samples(&samples->held[i]);
    PyMem_Free(samples->held);
    PyMem_Free(samples->data);
    *samples = (struct bp_member_samples){0};
}
