/* Private to the extension module sabot._core: module state, objects, conversions.
 *
 * The module is a thin face over include/sabot.h. Everything that waits releases the interpreter's lock; the engine's threads never
 * take it. Types are heap types, state is per module, initialisation is multi-phase; one interpreter, with the lock.
 *
 * Ownership: Function, Plan and Run hold their Session alive. Threads: any thread that holds the lock, a Run one at a time. */
#ifndef SABOT_EXT_H
#define SABOT_EXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "sabot.h"

typedef enum ext_name {
    EXT_NAME_EXPORT,
    EXT_NAME_SCHEMA,
    EXT_NAME_EQUALS,
    EXT_NAME_NUM_ROWS,
    EXT_NAME_COUNT
} ext_name;

typedef struct ext_state {
    PyTypeObject *cache_type;
    PyTypeObject *session_type;
    PyTypeObject *function_type;
    PyTypeObject *plan_type;
    PyTypeObject *run_type;
    PyObject *helpers; /* module sabot._lane: what is easier in Python, looked up at first use */
    PyObject *
        batch_from_c; /* RecordBatch and Schema of pyarrow: _import_from_c; looked up with the first run */
    PyObject *schema_from_c;
    PyObject *mask_type;             /* pyarrow.BooleanArray, looked up with them */
    PyObject *names[EXT_NAME_COUNT]; /* interned: of attributes */
} ext_state;

typedef struct ext_cache {
    PyObject_HEAD sabot_cache *cache;
} ext_cache;

typedef struct ext_session {
    PyObject_HEAD sabot_session *session;
} ext_session;

typedef struct ext_function {
    PyObject_HEAD ext_session *owner;
    sabot_function *function;
} ext_function;

typedef struct ext_plan {
    PyObject_HEAD ext_session *owner;
    sabot_plan *plan;
    sabot_spot *spot;  /* made by the first `compute`; else NULL */
    PyObject *schemas; /* see ext_plan_schemas; else NULL */
} ext_plan;

ext_state *ext_state_of_type(PyTypeObject *type);
/* Calls sabot._lane.<name>(args...); new reference or NULL with an exception. Steals args. */
PyObject *ext_call_helper(ext_state *state, const char *name, PyObject *args);
/* Sets the Python exception for a failed call; always NULL. */
PyObject *ext_raise(ext_state *state, const sabot_error *err);
/* The same with sabot._lane.<helper>(status, message) to make it. */
PyObject *ext_raise_as(ext_state *state, const char *helper, const sabot_error *err);
PyObject *ext_text(char *text); /* str of an engine's text, which is freed */
/* The exception that is set, as a new reference, no longer set; ext_restore_exception steals it and sets it as it was. */
PyObject *ext_take_exception(void);
void ext_restore_exception(PyObject *error);

/* Arrow capsules (the PyCapsule protocol). ext_schema_borrow: the schema inside obj's __arrow_c_schema__ capsule; *keeper is a new
 * reference that keeps it alive. */
const struct ArrowSchema *ext_schema_borrow(PyObject *obj, PyObject **keeper);
PyObject *
ext_schema_capsule(struct ArrowSchema *schema); /* takes what schema holds, even on failure */
PyObject *ext_array_capsule(struct ArrowArray *array); /* likewise */
/* Moves the stream out of obj.__arrow_c_stream__(). */
int ext_stream_take(PyObject *obj, struct ArrowArrayStream *out);
/* Moves array and schema out of obj.__arrow_c_array__(). */
int ext_array_take(PyObject *obj, struct ArrowArray *array, struct ArrowSchema *schema);
/* What pyarrow is asked for once for each batch goes by address, without capsules, and with schemas that it knows already. */
int ext_arrow_ready(ext_state *state);
/* Exports a pyarrow object of the right type; schema may be NULL. */
int ext_export(ext_state *state, PyObject *obj, struct ArrowArray *array,
               struct ArrowSchema *schema);
PyObject *ext_import_schema(ext_state *state, struct ArrowSchema *schema); /* takes it */
/* A RecordBatch of a Schema; takes the array. */
PyObject *ext_import_batch(ext_state *state, struct ArrowArray *array, PyObject *schema);

/* Rows of a CALL_ROWS event as Python calls (rows.c). callable: the function; defaults are its own. param_index[i]: place of argument i
 * among all parameters; keyword: names for those that are keyword-only, else NULL. Answers the event. 0, or -1 with an exception that must
 * end the run at once (not the function's own). A failure of the function or of its result is kept in *failures.
 * cancelled: borrow, looked at before each row. guard: as for ext_guard. */
int ext_answer_rows(ext_state *state, sabot_run *run, const sabot_event *event, PyObject *binding,
                    PyObject *failures, const bool *cancelled, PyObject *guard);

/* What ran between two steps of the engine. */
typedef enum ext_ran {
    EXT_RAN_CONSUMER, /* whoever takes the results */
    EXT_RAN_SOURCE,
    EXT_RAN_ROWS, /* a function, by its index */
    EXT_RAN_BATCH /* a batch function, by its operator */
} ext_ran;

/* Asks guard(ran, index) whether user code that ran has changed what functions were compiled from: None, or which functions of the plan
 * are interpreted from here on. guard NULL: nobody looks. 0, or -1 with an exception. */
int ext_guard(ext_state *state, sabot_run *run, PyObject *guard, ext_ran ran, int32_t index);

/* Borrowed: the list of a plan's schemas as pyarrow has them, of the result, then of what goes into each operator; None: its first batch
 * tells. They cross once. NULL: exception. */
PyObject *ext_plan_schemas(ext_state *state, ext_plan *plan, Py_ssize_t operators);

/* Loops of NumPy's ufuncs (ufunc.c). find_loop(ufunc, type, letter): a capsule, or None where it has no loop of that type alone. */
PyObject *ext_find_loop(PyObject *module, PyObject *args);
/* call_loop(loop, count, arguments, out): runs it on buffers, one of a single value standing for all rows; whether a flag was raised. */
PyObject *ext_call_loop(PyObject *module, PyObject *args);
/* The stages of a staged plan, from a sequence of (function, loops), each loop (name, capsule, letter, arguments): an argument is the
 * number of a result, or a float. NULL: exception. PyMem_Free gives them back, loops and all. */
sabot_stage *ext_stages(const ext_state *state, PyObject *fast);

/* The phases of a phased plan, from a sequence of (plan, one_row), which keeps the plans alive. NULL: exception. PyMem_Free gives them
 * back. */
sabot_phase *ext_phases(const ext_state *state, PyObject *pairs, int32_t *count);

int ext_add_cache(PyObject *module, ext_state *state);
int ext_add_session(PyObject *module, ext_state *state);
int ext_add_plan(PyObject *module, ext_state *state);
int ext_add_run(PyObject *module, ext_state *state);

#endif
