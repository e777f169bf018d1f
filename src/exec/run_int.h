/* What the files of a run share. Fields say who may touch them: const (after sb_run_new), lane (the lane thread alone), lock. */
#ifndef SB_EXEC_RUN_INT_H
#define SB_EXEC_RUN_INT_H

#include "exec/run.h"
#include "os/os.h"

/* A batch of the source that is being cut into morsels. */
typedef struct sb_input {
    struct sb_input *next;
    _Atomic int64_t refs; /* the queue's and one per task that has not cut its part yet */
    sb_chunk *chunk;      /* const */
    int64_t bytes;        /* const: of its columns */
    bool whole;           /* const: never cut */
    int64_t cut;          /* lock: rows given to tasks */
    int64_t parts;        /* lock: tasks made */
} sb_input;

typedef enum sb_task_state {
    SB_TASK_READY,   /* a worker may take it */
    SB_TASK_RUNNING, /* owned by a worker (or by the lane as one) */
    SB_TASK_ASK,     /* waits for the lane */
    SB_TASK_HOST,    /* the host has its ask */
    SB_TASK_DONE     /* waits to be given out */
} sb_task_state;

/* A morsel on its way. In the list of the run from its making to its end; work belongs to whoever owns the task. */
typedef struct sb_task {
    struct sb_task *next; /* lock: in ascending order */
    int64_t order;        /* const */
    sb_task_state state;  /* lock */
    bool dropped;         /* lock: a lower one failed; whoever owns it frees it */
    bool passed;          /* lock: it is behind the last operator that asks in order */
    bool bound; /* lane: the host has seen of it, or nothing is behind it: it does not begin anew */
    bool redo;  /* lock: what was computed is thrown away */
    bool anew;  /* owner: it begins from `origin` */
    _Atomic uint32_t stop; /* set under lock, polled by kernels */
    sb_input *input;       /* owner: owned reference, until the chunk is cut */
    int64_t start, rows;   /* const: of input */
    int64_t bytes;         /* const: of these rows */
    int64_t part;          /* const */
    int32_t op;            /* owner: the operator it is at */
    int64_t asked_ns;      /* owner: when it had its ask ready */
    sb_chunk *origin;      /* owner, owned: its rows as they were cut; NULL: it cannot begin anew */
    sb_work work;          /* owner */
} sb_task;

/* One thread that walks tasks: a worker, or the lane. */
typedef struct sb_context {
    struct sb_run *run;
    sb_thread *thread; /* lane thread's; NULL in the lane's own context */
    void **locals;     /* owned, one per operator */
    sb_call_counts
        *counts;       /* the context's, one per function: moved to the run's after each step */
    sb_op_counts *ops; /* likewise, one per operator */
    int64_t tasks;
} sb_context;

struct sb_run {
    /* const */
    sb_plan *plan; /* owned reference */
    sb_op *ops;
    void **shared;
    atomic_bool *interpret; /* set on the lane, under lock; read without */
    int32_t op_count;
    int32_t function_count;
    int32_t last_in_order; /* last operator that asks in order; -1: none */
    int32_t threads;
    int64_t morsel_rows;
    int64_t flight_max;                            /* tasks between cut and handed out */
    bool cut;                                      /* batches may be cut */
    bool validate, number_rows, prompt, revocable; /* see sb_run_options */
    bool by_host;                                  /* the host reads the source */
    bool *reads; /* per operator, and false behind the last: it reads columns */
    sb_type **
        schemas; /* lane: owned, schemas given last for results and for each operator; NULL: not schema_once */
    bool all_light;
    bool ahead;    /* something can be computed of a task before all in front of it are done */
    bool has_loop; /* some native function may run for long without end */
    bool patient;  /* the number of threads is the engine's choice: workers only where they pay */
    sb_tier tier;
    int64_t pid;
    sb_release_queue *releases;
    /* lane */
    struct ArrowArrayStream source;
    sb_type *source_schema;
    _Atomic int64_t batches, source_rows; /* reports of other threads read these and workers_used */
    _Atomic int64_t source_ns;            /* of all pulls */
    int64_t pull_ns;                      /* how long the last pull took */
    int64_t pull_bytes;                   /* of the columns of a batch, as they were lately */
    int64_t asked_ns;                     /* when the host was asked last */
    int64_t lead_ns;    /* how much longer its own steps took than handing them to a worker would */
    int64_t longest_ns; /* of its own steps */
    sb_task *asked;
    bool pulling;  /* the host was asked for a batch */
    bool pulled;   /* it has come, and nobody looked whether it needs workers */
    sb_token held; /* what follows the chunk that was given out last */
    sb_token failure;
    bool over;       /* END or the error was given */
    bool delivered;  /* some batch was given out */
    bool inline_run; /* no workers: the lane does their steps */
    int64_t *
        given_rows; /* owned: source rows of the chunk that was given out last; NULL: they follow its first */
    sb_token ending; /* what the source ended with: comes after the last task */
    sb_context lane;
    sb_context *workers;
    int32_t worker_count;
    _Atomic int32_t workers_used; /* the most that ran */
    /* lock: innermost; nothing else is locked and no slot is called while it is held */
    sb_mutex *lock;
    sb_cond *work_cond; /* for workers: a task or input may be there */
    sb_cond *lane_cond; /* for the lane */
    sb_task *tasks;
    int64_t in_flight;
    int64_t in_flight_bytes; /* of the source's columns, as the tasks took them */
    int64_t next_order;
    int64_t baton; /* the task that may ask in order */
    sb_input *inputs, **inputs_tail;
    bool no_memory; /* a morsel could not be cut */
    bool source_ended;
    bool quit;
    sb_call_counts *counts;
    sb_op_counts *op_counts;
    int64_t task_count;
    /* any */
    _Atomic bool cancelled;
};

/* task.c: contexts and steps. No lock is held by callers unless the name says so. */
/* Without locals only light operators can be pushed. */
sb_status sb_context_open(sb_context *context, sb_run *run, sb_error *err);
sb_status sb_context_open_locals(sb_context *context, sb_error *err);
void sb_context_close(sb_context *context);
/* Takes the task through the operators until it asks or is done; gives the state it has reached. */
sb_task_state sb_task_step(sb_context *context, sb_task *task);
/* After answer: the same for what the lane may do on the spot. READY: a worker goes on. now: on the clock of sb_os_now_ns. */
sb_task_state sb_task_answer(sb_context *context, sb_task *task, const sb_answer *answer,
                             int64_t now);
sb_task *sb_task_new(sb_error *err);
void sb_task_free(sb_run *run, sb_task *task);
void sb_input_drop(sb_input *input);

/* counts.c */
/* What the rows of its columns take; none where the host alone has them. */
int64_t sb_chunk_size(const sb_chunk *chunk);
/* Adds what the context counted to the run's; with the lock held. */
void sb_run_count_locked(sb_run *run, sb_context *context);
/* After a push or answer: what came out of the operator. `before` is the chunk's array of columns before the call. */
void sb_op_count_output(const sb_op *op, sb_op_counts *counts, const sb_chunk *chunk,
                        const void *before);

/* queue.c: the tasks of a run; all with the lock held. */
sb_task *sb_run_pick_locked(sb_run *run); /* for a worker; RUNNING; NULL: nothing to do */
sb_task *sb_run_find_ask_locked(sb_run *run);
void sb_run_settle_locked(sb_run *run, sb_context *context, sb_task *task, sb_task_state state,
                          sb_task **garbage);
void sb_run_append_locked(sb_run *run, sb_task *task);
void sb_run_unlink_locked(sb_run *run, sb_task *task);
/* Bytes of the source's columns that were pulled and not yet given out. */
int64_t sb_run_ahead_locked(const sb_run *run);
void sb_run_stop_locked(sb_run *run); /* sets every stop word, wakes everybody */
/* Has every task that is not bound begin anew. */
void sb_run_redo_locked(sb_run *run);
void sb_run_free_tasks(sb_run *run, sb_task *garbage);

/* source.c: the lane's. Pulls one batch into the queue of inputs, or appends the token that ends it. */
void sb_run_pull(sb_run *run);
/* The same with what the host supplied. */
void sb_run_put(sb_run *run, const sb_supply *supply);
/* Whether tasks may have parts of the input. */
bool sb_input_is_cut(const sb_run *run, const sb_input *input);
/* SB_TYPE unless the source has the schema that the plan was made for. */
sb_status sb_run_check_source(struct ArrowArrayStream *source, const sb_type *schema,
                              sb_error *err);

/* worker.c: the lane's. Starts workers up to `count`; SB_OS only when none runs. */
sb_status sb_run_start_workers(sb_run *run, int32_t count, sb_error *err);
void sb_run_join_workers(sb_run *run);

#endif
