/* module.c: the module object, its state, and the names in it. */
#define BP_IMPORTS_NUMPY
#include "module.h"

#ifndef _WIN32
#include <pthread.h>
#endif
#include <string.h>

#include "core/base/memory.h"
#include "core/solve/solving.h"
#include "core/train/train.h"
#include "kernel_functions.h"
#include "network_freedom.h"
#include "network_jacobians.h"
#include "network_methods.h"
#include "network_terms.h"
#include "network_type.h"
#include "optimizer_type.h"
#include "population_methods.h"
#include "precision.h"
#include "rank_hooks.h"
#include "sparse.h"
#include "stream_hooks.h"
#include "solve_method.h"
#include "train_method.h"

#ifndef BP_INTERFACE /* setup.py: the CRC-32 of backprop/_core.pyi */
#define BP_INTERFACE 0
#endif

#define NAME(enumerator, name) [enumerator] = name,
static const char *const figure_names[] = {BP_EACH_FIGURE(NAME)[BP_FIGURES] = NULL};
static const char *const solved_names[] = {BP_EACH_SOLVED(NAME)[BP_SOLVED_FIGURES] = NULL};
static const char *const bayesian_names[] = {
    BP_EACH_BAYESIAN_NUMBER(NAME)[BP_BAYESIAN_NUMBERS] = NULL};
#undef NAME

int
bp_find_name(const char *const names[], const char *name, const char *kind)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    PyErr_Format(PyExc_ValueError, "unknown %s %s", kind, name);
    return -1;
}

struct bp_module *
bp_module_of_type(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &bp_module_def);
    return module ? PyModule_GetState(module) : NULL;
}

/* A new tuple of the names in an array that NULL ends. */
static PyObject *
tuple_of_names(const char *const names[])
{
    Py_ssize_t count = 0;
    while (names[count])
        count++;
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; tuple && i < count; i++) {
        PyObject *name = PyUnicode_FromString(names[i]);
        if (!name) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, i, name);
    }
    return tuple;
}

/* Adds `value`, a new reference or NULL, to the module. */
static int
add(PyObject *module, const char *name, PyObject *value)
{
    const int result = value ? PyModule_AddObjectRef(module, name, value) : -1;
    Py_XDECREF(value);
    return result;
}

static int
choose_kernels(PyObject *module, struct bp_module *state)
{
    const struct bp_kernels *const *candidates = bp_kernel_candidates(BP_FLOAT32);
    const char *names[8] = {NULL}, *wanted = getenv("BACKPROP_ISA");

    for (size_t i = 0; candidates[i] && i < 7; i++)
        names[i] = candidates[i]->isa;
    PyObject *tuple = tuple_of_names(names);
    if (!tuple || PyModule_AddObjectRef(module, "candidates", tuple) < 0) {
        Py_XDECREF(tuple);
        return -1;
    }
    if (wanted && !*wanted)
        wanted = NULL;
    for (int dtype = 0; dtype < BP_DTYPES; dtype++)
        state->kernels[dtype] = bp_select_kernels((enum bp_dtype)dtype, wanted);
    if (!state->kernels[BP_FLOAT32]) {
        PyErr_Format(PyExc_ImportError,
                     "BACKPROP_ISA is '%s', but this processor can use only %R", wanted, tuple);
        Py_DECREF(tuple);
        return -1;
    }
    Py_DECREF(tuple);
    return add(module, "isa", PyUnicode_FromString(state->kernels[BP_FLOAT32]->isa));
}

static PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type && PyModule_AddType(module, type) < 0)
        Py_CLEAR(type);
    return type;
}

/* _refuse_request(n): for tests, makes the n-th request of the core for memory or a thread fail; 0: none */
static PyObject *
refuse_request(PyObject *module, PyObject *object)
{
    const size_t n = PyLong_AsSize_t(object);
    (void)module;
    if (n == (size_t)-1 && PyErr_Occurred())
        return NULL;
    bp_refuse_request(n);
    Py_RETURN_NONE;
}

/* _allocations() -> the core's blocks of memory that are not freed */
static PyObject *
allocations(PyObject *module, PyObject *args)
{
    (void)module;
    (void)args;
    return PyLong_FromSize_t(bp_allocations());
}

static const struct bp_signature *const signatures[] = {
    &bp_classify_signature, &bp_loss_signature, &bp_losses_signature, &bp_accuracy_signature,
    &bp_step_signature, &bp_gradient_signature, &bp_trace_signature, &bp_jacobian_signature,
    &bp_jacobian_vector_signature, &bp_vector_jacobian_signature, &bp_hessian_vector_signature,
    &bp_train_signature, &bp_room_to_share_signature, &bp_solve_signature,
    &bp_levenberg_bytes_signature, &bp_train_population_signature,
    &bp_population_outputs_signature, &bp_population_scores_signature, &bp_set_freedom_signature,
    &bp_network_setup_signature, &bp_layer_signature, &bp_optimizer_setup_signature,
    &bp_stream_signature, &bp_ranks_signature, &bp_common_memory_signature,
};

/* arguments() -> {"Network.loss": ("x", "y"), ...}: for tests, the names of what the engine takes by name */
static PyObject *
argument_names(PyObject *module, PyObject *args)
{
    PyObject *dict = PyDict_New();
    (void)module;
    (void)args;

    for (size_t i = 0; dict && i < sizeof(signatures) / sizeof(*signatures); i++) {
        PyObject *names = bp_argument_names(signatures[i]);
        if (!names || PyDict_SetItemString(dict, signatures[i]->name, names) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(names);
    }
    return dict;
}

static PyMethodDef module_methods[] = {
    {"fma_peak", bp_fma_peak_function, METH_VARARGS, NULL},
    {"pairwise_squares", bp_pairwise_squares_function, METH_O, NULL},
    {"products", bp_products_function, METH_VARARGS, NULL},
    {"arguments", argument_names, METH_NOARGS, NULL},
    {"_refuse_request", refuse_request, METH_O, NULL},
    {"_allocations", allocations, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static unsigned forks;

static void
note_fork(void)
{
    forks++;
}

unsigned
bp_forks(void)
{
    return forks;
}

/* Has forks counted from now on, by one handler however often the module is loaded. */
static int
count_forks(void)
{
#ifndef _WIN32
    static bool counted;

    if (!counted && pthread_atfork(NULL, NULL, note_fork) != 0) {
        PyErr_NoMemory();
        return -1;
    }
    counted = true;
#endif
    return 0;
}

static int
execute(PyObject *module)
{
    struct bp_module *state = PyModule_GetState(module);

    if (count_forks() < 0)
        return -1;
    if (PyArray_ImportNumPyAPI() < 0)
        return -1;
    if (choose_kernels(module, state) < 0 ||
        add(module, "interface", PyLong_FromUnsignedLong(BP_INTERFACE)) < 0 ||
        add(module, "activations", tuple_of_names(bp_activation_names)) < 0 ||
        add(module, "losses", tuple_of_names(bp_loss_names)) < 0 ||
        add(module, "figures", tuple_of_names(figure_names)) < 0 ||
        add(module, "solved_figures", tuple_of_names(solved_names)) < 0 ||
        add(module, "bayesian_numbers", tuple_of_names(bayesian_names)) < 0)
        return -1;
    if (PyModule_AddFunctions(module, bp_custom_methods) < 0 ||
        PyModule_AddFunctions(module, bp_array_methods) < 0 ||
        PyModule_AddFunctions(module, bp_sparse_methods) < 0 ||
        PyModule_AddFunctions(module, module_methods) < 0)
        return -1;
    state->divergence_error = PyErr_NewExceptionWithDoc(
        "backprop.DivergenceError",
        "The loss or a weight stopped being finite while training.\n\n"
        "Attributes\n----------\n"
        "epoch : int\n    The epoch in which it happened, counted from 1.\n"
        "layer : int\n    The first layer that is not finite; the input layer is layer 1.\n",
        PyExc_ArithmeticError, NULL);
    if (!state->divergence_error ||
        PyModule_AddObjectRef(module, "DivergenceError", state->divergence_error) < 0)
        return -1;
    state->network_type = add_type(module, &bp_network_spec);
    state->optimizer_type = add_type(module, &bp_optimizer_spec);
    return state->network_type && state->optimizer_type ? 0 : -1;
}

static int
traverse(PyObject *module, visitproc visit, void *arg)
{
    struct bp_module *state = PyModule_GetState(module);
    Py_VISIT(state->network_type);
    Py_VISIT(state->optimizer_type);
    Py_VISIT(state->divergence_error);
    return 0;
}

static int
clear(PyObject *module)
{
    struct bp_module *state = PyModule_GetState(module);
    Py_CLEAR(state->network_type);
    Py_CLEAR(state->optimizer_type);
    Py_CLEAR(state->divergence_error);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#if PY_VERSION_HEX >= 0x030C0000
    /* NumPy itself can't be imported into a second interpreter */
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

struct PyModuleDef bp_module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_core",
    .m_doc = "The engine of backprop: networks, training and kernels.",
    .m_size = sizeof(struct bp_module),
    .m_methods = bp_kernel_methods,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&bp_module_def);
}
