/* Rows in CPython: argument values from Arrow columns, calls of the user's function, results back into a column.
 *
 * Values are what to_pylist() gives: exact int, float, bool, str, None straight from the buffers; other types through pyarrow.
 * A result must be of the column's kind exactly (True is no int, 1.5 is no int; an int goes into a double only within 2**53): anything else is
 * a failure of that row, as is an exception. Interrupts are not the function's failure: they end the run.
 *
 * Threads: the lane, holding the lock. Memory: argument columns are borrowed from the event until it is answered. */
#include "ext.h"

#define EXACT_DOUBLE_MAX (1LL << 53)
#define ARGS_MAX 64 /* arguments kept on the stack; more are on the heap */

typedef struct arg_column {
    const struct ArrowArray *array;
    char format;     /* 'l' 'g' 'b' 'u' 'n', or 0: `list` has the rows' values */
    PyObject *list;  /* new reference */
} arg_column;

typedef struct row_call {
    ext_state *state;
    const sabot_event *event;
    PyObject *callable; /* borrowed from the binding */
    Py_ssize_t positional_count;
    PyObject *keywords; /* tuple of names, or NULL */
    arg_column *columns;
    PyObject **args; /* one more in front, for vectorcall's offset */
    PyObject *results; /* list, when the column is built by pyarrow */
} row_call;

/* --- arguments ---------------------------------------------------------------------------------------------------------- */

static void
release_nothing(struct ArrowArray *array)
{
    array->release = NULL;
}

static void
release_no_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static PyObject *
list_of_rows(const sabot_event *event)
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

/* The rows' values as a list made by pyarrow, which only borrows the column. */
static PyObject *
decode_column(const row_call *call, int32_t index)
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
    PyObject *rows = list_of_rows(event);
    PyObject *args = NULL;
    if (schema_capsule != NULL && array_capsule != NULL && rows != NULL) {
        args = Py_BuildValue("(OOOL)", schema_capsule, array_capsule, rows,
                             (long long)event->row_count);
    }
    Py_XDECREF(schema_capsule);
    Py_XDECREF(array_capsule);
    Py_XDECREF(rows);
    return ext_call_helper(call->state, "values_of", args);
}

static int
open_column(row_call *call, int32_t index)
{
    arg_column *column = &call->columns[index];
    const struct ArrowSchema *schema = call->event->arg_schemas[index];
    const char *format = schema->format;
    bool known = schema->dictionary == NULL && format[0] != '\0' && format[1] == '\0' &&
                 strchr("lgbun", format[0]) != NULL;
    column->array = call->event->args[index];
    column->format = known ? format[0] : '\0';
    if (!known) {
        column->list = decode_column(call, index);
    }
    return known || column->list != NULL ? 0 : -1;
}

static PyObject *
value_at(const arg_column *column, int64_t row, int64_t position)
{
    if (column->format == '\0') {
        PyObject *item = PyList_GetItem(column->list, (Py_ssize_t)position);
        return item != NULL ? Py_NewRef(item) : NULL;
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
    switch (column->format) {
    case 'l':
        return PyLong_FromLongLong(((const int64_t *)array->buffers[1])[at]);
    case 'g':
        return PyFloat_FromDouble(((const double *)array->buffers[1])[at]);
    case 'b':
        return PyBool_FromLong((((const uint8_t *)array->buffers[1])[at >> 3] >> (at & 7)) & 1);
    default: {
        const int32_t *offsets = array->buffers[1];
        const char *text = array->buffers[2];
        return PyUnicode_DecodeUTF8(text != NULL ? text + offsets[at] : "",
                                    offsets[at + 1] - offsets[at], NULL);
    }
    }
}

/* --- results ------------------------------------------------------------------------------------------------------------ */

/* Stores one result; 1: it is not of the column's kind. */
static int
store(const row_call *call, int64_t position, PyObject *value)
{
    const sabot_event *event = call->event;
    char format = event->result_format[0];
    if (call->results != NULL) {
        bool fits = value == Py_None || format != 'u' || PyUnicode_Check(value);
        return !fits ? 1 : PyList_Append(call->results, value);
    }
    if (value == Py_None) {
        event->valid[position] = 0;
        return 0;
    }
    event->valid[position] = 1;
    int overflow = 0;
    switch (format) {
    case 'l': {
        if (!PyLong_Check(value) || PyBool_Check(value)) {
            return 1;
        }
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        ((int64_t *)event->values)[position] = number;
        return overflow != 0;
    }
    case 'g': {
        double *values = event->values;
        if (PyFloat_Check(value)) {
            values[position] = PyFloat_AS_DOUBLE(value);
            return 0;
        }
        if (!PyLong_Check(value) || PyBool_Check(value)) {
            return 1;
        }
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        values[position] = (double)number;
        return overflow != 0 || number > EXACT_DOUBLE_MAX || number < -EXACT_DOUBLE_MAX;
    }
    case 'b':
        ((uint8_t *)event->values)[position] = value == Py_True;
        return !PyBool_Check(value);
    default:
        return 1;
    }
}

/* --- failures ----------------------------------------------------------------------------------------------------------- */

static PyObject *
take_exception(void)
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

static PyObject *
args_tuple(const row_call *call)
{
    PyObject *tuple = PyTuple_New(call->event->arg_count);
    for (int32_t k = 0; tuple != NULL && k < call->event->arg_count; k++) {
        PyTuple_SET_ITEM(tuple, k, Py_NewRef(call->args[k + 1]));
    }
    return tuple;
}

/* Keeps the exception (stolen) of one row with its place and values; what() for the engine's message. */
static int
keep_failure(const row_call *call, PyObject *error, PyObject *binding, int64_t source_row,
             PyObject *failures)
{
    const sabot_event *event = call->event;
    PyObject *values = args_tuple(call);
    PyObject *entry = NULL;
    if (values != NULL && error != NULL) {
        entry = ext_call_helper(call->state, "annotate",
                                Py_BuildValue("(OOiiLLO)", error, binding, (int)event->op,
                                              (int)event->function_index, (long long)event->seq,
                                              (long long)source_row, values));
    }
    Py_XDECREF(values);
    Py_XDECREF(error);
    int result = entry != NULL ? PyList_Append(failures, entry) : -1;
    Py_XDECREF(entry);
    return result;
}

/* After a call: 0 the row is done, 1 it failed (kept), -1 the run must end. */
static int
finish_row(const row_call *call, PyObject *value, int64_t position, PyObject *binding,
           PyObject *failures)
{
    const sabot_event *event = call->event;
    int64_t row = event->rows != NULL ? event->rows[position] : position;
    int64_t source_row = event->source_row < 0 ? -1 : event->source_row + row;
    if (event->source_rows != NULL) {
        source_row = event->source_rows[position];
    }
    if (value != NULL) {
        int stored = store(call, position, value);
        if (stored <= 0) {
            return stored;
        }
        PyObject *error =
            ext_call_helper(call->state, "result_error",
                            Py_BuildValue("(OOs)", value, binding, event->result_format));
        return error != NULL && keep_failure(call, error, binding, source_row, failures) == 0 ? 1
                                                                                              : -1;
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    return keep_failure(call, take_exception(), binding, source_row, failures) == 0 ? 1 : -1;
}

/* --- the call ------------------------------------------------------------------------------------------------------------ */

static int
call_row(const row_call *call, int64_t position, PyObject *binding, PyObject *failures)
{
    const sabot_event *event = call->event;
    int64_t row = event->rows != NULL ? event->rows[position] : position;
    int32_t made = 0;
    int result = -1;
    for (; made < event->arg_count; made++) {
        call->args[made + 1] = value_at(&call->columns[made], row, position);
        if (call->args[made + 1] == NULL) {
            break;
        }
    }
    if (made == event->arg_count) {
        PyObject *value = PyObject_Vectorcall(
            call->callable, call->args + 1,
            (size_t)call->positional_count | PY_VECTORCALL_ARGUMENTS_OFFSET, call->keywords);
        result = finish_row(call, value, position, binding, failures);
        Py_XDECREF(value);
    }
    for (int32_t k = 0; k < made; k++) {
        Py_DECREF(call->args[k + 1]);
    }
    return result;
}

/* Answers with `done` rows; the column of other types is built by pyarrow. */
static int
reply(const row_call *call, sabot_run *run, int64_t done, const char *message)
{
    struct ArrowArray array = {0};
    struct ArrowSchema schema = {0};
    sabot_error err;
    if (call->results != NULL) {
        PyObject *column = ext_call_helper(
            call->state, "column_of",
            Py_BuildValue("(Os)", call->results, call->event->result_format));
        int taken = column != NULL ? ext_array_take(column, &array, &schema) : -1;
        Py_XDECREF(column);
        if (taken < 0) {
            return -1;
        }
        schema.release(&schema);
    }
    sabot_status status = sabot_run_reply_rows(
        run, done, call->results != NULL ? &array : NULL, message, &err);
    if (status != SABOT_OK) {
        ext_raise(call->state, &err);
        return -1;
    }
    return 0;
}

static int
open_call(row_call *call, PyObject *binding)
{
    const sabot_event *event = call->event;
    call->callable = PyTuple_GetItem(binding, 0);
    PyObject *count = PyTuple_GetItem(binding, 1);
    PyObject *keywords = PyTuple_GetItem(binding, 2);
    if (call->callable == NULL || count == NULL || keywords == NULL) {
        return -1;
    }
    call->positional_count = PyLong_AsSsize_t(count);
    call->keywords = keywords != Py_None ? keywords : NULL;
    if (event->values == NULL && event->result_format[0] != 'n') {
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
    return 0;
}

int
ext_answer_rows(ext_state *state, sabot_run *run, const sabot_event *event, PyObject *binding,
                PyObject *failures)
{
    arg_column columns_here[ARGS_MAX] = {0};
    PyObject *args_here[ARGS_MAX + 1] = {0};
    size_t count = (size_t)event->arg_count;
    bool many = count > ARGS_MAX;
    row_call call = {.state = state, .event = event, .columns = columns_here, .args = args_here};
    int result = 0;
    if (many) {
        call.columns = PyMem_Calloc(count, sizeof(*call.columns));
        call.args = PyMem_Calloc(count + 1, sizeof(PyObject *));
    }
    if (call.columns == NULL || call.args == NULL) {
        PyErr_NoMemory();
        result = -1;
    } else {
        result = open_call(&call, binding);
    }
    int64_t done = 0;
    while (result == 0 && done < event->row_count) {
        result = call_row(&call, done, binding, failures);
        done += result == 0;
    }
    if (result >= 0) {
        result = reply(&call, run, done, result == 1 ? "a row failed" : NULL);
    }
    for (size_t k = 0; call.columns != NULL && k < count; k++) {
        Py_XDECREF(call.columns[k].list);
    }
    Py_XDECREF(call.results);
    if (many) {
        PyMem_Free(call.columns);
        PyMem_Free(call.args);
    }
    return result;
}
