/* Reading the blob: bytes to tree, with everything checked.
 *
 * Interface: sb_tree_read (front/tree.h). Recursion follows the tree and is bounded by SB_BLOB_DEPTH_MAX.
 * Errors are sticky in the reader; after the first one it reads nothing more.
 * Memory: the caller's arena. Threads: none of its own. */
#include <string.h>

#include "front/tree.h"

typedef struct reader {
    const uint8_t *at, *end;
    sb_arena *arena;
    sb_status status;
    sb_error *err;
    unsigned depth;
    uint32_t local_count;
    uint32_t function_count; /* that may be called here */
    uint32_t function_total;
    bool has_stamps;
    bool is_whole, has_nulls;
    uint32_t param_count; /* that a COLUMN may stand for here */
} reader;

static void fail(reader *r, const char *what)
{
    if (r->status == SB_OK) {
        r->status = sb_error_set(r->err, SB_INVALID, "malformed function blob: %s", what);
        r->at = r->end;
    }
}

static void *allocate(reader *r, size_t count, size_t size)
{
    if (r->status != SB_OK) {
        return NULL;
    }
    void *result = sb_arena_alloc_zero(r->arena, count * size);
    if (result == NULL) {
        r->status = sb_error_no_memory(r->err, count * size);
        r->at = r->end;
    }
    return result;
}

static uint64_t read_uint(reader *r, unsigned size)
{
    uint64_t result = 0;
    if ((size_t)(r->end - r->at) < size) {
        fail(r, "it ends early");
        return 0;
    }
    for (unsigned i = 0; i < size; i++) {
        result |= (uint64_t)r->at[i] << (8 * i);
    }
    r->at += size;
    return result;
}

static uint8_t read_u8(reader *r)
{
    return (uint8_t)read_uint(r, 1);
}

static uint32_t read_u32(reader *r)
{
    return (uint32_t)read_uint(r, 4);
}

/* A count of things that take at least one byte each: bounded by what is left. */
static uint32_t read_count(reader *r)
{
    uint32_t count = read_u32(r);
    if (count > (size_t)(r->end - r->at)) {
        fail(r, "a count is larger than the blob");
        return 0;
    }
    return count;
}

static const char *read_text(reader *r, size_t *size)
{
    uint32_t count = read_count(r);
    if (r->status != SB_OK) {
        return "";
    }
    char *text = sb_arena_strndup(r->arena, (const char *)r->at, count);
    if (text == NULL) {
        r->status = sb_error_no_memory(r->err, count);
        r->at = r->end;
        return "";
    }
    r->at += count;
    if (size != NULL) {
        *size = count;
    }
    return text;
}

static uint32_t read_slot(reader *r)
{
    uint32_t slot = read_u32(r);
    if (slot >= r->local_count) {
        fail(r, "no such local");
        return 0;
    }
    return slot;
}

static uint8_t read_op(reader *r, uint8_t least, uint8_t most)
{
    uint8_t op = read_u8(r);
    if (op < least || op > most) {
        fail(r, "no such operator");
        return least;
    }
    return op;
}

static sb_node *read_expression(reader *r);
static sb_node *read_statement(reader *r);

static void read_list(reader *r, sb_node_list *list, sb_node *(*read_one)(reader *))
{
    uint32_t count = read_count(r);
    list->items = allocate(r, count, sizeof(*list->items));
    for (uint32_t i = 0; i < count && r->status == SB_OK; i++) {
        list->items[i] = read_one(r);
        list->count = i + 1;
    }
}

static void read_compare(reader *r, sb_node *n)
{
    n->a = read_expression(r);
    uint32_t count = read_count(r);
    n->ops = allocate(r, count, 1);
    n->list.items = allocate(r, count, sizeof(*n->list.items));
    if (count == 0) {
        fail(r, "a comparison without operands");
    }
    for (uint32_t i = 0; i < count && r->status == SB_OK; i++) {
        n->ops[i] = read_op(r, SB_BLOB_EQ, SB_BLOB_NOT_IN);
        n->list.items[i] = read_expression(r);
        n->list.count = i + 1;
    }
}

/* Own locals of a block or comprehension. */
static void read_range(reader *r, uint32_t *first, uint32_t *count)
{
    *first = read_u32(r);
    *count = read_u32(r);
    if (*first > r->local_count || *count > r->local_count - *first) {
        fail(r, "no such locals");
    }
}

static void read_target(reader *r, sb_target *target)
{
    const uint8_t kind = read_op(r, 0, 2);
    target->unpacks = kind == 1;
    if (kind == 2) {
        target->object = read_expression(r);
        target->index = read_expression(r);
        return;
    }
    if (kind == 0) {
        target->slot = read_slot(r);
        return;
    }
    if (++r->depth > SB_BLOB_DEPTH_MAX) {
        fail(r, "it is nested too deeply");
        return;
    }
    target->count = read_count(r);
    target->items = allocate(r, target->count, sizeof(*target->items));
    for (uint32_t i = 0; i < target->count && r->status == SB_OK; i++) {
        read_target(r, &target->items[i]);
    }
    r->depth--;
}

static void read_targets(reader *r, sb_node *n, uint32_t count)
{
    n->target_count = count;
    n->targets = allocate(r, count, sizeof(*n->targets));
    for (uint32_t i = 0; i < count && r->status == SB_OK; i++) {
        read_target(r, &n->targets[i]);
    }
}

/* Of the function itself alone: those that it calls have no columns. */
static void check_column(reader *r, const sb_node *n)
{
    const sb_node *column = n->list.items[0];
    const sb_node *flags = n->list.items[1];
    const int64_t known = SB_BLOB_COLUMN_NULLS | SB_BLOB_COLUMN_NUMPY;
    if (column->kind != SB_BLOB_LOCAL || column->slot >= r->param_count ||
        flags->kind != SB_BLOB_CONST_INT || (flags->value.i & ~known) != 0) {
        fail(r, "no such column");
        return;
    }
    r->is_whole = true;
    r->has_nulls = r->has_nulls || (flags->value.i & SB_BLOB_COLUMN_NULLS) != 0;
}

static void read_call(reader *r, sb_node *n)
{
    static const uint8_t limits[][2] = {
#define X(name, number, least, most) [number] = {least, most},
        SB_BLOB_BUILTIN_LIST(X)
#undef X
#define X(name, number, count) [number] = {count, count},
            SB_BLOB_MATH_LIST(X)
#undef X
    };
    n->op = read_op(r, SB_BLOB_RANGE, (uint8_t)(SB_COUNT_OF(limits) - 1));
    read_list(r, &n->list, read_expression);
    if (r->status == SB_OK && limits[n->op][1] == 0 && n->op != SB_BLOB_LIST_NEW) {
        fail(r, "no such builtin");
    }
    if (r->status == SB_OK &&
        (n->list.count < limits[n->op][0] || n->list.count > limits[n->op][1])) {
        fail(r, "a builtin with so many arguments");
    }
    if (r->status == SB_OK && n->op == SB_BLOB_COLUMN) {
        check_column(r, n);
    }
}

static void read_inline(reader *r, sb_node *n)
{
    n->slot = read_u32(r);
    if (n->slot >= (n->kind == SB_BLOB_INVOKE ? r->function_total : r->function_count)) {
        fail(r, "no such function");
    }
    uint32_t count = read_count(r);
    n->slots = allocate(r, count, sizeof(*n->slots));
    n->list.items = allocate(r, count, sizeof(*n->list.items));
    for (uint32_t i = 0; i < count && r->status == SB_OK; i++) {
        n->slots[i] = read_slot(r);
        n->list.items[i] = read_expression(r);
        n->list.count = i + 1;
    }
}

static sb_node *node_at(reader *r, const sb_node *place, uint8_t kind, uint32_t count)
{
    sb_node *n = allocate(r, 1, sizeof(*n));
    if (n == NULL) {
        return NULL;
    }
    *n = (sb_node){.kind = kind,
                   .line = place->line,
                   .col = place->col,
                   .end_line = place->end_line,
                   .end_col = place->end_col};
    n->list.items = allocate(r, count, sizeof(*n->list.items));
    n->list.count = n->list.items != NULL ? count : 0;
    return n;
}

/* for target in a: first.append(b) */
static sb_node *filling_loop(reader *r, const sb_node *n)
{
    sb_node *loop = node_at(r, n, SB_BLOB_FOR, 1);
    sb_node *statement = node_at(r, n, SB_BLOB_EXPR, 0);
    sb_node *call = node_at(r, n, SB_BLOB_CALL, 2);
    sb_node *grown = node_at(r, n, SB_BLOB_LOCAL, 0);
    if (r->status != SB_OK) {
        return NULL;
    }
    grown->slot = n->slot;
    call->op = SB_BLOB_APPEND;
    call->list.items[0] = grown;
    call->list.items[1] = n->b;
    statement->a = call;
    loop->targets = n->targets;
    loop->target_count = n->target_count;
    loop->a = n->a;
    loop->list.items[0] = statement;
    return loop;
}

static void read_comprehension(reader *r, sb_node *n)
{
    read_range(r, &n->slot, &n->count);
    if (n->count == 0) {
        fail(r, "no such locals");
    }
    read_targets(r, n, 1);
    if (r->status == SB_OK && n->targets[0].object != NULL) {
        fail(r, "an item as the target of a loop");
    }
    n->a = read_expression(r);
    n->b = read_expression(r);
    n->c = filling_loop(r, n);
}

static void read_larger_fields(reader *r, sb_node *n)
{
    switch (n->kind) {
    case SB_BLOB_TUPLE:
    case SB_BLOB_LIST:
        read_list(r, &n->list, read_expression);
        break;
    case SB_BLOB_SUBSCRIPT:
        n->a = read_expression(r);
        n->b = read_expression(r);
        break;
    case SB_BLOB_NAMED:
        n->slot = read_slot(r);
        n->a = read_expression(r);
        break;
    case SB_BLOB_INLINE:
    case SB_BLOB_INVOKE:
        read_inline(r, n);
        break;
    case SB_BLOB_BLOCK:
        read_range(r, &n->slot, &n->count);
        read_list(r, &n->list, read_statement);
        n->a = read_expression(r);
        break;
    case SB_BLOB_COMPREHENSION:
        read_comprehension(r, n);
        break;
    case SB_BLOB_SLICE:
        n->op = read_op(r, 0, 1);
        n->a = read_expression(r);
        n->b = read_expression(r);
        n->c = read_expression(r);
        break;
    default:
        fail(r, "no such expression");
    }
}

/* Within the years 1 to 9999, a day more on both sides for what a zone may add. */
static void read_time(reader *r, sb_node *n)
{
    n->op = read_op(r, SB_BLOB_TIME_DATE, SB_BLOB_TIME_AWARE);
    const uint64_t bits = read_uint(r, 8);
    memcpy(&n->value.i, &bits, sizeof(bits));
    const int64_t unit = n->op == SB_BLOB_TIME_DATE ? 1 : INT64_C(86400000000);
    if (n->value.i < INT64_C(-719163) * unit || n->value.i > INT64_C(2932898) * unit) {
        fail(r, "a time that Python does not have");
    }
    r->has_stamps = r->has_stamps || n->op != SB_BLOB_TIME_DATE;
}

static void read_expression_fields(reader *r, sb_node *n)
{
    switch (n->kind) {
    case SB_BLOB_CONST_NONE:
        break;
    case SB_BLOB_CONST_BOOL:
        n->value.i = read_op(r, 0, 1);
        break;
    case SB_BLOB_CONST_TIME:
        read_time(r, n);
        break;
    case SB_BLOB_CONST_INT:
    case SB_BLOB_CONST_FLOAT: {
        uint64_t bits = read_uint(r, 8);
        memcpy(&n->value, &bits, sizeof(bits));
        break;
    }
    case SB_BLOB_CONST_BIGINT:
    case SB_BLOB_CONST_STR:
        n->text = read_text(r, &n->text_size);
        break;
    case SB_BLOB_LOCAL:
        n->slot = read_slot(r);
        break;
    case SB_BLOB_UNARY:
        n->op = read_op(r, SB_BLOB_NEG, SB_BLOB_INVERT);
        n->a = read_expression(r);
        break;
    case SB_BLOB_BINARY:
        n->op = read_op(r, SB_BLOB_ADD, SB_BLOB_MATMUL);
        n->a = read_expression(r);
        n->b = read_expression(r);
        break;
    case SB_BLOB_BOOLOP:
        n->op = read_op(r, 0, 1);
        read_list(r, &n->list, read_expression);
        if (n->list.count == 0) {
            fail(r, "and/or without operands");
        }
        break;
    case SB_BLOB_COMPARE:
        read_compare(r, n);
        break;
    case SB_BLOB_IFEXP:
        n->a = read_expression(r);
        n->b = read_expression(r);
        n->c = read_expression(r);
        break;
    case SB_BLOB_CALL:
        read_call(r, n);
        break;
    case SB_BLOB_UNSUPPORTED:
        n->text = read_text(r, &n->text_size);
        n->detail = read_text(r, NULL);
        break;
    default:
        read_larger_fields(r, n);
    }
}

static void read_del(reader *r, sb_node *n)
{
    n->target_count = read_count(r);
    n->slots = allocate(r, n->target_count, sizeof(*n->slots));
    for (uint32_t i = 0; i < n->target_count && r->status == SB_OK; i++) {
        n->slots[i] = read_slot(r);
    }
}

static void read_statement_fields(reader *r, sb_node *n)
{
    switch (n->kind) {
    case SB_BLOB_ASSIGN:
        read_targets(r, n, read_count(r));
        n->a = read_expression(r);
        break;
    case SB_BLOB_AUGASSIGN:
        n->slot = read_slot(r);
        n->op = read_op(r, SB_BLOB_ADD, SB_BLOB_MATMUL);
        n->a = read_expression(r);
        break;
    case SB_BLOB_AUGITEM:
        n->op = read_op(r, SB_BLOB_ADD, SB_BLOB_MATMUL);
        n->a = read_expression(r);
        n->b = read_expression(r);
        n->c = read_expression(r);
        break;
    case SB_BLOB_EXPR:
        n->a = read_expression(r);
        break;
    case SB_BLOB_IF:
    case SB_BLOB_WHILE:
        n->a = read_expression(r);
        read_list(r, &n->list, read_statement);
        read_list(r, &n->orelse, read_statement);
        break;
    case SB_BLOB_FOR:
        read_targets(r, n, 1);
        n->a = read_expression(r);
        read_list(r, &n->list, read_statement);
        read_list(r, &n->orelse, read_statement);
        break;
    case SB_BLOB_RETURN:
        n->op = read_op(r, 0, 1);
        n->a = n->op ? read_expression(r) : NULL;
        break;
    case SB_BLOB_PASS:
    case SB_BLOB_BREAK:
    case SB_BLOB_CONTINUE:
    case SB_BLOB_RAISE:
        break;
    case SB_BLOB_DEL:
        read_del(r, n);
        break;
    case SB_BLOB_UNSUPPORTED:
        read_expression_fields(r, n);
        break;
    default:
        fail(r, "no such statement");
    }
}

static sb_node *read_node(reader *r, void (*read_fields)(reader *, sb_node *))
{
    sb_node *n = allocate(r, 1, sizeof(*n));
    if (n == NULL) {
        return NULL;
    }
    if (++r->depth > SB_BLOB_DEPTH_MAX) {
        fail(r, "it is nested too deeply");
        return NULL;
    }
    n->kind = read_u8(r);
    n->line = read_u32(r);
    n->col = read_u32(r);
    n->end_line = read_u32(r);
    n->end_col = read_u32(r);
    if (r->status == SB_OK) {
        read_fields(r, n);
    }
    r->depth--;
    return n;
}

static sb_node *read_expression(reader *r)
{
    return read_node(r, read_expression_fields);
}

static sb_node *read_statement(reader *r)
{
    return read_node(r, read_statement_fields);
}

static void read_header(reader *r, sb_tree *tree)
{
    if (read_u32(r) != SB_BLOB_MAGIC || read_u32(r) != SB_BLOB_VERSION) {
        fail(r, "wrong magic or version");
    }
    tree->name = read_text(r, NULL);
    tree->file = read_text(r, NULL);
    tree->first_line = read_u32(r);
    tree->annotation = read_op(r, SB_BLOB_ANN_MISSING, SB_BLOB_ANN_NONE);
    tree->record = read_text(r, NULL);
    tree->local_count = read_count(r);
    r->local_count = tree->local_count;
    tree->locals = allocate(r, tree->local_count, sizeof(*tree->locals));
    for (uint32_t i = 0; i < tree->local_count && r->status == SB_OK; i++) {
        tree->locals[i] = read_text(r, NULL);
    }
    tree->param_count = read_count(r);
    if (tree->param_count > tree->local_count) {
        fail(r, "more parameters than locals");
    }
    tree->params = allocate(r, tree->param_count, sizeof(*tree->params));
    for (uint32_t i = 0; i < tree->param_count && r->status == SB_OK; i++) {
        bool has_default = read_op(r, 0, 1) != 0;
        tree->params[i].fallback = has_default ? read_expression(r) : NULL;
    }
}

/* Each may call those before it. */
static void read_functions(reader *r, sb_tree *tree)
{
    tree->function_count = read_count(r);
    r->function_total = tree->function_count;
    tree->functions = allocate(r, tree->function_count, sizeof(*tree->functions));
    for (uint32_t i = 0; i < tree->function_count && r->status == SB_OK; i++) {
        sb_tree_function *function = &tree->functions[i];
        function->name = read_text(r, NULL);
        read_range(r, &function->first, &function->count);
        read_list(r, &function->body, read_statement);
        r->function_count = i + 1;
    }
}

sb_status sb_tree_read(const void *blob, size_t size, sb_arena *arena, sb_tree *out, sb_error *err)
{
    reader r = {.at = blob, .end = (const uint8_t *)blob + size, .arena = arena, .err = err};
    *out = (sb_tree){0};
    read_header(&r, out);
    read_functions(&r, out);
    r.param_count = out->param_count;
    read_list(&r, &out->body, read_statement);
    out->has_stamps = r.has_stamps;
    out->is_whole = r.is_whole;
    out->has_nulls = r.has_nulls;
    if (r.status == SB_OK && r.at != r.end) {
        fail(&r, "bytes after its end");
    }
    return r.status;
}
