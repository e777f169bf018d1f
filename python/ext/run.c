/* Run: drives one run of a plan. The thread that calls next() is the run's lane: it answers what the engine asks of Python.
 *
 *     run = Run(plan, source, functions, batch_functions, threads, morsel_rows, tier, interpret, ...)
 *     while (made := run.next()) is not None: batch, rows = made
 *     run.report()
 *
 * Batches that Python made travel as the objects that they are (ext_held) until an operator of the engine changes them; only where
 * one reads them do they cross the C data interface. Each operator's schema crosses once and is known by pyarrow's object after that.
 *
 * Failures of user functions are kept with their place; the one that the engine names as the run's first is raised. What the
 * source raises is kept and raised as it is, when the rows before it have come out.
 *
 * Threads: one at a time, cancel() any. The engine lets go of objects while the interpreter's lock is free, but always on the lane:
 * they are put aside (`dropped`) and dropped when the lock is held again. */
#include "ext.h"

typedef struct ext_run ext_run;

/* A Python object that the engine holds. */
typedef struct ext_held {
    struct ext_held *next; /* among the dropped ones */
    ext_run *run;          /* outlives it: sabot_run_free lets go of all */
    PyObject *object;      /* owned */
} ext_held;

struct ext_run {
    PyObject_HEAD ext_plan *plan;
    sabot_run *run;
    PyObject
        *pieces; /* iterator over (batch, row, rows or None); NULL: the engine reads a stream */
    PyObject *source_error;    /* what it raised */
    PyObject *functions;       /* tuple of bindings, in plan order */
    PyObject *batch_functions; /* dict: operator index -> binding */
    PyObject *failures;        /* list of (operator, function index, source row, seq, exception) */
    PyObject *given; /* list of schemas that the engine gave: of results, then of each operator */
    PyObject *guard; /* told of user code that ran; NULL: nobody is */
    PyObject *known; /* list of schemas of each operator's batch function; None: not known yet */
    ext_held *dropped;
    int first_operator; /* operators of the stream before this run's */
    bool busy;
    bool cancelled; /* by cancel(); under the GIL, like the rest */
};

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

int ext_guard(ext_state *state, sabot_run *run, PyObject *guard, ext_ran ran, int32_t index)
{
    if (guard == NULL) {
        return 0;
    }
    PyObject *args[3] = {NULL, PyLong_FromLong(ran), PyLong_FromLong(index)};
    PyObject *changed = NULL;
    if (args[1] != NULL && args[2] != NULL) {
        changed = PyObject_Vectorcall(guard, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    Py_XDECREF(args[1]);
    Py_XDECREF(args[2]);
    int result = changed != NULL ? 0 : -1;
    if (changed != NULL && changed != Py_None) {
        sabot_error err;
        Py_ssize_t count = 0;
        bool *flags = flags_of(changed, &count);
        result = flags != NULL ? 0 : -1;
        if (flags != NULL && sabot_run_interpret(run, flags, (int32_t)count, &err) != SABOT_OK) {
            (void)ext_raise(state, &err);
            result = -1;
        }
        PyMem_Free(flags);
    }
    Py_XDECREF(changed);
    return result;
}

/* A list of `count` times None. */
static PyObject *list_of_none(Py_ssize_t count)
{
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyList_SET_ITEM(list, i, Py_NewRef(Py_None));
    }
    return list;
}

static int start(ext_run *self, ext_state *state, PyObject *source, Py_ssize_t operators,
                 sabot_run_options *options)
{
    struct ArrowArrayStream stream = {0};
    sabot_error err;
    sabot_status status;
    if (operators < 0) {
        PyErr_SetString(PyExc_ValueError, "operators is negative");
        return -1;
    }
    self->failures = PyList_New(0);
    PyObject *schemas = ext_plan_schemas(state, self->plan, operators);
    self->given = schemas != NULL ? PyList_GetSlice(schemas, 0, operators + 1) : NULL;
    self->known = list_of_none(operators);
    if (self->failures == NULL || self->given == NULL || self->known == NULL) {
        return -1;
    }
    bool reads = PyObject_HasAttrString(source, "__arrow_c_stream__") == 1;
    if (reads && ext_stream_take(source, &stream) < 0) {
        return -1;
    }
    if (!reads) {
        self->pieces = PyObject_GetIter(source);
        if (self->pieces == NULL) {
            return -1;
        }
    }
    Py_BEGIN_ALLOW_THREADS status =
        sabot_run_new(self->plan->plan, reads ? &stream : NULL, options, &self->run, &err);
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
    static char *names[] = {"plan",      "source",         "functions",   "batch_functions",
                            "threads",   "morsel_rows",    "tier",        "interpret",
                            "operators", "first_operator", "number_rows", "validate",
                            "prompt",    "guard",          NULL};
    ext_state *state = ext_state_of_type(type);
    PyObject *plan = NULL;
    PyObject *source = NULL;
    PyObject *functions = NULL;
    PyObject *batch_functions = NULL;
    PyObject *interpret = NULL;
    PyObject *guard = Py_None;
    int threads = 0;
    long long morsel_rows = 0;
    int tier = 0;
    int operators = 0;
    int first_operator = 0;
    int number_rows = 0;
    int validate = 0;
    int prompt = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!OO!O!iLiOi|ipppO:Run", names,
                                     state->plan_type, &plan, &source, &PyTuple_Type, &functions,
                                     &PyDict_Type, &batch_functions, &threads, &morsel_rows, &tier,
                                     &interpret, &operators, &first_operator, &number_rows,
                                     &validate, &prompt, &guard)) {
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
        self->first_operator = first_operator;
        self->guard = guard != Py_None ? Py_NewRef(guard) : NULL;
        sabot_run_options options = {.threads = threads,
                                     .morsel_rows = morsel_rows,
                                     .tier = (sabot_tier)tier,
                                     .interpret = flags,
                                     .interpret_count = (int32_t)flag_count,
                                     .validate = validate != 0,
                                     .number_rows = number_rows != 0,
                                     .prompt = prompt != 0,
                                     .revocable = guard != Py_None,
                                     .schema_once = true,
                                     .schemas_known = true};
        if (start(self, state, source, operators, &options) < 0) {
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
    Py_VISIT(self->pieces);
    Py_VISIT(self->source_error);
    Py_VISIT(self->given);
    Py_VISIT(self->known);
    Py_VISIT(self->guard);
    return 0;
}

static int run_clear(PyObject *object)
{
    ext_run *self = (ext_run *)object;
    Py_CLEAR(self->functions);
    Py_CLEAR(self->batch_functions);
    Py_CLEAR(self->failures);
    Py_CLEAR(self->pieces);
    Py_CLEAR(self->source_error);
    Py_CLEAR(self->given);
    Py_CLEAR(self->known);
    Py_CLEAR(self->guard);
    return 0;
}

/* On the lane, with or without the interpreter's lock. */
static void held_release(void *object)
{
    ext_held *held = object;
    held->next = held->run->dropped;
    held->run->dropped = held;
}

static ext_held *held_new(ext_run *self, PyObject *object)
{
    ext_held *held = PyMem_Malloc(sizeof(*held));
    if (held == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    *held = (ext_held){.run = self, .object = Py_NewRef(object)};
    return held;
}

static void drop_held(ext_run *self)
{
    while (self->dropped != NULL) {
        ext_held *held = self->dropped;
        self->dropped = held->next;
        PyObject *object = held->object;
        PyMem_Free(held);
        Py_DECREF(object);
    }
}

static void free_run(ext_run *self)
{
    sabot_run *run = self->run;
    self->run = NULL;
    if (run != NULL) {
        Py_BEGIN_ALLOW_THREADS sabot_run_free(run);
        Py_END_ALLOW_THREADS drop_held(self);
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
    if (op < 0 && self->source_error != NULL) {
        PyObject *raised = self->source_error;
        self->source_error = NULL;
        ext_restore_exception(raised);
        return NULL;
    }
    op += self->first_operator;
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

/* The batch of an event: the object that Python made, or one over the engine's data. at: where its schema is kept in `given`. */
static PyObject *batch_of(ext_run *self, ext_state *state, sabot_event *event, Py_ssize_t at)
{
    if (event->object != NULL) {
        return Py_NewRef(((ext_held *)event->object)->object);
    }
    if (event->schema.release != NULL) {
        PyObject *schema = ext_import_schema(state, &event->schema);
        if (schema == NULL || PyList_SetItem(self->given, at, schema) < 0) {
            event->array.release(&event->array);
            return NULL;
        }
    }
    return ext_import_batch(state, &event->array, PyList_GET_ITEM(self->given, at));
}

/* Is a schema the known one, metadata and all? -1: exception. */
static int schema_is(ext_state *state, PyObject *schema, PyObject *known)
{
    if (schema == known) {
        return 1;
    }
    PyObject *args[3] = {schema, known, Py_True};
    PyObject *equal = PyObject_VectorcallMethod(state->names[EXT_NAME_EQUALS], args,
                                                3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(equal);
    return equal != NULL ? equal == Py_True : -1;
}

static void batch_release(sabot_batch *batch)
{
    if (batch->array.release != NULL) {
        batch->array.release(&batch->array);
    }
    if (batch->schema.release != NULL) {
        batch->schema.release(&batch->schema);
    }
    if (batch->release != NULL) {
        batch->release(batch->object);
    }
}

/* Puts the object itself into a reply. */
static int batch_hold(ext_run *self, ext_state *state, PyObject *object, sabot_batch *batch)
{
    PyObject *count = PyObject_GetAttr(object, state->names[EXT_NAME_NUM_ROWS]);
    batch->row_count = count != NULL ? PyLong_AsLongLong(count) : -1;
    Py_XDECREF(count);
    batch->object = batch->row_count >= 0 ? held_new(self, object) : NULL;
    batch->release = batch->object != NULL ? held_release : NULL;
    return batch->object != NULL ? 0 : -1;
}

/* Fills in what a batch function made of `given`. The first schema of an operator goes with it, and any that is another; the engine
 * compares it. A batch of another schema is no longer handed on as it is: what follows shall see the known one. */
static int reply_fill(ext_run *self, ext_state *state, const sabot_event *event, PyObject *given,
                      PyObject *made, sabot_batch *batch)
{
    PyObject *known = PyList_GET_ITEM(self->known, event->op);
    PyObject *schema = PyObject_GetAttr(made, state->names[EXT_NAME_SCHEMA]);
    if (schema == NULL) {
        return -1;
    }
    int same = known == Py_None ? 0 : schema_is(state, schema, known);
    bool first = known == Py_None;
    if (same >= 0 && first) {
        (void)PyList_SetItem(self->known, event->op, Py_NewRef(schema));
    }
    Py_DECREF(schema);
    if (same < 0) {
        return -1;
    }
    batch->unchanged = made == given && (same || first);
    bool keep = same || first;
    bool data = batch->unchanged ? event->data_wanted && !event->data_held : event->data_wanted;
    bool told = !batch->unchanged && !same;
    if (keep && (!batch->unchanged || event->object == NULL) &&
        batch_hold(self, state, made, batch) < 0) {
        return -1;
    }
    if (data || told) {
        return ext_export(state, made, &batch->array, told ? &batch->schema : NULL);
    }
    return 0;
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

static PyObject *call_batch(ext_run *self, ext_state *state, const sabot_event *event,
                            PyObject *binding, PyObject *given)
{
    PyObject *rows = rows_of(event);
    PyObject *made =
        rows != NULL ? ext_call_helper(state, "call_batch",
                                       Py_BuildValue("(OOiLOO)", binding, given,
                                                     (int)event->op + self->first_operator,
                                                     (long long)event->seq, rows, self->failures))
                     : NULL;
    Py_XDECREF(rows);
    return made;
}

/* Calls a filter's function. A Boolean array of as many values as there are rows is the mask; all else is looked at in Python. */
static PyObject *call_filter(ext_run *self, ext_state *state, const sabot_event *event,
                             PyObject *binding, PyObject *given)
{
    PyObject *made = PyObject_CallOneArg(PyTuple_GET_ITEM(binding, 0), given);
    PyObject *error = NULL;
    if (made == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL; /* not the function's: the user wants it to end */
        }
        error = ext_take_exception();
    } else if ((PyObject *)Py_TYPE(made) == state->mask_type &&
               PyObject_Length(made) == PyObject_Length(given)) {
        return made;
    }
    PyObject *rows = rows_of(event);
    PyObject *mask =
        rows != NULL ? ext_call_helper(state, "filter_mask",
                                       Py_BuildValue("(OOOOiLOO)", made != NULL ? made : Py_None,
                                                     error != NULL ? error : Py_None, binding,
                                                     given, (int)event->op + self->first_operator,
                                                     (long long)event->seq, rows, self->failures))
                     : NULL;
    Py_XDECREF(rows);
    Py_XDECREF(error);
    Py_XDECREF(made);
    return mask;
}

/* The binding of an operator's batch function, borrowed; at its first call the schema that was declared becomes the known one. */
static PyObject *binding_of(ext_run *self, int32_t op, bool *is_filter)
{
    PyObject *key = PyLong_FromLong(op);
    PyObject *binding = key != NULL ? PyDict_GetItemWithError(self->batch_functions, key) : NULL;
    Py_XDECREF(key);
    if (binding == NULL || PyTuple_GET_SIZE(binding) < 4 || op >= PyList_GET_SIZE(self->known)) {
        if (PyErr_Occurred() == NULL) {
            PyErr_SetString(PyExc_SystemError, "a batch function is missing");
        }
        return NULL;
    }
    *is_filter = PyTuple_GET_ITEM(binding, 3) == Py_True;
    PyObject *declared = PyTuple_GET_ITEM(binding, 2);
    if (PyList_GET_ITEM(self->known, op) == Py_None && declared != Py_None) {
        (void)PyList_SetItem(self->known, op, Py_NewRef(declared));
    }
    return binding;
}

/* batch NULL: there is none, since the function failed; failed: that ends the run. */
static int reply_batch(ext_run *self, ext_state *state, sabot_batch *batch, bool failed)
{
    sabot_error err;
    sabot_status status =
        batch == NULL ? sabot_run_reply_batch(self->run, NULL, NULL,
                                              failed ? "a batch function failed" : NULL, &err)
                      : sabot_run_reply_object(self->run, batch, &err);
    if (status != SABOT_OK) {
        if (batch != NULL) {
            batch_release(batch);
        }
        (void)raise_run(state, &err);
        return -1;
    }
    return 0;
}

/* What stands between two phases of the binding's function, which calls no user code; none: the function itself has to be called. */
static int answer_phase(ext_run *self, ext_state *state, const sabot_event *event,
                        PyObject *binding, PyObject *given)
{
    sabot_batch batch = {.source_row = -1};
    PyObject *made = ext_call_helper(state, "call_between",
                                     Py_BuildValue("(OiO)", binding, (int)event->phase, given));
    if (made == NULL) {
        return -1;
    }
    const bool none = made == Py_None;
    int result = none ? 0 : ext_export(state, made, &batch.array, NULL);
    Py_DECREF(made);
    if (result == 0) {
        return reply_batch(self, state, none ? NULL : &batch, false);
    }
    batch_release(&batch);
    return result;
}

static int answer_batch(ext_run *self, ext_state *state, sabot_event *event)
{
    sabot_batch batch = {.source_row = -1};
    bool is_filter = false;
    PyObject *binding = binding_of(self, event->op, &is_filter);
    PyObject *given = binding != NULL ? batch_of(self, state, event, event->op + 1) : NULL;
    PyObject *made = NULL;
    int result = -1;
    if (given != NULL && event->phase > 0) {
        result = answer_phase(self, state, event, binding, given);
    } else if (given != NULL) {
        made = is_filter ? call_filter(self, state, event, binding, given)
                         : call_batch(self, state, event, binding, given);
    }
    if (made != NULL) {
        bool none = made == Py_None || made == Py_False; /* it failed; or it did and is dropped */
        result = none        ? 0
                 : is_filter ? ext_export(state, made, &batch.array, NULL)
                             : reply_fill(self, state, event, given, made, &batch);
        if (result == 0) {
            result = ext_guard(state, self->run, self->guard, EXT_RAN_BATCH, event->op);
        }
        if (result == 0) {
            result = reply_batch(self, state, none ? NULL : &batch, made == Py_None);
        } else {
            batch_release(&batch);
        }
    }
    Py_XDECREF(made);
    Py_XDECREF(given);
    return result;
}

/* --- the source ------------------------------------------------------------------------------------------------------------ */

/* The row numbers of a piece, an int64 array; *view holds their memory. NULL: exception. */
static const int64_t *piece_rows(ext_state *state, PyObject *rows, int64_t count, Py_buffer *view)
{
    PyObject *pair = ext_call_helper(state, "rows_buffer", Py_BuildValue("(O)", rows));
    const int64_t *values = NULL;
    PyObject *buffer = NULL;
    Py_ssize_t offset = 0;
    Py_ssize_t length = 0;
    if (pair != NULL && PyArg_ParseTuple(pair, "Onn", &buffer, &offset, &length) &&
        PyObject_GetBuffer(buffer, view, PyBUF_SIMPLE) == 0) {
        if (length == count && (offset + length) * (Py_ssize_t)sizeof(int64_t) <= view->len) {
            values = (const int64_t *)view->buf + offset;
        } else {
            PyErr_SetString(PyExc_SystemError, "a piece has not as many row numbers as rows");
        }
    }
    Py_XDECREF(pair);
    return values;
}

static int piece_fill(ext_run *self, ext_state *state, const sabot_event *event, PyObject *piece,
                      Py_buffer *view, sabot_batch *batch)
{
    if (!PyTuple_Check(piece) || PyTuple_GET_SIZE(piece) != 3) {
        PyErr_SetString(PyExc_TypeError, "a piece is (batch, row, rows)");
        return -1;
    }
    PyObject *object = PyTuple_GET_ITEM(piece, 0);
    PyObject *rows = PyTuple_GET_ITEM(piece, 2);
    batch->source_row = PyLong_AsLongLong(PyTuple_GET_ITEM(piece, 1));
    if ((batch->source_row == -1 && PyErr_Occurred() != NULL) ||
        batch_hold(self, state, object, batch) < 0) {
        return -1;
    }
    if (rows != Py_None && batch->row_count > 0) {
        batch->source_rows = piece_rows(state, rows, batch->row_count, view);
        if (batch->source_rows == NULL) {
            return -1;
        }
    }
    return event->data_wanted ? ext_export(state, object, &batch->array, NULL) : 0;
}

static int answer_pull(ext_run *self, ext_state *state, const sabot_event *event)
{
    sabot_batch batch = {.source_row = -1};
    Py_buffer view = {0};
    sabot_error err;
    const char *message = NULL;
    int result = 0;
    PyObject *piece = PyIter_Next(self->pieces);
    if (piece != NULL) {
        result = piece_fill(self, state, event, piece, &view, &batch);
    } else if (PyErr_Occurred() != NULL) {
        Py_XSETREF(self->source_error, ext_take_exception());
        message = "the source failed";
    }
    if (result == 0) {
        result = ext_guard(state, self->run, self->guard, EXT_RAN_SOURCE, 0);
    }
    if (result == 0) {
        sabot_status status =
            sabot_run_reply_pull(self->run, piece != NULL ? &batch : NULL, message, &err);
        result = status == SABOT_OK ? 0 : -1;
        if (status != SABOT_OK) {
            (void)raise_run(state, &err);
        }
    }
    if (result < 0) {
        batch_release(&batch);
    }
    if (view.obj != NULL) {
        PyBuffer_Release(&view);
    }
    Py_XDECREF(piece);
    return result;
}

/* A result as (batch, rows): rows as rows_of gives them. */
static PyObject *give(ext_run *self, ext_state *state, sabot_event *event)
{
    PyObject *batch = batch_of(self, state, event, 0);
    PyObject *rows = batch != NULL ? rows_of(event) : NULL;
    PyObject *made = rows != NULL ? PyTuple_Pack(2, batch, rows) : NULL;
    Py_XDECREF(rows);
    Py_XDECREF(batch);
    return made;
}

/* --- the lane ---------------------------------------------------------------------------------------------------------------- */

static int answer_rows(ext_run *self, ext_state *state, const sabot_event *event)
{
    PyObject *binding = PyTuple_GetItem(self->functions, event->function_index);
    if (binding == NULL) {
        return -1;
    }
    return ext_answer_rows(state, self->run, event, binding, self->failures, &self->cancelled,
                           self->guard);
}

/* One turn of the lane. 1: *result is set (new reference, None at the end); 0: go on; -1: exception. */
static int step(ext_run *self, ext_state *state, PyObject **result)
{
    sabot_event event = {0};
    sabot_error err;
    sabot_status status;
    Py_BEGIN_ALLOW_THREADS status = sabot_run_next(self->run, &event, &err);
    Py_END_ALLOW_THREADS drop_held(self);
    if (status != SABOT_OK) {
        (void)(status == SABOT_USER ? raise_failure(self, state, &err) : raise_run(state, &err));
        return -1;
    }
    switch (event.kind) {
    case SABOT_EVENT_BATCH:
        *result = give(self, state, &event);
        if (*result != NULL && PyErr_CheckSignals() < 0) {
            Py_CLEAR(*result);
        }
        return *result != NULL ? 1 : -1;
    case SABOT_EVENT_PULL:
        return answer_pull(self, state, &event) < 0 || PyErr_CheckSignals() < 0 ? -1 : 0;
    case SABOT_EVENT_CALL_ROWS:
        event.op += self->first_operator;
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
    stepped = ext_guard(state, self->run, self->guard, EXT_RAN_CONSUMER, 0);
    while (stepped == 0) {
        stepped = step(self, state, &result);
    }
    self->busy = false;
    if (stepped < 0) {
        sabot_run_cancel(self->run);
    }
    return result;
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
    {"next", run_next, METH_NOARGS,
     "The next batch as (batch, rows); None at the end. rows: of the source, with number_rows; the "
     "first as int, which the others follow (-1: not known), or all as int64 bytes."},
    {"cancel", run_cancel, METH_NOARGS, "Makes next() fail soon; from any thread."},
    {"close", run_close, METH_NOARGS, "Cancels and gives everything back; again is fine."},
    {"report", run_report, METH_NOARGS, "Counters of this run, as JSON text."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot run_slots[] = {
    {Py_tp_doc,
     "Run(plan, source, functions, batch_functions, threads, morsel_rows, tier, "
     "interpret, operators, first_operator=0, number_rows=False, validate=False, prompt=False, "
     "guard=None)"},
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
