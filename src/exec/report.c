/* What a run did, as JSON: its functions, its operators, its size.
 *
 * Threads: lane. Memory: the caller's buffer. */
#include "exec/run_int.h"

static const char *mode_of(const sb_run *run, const sb_func *func, int32_t index)
{
    const bool special = func->compiled || func->host != NULL;
    return special && atomic_load_explicit(&run->interpret[index], memory_order_relaxed)
               ? "interpreted in this run"
               : sb_func_mode(func);
}

/* Which tier did the rows that did not go to the host from the start. */
static const char *tier_of(const sb_call_counts *counts, const sb_func *func)
{
    if (counts->rows_host > 0 && func->host != NULL) {
        return func->host;
    }
    if (counts->func.rows_native > 0) {
        return counts->func.rows_interpreter > 0 ? "native, interpreter" : "native";
    }
    if (counts->func.rows_interpreter > 0) {
        return "interpreter";
    }
    return counts->rows_host > 0 ? "cpython" : "none";
}

static void left_print(const sb_call_counts *counts, sb_buf *json)
{
    bool first = true;
    sb_buf_text(json, ", \"rows_left\": {");
    for (int32_t k = 0; k < SB_REASON_COUNT; k++) {
        if (counts->func.left[k] > 0) {
            sb_buf_printf(json, "%s\"%s\": %lld", first ? "" : ", ", sb_reason_name((sb_reason)k),
                          (long long)counts->func.left[k]);
            first = false;
        }
    }
    sb_buf_text(json, "}");
}

static void function_print(const sb_run *run, const sb_plan *node, int32_t i, sb_buf *json)
{
    int32_t index = node->function_first + i;
    const sb_func *func = node->calls[i].func;
    const sb_call_counts *counts = &run->counts[index];
    sb_buf_text(json, index > 0 ? ", {\"name\": " : "{\"name\": ");
    sb_buf_json_string(json, func->name, SIZE_MAX);
    sb_buf_printf(json, ", \"operator\": %d, \"column\": ", node->op_index);
    if (node->kind == SB_PLAN_WITH) {
        sb_buf_json_string(json, node->schema->children[node->columns[i]]->name, SIZE_MAX);
    } else {
        sb_buf_text(json, "null");
    }
    sb_buf_text(json, ", \"mode\": ");
    sb_buf_json_string(json, mode_of(run, func, index), SIZE_MAX);
    sb_buf_text(json, ", \"tier\": ");
    sb_buf_json_string(json, tier_of(counts, func), SIZE_MAX);
    sb_buf_printf(json, ", \"rows\": %lld, \"rows_native\": %lld, \"rows_interpreter\": %lld",
                  (long long)counts->func.rows, (long long)counts->func.rows_native,
                  (long long)counts->func.rows_interpreter);
    sb_buf_printf(json, ", \"rows_cpython\": %lld, \"ns_per_row\": ", (long long)counts->rows_host);
    int64_t ns = 0;
    int64_t rows_timed = 0;
    for (int k = 0; k < SB_RAN_COUNT; k++) {
        ns += counts->func.ns[k];
        rows_timed += counts->func.rows_timed[k];
    }
    if (rows_timed > 0) {
        sb_buf_printf(json, "%.3f", (double)ns / (double)rows_timed);
    } else {
        sb_buf_text(json, "null");
    }
    left_print(counts, json);
    sb_buf_text(json, "}");
}

static void op_print(const sb_run *run, int32_t i, sb_buf *json)
{
    static const char *const names[] = {"order_keeping", "parallel", "batch_sensitive",
                                        "python",        "can_fail", "light"};
    const sb_op *op = &run->ops[i];
    const sb_op_counts *counts = &run->op_counts[i];
    sb_buf_printf(json, "%s{\"name\": \"%s\", \"label\": ", i > 0 ? ", " : "", op->vt->name);
    if (op->node->label != NULL) {
        sb_buf_json_string(json, op->node->label, SIZE_MAX);
    } else {
        sb_buf_text(json, "null");
    }
    sb_buf_printf(json,
                  ", \"rows_in\": %lld, \"rows_out\": %lld, \"batches_in\": %lld, "
                  "\"batches_out\": %lld",
                  (long long)counts->rows_in, (long long)counts->rows_out,
                  (long long)counts->batches_in, (long long)counts->batches_out);
    sb_buf_printf(json,
                  ", \"busy_ns\": %lld, \"host_ns\": %lld, \"wait_ns\": %lld, \"bytes_out\": "
                  "%lld, \"capabilities\": [",
                  (long long)counts->busy_ns, (long long)counts->host_ns,
                  (long long)counts->wait_ns, (long long)counts->bytes_out);
    bool first = true;
    for (uint32_t k = 0; k < SB_COUNT_OF(names); k++) {
        if ((op->caps >> k & 1) != 0) {
            sb_buf_printf(json, "%s\"%s\"", first ? "" : ", ", names[k]);
            first = false;
        }
    }
    sb_buf_text(json, "]}");
}

void sb_run_report(const sb_run *run, sb_buf *json)
{
    sb_mutex_lock(run->lock);
    sb_buf_text(json, "{\"functions\": [");
    for (int32_t i = 0; i < run->op_count; i++) {
        const sb_plan *node = run->ops[i].node;
        for (int32_t k = 0; k < node->function_end - node->function_first; k++) {
            function_print(run, node, k, json);
        }
    }
    sb_buf_text(json, "], \"operators\": [");
    for (int32_t i = 0; i < run->op_count; i++) {
        op_print(run, i, json);
    }
    sb_buf_printf(json,
                  "], \"batches\": %lld, \"rows\": %lld, \"source_ns\": %lld, \"morsels\": %lld, "
                  "\"workers\": %d}",
                  (long long)run->batches, (long long)run->source_rows, (long long)run->source_ns,
                  (long long)run->task_count, run->workers_used);
    sb_mutex_unlock(run->lock);
}
