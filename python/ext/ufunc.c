/* Inner loops of NumPy's ufuncs: found in the ufunc object's own table, called on buffers, handed to plans.
 *
 * NumPy's headers are not needed: what a ufunc object begins with is part of its binary interface since NumPy 1.0, and is written down
 * here. Whether a loop gives what the ufunc gives is for the caller to find out, with call_loop.
 *
 * Threads: any that holds the lock. Memory: a ufunc of which a loop was found is kept for good, because plans that use it may outlive
 * whatever Python holds; there are as many as NumPy has. */
#include <fenv.h>

#include "ext.h"

typedef struct ufunc_head {
    PyObject_HEAD int nin, nout, nargs;
    int identity;
    sabot_loop_fn *functions;
    void *const *data;
    int ntypes;
    int reserved;
    const char *name;
    const char *types; /* nargs numbers for each loop */
} ufunc_head;

typedef struct found_loop {
    sabot_loop_fn fn;
    void *data;
    int arg_count;
} found_loop;

#define CAPSULE "sabot.loop"
#define ARGS_MAX SABOT_LOOP_ARGS_MAX

static void capsule_free(PyObject *capsule)
{
    PyMem_Free(PyCapsule_GetPointer(capsule, CAPSULE));
}

/* NumPy's number of a type; -1: another. */
static int number_of(char letter)
{
    return letter == 'g' ? 12 : letter == 'f' ? 11 : -1;
}

PyObject *ext_find_loop(PyObject *module, PyObject *args)
{
    PyObject *object = NULL;
    PyTypeObject *type = NULL;
    int letter = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO!C:find_loop", &object, &PyType_Type, &type, &letter)) {
        return NULL;
    }
    if (Py_TYPE(object) != type || strcmp(type->tp_name, "numpy.ufunc") != 0 ||
        type->tp_basicsize < (Py_ssize_t)sizeof(ufunc_head)) {
        PyErr_SetString(PyExc_TypeError, "find_loop takes a ufunc of NumPy");
        return NULL;
    }
    const ufunc_head *ufunc = (const ufunc_head *)(const void *)object;
    int number = number_of((char)letter);
    for (int k = 0; k < ufunc->ntypes && ufunc->nout == 1 && ufunc->nin <= ARGS_MAX; k++) {
        const char *types = ufunc->types + (size_t)k * (size_t)ufunc->nargs;
        bool same = ufunc->functions != NULL && ufunc->functions[k] != NULL;
        for (int i = 0; same && i < ufunc->nargs; i++) {
            same = types[i] == number;
        }
        if (!same) {
            continue;
        }
        found_loop *found = PyMem_Malloc(sizeof *found);
        if (found == NULL) {
            return PyErr_NoMemory();
        }
        *found = (found_loop){.fn = ufunc->functions[k],
                              .data = ufunc->data != NULL ? ufunc->data[k] : NULL,
                              .arg_count = ufunc->nin};
        PyObject *capsule = PyCapsule_New(found, CAPSULE, capsule_free);
        if (capsule == NULL) {
            PyMem_Free(found);
            return NULL;
        }
        Py_INCREF(object); /* for good */
        return capsule;
    }
    Py_RETURN_NONE;
}

/* --- calling -------------------------------------------------------------------------------------------------------------- */

static PyObject *loop_called(const found_loop *loop, Py_ssize_t count, Py_buffer *buffers,
                             const intptr_t *steps)
{
    char *args[ARGS_MAX + 1];
    const intptr_t rows = (intptr_t)count;
    for (int i = 0; i <= loop->arg_count; i++) {
        Py_ssize_t needed = (count - 1) * (Py_ssize_t)steps[i] + buffers[i].itemsize;
        args[i] = buffers[i].buf;
        if (count < 1 || needed > buffers[i].len) {
            PyErr_SetString(PyExc_ValueError, "call_loop: a buffer is too small");
            return NULL;
        }
    }
    (void)feclearexcept(FE_ALL_EXCEPT);
    loop->fn(args, &rows, steps, loop->data);
    return PyBool_FromLong(fetestexcept(FE_DIVBYZERO | FE_OVERFLOW | FE_INVALID) != 0);
}

PyObject *ext_call_loop(PyObject *module, PyObject *args)
{
    PyObject *capsule = NULL;
    PyObject *given = NULL;
    PyObject *out = NULL;
    PyObject *result = NULL;
    Py_ssize_t count = 0;
    Py_buffer buffers[ARGS_MAX + 1] = {0};
    intptr_t steps[ARGS_MAX + 1] = {0};
    int open = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "OnO!O:call_loop", &capsule, &count, &PyTuple_Type, &given, &out)) {
        return NULL;
    }
    const found_loop *loop = PyCapsule_GetPointer(capsule, CAPSULE);
    if (loop == NULL) {
        return NULL;
    }
    if (PyTuple_GET_SIZE(given) != loop->arg_count) {
        PyErr_SetString(PyExc_ValueError, "call_loop: another number of arguments");
        return NULL;
    }
    for (; open <= loop->arg_count; open++) {
        bool last = open == loop->arg_count;
        PyObject *one = last ? out : PyTuple_GET_ITEM(given, open);
        if (PyObject_GetBuffer(one, &buffers[open], last ? PyBUF_CONTIG : PyBUF_CONTIG_RO) != 0) {
            goto out;
        }
        /* A buffer of one value stands for all rows. */
        Py_ssize_t width = buffers[open].itemsize;
        steps[open] = !last && buffers[open].len == width ? 0 : (intptr_t)width;
    }
    result = loop_called(loop, count, buffers, steps);
out:
    for (int i = 0; i < open; i++) {
        PyBuffer_Release(&buffers[i]);
    }
    return result;
}

/* --- stages --------------------------------------------------------------------------------------------------------------- */

static int loop_of(PyObject *item, sabot_loop *out)
{
    PyObject *capsule = NULL;
    PyObject *args = NULL;
    int letter = 0;
    if (!PyArg_ParseTuple(item, "sOCO!", &out->name, &capsule, &letter, &PyTuple_Type, &args)) {
        return -1;
    }
    const found_loop *found = PyCapsule_GetPointer(capsule, CAPSULE);
    if (found == NULL) {
        return -1;
    }
    if (PyTuple_GET_SIZE(args) != found->arg_count) {
        PyErr_SetString(PyExc_ValueError, "a loop with another number of arguments");
        return -1;
    }
    out->fn = found->fn;
    out->data = found->data;
    out->format = (char)letter;
    out->arg_count = found->arg_count;
    for (int i = 0; i < found->arg_count; i++) {
        PyObject *one = PyTuple_GET_ITEM(args, i);
        bool constant = PyFloat_CheckExact(one);
        out->args[i] = constant ? -1 : (int32_t)PyLong_AsLong(one);
        out->constants[i] = constant ? PyFloat_AS_DOUBLE(one) : 0;
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

/* Stages and their loops lie in one block; 0 loops so far. */
static Py_ssize_t loops_in(PyObject *fast)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast); i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(fast, i);
        if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2 ||
            !PyTuple_Check(PyTuple_GET_ITEM(item, 1))) {
            PyErr_SetString(PyExc_TypeError, "a stage is (function, (loop, ...))");
            return -1;
        }
        count += PyTuple_GET_SIZE(PyTuple_GET_ITEM(item, 1));
    }
    return count;
}

sabot_stage *ext_stages(const ext_state *state, PyObject *fast)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(fast);
    Py_ssize_t loop_count = loops_in(fast);
    if (loop_count < 0) {
        return NULL;
    }
    sabot_stage *stages = PyMem_Calloc(1, (size_t)count * sizeof(sabot_stage) +
                                              (size_t)loop_count * sizeof(sabot_loop) + 1);
    if (stages == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    sabot_loop *loops = (sabot_loop *)(void *)(stages + count);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(fast, i);
        PyObject *function = PyTuple_GET_ITEM(item, 0);
        PyObject *given = PyTuple_GET_ITEM(item, 1);
        if (!PyObject_TypeCheck(function, state->function_type)) {
            PyErr_SetString(PyExc_TypeError, "expected Function objects");
            goto fail;
        }
        stages[i] = (sabot_stage){.function = ((ext_function *)function)->function,
                                  .loop_count = (int32_t)PyTuple_GET_SIZE(given),
                                  .loops = loops};
        for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(given); k++) {
            if (loop_of(PyTuple_GET_ITEM(given, k), loops++) != 0) {
                goto fail;
            }
        }
    }
    return stages;
fail:
    PyMem_Free(stages);
    return NULL;
}

sabot_phase *ext_phases(const ext_state *state, PyObject *pairs, int32_t *count)
{
    PyObject *fast = PySequence_Fast(pairs, "phases is no sequence");
    if (fast == NULL) {
        return NULL;
    }
    *count = (int32_t)PySequence_Fast_GET_SIZE(fast);
    sabot_phase *phases = PyMem_Calloc((size_t)*count + 1, sizeof *phases);
    if (phases == NULL) {
        PyErr_NoMemory();
    }
    for (int32_t i = 0; phases != NULL && i < *count; i++) {
        PyObject *pair = PySequence_Fast_GET_ITEM(fast, i);
        PyObject *plan =
            PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2 ? PyTuple_GET_ITEM(pair, 0) : NULL;
        if (plan == NULL || !PyObject_TypeCheck(plan, state->plan_type)) {
            PyErr_SetString(PyExc_TypeError, "a phase is (plan, one_row)");
            PyMem_Free(phases);
            phases = NULL;
            continue;
        }
        phases[i] = (sabot_phase){.plan = ((ext_plan *)plan)->plan,
                                  .one_row = PyTuple_GET_ITEM(pair, 1) == Py_True};
    }
    Py_DECREF(fast);
    return phases;
}
