/* The module itself: state, capsules, errors. Legal order and threads: ext.h. */
#include "ext.h"

static struct PyModuleDef ext_module;

ext_state *ext_state_of_type(PyTypeObject *type)
{
    PyObject *module = PyType_GetModule(type);
    return module != NULL ? PyModule_GetState(module) : NULL;
}

PyObject *ext_call_helper(ext_state *state, const char *name, PyObject *args)
{
    PyObject *result = NULL;
    if (args == NULL) {
        return NULL;
    }
    if (state->helpers == NULL) {
        state->helpers = PyImport_ImportModule("sabot._lane");
    }
    PyObject *helper = state->helpers != NULL ? PyObject_GetAttrString(state->helpers, name) : NULL;
    if (helper != NULL) {
        result = PyObject_CallObject(helper, args);
        Py_DECREF(helper);
    }
    Py_DECREF(args);
    return result;
}

PyObject *ext_raise_as(ext_state *state, const char *helper, const sabot_error *err)
{
    /* The text may quote bytes of the user's that are no UTF-8, or be cut within a letter. */
    PyObject *message =
        PyUnicode_DecodeUTF8(err->message, (Py_ssize_t)strlen(err->message), "replace");
    PyObject *args = message != NULL ? Py_BuildValue("(iN)", (int)err->status, message) : NULL;
    PyObject *error = ext_call_helper(state, helper, args);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}

PyObject *ext_raise(ext_state *state, const sabot_error *err)
{
    return ext_raise_as(state, "error_of_status", err);
}

PyObject *ext_take_exception(void)
{
#if PY_VERSION_HEX >= 0x030c0000
    return PyErr_GetRaisedException();
#else
    PyObject *type = NULL;
    PyObject *value = NULL;
    PyObject *traceback = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        (void)PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

void ext_restore_exception(PyObject *error)
{
#if PY_VERSION_HEX >= 0x030c0000
    PyErr_SetRaisedException(error);
#else
    PyErr_Restore(Py_NewRef(Py_TYPE(error)), error, PyException_GetTraceback(error));
#endif
}

PyObject *ext_text(char *text)
{
    PyObject *result = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    sabot_text_free(text);
    return result;
}

/* --- capsules --------------------------------------------------------------------------------------------------------- */

static void free_schema_capsule(PyObject *capsule)
{
    struct ArrowSchema *schema = PyCapsule_GetPointer(capsule, "arrow_schema");
    if (schema != NULL && schema->release != NULL) {
        schema->release(schema);
    }
    PyMem_Free(schema);
}

static void free_array_capsule(PyObject *capsule)
{
    struct ArrowArray *array = PyCapsule_GetPointer(capsule, "arrow_array");
    if (array != NULL && array->release != NULL) {
        array->release(array);
    }
    PyMem_Free(array);
}

PyObject *ext_schema_capsule(struct ArrowSchema *schema)
{
    struct ArrowSchema *moved = PyMem_Malloc(sizeof(*moved));
    PyObject *capsule = NULL;
    if (moved != NULL) {
        *moved = *schema;
        capsule = PyCapsule_New(moved, "arrow_schema", free_schema_capsule);
    } else {
        PyErr_NoMemory();
    }
    if (capsule == NULL) {
        PyMem_Free(moved);
        schema->release(schema);
    }
    schema->release = NULL;
    return capsule;
}

PyObject *ext_array_capsule(struct ArrowArray *array)
{
    struct ArrowArray *moved = PyMem_Malloc(sizeof(*moved));
    PyObject *capsule = NULL;
    if (moved != NULL) {
        *moved = *array;
        capsule = PyCapsule_New(moved, "arrow_array", free_array_capsule);
    } else {
        PyErr_NoMemory();
    }
    if (capsule == NULL) {
        PyMem_Free(moved);
        array->release(array);
    }
    array->release = NULL;
    return capsule;
}

const struct ArrowSchema *ext_schema_borrow(PyObject *obj, PyObject **keeper)
{
    PyObject *capsule = PyObject_CallMethod(obj, "__arrow_c_schema__", NULL);
    if (capsule == NULL) {
        return NULL;
    }
    const struct ArrowSchema *schema = PyCapsule_GetPointer(capsule, "arrow_schema");
    if (schema == NULL) {
        Py_DECREF(capsule);
        return NULL;
    }
    *keeper = capsule;
    return schema;
}

int ext_stream_take(PyObject *obj, struct ArrowArrayStream *out)
{
    PyObject *capsule = PyObject_CallMethod(obj, "__arrow_c_stream__", NULL);
    if (capsule == NULL) {
        return -1;
    }
    struct ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    if (stream != NULL) {
        *out = *stream;
        stream->release = NULL;
    }
    Py_DECREF(capsule);
    return stream != NULL ? 0 : -1;
}

int ext_array_take(PyObject *obj, struct ArrowArray *array, struct ArrowSchema *schema)
{
    PyObject *pair = PyObject_CallMethod(obj, "__arrow_c_array__", NULL);
    if (pair == NULL) {
        return -1;
    }
    struct ArrowSchema *from_schema = NULL;
    struct ArrowArray *from_array = NULL;
    if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2) {
        from_schema = PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 0), "arrow_schema");
        from_array = PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 1), "arrow_array");
    } else {
        PyErr_SetString(PyExc_TypeError, "__arrow_c_array__ did not give two capsules");
    }
    if (from_schema != NULL && from_array != NULL) {
        *schema = *from_schema;
        *array = *from_array;
        from_schema->release = NULL;
        from_array->release = NULL;
    }
    Py_DECREF(pair);
    return from_schema != NULL && from_array != NULL ? 0 : -1;
}

/* --- batches by address ---------------------------------------------------------------------------------------------------- */

int ext_arrow_ready(ext_state *state)
{
    static const char *const names[EXT_NAME_COUNT] = {
        [EXT_NAME_EXPORT] = "_export_to_c",
        [EXT_NAME_SCHEMA] = "schema",
        [EXT_NAME_EQUALS] = "equals",
        [EXT_NAME_NUM_ROWS] = "num_rows",
    };
    if (state->batch_from_c != NULL) {
        return 0;
    }
    for (int i = 0; i < EXT_NAME_COUNT; i++) {
        if (state->names[i] == NULL) {
            state->names[i] = PyUnicode_InternFromString(names[i]);
        }
        if (state->names[i] == NULL) {
            return -1;
        }
    }
    PyObject *module = PyImport_ImportModule("pyarrow");
    PyObject *batch = module != NULL ? PyObject_GetAttrString(module, "RecordBatch") : NULL;
    PyObject *schema = module != NULL ? PyObject_GetAttrString(module, "Schema") : NULL;
    if (module != NULL) {
        Py_XSETREF(state->mask_type, PyObject_GetAttrString(module, "BooleanArray"));
    }
    if (batch != NULL && schema != NULL && state->mask_type != NULL) {
        Py_XSETREF(state->schema_from_c, PyObject_GetAttrString(schema, "_import_from_c"));
        state->batch_from_c = PyObject_GetAttrString(batch, "_import_from_c");
    }
    Py_XDECREF(schema);
    Py_XDECREF(batch);
    Py_XDECREF(module);
    return state->batch_from_c != NULL && state->schema_from_c != NULL ? 0 : -1;
}

int ext_export(ext_state *state, PyObject *obj, struct ArrowArray *array,
               struct ArrowSchema *schema)
{
    PyObject *first = PyLong_FromVoidPtr(array);
    PyObject *second = PyLong_FromVoidPtr(schema);
    PyObject *args[3] = {obj, first, second};
    PyObject *done = NULL;
    if (first != NULL && second != NULL) {
        done = PyObject_VectorcallMethod(state->names[EXT_NAME_EXPORT], args,
                                         (schema != NULL ? 3 : 2) | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                         NULL);
    }
    Py_XDECREF(first);
    Py_XDECREF(second);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

PyObject *ext_import_schema(ext_state *state, struct ArrowSchema *schema)
{
    PyObject *address = PyLong_FromVoidPtr(schema);
    PyObject *made = address != NULL ? PyObject_CallOneArg(state->schema_from_c, address) : NULL;
    Py_XDECREF(address);
    if (schema->release != NULL) {
        schema->release(schema);
    }
    return made;
}

PyObject *ext_import_batch(ext_state *state, struct ArrowArray *array, PyObject *schema)
{
    PyObject *address = PyLong_FromVoidPtr(array);
    PyObject *args[2] = {address, schema};
    PyObject *made =
        address != NULL ? PyObject_Vectorcall(state->batch_from_c, args, 2, NULL) : NULL;
    Py_XDECREF(address);
    if (array->release != NULL) {
        array->release(array);
    }
    return made;
}

/* --- the module ---------------------------------------------------------------------------------------------------------- */

static int module_exec(PyObject *module)
{
    ext_state *state = PyModule_GetState(module);
    if (ext_add_cache(module, state) < 0 || ext_add_session(module, state) < 0 ||
        ext_add_plan(module, state) < 0 || ext_add_run(module, state) < 0) {
        return -1;
    }
    return PyModule_AddStringConstant(module, "__version__", sabot_version());
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    ext_state *state = PyModule_GetState(module);
    Py_VISIT(state->cache_type);
    Py_VISIT(state->session_type);
    Py_VISIT(state->function_type);
    Py_VISIT(state->plan_type);
    Py_VISIT(state->run_type);
    Py_VISIT(state->helpers);
    Py_VISIT(state->batch_from_c);
    Py_VISIT(state->schema_from_c);
    Py_VISIT(state->mask_type);
    return 0;
}

static int module_clear(PyObject *module)
{
    ext_state *state = PyModule_GetState(module);
    Py_CLEAR(state->cache_type);
    Py_CLEAR(state->session_type);
    Py_CLEAR(state->function_type);
    Py_CLEAR(state->plan_type);
    Py_CLEAR(state->run_type);
    Py_CLEAR(state->helpers);
    Py_CLEAR(state->batch_from_c);
    Py_CLEAR(state->schema_from_c);
    Py_CLEAR(state->mask_type);
    for (int i = 0; i < EXT_NAME_COUNT; i++) {
        Py_CLEAR(state->names[i]);
    }
    return 0;
}

static void module_free(void *module)
{
    (void)module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static PyObject *math_value(PyObject *module, PyObject *args)
{
    const char *name = NULL;
    double a = 0;
    double b = 0;
    double out = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "sdd:math_value", &name, &a, &b)) {
        return NULL;
    }
    switch (sabot_math_value(name, a, b, &out)) {
    case 1:
        return PyFloat_FromDouble(out);
    case 0:
        Py_RETURN_NONE;
    default:
        return PyErr_Format(PyExc_ValueError, "compiled code has no math.%s", name);
    }
}

static PyMethodDef module_methods[] = {
    {"math_value", math_value, METH_VARARGS,
     "math_value(name, a, b): what compiled code makes of math.<name>; None: it raises."},
    {"find_loop", ext_find_loop, METH_VARARGS,
     "find_loop(ufunc, type, letter): NumPy's inner loop of that type alone; None: it has none."},
    {"call_loop", ext_call_loop, METH_VARARGS,
     "call_loop(loop, count, arguments, out): whether it raised a flag that NumPy tells of."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef ext_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "sabot._core",
    .m_doc = "The engine. Use the package sabot.",
    .m_size = sizeof(ext_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void); /* the loader finds it by name */

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&ext_module);
}
