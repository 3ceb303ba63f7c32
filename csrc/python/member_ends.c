#include "member_ends.h"

#include "core/base/memory.h"
#include "member_vectors.h"
#include "numbers.h"

int
bp_read_patience(PyObject *tuple, struct bp_population *p)
{
    const size_t members = p->members.count;
    const struct {
        const char *name;
        int type;
        size_t count;
    } each[] = {
        {"tol of patience", NPY_DOUBLE, members},
        {"most of patience", NPY_DOUBLE, members},
        {"best of patience", NPY_DOUBLE, members},
        {"waited of patience", NPY_UINT64, members},
        {"epochs of patience", NPY_UINT64, members},
        {"ended of patience", NPY_BOOL, members},
        {"kept of patience", bp_type_number(p->net->kernels->dtype), bp_size_product(members, p->net->parameters)},
        {"objective of patience", NPY_DOUBLE, bp_size_product(members, p->settings.epochs)},
    };
    enum { ARRAYS = sizeof(each) / sizeof(*each) };
    void *arrays[ARRAYS];

    if (!tuple)
        return 0;
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != ARRAYS || !p->record[BP_LOSS]) {
        PyErr_Format(PyExc_ValueError, "patience must be a tuple of %d arrays, and losses be recorded", ARRAYS);
        return -1;
    }
    for (size_t i = 0; i < ARRAYS; i++) {
        arrays[i] = bp_memory_of(PyTuple_GET_ITEM(tuple, (Py_ssize_t)i), each[i].name, each[i].type, each[i].count);
        if (!arrays[i])
            return -1;
    }
    p->patience = (struct bp_patience){arrays[0], arrays[1], arrays[2], arrays[3],
                                       arrays[4], arrays[5], arrays[6], arrays[7]};
    return 0;
}

int
bp_read_monitor(PyObject *tuple, struct bp_population *p)
{
    const size_t members = p->members.count, numbers = bp_size_product(members, p->net->parameters);
    const int type = bp_type_number(p->net->kernels->dtype);
    PyObject *spread, *best, *best_epoch, *epochs, *ended, *kept;
    unsigned long long patience, before;
    struct bp_monitor m = {0};
    Py_ssize_t figure;
    int rises;

    if (!tuple)
        return 0;
    if (p->patience.ended) {
        PyErr_SetString(PyExc_ValueError, "there is patience or a monitor, not both");
        return -1;
    }
    if (!PyArg_Parse(tuple, "(npOdKdKOOOOO);monitor must be a tuple of 12", &figure, &rises, &spread, &m.least, &patience,
                     &m.target, &before, &best, &best_epoch, &epochs, &ended, &kept))
        return -1;
    if (figure < 0 || figure >= BP_FIGURES || !p->record[figure] || !p->record[BP_LOSS]) {
        PyErr_Format(PyExc_ValueError, "figure %zd of monitor must be recorded, and losses", figure);
        return -1;
    }
    m.figure = (enum bp_figure)figure;
    m.rises = rises;
    m.patience = patience;
    m.before = before;
    m.best = bp_memory_of(best, "best of monitor", NPY_DOUBLE, members);
    m.best_epoch = m.best ? bp_memory_of(best_epoch, "best_epoch of monitor", NPY_UINT64, members) : NULL;
    m.epochs = m.best_epoch ? bp_memory_of(epochs, "epochs of monitor", NPY_UINT64, members) : NULL;
    m.ended = m.epochs ? bp_memory_of(ended, "ended of monitor", NPY_UINT8, members) : NULL;
    if (!m.ended)
        return -1;
    if (spread != Py_None && !(m.spread = bp_memory_of(spread, "spread of monitor", NPY_DOUBLE, members)))
        return -1;
    if (kept != Py_None && !(m.kept = bp_memory_of(kept, "kept of monitor", type, numbers)))
        return -1;
    p->monitor = m;
    return 0;
}
