/* Run: drives one run of a plan. The thread that calls next() is the run's lane: it answers what the engine asks of Python.
 *
 *     run = Run(plan, stream, functions, batch_functions, threads, morsel_rows, tier, interpret, number_rows)
 *     while (pair := run.next()) is not None: schema_capsule, array_capsule = pair
 *     run.report()
 *
 * Failures of user functions are kept with their place; the one that the engine names as the run's first is raised.
 * Threads: one at a time, cancel() any. */
#include "ext.h"

typedef struct ext_run {
    PyObject_HEAD ext_plan *plan;
    sabot_run *run;
    PyObject *functions;       /* tuple of bindings, in plan order */
    PyObject *batch_functions; /* dict: operator index -> callable */
    PyObject *failures;        /* list of (operator, function index, source row, seq, exception) */
    PyObject *rows;            /* of the batch that was given last: int or bytes; NULL before */
    bool busy;
    bool cancelled; /* by cancel(); under the GIL, like the rest */
} ext_run;

static bool *flags_of(PyObject *sequence, Py_ssize_t *count)
{
    PyObject *fast = PySequence_Fast(sequence, "interpret is no sequence");
    if (fast == NULL) {
        return NULL;
    }
    *count = PySequence_Fast_GET_SIZE(fast);
    bool *flags = PyMem_Malloc((size_t)*count + 1);
    for (Py_ssize_t i = 0; flags != NULL && i < *count; i++) {
        flags[i] = PyObject_IsTrue(PySequence_Fast_GET_ITEM(fast, i)) == 1;
    }
    Py_DECREF(fast);
    if (flags == NULL) {
        PyErr_NoMemory();
    }
    return flags;
}

static int start(ext_run *self, ext_state *state, PyObject *stream_source,
                 sabot_run_options *options)
{
    struct ArrowArrayStream stream = {0};
    sabot_error err;
    sabot_status status;
    if (ext_stream_take(stream_source, &stream) < 0) {
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS status =
        sabot_run_new(self->plan->plan, &stream, options, &self->run, &err);
    Py_END_ALLOW_THREADS if (stream.release != NULL)
    {
        stream.release(&stream);
    }
    if (status != SABOT_OK) {
        ext_raise(state, &err);
        return -1;
    }
    return 0;
}

static PyObject *run_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"plan",        "stream", "functions", "batch_functions", "threads",
                            "morsel_rows", "tier",   "interpret", "number_rows",     NULL};
    ext_state *state = ext_state_of_type(type);
    PyObject *plan = NULL;
    PyObject *stream = NULL;
    PyObject *functions = NULL;
    PyObject *batch_functions = NULL;
    PyObject *interpret = NULL;
    int threads = 0;
    long long morsel_rows = 0;
    int tier = 0;
    int number_rows = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!OO!O!iLiO|p:Run", names, state->plan_type,
                                     &plan, &stream, &PyTuple_Type, &functions, &PyDict_Type,
                                     &batch_functions, &threads, &morsel_rows, &tier, &interpret,
                                     &number_rows)) {
        return NULL;
    }
    Py_ssize_t flag_count = 0;
    bool *flags = flags_of(interpret, &flag_count);
    if (flags == NULL) {
        return NULL;
    }
    ext_run *self = (ext_run *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->plan = (ext_plan *)Py_NewRef(plan);
        self->functions = Py_NewRef(functions);
        self->batch_functions = Py_NewRef(batch_functions);
        self->failures = PyList_New(0);
        sabot_run_options options = {.threads = threads,
                                     .morsel_rows = morsel_rows,
                                     .tier = (sabot_tier)tier,
                                     .interpret = flags,
                                     .interpret_count = (int32_t)flag_count,
                                     .number_rows = number_rows != 0};
        if (self->failures == NULL || start(self, state, stream, &options) < 0) {
            Py_CLEAR(self);
        }
    }
    PyMem_Free(flags);
    return (PyObject *)self;
}

static int run_traverse(PyObject *object, visitproc visit, void *arg)
{
    ext_run *self = (ext_run *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->plan);
    Py_VISIT(self->functions);
    Py_VISIT(self->batch_functions);
    Py_VISIT(self->failures);
    Py_VISIT(self->rows);
    return 0;
}

static int run_clear(PyObject *object)
{
    ext_run *self = (ext_run *)object;
    Py_CLEAR(self->functions);
    Py_CLEAR(self->batch_functions);
    Py_CLEAR(self->failures);
    Py_CLEAR(self->rows);
    return 0;
}

static void free_run(ext_run *self)
{
    sabot_run *run = self->run;
    self->run = NULL;
    if (run != NULL) {
        Py_BEGIN_ALLOW_THREADS sabot_run_free(run);
        Py_END_ALLOW_THREADS
    }
}

static void run_dealloc(PyObject *object)
{
    ext_run *self = (ext_run *)object;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(object);
    free_run(self);
    (void)run_clear(object);
    Py_XDECREF(self->plan);
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- events --------------------------------------------------------------------------------------------------------------- */

/* Raises the kept exception of the failure that the engine reports; NULL always. */
static PyObject *raise_failure(ext_run *self, ext_state *state, const sabot_error *err)
{
    int32_t op = 0;
    int32_t function_index = 0;
    int64_t source_row = 0;
    int64_t seq = 0;
    sabot_run_failure(self->run, &op, &function_index, &source_row, &seq);
    PyObject *error =
        ext_call_helper(state, "find_failure",
                        Py_BuildValue("(OiiLLs)", self->failures, (int)op, (int)function_index,
                                      (long long)source_row, (long long)seq, err->message));
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}

/* Raises what went wrong in the run itself; NULL always. */
static PyObject *raise_run(ext_state *state, const sabot_error *err)
{
    return ext_raise_as(state, "error_of_run", err);
}

static PyObject *pair_of(struct ArrowSchema *schema, struct ArrowArray *array)
{
    PyObject *schema_capsule = ext_schema_capsule(schema);
    PyObject *array_capsule = ext_array_capsule(array);
    PyObject *pair = NULL;
    if (schema_capsule != NULL && array_capsule != NULL) {
        pair = PyTuple_Pack(2, schema_capsule, array_capsule);
    }
    Py_XDECREF(schema_capsule);
    Py_XDECREF(array_capsule);
    return pair;
}

/* The rows in the source of a batch's rows: the first, which the others follow (-1: not known), or all as int64 bytes. */
static PyObject *rows_of(const sabot_event *event)
{
    if (event->source_rows == NULL) {
        return PyLong_FromLongLong((long long)event->source_row);
    }
    return PyBytes_FromStringAndSize((const char *)event->source_rows,
                                     (Py_ssize_t)(event->row_count * (int64_t)sizeof(int64_t)));
}

static int answer_batch(ext_run *self, ext_state *state, sabot_event *event)
{
    struct ArrowArray array = {0};
    struct ArrowSchema schema = {0};
    sabot_error err;
    int result = -1;
    PyObject *pair = pair_of(&event->schema, &event->array);
    PyObject *rows = rows_of(event);
    PyObject *made = NULL;
    if (pair != NULL && rows != NULL) {
        made = ext_call_helper(state, "call_batch",
                               Py_BuildValue("(OiLOOO)", self->batch_functions, (int)event->op,
                                             (long long)event->seq, rows, pair, self->failures));
    }
    Py_XDECREF(pair);
    Py_XDECREF(rows);
    if (made == NULL) {
        return -1;
    }
    bool failed = made == Py_None;
    bool none = failed || made == Py_False; /* False: the batch is dropped */
    if (none || ext_array_take(made, &array, &schema) == 0) {
        sabot_status status =
            sabot_run_reply_batch(self->run, none ? NULL : &array, none ? NULL : &schema,
                                  failed ? "a batch function failed" : NULL, &err);
        result = status == SABOT_OK ? 0 : -1;
        if (status != SABOT_OK) {
            (void)raise_run(state, &err);
        }
    }
    Py_DECREF(made);
    return result;
}

static int answer_rows(ext_run *self, ext_state *state, const sabot_event *event)
{
    PyObject *binding = PyTuple_GetItem(self->functions, event->function_index);
    if (binding == NULL) {
        return -1;
    }
    return ext_answer_rows(state, self->run, event, binding, self->failures, &self->cancelled);
}

/* One turn of the lane. 1: *result is set (new reference, None at the end); 0: go on; -1: exception. */
static int step(ext_run *self, ext_state *state, PyObject **result)
{
    sabot_event event = {0};
    sabot_error err;
    sabot_status status;
    Py_BEGIN_ALLOW_THREADS status = sabot_run_next(self->run, &event, &err);
    Py_END_ALLOW_THREADS if (status != SABOT_OK)
    {
        (void)(status == SABOT_USER ? raise_failure(self, state, &err) : raise_run(state, &err));
        return -1;
    }
    switch (event.kind) {
    case SABOT_EVENT_BATCH:
        *result = pair_of(&event.schema, &event.array);
        Py_XSETREF(self->rows, rows_of(&event));
        if (*result != NULL && (self->rows == NULL || PyErr_CheckSignals() < 0)) {
            Py_CLEAR(*result);
        }
        return *result != NULL ? 1 : -1;
    case SABOT_EVENT_CALL_ROWS:
        return answer_rows(self, state, &event) < 0 || PyErr_CheckSignals() < 0 ? -1 : 0;
    case SABOT_EVENT_CALL_BATCH:
        return answer_batch(self, state, &event) < 0 || PyErr_CheckSignals() < 0 ? -1 : 0;
    case SABOT_EVENT_END:
        *result = Py_NewRef(Py_None);
        return 1;
    case SABOT_EVENT_WAKE:
    default:
        return PyErr_CheckSignals() < 0 ? -1 : 0;
    }
}

static PyObject *run_next(PyObject *object, PyObject *unused)
{
    (void)unused;
    ext_run *self = (ext_run *)object;
    ext_state *state = ext_state_of_type(Py_TYPE(object));
    PyObject *result = NULL;
    int stepped = 0;
    if (self->run == NULL || self->busy) {
        sabot_error err = {.status = SABOT_STATE,
                           .message = "the run is closed, or used by two threads or by a function "
                                      "that it is running"};
        return ext_raise(state, &err);
    }
    self->busy = true;
    while (stepped == 0) {
        stepped = step(self, state, &result);
    }
    self->busy = false;
    if (stepped < 0) {
        sabot_run_cancel(self->run);
    }
    return result;
}

static PyObject *run_rows(PyObject *object, PyObject *unused)
{
    (void)unused;
    PyObject *rows = ((ext_run *)object)->rows;
    return Py_NewRef(rows != NULL ? rows : Py_None);
}

static PyObject *run_cancel(PyObject *object, PyObject *unused)
{
    (void)unused;
    ext_run *self = (ext_run *)object;
    self->cancelled = true;
    if (self->run != NULL) {
        sabot_run_cancel(self->run);
    }
    Py_RETURN_NONE;
}

static PyObject *run_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    ext_run *self = (ext_run *)object;
    if (!self->busy) {
        free_run(self);
    }
    Py_RETURN_NONE;
}

static PyObject *run_report(PyObject *object, PyObject *unused)
{
    (void)unused;
    ext_run *self = (ext_run *)object;
    char *json = NULL;
    sabot_error err = {.status = SABOT_STATE, .message = "the run is closed"};
    if (self->run == NULL || sabot_run_report(self->run, &json, &err) != SABOT_OK) {
        return ext_raise(ext_state_of_type(Py_TYPE(object)), &err);
    }
    return ext_text(json);
}

static PyMethodDef run_methods[] = {
    {"next", run_next, METH_NOARGS, "The next batch as (schema, array) capsules; None at the end."},
    {"rows", run_rows, METH_NOARGS,
     "With number_rows, the source's rows of the batch that next() gave last: the first as int "
     "(-1: not known), or all as "
     "int64 bytes."},
    {"cancel", run_cancel, METH_NOARGS, "Makes next() fail soon; from any thread."},
    {"close", run_close, METH_NOARGS, "Cancels and gives everything back; again is fine."},
    {"report", run_report, METH_NOARGS, "Counters of this run, as JSON text."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot run_slots[] = {
    {Py_tp_doc,
     "Run(plan, stream, functions, batch_functions, threads, morsel_rows, tier, interpret, "
     "number_rows)"},
    {Py_tp_new, (void *)run_new},
    {Py_tp_dealloc, (void *)run_dealloc},
    {Py_tp_traverse, (void *)run_traverse},
    {Py_tp_clear, (void *)run_clear},
    {Py_tp_methods, run_methods},
    {0, NULL},
};

static PyType_Spec run_spec = {
    .name = "sabot._core.Run",
    .basicsize = sizeof(ext_run),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = run_slots,
};

int ext_add_run(PyObject *module, ext_state *state)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &run_spec, NULL);
    state->run_type = (PyTypeObject *)type;
    return type != NULL ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
}
