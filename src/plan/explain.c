/* The operator tree as users read it: one line an operator (or function), last operator first, remarks in one column.
 *
 * Algorithm: all lines are made twice, first to learn the widest left part, then to print; a line's width is counted in characters
 * (UTF-8 lead bytes), so that names in any script line up.
 *
 * Threads: none of its own. Memory: one small buffer. */
#include <string.h>

#include "ir/refusal.h"
#include "plan/plan.h"

#define INDENT 3 /* columns a level */

typedef struct printer {
    sb_buf *out;      /* NULL: measuring */
    sb_buf left;      /* of the current line */
    size_t width_max; /* widest left part seen */
    bool failed;      /* some line was cut for want of memory */
} printer;

static size_t text_width(const char *text, size_t size)
{
    size_t width = 0;
    for (size_t i = 0; i < size; i++) {
        width += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
    return width;
}

/* Ends the left part; false: nothing to the right is wanted now. */
static bool line_right(printer *p)
{
    size_t width = text_width(p->left.data, p->left.size);
    if (p->out == NULL) {
        p->width_max = width > p->width_max ? width : p->width_max;
        return false;
    }
    sb_buf_append(p->out, p->left.data, p->left.size);
    /* A line cut while measuring is shorter than now. */
    sb_buf_repeat(p->out, ' ', 2 + (p->width_max > width ? p->width_max - width : 0));
    return true;
}

static void line_end(printer *p, bool has_right)
{
    if (p->out != NULL) {
        if (!has_right) {
            sb_buf_append(p->out, p->left.data, p->left.size);
        }
        sb_buf_char(p->out, '\n');
    }
    p->failed = p->failed || p->left.failed;
    sb_buf_reset(&p->left);
}

static void call_left(printer *p, const sb_func *func)
{
    sb_buf_printf(&p->left, "%s(", func->name);
    if (sb_func_is_record(func)) {
        sb_buf_printf(&p->left, "%s)", func->record);
        return;
    }
    for (uint32_t i = 0; i < func->param_count; i++) {
        sb_buf_printf(&p->left, "%s%s", i > 0 ? ", " : "", func->params[i].column);
    }
    sb_buf_text(&p->left, ")");
}

static void call_right(printer *p, const sb_func *func)
{
    sb_buf_printf(p->out, "%s, %s%s", sb_func_mode(func),
                  sb_func_is_record(func) ? "record" : "scalar",
                  func->host != NULL ? ", not exact" : "");
    for (uint32_t i = 0; i < func->param_count; i++) {
        sb_buf_printf(p->out, "%s%s", i > 0 ? ", " : "  reads ", func->params[i].column);
    }
}

static void because(printer *p, const sb_func *func)
{
    if (func->host_why != NULL) {
        sb_buf_printf(p->out, "  because: %s", func->host_why);
    } else if (!func->compiled && func->host == NULL && func->refusal_count > 0) {
        const sb_refusal *refusal = &func->refusals[0];
        sb_buf_printf(p->out, "  because: %s", sb_refusal_code_message(refusal->code));
        if (refusal->detail[0] != 0) {
            sb_buf_printf(p->out, ": %s", refusal->detail);
        }
        if (refusal->line > 0) {
            sb_buf_printf(p->out, " (line %u)", refusal->line);
        }
    }
}

static void call_line(printer *p, const sb_func *func)
{
    call_left(p, func);
    bool right = line_right(p);
    if (right) {
        call_right(p, func);
        because(p, func);
    }
    line_end(p, right);
}

/* The names of a map's columns that come from its function, or of those that do not. */
static void map_names(printer *p, const sb_plan *node, bool results, const char *word)
{
    const char *before = word;
    for (int64_t i = 0; i < node->schema->child_count; i++) {
        if ((node->sources[i] < 0) == results) {
            sb_buf_printf(p->out, "%s%s", before, node->schema->children[i]->name);
            before = ", ";
        }
    }
}

static void map_line(printer *p, const sb_plan *node)
{
    const sb_func *func = node->calls[0].func;
    sb_buf_text(&p->left, "MAP    ");
    call_left(p, func);
    bool right = line_right(p);
    if (right) {
        call_right(p, func);
        map_names(p, node, true, "  writes ");
        map_names(p, node, false, "  passes ");
        because(p, func);
    }
    line_end(p, right);
}

static void with_lines(printer *p, const sb_plan *node, size_t indent)
{
    size_t widest = 0;
    for (int32_t i = 0; i < node->count; i++) {
        const char *name = node->schema->children[node->columns[i]]->name;
        size_t width = text_width(name, strlen(name));
        widest = width > widest ? width : widest;
    }
    for (int32_t i = 0; i < node->count; i++) {
        const char *name = node->schema->children[node->columns[i]]->name;
        if (i > 0) {
            sb_buf_repeat(&p->left, ' ', indent);
        }
        sb_buf_text(&p->left, i == 0 ? "WITH   " : "       ");
        sb_buf_text(&p->left, name);
        sb_buf_repeat(&p->left, ' ', widest - text_width(name, strlen(name)));
        sb_buf_text(&p->left, " = ");
        call_line(p, node->calls[i].func);
    }
}

static void batch_line(printer *p, const sb_plan *node)
{
    const char *remark = strchr(node->label, '\t');
    size_t size = remark != NULL ? (size_t)(remark - node->label) : strlen(node->label);
    if (strncmp(node->label, "WITH ", 5) != 0) { /* which a function of arrays begins with itself */
        sb_buf_text(&p->left, node->is_filter ? "FILTER " : "MAP    ");
    }
    sb_buf_append(&p->left, node->label, size);
    bool right = line_right(p);
    if (right) {
        sb_buf_text(p->out, remark != NULL ? remark + 1 : "in CPython, batch by batch");
        if (node->schema == NULL && !node->is_filter) {
            sb_buf_text(p->out, "; its schema is known with the first batch");
        }
    }
    line_end(p, right);
}

/* All columns in their places: only names differ. */
static bool is_rename(const sb_plan *node)
{
    const sb_type *input = node->input->schema;
    bool renamed = false;
    for (int32_t i = 0; i < node->count; i++) {
        if (node->columns[i] != i) {
            return false;
        }
        renamed = renamed || strcmp(input->children[i]->name, node->schema->children[i]->name) != 0;
    }
    return renamed && node->count == input->child_count;
}

static void select_line(printer *p, const sb_plan *node)
{
    const sb_type *input = node->input->schema;
    bool rename = is_rename(node);
    bool first = true;
    sb_buf_text(&p->left, rename ? "RENAME" : "SELECT");
    for (int32_t i = 0; i < node->count; i++) {
        const char *old = input->children[node->columns[i]]->name;
        const char *name = node->schema->children[i]->name;
        bool same = strcmp(old, name) == 0;
        if (rename && same) {
            continue;
        }
        sb_buf_printf(&p->left, "%s%s", first ? " " : ", ", same ? name : old);
        if (!same) {
            sb_buf_printf(&p->left, " %s %s", rename ? "to" : "as", name);
        }
        first = false;
    }
    line_end(p, false);
}

static void node_lines(printer *p, const sb_plan *node, size_t indent)
{
    switch (node->kind) {
    case SB_PLAN_WITH:
        with_lines(p, node, indent);
        break;
    case SB_PLAN_FILTER:
        sb_buf_text(&p->left, "FILTER ");
        call_line(p, node->calls[0].func);
        break;
    case SB_PLAN_MAP:
        map_line(p, node);
        break;
    case SB_PLAN_SELECT:
        select_line(p, node);
        break;
    case SB_PLAN_BATCH:
    case SB_PLAN_LOWERED:
        batch_line(p, node);
        break;
    case SB_PLAN_SOURCE:
        sb_buf_text(&p->left, node->label);
        bool right = line_right(p);
        if (right) {
            long long count = (long long)node->schema->child_count;
            sb_buf_printf(p->out, "%lld column%s", count, count == 1 ? "" : "s");
        }
        line_end(p, right);
        break;
    }
}

static void tree_lines(printer *p, const sb_plan *plan)
{
    size_t level = 0;
    for (const sb_plan *node = plan; node != NULL; node = node->input, level++) {
        if (level > 0) {
            sb_buf_repeat(&p->left, ' ', (level - 1) * INDENT);
            sb_buf_text(&p->left, "└─ ");
        }
        node_lines(p, node, level * INDENT);
    }
}

void sb_plan_explain(const sb_plan *plan, sb_buf *out)
{
    printer p = {0};
    sb_buf_init(&p.left, 0);
    tree_lines(&p, plan);
    p.out = out;
    tree_lines(&p, plan);
    out->failed = out->failed || p.failed;
    sb_buf_release(&p.left);
}
