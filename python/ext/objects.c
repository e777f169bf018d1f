/* Session, Function and Plan: handles of the engine as Python objects. */
#include "ext.h"

#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE)

/* --- Session ---------------------------------------------------------------------------------------------------------- */

static PyObject *session_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"helper_path", "compile_ms_max", "cpu_level", "cache", NULL};
    PyTypeObject *cache_type = ext_state_of_type(type)->cache_type;
    PyObject *cache = NULL;
    sabot_session_options options = {0};
    long long compile_ms_max = 0;
    sabot_error err;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|zLzO!:Session", names, &options.helper_path,
                                     &compile_ms_max, &options.cpu_level, cache_type, &cache)) {
        return NULL;
    }
    options.compile_ms_max = compile_ms_max;
    options.cache = cache != NULL ? ((ext_cache *)cache)->cache : NULL;
    ext_session *self = (ext_session *)type->tp_alloc(type, 0);
    if (self != NULL && sabot_session_new(&options, &self->session, &err) != SABOT_OK) {
        Py_DECREF(self);
        return ext_raise(ext_state_of_type(type), &err);
    }
    return (PyObject *)self;
}

static void session_dealloc(PyObject *object)
{
    ext_session *self = (ext_session *)object;
    PyTypeObject *type = Py_TYPE(self);
    sabot_session *session = self->session;
    Py_BEGIN_ALLOW_THREADS sabot_session_free(session);
    Py_END_ALLOW_THREADS type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *session_stats(PyObject *object, PyObject *unused)
{
    (void)unused;
    sabot_error err;
    char *json = NULL;
    if (sabot_session_stats(((ext_session *)object)->session, &json, &err) != SABOT_OK) {
        return ext_raise(ext_state_of_type(Py_TYPE(object)), &err);
    }
    return ext_text(json);
}

static PyMethodDef session_methods[] = {
    {"stats", session_stats, METH_NOARGS, "Counters of the code generator, as JSON text."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot session_slots[] = {
    {Py_tp_doc, "Session(helper_path=None, compile_ms_max=0, cpu_level=None, cache=...)"},
    {Py_tp_new, (void *)session_new},
    {Py_tp_dealloc, (void *)session_dealloc},
    {Py_tp_methods, session_methods},
    {0, NULL},
};

static PyType_Spec session_spec = {
    .name = "sabot._core.Session",
    .basicsize = sizeof(ext_session),
    .flags = FLAGS,
    .slots = session_slots,
};

/* --- names ------------------------------------------------------------------------------------------------------------ */

/* Names of a sequence as C strings, borrowed from `fast`; NULL with an exception. PyMem_Free the result. */
static const char **names_of(PyObject *fast)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(fast);
    const char **names = PyMem_Malloc(sizeof(*names) * ((size_t)count + 1));
    if (names == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        names[i] = PyUnicode_AsUTF8(PySequence_Fast_GET_ITEM(fast, i));
        if (names[i] == NULL) {
            PyMem_Free((void *)names);
            return NULL;
        }
    }
    return names;
}

/* --- Function ----------------------------------------------------------------------------------------------------------- */

/* A function whose results have names. 0, or -1 with an exception. */
static int function_with_keys(ext_state *state, sabot_session *session, const Py_buffer *blob,
                              const struct ArrowSchema *schema, bool compile_off, PyObject *keys,
                              ext_function *self)
{
    int result = -1;
    sabot_error err;
    PyObject *fast = PySequence_Fast(keys, "keys is no sequence");
    const char **names = fast != NULL ? names_of(fast) : NULL;
    if (names != NULL) {
        sabot_status status = sabot_function_new_keys(
            session, blob->buf, (size_t)blob->len, schema, names,
            (int32_t)PySequence_Fast_GET_SIZE(fast), compile_off, &self->function, &err);
        result = status == SABOT_OK ? 0 : -1;
        if (status != SABOT_OK) {
            ext_raise(state, &err);
        }
    }
    PyMem_Free((void *)names);
    Py_XDECREF(fast);
    return result;
}

static PyObject *function_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"session", "blob", "schema", "compile_off", "keys", NULL};
    ext_state *state = ext_state_of_type(type);
    PyObject *owner = NULL;
    Py_buffer blob = {0};
    PyObject *schema_source = NULL;
    PyObject *keeper = NULL;
    PyObject *keys = Py_None;
    int compile_off = 0;
    ext_function *self = NULL;
    sabot_error err;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!y*O|pO:Function", names, state->session_type,
                                     &owner, &blob, &schema_source, &compile_off, &keys)) {
        return NULL;
    }
    const struct ArrowSchema *schema = ext_schema_borrow(schema_source, &keeper);
    if (schema == NULL) {
        goto out;
    }
    self = (ext_function *)type->tp_alloc(type, 0);
    if (self == NULL) {
        goto out;
    }
    sabot_session *session = ((ext_session *)owner)->session;
    int made = keys != Py_None
                   ? function_with_keys(state, session, &blob, schema, compile_off != 0, keys, self)
                   : 0;
    if (keys == Py_None &&
        sabot_function_new(session, blob.buf, (size_t)blob.len, schema, compile_off != 0,
                           &self->function, &err) != SABOT_OK) {
        ext_raise(state, &err);
        made = -1;
    }
    if (made < 0) {
        Py_CLEAR(self);
        goto out;
    }
    self->owner = (ext_session *)Py_NewRef(owner);
out:
    Py_XDECREF(keeper);
    PyBuffer_Release(&blob);
    return (PyObject *)self;
}

static void function_dealloc(PyObject *object)
{
    ext_function *self = (ext_function *)object;
    PyTypeObject *type = Py_TYPE(self);
    sabot_function_free(self->function);
    Py_XDECREF(self->owner);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *function_report(PyObject *object, PyObject *unused)
{
    (void)unused;
    sabot_error err;
    char *json = NULL;
    if (sabot_function_report(((ext_function *)object)->function, &json, &err) != SABOT_OK) {
        return ext_raise(ext_state_of_type(Py_TYPE(object)), &err);
    }
    return ext_text(json);
}

static PyObject *function_text(PyObject *object, PyObject *what)
{
    ext_function *self = (ext_function *)object;
    sabot_error err;
    char *text = NULL;
    sabot_status status;
    const char *name = PyUnicode_AsUTF8(what);
    if (name == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS status =
        sabot_function_text(self->owner->session, self->function, name, &text, &err);
    Py_END_ALLOW_THREADS return status == SABOT_OK
        ? ext_text(text)
        : ext_raise(ext_state_of_type(Py_TYPE(object)), &err);
}

static PyObject *function_set_host(PyObject *object, PyObject *args)
{
    sabot_error err;
    const char *name = NULL;
    const char *why = NULL;
    if (!PyArg_ParseTuple(args, "zz", &name, &why)) {
        return NULL;
    }
    sabot_status status =
        sabot_function_set_host(((ext_function *)object)->function, name, why, &err);
    return status == SABOT_OK ? Py_NewRef(Py_None)
                              : ext_raise(ext_state_of_type(Py_TYPE(object)), &err);
}

static PyObject *function_params(PyObject *object, void *closure)
{
    (void)closure;
    const sabot_function *function = ((ext_function *)object)->function;
    int32_t count = sabot_function_param_count(function);
    PyObject *result = PyTuple_New(count);
    for (int32_t i = 0; result != NULL && i < count; i++) {
        PyObject *pair = Py_BuildValue("(is)", (int)sabot_function_param_index(function, i),
                                       sabot_function_param_column(function, i));
        if (pair == NULL) {
            Py_CLEAR(result);
            break;
        }
        PyTuple_SET_ITEM(result, i, pair);
    }
    return result;
}

static PyObject *function_compiled(PyObject *object, void *closure)
{
    (void)closure;
    return PyBool_FromLong(sabot_function_is_compiled(((ext_function *)object)->function));
}

static PyObject *function_result_format(PyObject *object, void *closure)
{
    (void)closure;
    return PyUnicode_FromString(sabot_function_result_format(((ext_function *)object)->function));
}

static PyObject *function_key_formats(PyObject *object, void *closure)
{
    (void)closure;
    const sabot_function *function = ((ext_function *)object)->function;
    int32_t count = sabot_function_key_count(function);
    PyObject *result = PyTuple_New(count);
    for (int32_t i = 0; result != NULL && i < count; i++) {
        PyObject *format = PyUnicode_FromString(sabot_function_key_format(function, i));
        if (format == NULL) {
            Py_CLEAR(result);
            break;
        }
        PyTuple_SET_ITEM(result, i, format);
    }
    return result;
}

static PyMethodDef function_methods[] = {
    {"report", function_report, METH_NOARGS, "What was done with the function, as JSON text."},
    {"set_host", function_set_host, METH_VARARGS, "What computes it, or why CPython does."},
    {"text", function_text, METH_O, "Its \"ir\", \"llvm\" or \"asm\"."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef function_getset[] = {
    {"params", function_params, NULL, "(index of the parameter, column) of each bound one.", NULL},
    {"compiled", function_compiled, NULL, "Whether it has a compiled form.", NULL},
    {"result_format", function_result_format, NULL, "Arrow format of its result.", NULL},
    {"key_formats", function_key_formats, NULL, "Arrow format of each of several results.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot function_slots[] = {
    {Py_tp_doc, "Function(session, blob, schema, compile_off=False, keys=None)"},
    {Py_tp_new, (void *)function_new},
    {Py_tp_dealloc, (void *)function_dealloc},
    {Py_tp_methods, function_methods},
    {Py_tp_getset, function_getset},
    {0, NULL},
};

static PyType_Spec function_spec = {
    .name = "sabot._core.Function",
    .basicsize = sizeof(ext_function),
    .flags = FLAGS,
    .slots = function_slots,
};

/* --- Plan ----------------------------------------------------------------------------------------------------------------- */

static PyObject *plan_wrap(PyTypeObject *type, PyObject *owner, sabot_plan *plan)
{
    ext_plan *self = (ext_plan *)type->tp_alloc(type, 0);
    if (self == NULL) {
        sabot_plan_free(plan);
        return NULL;
    }
    self->plan = plan;
    self->owner = (ext_session *)Py_NewRef(owner);
    return (PyObject *)self;
}

static PyObject *plan_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"session", "source_text", "schema", NULL};
    ext_state *state = ext_state_of_type(type);
    PyObject *owner = NULL;
    const char *text = NULL;
    PyObject *schema_source = NULL;
    PyObject *keeper = NULL;
    sabot_plan *plan = NULL;
    sabot_error err;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!sO:Plan", names, state->session_type, &owner,
                                     &text, &schema_source)) {
        return NULL;
    }
    const struct ArrowSchema *schema = ext_schema_borrow(schema_source, &keeper);
    if (schema == NULL) {
        return NULL;
    }
    sabot_status status =
        sabot_plan_new(((ext_session *)owner)->session, text, schema, &plan, &err);
    Py_DECREF(keeper);
    return status == SABOT_OK ? plan_wrap(type, owner, plan) : ext_raise(state, &err);
}

static void plan_dealloc(PyObject *object)
{
    ext_plan *self = (ext_plan *)object;
    PyTypeObject *type = Py_TYPE(self);
    sabot_spot_free(self->spot);
    sabot_plan_free(self->plan);
    Py_XDECREF(self->schemas);
    Py_XDECREF(self->owner);
    type->tp_free(self);
    Py_DECREF(type);
}

static sabot_function **functions_of(const ext_state *state, PyObject *fast)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(fast);
    sabot_function **functions = PyMem_Malloc(sizeof(*functions) * ((size_t)count + 1));
    if (functions == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(fast, i);
        if (!PyObject_TypeCheck(item, state->function_type)) {
            PyErr_SetString(PyExc_TypeError, "expected Function objects");
            PyMem_Free(functions);
            return NULL;
        }
        functions[i] = ((ext_function *)item)->function;
    }
    return functions;
}

static PyObject *plan_with_columns(PyObject *object, PyObject *args)
{
    ext_plan *self = (ext_plan *)object;
    ext_state *state = ext_state_of_type(Py_TYPE(object));
    PyObject *names_arg = NULL;
    PyObject *functions_arg = NULL;
    PyObject *result = NULL;
    sabot_plan *plan = NULL;
    sabot_error err;
    if (!PyArg_ParseTuple(args, "OO:with_columns", &names_arg, &functions_arg)) {
        return NULL;
    }
    PyObject *names_fast = PySequence_Fast(names_arg, "names is no sequence");
    PyObject *functions_fast = PySequence_Fast(functions_arg, "functions is no sequence");
    const char **names = names_fast != NULL && functions_fast != NULL ? names_of(names_fast) : NULL;
    sabot_function **functions = names != NULL ? functions_of(state, functions_fast) : NULL;
    if (functions != NULL) {
        if (PySequence_Fast_GET_SIZE(names_fast) != PySequence_Fast_GET_SIZE(functions_fast)) {
            PyErr_SetString(PyExc_ValueError, "as many names as functions are needed");
        } else if (sabot_plan_with_columns(self->plan,
                                           (int32_t)PySequence_Fast_GET_SIZE(names_fast), names,
                                           functions, &plan, &err) != SABOT_OK) {
            ext_raise(state, &err);
        } else {
            result = plan_wrap(Py_TYPE(object), (PyObject *)self->owner, plan);
        }
    }
    PyMem_Free((void *)names);
    PyMem_Free(functions);
    Py_XDECREF(names_fast);
    Py_XDECREF(functions_fast);
    return result;
}

static PyObject *plan_filter(PyObject *object, PyObject *function)
{
    ext_plan *self = (ext_plan *)object;
    ext_state *state = ext_state_of_type(Py_TYPE(object));
    sabot_plan *plan = NULL;
    sabot_error err;
    if (!PyObject_TypeCheck(function, state->function_type)) {
        PyErr_SetString(PyExc_TypeError, "expected a Function object");
        return NULL;
    }
    if (sabot_plan_filter(self->plan, ((ext_function *)function)->function, &plan, &err) !=
        SABOT_OK) {
        return ext_raise(state, &err);
    }
    return plan_wrap(Py_TYPE(object), (PyObject *)self->owner, plan);
}

/* The names of a sequence as names_of gives them, None as NULL. */
static const char **names_or_null(PyObject *fast)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(fast);
    const char **names = PyMem_Calloc((size_t)count + 1, sizeof(*names));
    if (names == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(fast, i);
        if (item != Py_None && (names[i] = PyUnicode_AsUTF8(item)) == NULL) {
            PyMem_Free((void *)names);
            return NULL;
        }
    }
    return names;
}

/* map, or with a label lowered: which differ in one call. */
static sabot_status map_made(ext_plan *self, const char *label, int is_filter,
                             sabot_function *handle, int32_t count, const char *const *columns,
                             const char *const *names, const char *mask,
                             const struct ArrowSchema *schema, int32_t stage_count,
                             const sabot_stage *stages, sabot_plan **plan, sabot_error *err)
{
    if (mask != NULL) {
        return sabot_plan_masked(self->plan, label, handle, count, columns, names, mask, schema,
                                 stage_count, stages, plan, err);
    }
    if (label == NULL) {
        return sabot_plan_map(self->plan, handle, count, columns, names, plan, err);
    }
    if (stage_count == 0) {
        return sabot_plan_lowered(self->plan, label, handle, is_filter != 0, count, columns, names,
                                  schema, plan, err);
    }
    return sabot_plan_staged(self->plan, label, handle, is_filter != 0, count, columns, names,
                             schema, stage_count, stages, plan, err);
}

static PyObject *map_by(ext_plan *self, const char *label, int is_filter, PyObject *function,
                        PyObject *columns_arg, PyObject *names_arg, const char *mask,
                        PyObject *stages_arg, const struct ArrowSchema *schema)
{
    ext_state *state = ext_state_of_type(Py_TYPE(self));
    PyObject *result = NULL;
    sabot_plan *plan = NULL;
    sabot_error err;
    PyObject *stages_fast = PySequence_Fast(stages_arg, "stages is no sequence");
    sabot_stage *stages = stages_fast != NULL ? ext_stages(state, stages_fast) : NULL;
    if (stages == NULL) {
        Py_XDECREF(stages_fast);
        return NULL;
    }
    int32_t stage_count = (int32_t)PySequence_Fast_GET_SIZE(stages_fast);
    PyObject *columns_fast = PySequence_Fast(columns_arg, "columns is no sequence");
    PyObject *names_fast = PySequence_Fast(names_arg, "names is no sequence");
    bool both = columns_fast != NULL && names_fast != NULL;
    const char **columns = both ? names_or_null(columns_fast) : NULL;
    const char **names = columns != NULL ? names_of(names_fast) : NULL;
    if (names != NULL) {
        int32_t count = (int32_t)PySequence_Fast_GET_SIZE(names_fast);
        sabot_function *handle = ((ext_function *)function)->function;
        if (PySequence_Fast_GET_SIZE(columns_fast) != count) {
            PyErr_SetString(PyExc_ValueError, "columns and names differ in length");
        } else if (map_made(self, label, is_filter, handle, count, columns, names, mask, schema,
                            stage_count, stages, &plan, &err) != SABOT_OK) {
            ext_raise(state, &err);
        } else {
            result = plan_wrap(Py_TYPE(self), (PyObject *)self->owner, plan);
        }
    }
    PyMem_Free((void *)columns);
    PyMem_Free((void *)names);
    PyMem_Free(stages);
    Py_XDECREF(columns_fast);
    Py_XDECREF(names_fast);
    Py_DECREF(stages_fast);
    return result;
}

static PyObject *plan_map(PyObject *object, PyObject *args)
{
    PyObject *function = NULL;
    PyObject *columns = NULL;
    PyObject *names = NULL;
    if (!PyArg_ParseTuple(args, "O!OO:map", ext_state_of_type(Py_TYPE(object))->function_type,
                          &function, &columns, &names)) {
        return NULL;
    }
    PyObject *none = PyTuple_New(0);
    PyObject *made = none != NULL ? map_by((ext_plan *)object, NULL, 0, function, columns, names,
                                           NULL, none, NULL)
                                  : NULL;
    Py_XDECREF(none);
    return made;
}

static PyObject *plan_lowered(PyObject *object, PyObject *args)
{
    const char *label = NULL;
    int is_filter = 0;
    PyObject *function = NULL;
    PyObject *columns = NULL;
    PyObject *names = NULL;
    PyObject *stages = NULL;
    PyObject *schema_source = Py_None;
    PyObject *keeper = NULL;
    const char *mask = NULL;
    const struct ArrowSchema *schema = NULL;
    if (!PyArg_ParseTuple(args, "sO!pOOO|Oz:lowered", &label,
                          ext_state_of_type(Py_TYPE(object))->function_type, &function, &is_filter,
                          &columns, &names, &stages, &schema_source, &mask)) {
        return NULL;
    }
    if (schema_source != Py_None) {
        schema = ext_schema_borrow(schema_source, &keeper);
        if (schema == NULL) {
            return NULL;
        }
    }
    PyObject *result = map_by((ext_plan *)object, label, is_filter, function, columns, names, mask,
                              stages, schema);
    Py_XDECREF(keeper);
    return result;
}

/* phased(phases, last): phases are pairs of a plan and whether one row is made of its result. */
static PyObject *plan_phased(PyObject *object, PyObject *args)
{
    ext_plan *self = (ext_plan *)object;
    ext_state *state = ext_state_of_type(Py_TYPE(object));
    PyObject *pairs = NULL;
    PyObject *last = NULL;
    sabot_plan *plan = NULL;
    sabot_error err;
    if (!PyArg_ParseTuple(args, "OO!:phased", &pairs, state->plan_type, &last)) {
        return NULL;
    }
    int32_t count = 0;
    PyObject *result = NULL;
    sabot_phase *phases = ext_phases(state, pairs, &count);
    if (phases == NULL) {
        return NULL;
    }
    if (sabot_plan_phased(self->plan, count, phases, ((ext_plan *)last)->plan, &plan, &err) !=
        SABOT_OK) {
        ext_raise(state, &err);
    } else {
        result = plan_wrap(Py_TYPE(object), (PyObject *)self->owner, plan);
    }
    PyMem_Free(phases);
    return result;
}

/* select(columns) or, with new names, project(columns, names). */
static PyObject *project(ext_plan *self, PyObject *columns_arg, PyObject *names_arg)
{
    sabot_plan *plan = NULL;
    PyObject *result = NULL;
    const char **columns = NULL;
    const char **names = NULL;
    sabot_error err;
    PyObject *columns_fast = PySequence_Fast(columns_arg, "columns is no sequence");
    PyObject *names_fast =
        columns_fast != NULL ? PySequence_Fast(names_arg, "names is no sequence") : NULL;
    columns = names_fast != NULL ? names_of(columns_fast) : NULL;
    names = columns != NULL ? names_of(names_fast) : NULL;
    if (names == NULL) {
        goto out;
    }
    Py_ssize_t count = PySequence_Fast_GET_SIZE(columns_fast);
    if (PySequence_Fast_GET_SIZE(names_fast) != count) {
        PyErr_SetString(PyExc_ValueError, "columns and names differ in length");
        goto out;
    }
    sabot_status status =
        sabot_plan_project(self->plan, (int32_t)count, columns, names, &plan, &err);
    result = status == SABOT_OK ? plan_wrap(Py_TYPE(self), (PyObject *)self->owner, plan)
                                : ext_raise(ext_state_of_type(Py_TYPE(self)), &err);
out:
    PyMem_Free((void *)columns);
    PyMem_Free((void *)names);
    Py_XDECREF(columns_fast);
    Py_XDECREF(names_fast);
    return result;
}

static PyObject *plan_select(PyObject *object, PyObject *names)
{
    return project((ext_plan *)object, names, names);
}

static PyObject *plan_project(PyObject *object, PyObject *args)
{
    PyObject *columns = NULL;
    PyObject *names = NULL;
    if (!PyArg_ParseTuple(args, "OO:project", &columns, &names)) {
        return NULL;
    }
    return project((ext_plan *)object, columns, names);
}

static PyObject *plan_batch(PyObject *object, PyObject *args)
{
    ext_plan *self = (ext_plan *)object;
    const char *label = NULL;
    PyObject *schema_source = NULL;
    PyObject *keeper = NULL;
    int is_filter = 0;
    const struct ArrowSchema *schema = NULL;
    sabot_plan *plan = NULL;
    sabot_error err;
    if (!PyArg_ParseTuple(args, "sOp:batch", &label, &schema_source, &is_filter)) {
        return NULL;
    }
    if (schema_source != Py_None) {
        schema = ext_schema_borrow(schema_source, &keeper);
        if (schema == NULL) {
            return NULL;
        }
    }
    sabot_status status = sabot_plan_batch(self->plan, label, schema, is_filter != 0, &plan, &err);
    Py_XDECREF(keeper);
    return status == SABOT_OK ? plan_wrap(Py_TYPE(object), (PyObject *)self->owner, plan)
                              : ext_raise(ext_state_of_type(Py_TYPE(object)), &err);
}

/* The schema of the result (op -1), or of what goes into an operator; None when deferred. */
static PyObject *schema_made(ext_state *state, const ext_plan *self, Py_ssize_t op)
{
    struct ArrowSchema schema = {0};
    bool deferred = false;
    sabot_error err;
    sabot_status status =
        op < 0 ? sabot_plan_schema(self->plan, &schema, &deferred, &err)
               : sabot_plan_input_schema(self->plan, (int32_t)op, &schema, &deferred, &err);
    if (status != SABOT_OK) {
        return ext_raise(state, &err);
    }
    if (deferred) {
        Py_RETURN_NONE;
    }
    return ext_import_schema(state, &schema);
}

PyObject *ext_plan_schemas(ext_state *state, ext_plan *plan, Py_ssize_t operators)
{
    if (ext_arrow_ready(state) < 0) {
        return NULL;
    }
    PyObject *list = plan->schemas != NULL ? plan->schemas : PyList_New(0);
    Py_ssize_t count = list != NULL ? PyList_GET_SIZE(list) : operators + 1;
    for (; count <= operators; count++) {
        PyObject *made = schema_made(state, plan, count - 1);
        if (made == NULL || PyList_Append(list, made) < 0) {
            Py_CLEAR(list);
            count = operators;
        }
        Py_XDECREF(made);
    }
    plan->schemas = list;
    return list;
}

static PyObject *plan_schema(PyObject *object, PyObject *unused)
{
    (void)unused;
    PyObject *schemas = ext_plan_schemas(ext_state_of_type(Py_TYPE(object)), (ext_plan *)object, 0);
    return schemas != NULL ? Py_NewRef(PyList_GET_ITEM(schemas, 0)) : NULL;
}

static PyObject *plan_explain(PyObject *object, PyObject *unused)
{
    (void)unused;
    sabot_error err;
    char *text = NULL;
    if (sabot_plan_explain(((ext_plan *)object)->plan, &text, &err) != SABOT_OK) {
        return ext_raise(ext_state_of_type(Py_TYPE(object)), &err);
    }
    return ext_text(text);
}

/* compute(batch, import, type): what import(address, type) makes of the column, or None. */
static PyObject *plan_compute(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    ext_plan *self = (ext_plan *)object;
    ext_state *state = ext_state_of_type(Py_TYPE(object));
    struct ArrowArray batch = {0};
    struct ArrowArray column = {0};
    sabot_error err;
    sabot_status status = SABOT_OK;
    bool done = false;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "compute takes a batch, an importer and a type");
        return NULL;
    }
    if (self->spot == NULL) {
        status = sabot_spot_new(self->owner->session, self->plan, &self->spot, &err);
    }
    if (status != SABOT_OK) {
        return ext_raise(state, &err);
    }
    if (ext_arrow_ready(state) != 0 || ext_export(state, args[0], &batch, NULL) != 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS status = sabot_spot_run(self->spot, &batch, &column, &done, &err);
    Py_END_ALLOW_THREADS if (status != SABOT_OK)
    {
        return ext_raise(state, &err);
    }
    if (!done) {
        Py_RETURN_NONE;
    }
    PyObject *address = PyLong_FromVoidPtr(&column);
    PyObject *given[2] = {address, args[2]};
    PyObject *made = address != NULL ? PyObject_Vectorcall(args[1], given, 2, NULL) : NULL;
    Py_XDECREF(address);
    if (column.release != NULL) { /* the importer failed */
        column.release(&column);
    }
    return made;
}

static PyMethodDef plan_methods[] = {
    {"with_columns", plan_with_columns, METH_VARARGS, "with_columns(names, functions) -> Plan"},
    {"filter", plan_filter, METH_O, "filter(function) -> Plan"},
    {"lowered", plan_lowered, METH_VARARGS,
     "lowered(label, function, is_filter, columns or None, names, stages, schema, mask) -> Plan"},
    {"phased", plan_phased, METH_VARARGS, "phased(phases, last) -> Plan"},
    {"map", plan_map, METH_VARARGS, "map(function, columns or None, names) -> Plan"},
    {"select", plan_select, METH_O, "select(names) -> Plan"},
    {"project", plan_project, METH_VARARGS, "project(columns, names) -> Plan"},
    {"batch", plan_batch, METH_VARARGS, "batch(label, schema or None, is_filter) -> Plan"},
    {"schema", plan_schema, METH_NOARGS, "Its pyarrow.Schema; None when deferred."},
    {"explain", plan_explain, METH_NOARGS, "The operator tree as text."},
    {"compute", (PyCFunction)(void (*)(void))plan_compute, METH_FASTCALL,
     "compute(batch, import, type) -> the one function's column by native code at once, or None"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot plan_slots[] = {
    {Py_tp_doc, "Plan(session, source_text, schema)"},
    {Py_tp_new, (void *)plan_new},
    {Py_tp_dealloc, (void *)plan_dealloc},
    {Py_tp_methods, plan_methods},
    {0, NULL},
};

static PyType_Spec plan_spec = {
    .name = "sabot._core.Plan",
    .basicsize = sizeof(ext_plan),
    .flags = FLAGS,
    .slots = plan_slots,
};

/* --- adding --------------------------------------------------------------------------------------------------------------- */

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, (PyTypeObject *)type) < 0) {
        Py_CLEAR(type);
    }
    return (PyTypeObject *)type;
}

int ext_add_session(PyObject *module, ext_state *state)
{
    state->session_type = add_type(module, &session_spec);
    state->function_type = state->session_type != NULL ? add_type(module, &function_spec) : NULL;
    return state->function_type != NULL ? 0 : -1;
}

int ext_add_plan(PyObject *module, ext_state *state)
{
    state->plan_type = add_type(module, &plan_spec);
    return state->plan_type != NULL ? 0 : -1;
}
