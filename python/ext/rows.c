/* Rows in CPython: argument values from Arrow columns, calls of the user's function, results back into a column.
 *
 * Values are what to_pylist() gives: numbers, bool, str, None straight from the buffers; other types through pyarrow.
 * A result must be of the column's kind exactly (True is no int, 1.5 is no int; an int goes into a double only within
 * 2**53): anything else is a failure of that row, as is an exception, or a value that Python cannot hold. A filter takes
 * the truth of any result.
 * What becomes of a failed row says the binding's on_error: it ends the run, or it is recorded and its result is null, or the row
 * is dropped. Interrupts are not the function's failure: they end the run.
 *
 * Threads: the lane, holding the lock. Memory: argument columns are borrowed from the event until it is answered. */
#include "ext.h"

#define EXACT_DOUBLE_MAX (1LL << 53)
#define NATIVE "bcCsSiIlLefgun" /* formats of columns whose values are made here */
#define ARGS_MAX 64             /* arguments kept on the stack; more are on the heap */

#define BINDING_AHEAD 12 /* place of sabot._lane.Binding.ahead */

/* sabot._lane.Binding.on_error. */
enum { ON_ERROR_RAISE = 0, ON_ERROR_NULL = 1, ON_ERROR_SKIP = 2 };
enum { VALID_NULL = 0, VALID_DROP = 2, VALID_NULL_ROW = 3 };

typedef struct arg_column {
    const struct ArrowArray *array;
    char format;    /* one of NATIVE, or 0: `list` has the rows' values */
    PyObject *list; /* new reference; an exception stands for a value that could not be made */
} arg_column;

typedef struct row_call {
    ext_state *state;
    const sabot_event *event;
    PyObject *binding;  /* borrowed: a sabot._lane.Binding */
    PyObject *failures; /* borrowed list */
    PyObject *callable; /* borrowed from the binding */
    Py_ssize_t positional_count;
    PyObject *keywords; /* tuple of names, or NULL */
    arg_column *columns;
    PyObject **args; /* one more in front, for vectorcall's offset */
    PyObject *
        ahead; /* list: what the binding computed of all rows, Ellipsis where it did not; or NULL */
    PyObject *results; /* list, when the column is built by pyarrow */
    bool truth;        /* of a filter: only whether a result is true is wanted */
    bool skip_nulls;   /* a null argument gives null without a call */
    long on_error;
} row_call;

/* --- arguments ---------------------------------------------------------------------------------------------------------- */

static void release_nothing(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_no_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static PyObject *list_of_rows(const sabot_event *event)
{
    if (event->rows == NULL) {
        return Py_NewRef(Py_None);
    }
    PyObject *list = PyList_New((Py_ssize_t)event->row_count);
    for (int64_t k = 0; list != NULL && k < event->row_count; k++) {
        PyObject *row = PyLong_FromLong(event->rows[k]);
        if (row == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)k, row);
    }
    return list;
}

/* The schema and the array of an argument, which pyarrow only borrows: a pair of capsules. */
static PyObject *column_capsules(const row_call *call, int32_t index)
{
    const sabot_event *event = call->event;
    struct ArrowArray array = *event->args[index];
    struct ArrowSchema schema = *event->arg_schemas[index];
    array.release = release_nothing;
    array.private_data = NULL;
    schema.release = release_no_schema;
    schema.private_data = NULL;
    PyObject *schema_capsule = ext_schema_capsule(&schema);
    PyObject *array_capsule = ext_array_capsule(&array);
    PyObject *pair = NULL;
    if (schema_capsule != NULL && array_capsule != NULL) {
        pair = PyTuple_Pack(2, schema_capsule, array_capsule);
    }
    Py_XDECREF(schema_capsule);
    Py_XDECREF(array_capsule);
    return pair;
}

/* The rows' values as a list made by pyarrow. */
static PyObject *decode_column(const row_call *call, int32_t index)
{
    PyObject *pair = column_capsules(call, index);
    PyObject *rows = list_of_rows(call->event);
    PyObject *args = NULL;
    if (pair != NULL && rows != NULL) {
        args = Py_BuildValue("(OOOL)", PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1), rows,
                             (long long)call->event->row_count);
    }
    Py_XDECREF(pair);
    Py_XDECREF(rows);
    return ext_call_helper(call->state, "values_of", args);
}

/* Lets the binding compute all rows at once, where it can. 0, or -1: end the run. */
static int open_ahead(row_call *call)
{
    const sabot_event *event = call->event;
    PyObject *ahead = PyTuple_GetItem(call->binding, BINDING_AHEAD);
    if (ahead == NULL || ahead == Py_None) {
        return ahead == NULL ? -1 : 0;
    }
    PyObject *columns = PyList_New(event->arg_count);
    for (int32_t k = 0; columns != NULL && k < event->arg_count; k++) {
        PyObject *pair = column_capsules(call, k);
        if (pair == NULL) {
            Py_CLEAR(columns);
            break;
        }
        PyList_SET_ITEM(columns, k, pair);
    }
    PyObject *rows = columns != NULL ? list_of_rows(event) : NULL;
    PyObject *args = NULL;
    if (columns != NULL && rows != NULL) {
        args = Py_BuildValue("(OOOL)", ahead, columns, rows, (long long)event->row_count);
    }
    Py_XDECREF(columns);
    Py_XDECREF(rows);
    call->ahead = ext_call_helper(call->state, "computed_ahead", args);
    return call->ahead != NULL ? 0 : -1;
}

/* Has the column an extension type, whose values are its own affair? The engine has checked the metadata's lengths. */
static bool is_extension(const char *metadata)
{
    static const char key[] = "ARROW:extension:name";
    int32_t pairs = 0;
    int32_t length;
    if (metadata != NULL) {
        memcpy(&pairs, metadata, sizeof(pairs));
        metadata += sizeof(pairs);
    }
    for (int64_t k = 0; k < 2 * (int64_t)pairs; k++) {
        memcpy(&length, metadata, sizeof(length));
        metadata += sizeof(length);
        if (k % 2 == 0 && (size_t)length == sizeof(key) - 1 &&
            memcmp(metadata, key, sizeof(key) - 1) == 0) {
            return true;
        }
        metadata += length;
    }
    return false;
}

static int open_column(row_call *call, int32_t index)
{
    arg_column *column = &call->columns[index];
    const struct ArrowSchema *schema = call->event->arg_schemas[index];
    const char *format = schema->format;
    bool known = schema->dictionary == NULL && format[0] != '\0' && format[1] == '\0' &&
                 strchr(NATIVE, format[0]) != NULL && !is_extension(schema->metadata);
    column->array = call->event->args[index];
    column->format = known ? format[0] : '\0';
    if (!known) {
        column->list = decode_column(call, index);
    }
    return known || column->list != NULL ? 0 : -1;
}

static PyObject *half_float(const char *bytes)
{
    double value = PyFloat_Unpack2(bytes, PY_LITTLE_ENDIAN);
    return value == -1.0 && PyErr_Occurred() != NULL ? NULL : PyFloat_FromDouble(value);
}

static PyObject *value_at(const arg_column *column, int64_t row, int64_t position)
{
    if (column->format == '\0') {
        PyObject *item = PyList_GetItem(column->list, (Py_ssize_t)position);
        if (item != NULL && PyExceptionInstance_Check(item)) {
            PyErr_SetObject((PyObject *)Py_TYPE(item), item);
            return NULL;
        }
        return Py_XNewRef(item);
    }
    const struct ArrowArray *array = column->array;
    int64_t at = row + array->offset;
    if (column->format == 'n') {
        return Py_NewRef(Py_None);
    }
    const uint8_t *valid = array->buffers[0];
    if (valid != NULL && array->null_count != 0 && !((valid[at >> 3] >> (at & 7)) & 1)) {
        return Py_NewRef(Py_None);
    }
    const void *values = array->buffers[1];
    switch (column->format) {
    case 'c':
        return PyLong_FromLong(((const int8_t *)values)[at]);
    case 'C':
        return PyLong_FromLong(((const uint8_t *)values)[at]);
    case 's':
        return PyLong_FromLong(((const int16_t *)values)[at]);
    case 'S':
        return PyLong_FromLong(((const uint16_t *)values)[at]);
    case 'i':
        return PyLong_FromLong(((const int32_t *)values)[at]);
    case 'I':
        return PyLong_FromUnsignedLong(((const uint32_t *)values)[at]);
    case 'l':
        return PyLong_FromLongLong(((const int64_t *)values)[at]);
    case 'L':
        return PyLong_FromUnsignedLongLong(((const uint64_t *)values)[at]);
    case 'e':
        return half_float((const char *)values + 2 * at);
    case 'f':
        return PyFloat_FromDouble((double)((const float *)values)[at]);
    case 'g':
        return PyFloat_FromDouble(((const double *)values)[at]);
    case 'b':
        return PyBool_FromLong((((const uint8_t *)values)[at >> 3] >> (at & 7)) & 1);
    default: {
        const int32_t *offsets = values;
        const char *text = array->buffers[2];
        return PyUnicode_DecodeUTF8(text != NULL ? text + offsets[at] : "",
                                    offsets[at + 1] - offsets[at], NULL);
    }
    }
}

/* --- results ------------------------------------------------------------------------------------------------------------ */

/* Stores whether one result is true; 1: asking it raised. */
static int store_truth(const row_call *call, int64_t position, PyObject *value)
{
    const sabot_event *event = call->event;
    int truth = value != Py_None ? PyObject_IsTrue(value) : 0;
    event->valid[position] = value != Py_None;
    switch (event->result_format[0]) {
    case 'l':
        ((int64_t *)event->values)[position] = truth;
        break;
    case 'g':
        ((double *)event->values)[position] = truth;
        break;
    case 'b':
        ((uint8_t *)event->values)[position] = truth == 1;
        break;
    default:
        break; /* null: no row stays */
    }
    return truth < 0;
}

/* Appends one result to those that pyarrow makes a column of; 1: it is no text, or none that UTF-8 holds. */
static int store_text(const row_call *call, PyObject *value)
{
    if (value != Py_None) {
        if (!PyUnicode_Check(value)) {
            return 1;
        }
        if (PyUnicode_AsUTF8AndSize(value, NULL) == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_UnicodeError)) {
                return -1;
            }
            PyErr_Clear();
            return 1;
        }
    }
    return PyList_Append(call->results, value);
}

/* Where a result of one row goes. */
typedef struct cell {
    char format;
    void *value;
    uint8_t *valid;
} cell;

static cell cell_of(const sabot_event *event, int32_t result, int64_t position)
{
    int64_t at = result * event->row_count + position;
    bool several = event->result_formats != NULL && event->result_format[0] == '+';
    char format = several ? event->result_formats[result] : event->result_format[0];
    char *block = (char *)event->values + (int64_t)result * event->row_count * 8;
    return (cell){.format = format,
                  .value = block + position * (format == 'b' ? 1 : 8),
                  .valid = event->valid + at};
}

/* Stores a value of its column's kind; else 1. */
static int store_cell(const cell *to, PyObject *value)
{
    int overflow = 0;
    *to->valid = value != Py_None;
    if (value == Py_None) {
        return 0;
    }
    switch (to->format) {
    case 'l': {
        if (!PyLong_Check(value) || PyBool_Check(value)) {
            return 1;
        }
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        *(int64_t *)to->value = number;
        return overflow != 0;
    }
    case 'g': {
        double *number_at = to->value;
        if (PyFloat_Check(value)) {
            *number_at = PyFloat_AS_DOUBLE(value);
            return 0;
        }
        if (!PyLong_Check(value) || PyBool_Check(value)) {
            return 1;
        }
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        *number_at = (double)number;
        return overflow != 0 || number > EXACT_DOUBLE_MAX || number < -EXACT_DOUBLE_MAX;
    }
    case 'b':
        *(uint8_t *)to->value = value == Py_True;
        return !PyBool_Check(value);
    default:
        return 1;
    }
}

/* Stores the results of one row: those of a tuple, where there are several. *failed: the one that is not of its column's kind. */
static int store_cells(const row_call *call, int64_t position, PyObject *value, int32_t *failed)
{
    const sabot_event *event = call->event;
    if (event->result_format[0] != '+') {
        cell to = cell_of(event, 0, position);
        return store_cell(&to, value);
    }
    if (!PyTuple_Check(value) || PyTuple_GET_SIZE(value) != event->result_count) {
        PyErr_SetString(PyExc_SystemError, "a row's results are no tuple of their number");
        return -1;
    }
    for (int32_t k = 0; k < event->result_count; k++) {
        cell to = cell_of(event, k, position);
        if (store_cell(&to, PyTuple_GET_ITEM(value, k)) != 0) {
            *failed = k;
            return 1;
        }
    }
    return 0;
}

/* Stores one row. 1: it failed, with the exception set or because a value is not of the column's kind; -1: end the run. */
static int store(const row_call *call, int64_t position, PyObject *value, int32_t *failed)
{
    if (call->truth) {
        return store_truth(call, position, value);
    }
    return call->results != NULL ? store_text(call, value)
                                 : store_cells(call, position, value, failed);
}

/* --- failures ----------------------------------------------------------------------------------------------------------- */

static PyObject *args_tuple(const row_call *call, int32_t count)
{
    PyObject *tuple = PyTuple_New(count);
    for (int32_t k = 0; tuple != NULL && k < count; k++) {
        PyTuple_SET_ITEM(tuple, k, Py_NewRef(call->args[k + 1]));
    }
    return tuple;
}

static int64_t source_row_of(const row_call *call, int64_t position)
{
    const sabot_event *event = call->event;
    if (event->source_rows != NULL) {
        return event->source_rows[position];
    }
    int64_t row = event->rows != NULL ? event->rows[position] : position;
    return event->source_row < 0 ? -1 : event->source_row + row;
}

/* Gives a row that was not computed, or failed, its place in the answer. 0, or -1: end the run. */
static int store_none(const row_call *call, int64_t position, uint8_t valid)
{
    const sabot_event *event = call->event;
    for (int32_t k = 0; k < event->result_count; k++) {
        event->valid[k * event->row_count + position] = 0;
    }
    event->valid[position] = valid;
    return call->results != NULL ? PyList_Append(call->results, Py_None) : 0;
}

/* Hands a failure's exception, place and values (all borrowed) to the run's log of failed rows. */
static int record_failure(const row_call *call, PyObject *error, int64_t position, PyObject *values)
{
    const sabot_event *event = call->event;
    PyObject *done = ext_call_helper(
        call->state, "record_row",
        Py_BuildValue("(OOiiLLO)", error, call->binding, (int)event->op, (int)event->function_index,
                      (long long)event->seq, (long long)source_row_of(call, position), values));
    Py_XDECREF(done);
    if (done == NULL) {
        return -1;
    }
    uint8_t null = event->result_format[0] == '+' ? VALID_NULL_ROW : VALID_NULL;
    return store_none(call, position, call->on_error == ON_ERROR_SKIP ? VALID_DROP : null);
}

/* Keeps an exception (stolen) as the failure of one row, with its place and the `made` values that there are. 1: the run ends there;
 * 0: it is recorded, and the row is done; -1: end the run at once. */
static int keep_failure(const row_call *call, PyObject *error, int64_t position, int32_t made)
{
    const sabot_event *event = call->event;
    PyObject *values = args_tuple(call, made);
    PyObject *entry = NULL;
    int result = -1;
    if (values != NULL && error != NULL && call->on_error != ON_ERROR_RAISE) {
        result = record_failure(call, error, position, values);
    } else if (values != NULL && error != NULL) {
        entry = ext_call_helper(call->state, "annotate",
                                Py_BuildValue("(OOiiLLO)", error, call->binding, (int)event->op,
                                              (int)event->function_index, (long long)event->seq,
                                              (long long)source_row_of(call, position), values));
        result = entry != NULL && PyList_Append(call->failures, entry) == 0 ? 1 : -1;
    }
    Py_XDECREF(values);
    Py_XDECREF(error);
    Py_XDECREF(entry);
    return result;
}

/* The exception that is set as the failure of one row; one that is no Exception ends the run. */
static int fail_row(const row_call *call, int64_t position, int32_t made)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    return keep_failure(call, ext_take_exception(), position, made);
}

/* After a call: 0 the row is done, 1 it failed (kept), -1 the run must end. */
static int finish_row(const row_call *call, PyObject *value, int64_t position)
{
    const sabot_event *event = call->event;
    int32_t failed = -1;
    int stored = value != NULL ? store(call, position, value, &failed) : 1;
    if (stored <= 0) {
        return stored;
    }
    if (PyErr_Occurred() != NULL) {
        return fail_row(call, position, event->arg_count);
    }
    bool several = failed >= 0;
    const char format[2] = {several ? event->result_formats[failed] : event->result_format[0], 0};
    PyObject *error =
        ext_call_helper(call->state, "result_error",
                        Py_BuildValue("(OOsi)", several ? PyTuple_GET_ITEM(value, failed) : value,
                                      call->binding, format, (int)failed));
    return error != NULL ? keep_failure(call, error, position, event->arg_count) : -1;
}

/* --- the call ------------------------------------------------------------------------------------------------------------ */

static bool skips(const row_call *call)
{
    for (int32_t k = 0; call->skip_nulls && k < call->event->arg_count; k++) {
        if (call->args[k + 1] == Py_None) {
            return true;
        }
    }
    return false;
}

/* What was computed ahead, else what a call gives. New reference, or NULL with the exception. */
static PyObject *value_of_row(const row_call *call, int64_t position)
{
    if (call->ahead != NULL) {
        PyObject *value = PyList_GetItem(call->ahead, (Py_ssize_t)position);
        if (value != Py_Ellipsis) {
            return Py_XNewRef(value);
        }
    }
    return PyObject_Vectorcall(call->callable, call->args + 1,
                               (size_t)call->positional_count | PY_VECTORCALL_ARGUMENTS_OFFSET,
                               call->keywords);
}

/* 0: the row is done; 1: it failed, and the run ends there; -1: end the run at once. */
static int call_row(const row_call *call, int64_t position)
{
    const sabot_event *event = call->event;
    int64_t row = event->rows != NULL ? event->rows[position] : position;
    int32_t made = 0;
    int result;
    for (; made < event->arg_count; made++) {
        call->args[made + 1] = value_at(&call->columns[made], row, position);
        if (call->args[made + 1] == NULL) {
            break;
        }
    }
    if (made == event->arg_count && skips(call)) {
        result = store_none(call, position, VALID_NULL);
    } else if (made == event->arg_count) {
        PyObject *value = value_of_row(call, position);
        result = finish_row(call, value, position);
        Py_XDECREF(value);
    } else {
        result = fail_row(call, position, made);
    }
    for (int32_t k = 0; k < made; k++) {
        Py_DECREF(call->args[k + 1]);
    }
    return result;
}

/* Answers with `done` rows; the column of other types is built by pyarrow. */
static int reply(const row_call *call, sabot_run *run, int64_t done, const char *message)
{
    struct ArrowArray array = {0};
    struct ArrowSchema schema = {0};
    sabot_error err;
    if (call->results != NULL) {
        PyObject *column =
            ext_call_helper(call->state, "column_of",
                            Py_BuildValue("(Os)", call->results, call->event->result_format));
        int taken = column != NULL ? ext_array_take(column, &array, &schema) : -1;
        Py_XDECREF(column);
        if (taken < 0) {
            return -1;
        }
        schema.release(&schema);
    }
    sabot_status status =
        sabot_run_reply_rows(run, done, call->results != NULL ? &array : NULL, message, &err);
    if (status != SABOT_OK) {
        ext_raise(call->state, &err);
        return -1;
    }
    return 0;
}

static int open_call(row_call *call)
{
    const sabot_event *event = call->event;
    call->callable = PyTuple_GetItem(call->binding, 0);
    PyObject *count = PyTuple_GetItem(call->binding, 1);
    PyObject *keywords = PyTuple_GetItem(call->binding, 2);
    PyObject *truth = PyTuple_GetItem(call->binding, 4);
    PyObject *on_error = PyTuple_GetItem(call->binding, 5);
    PyObject *skip_nulls = PyTuple_GetItem(call->binding, 6);
    if (call->callable == NULL || count == NULL || keywords == NULL || truth == NULL ||
        on_error == NULL || skip_nulls == NULL) {
        return -1;
    }
    call->truth = truth == Py_True;
    call->skip_nulls = skip_nulls == Py_True;
    call->on_error = PyLong_AsLong(on_error);
    call->positional_count = PyLong_AsSsize_t(count);
    call->keywords = keywords != Py_None ? keywords : NULL;
    if (strchr("lgbn+", event->result_format[0]) == NULL) {
        call->results = PyList_New(0);
        if (call->results == NULL) {
            return -1;
        }
    }
    for (int32_t k = 0; k < event->arg_count; k++) {
        if (open_column(call, k) < 0) {
            return -1;
        }
    }
    return open_ahead(call);
}

static int raise_cancelled(ext_state *state)
{
    sabot_error err = {.status = SABOT_CANCELLED, .message = "the run was cancelled"};
    ext_raise(state, &err);
    return -1;
}

int ext_answer_rows(ext_state *state, sabot_run *run, const sabot_event *event, PyObject *binding,
                    PyObject *failures, const bool *cancelled, PyObject *guard)
{
    arg_column columns_here[ARGS_MAX] = {0};
    PyObject *args_here[ARGS_MAX + 1] = {0};
    size_t count = (size_t)event->arg_count;
    bool many = count > ARGS_MAX;
    row_call call = {.state = state,
                     .event = event,
                     .binding = binding,
                     .failures = failures,
                     .columns = columns_here,
                     .args = args_here};
    int result = 0;
    if (many) {
        call.columns = PyMem_Calloc(count, sizeof(*call.columns));
        call.args = PyMem_Calloc(count + 1, sizeof(PyObject *));
    }
    if (call.columns == NULL || call.args == NULL) {
        PyErr_NoMemory();
        result = -1;
    } else {
        result = open_call(&call);
    }
    int64_t done = 0;
    while (result == 0 && done < event->row_count) {
        result = *cancelled ? raise_cancelled(state) : call_row(&call, done);
        done += result == 0;
    }
    if (result >= 0 && ext_guard(state, run, guard, EXT_RAN_ROWS, event->function_index) < 0) {
        result = -1;
    }
    if (result >= 0) {
        result = reply(&call, run, done, result == 1 ? "a row failed" : NULL);
    }
    for (size_t k = 0; call.columns != NULL && k < count; k++) {
        Py_XDECREF(call.columns[k].list);
    }
    Py_XDECREF(call.results);
    Py_XDECREF(call.ahead);
    if (many) {
        PyMem_Free(call.columns);
        PyMem_Free(call.args);
    }
    return result;
}
