/* Tests of plan/plan.h: names, places, types, deferred nodes, the text of explain, failing allocations. */
#include "plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "plan/testkit.h"

static sb_plan *source_plan(void)
{
    sb_type *schema = sb_kit_schema();
    sb_plan *plan = NULL;
    if (schema != NULL) {
        (void)sb_plan_new_source("TABLE kit", schema, &plan, NULL);
    }
    sb_type_drop(schema);
    return plan;
}

static void results_replace_or_follow(void **state)
{
    (void)state;
    static const char *const names[] = {"y", "b", "z"};
    static const char *const wanted[] = {"a", "b", "x", "c", "s", "y", "z"};
    sb_plan *source = source_plan(), *plan, *next;
    sb_func *mul = sb_kit_func("mul", "a,b", "l", SB_KIT_MUL);
    sb_func *text = sb_kit_func("text", "s,b", "u", NULL);
    sb_func *funcs[] = {mul, text, mul};
    assert_int_equal(sb_plan_new_with(source, 3, names, funcs, &plan, NULL), SB_OK);
    assert_int_equal(plan->schema->child_count, 7);
    for (int i = 0; i < 7; i++) {
        assert_string_equal(plan->schema->children[i]->name, wanted[i]);
    }
    assert_string_equal(plan->schema->children[1]->format, "u");
    assert_int_equal(plan->columns[0], 5);
    assert_int_equal(plan->columns[1], 1);
    assert_int_equal(plan->columns[2], 6);
    assert_int_equal(plan->op_index, 0);
    assert_int_equal(plan->function_end, 3);
    /* b is text now: a function made for integers does not fit any more */
    sb_error error;
    assert_int_equal(sb_plan_new_with(plan, 1, names, funcs, &next, &error), SB_TYPE);
    assert_non_null(strstr(error.message, "\"b\""));
    assert_non_null(strstr(error.message, "string"));
    assert_int_equal(sb_plan_new_filter(plan, text, &next, NULL), SB_OK);
    assert_int_equal(next->function_first, 3);
    assert_int_equal(next->op_index, 1);
    sb_plan_drop(next);
    sb_func_drop(mul);
    sb_func_drop(text);
    sb_plan_drop(source);
    assert_string_equal(plan->input->label, "TABLE kit"); /* kept alive */
    sb_plan_drop(plan);
}

static void wrong_names_are_told(void **state)
{
    (void)state;
    static const char *const twice[] = {"y", "y"}, *const unknown[] = {"a", "nope"},
                             *const again[] = {"a", "b", "a"};
    sb_plan *source = source_plan(), *plan = NULL;
    sb_func *mul = sb_kit_func("mul", "a,b", "l", SB_KIT_MUL);
    sb_func *other = sb_kit_func("other", "a,q", "l", NULL);
    sb_func *funcs[] = {mul, mul};
    sb_error error;
    assert_int_equal(sb_plan_new_with(source, 2, twice, funcs, &plan, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_with(source, 0, twice, funcs, &plan, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_select(source, 2, unknown, &plan, &error), SB_UNKNOWN_COLUMN);
    assert_non_null(strstr(error.message, "\"nope\""));
    assert_non_null(strstr(error.message, "a, b, x, c, s"));
    assert_int_equal(sb_plan_new_select(source, 3, again, &plan, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_filter(source, other, &plan, NULL), SB_UNKNOWN_COLUMN);
    assert_null(plan);
    sb_func_drop(mul);
    sb_func_drop(other);
    sb_plan_drop(source);
}

static void a_projection_names_columns_anew(void **state)
{
    (void)state;
    static const char *const columns[] = {"b", "a", "b"}, *const names[] = {"x", "a", "y"},
                             *const twice[] = {"x", "a", "x"};
    sb_plan *source = source_plan(), *plan = NULL, *refused = NULL;
    assert_int_equal(sb_plan_new_project(source, 3, columns, names, &plan, NULL), SB_OK);
    for (int i = 0; i < 3; i++) {
        const sb_type *given = source->schema->children[sb_type_find(source->schema, columns[i])];
        assert_string_equal(plan->schema->children[i]->name, names[i]);
        assert_true(sb_type_equal(plan->schema->children[i], given));
        assert_true(plan->schema->children[i]->flags == given->flags);
    }
    assert_int_equal(sb_plan_new_project(source, 3, columns, twice, &refused, NULL), SB_INVALID);
    assert_null(refused);
    sb_plan_drop(plan);
    sb_plan_drop(source);
}

static void names_that_two_columns_have_cannot_be_used(void **state)
{
    (void)state;
    static const char *const names[] = {"a"};
    sb_type *columns[2], *schema;
    sb_plan *source, *plan;
    sb_func *func = sb_kit_func("f", "a", "l", NULL);
    assert_int_equal(sb_type_new("l", "a", 0, &columns[0], NULL), SB_OK);
    assert_int_equal(sb_type_new("g", "a", 0, &columns[1], NULL), SB_OK);
    assert_int_equal(sb_type_new_struct(columns, 2, NULL, &schema, NULL), SB_OK);
    assert_int_equal(sb_plan_new_source("T", schema, &source, NULL), SB_OK);
    assert_int_equal(sb_plan_new_select(source, 1, names, &plan, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_with(source, 1, names, &func, &plan, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_source("T", columns[0], &plan, NULL), SB_INVALID);
    sb_func_drop(func);
    sb_plan_drop(source);
    sb_type_drop(schema);
}

static void deferred_nodes_take_batch_functions_only(void **state)
{
    (void)state;
    static const char *const names[] = {"a"};
    sb_plan *source = source_plan(), *plan, *next, *more;
    sb_func *func = sb_kit_func("f", "a", "l", NULL);
    assert_int_equal(sb_plan_new_batch(source, "m", NULL, false, &plan, NULL), SB_OK);
    assert_null(plan->schema);
    assert_int_equal(sb_plan_new_select(plan, 1, names, &next, NULL), SB_UNSUPPORTED);
    assert_int_equal(sb_plan_new_filter(plan, func, &next, NULL), SB_UNSUPPORTED);
    assert_int_equal(sb_plan_new_with(plan, 1, names, &func, &next, NULL), SB_UNSUPPORTED);
    assert_int_equal(sb_plan_new_batch(plan, "f", NULL, true, &next, NULL), SB_OK);
    assert_null(next->schema);
    assert_int_equal(sb_plan_new_batch(next, "m", source->schema, false, &more, NULL), SB_OK);
    assert_non_null(more->schema);
    sb_plan_drop(more);
    assert_int_equal(sb_plan_new_batch(next, "f", source->schema, true, &more, NULL), SB_INVALID);
    sb_func_drop(func);
    sb_plan_drop(next);
    sb_plan_drop(plan);
    sb_plan_drop(source);
}

static void a_map_has_results_and_columns(void **state)
{
    (void)state;
    static const char *const columns[] = {"s", NULL, "b", NULL},
                             *const names[] = {"t", "h", "m", "f"},
                             *const twice[] = {"t", "h", "t", "f"},
                             *const none[] = {"t", "q", "m", "f"};
    sb_plan *source = source_plan(), *plan = NULL, *refused = NULL;
    sb_func *all = sb_kit_map_func("all", "a,b,x,c", "mlhgfb", SB_KIT_ALL);
    sb_func *one = sb_kit_func("mul", "a,b", "l", SB_KIT_MUL);
    sb_error error;
    assert_int_equal(sb_plan_new_map(source, all, 4, columns, names, &plan, NULL), SB_OK);
    assert_int_equal(plan->schema->child_count, 4);
    static const char *const formats[] = {"u", "g", "l", "b"};
    static const int64_t sources[] = {4, -2, 1, -3};
    for (int i = 0; i < 4; i++) {
        assert_string_equal(plan->schema->children[i]->name, names[i]);
        assert_string_equal(plan->schema->children[i]->format, formats[i]);
        assert_int_equal(plan->sources[i], sources[i]);
    }
    assert_int_equal(plan->function_end, 1);
    sb_buf text;
    sb_buf_init(&text, 0);
    sb_plan_explain(plan, &text);
    assert_string_equal(text.data,
                        "MAP    all(a, b, x, c)  compiled, scalar  reads a, b, x, c  writes h, f  "
                        "passes t, m\n└─ TABLE kit            5 columns\n");
    sb_buf_release(&text);
    assert_int_equal(sb_plan_new_map(source, all, 4, columns, twice, &refused, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_map(source, all, 4, columns, none, &refused, &error), SB_INVALID);
    assert_non_null(strstr(error.message, "gives no \"q\""));
    assert_int_equal(sb_plan_new_map(source, all, 4, names, names, &refused, NULL),
                     SB_UNKNOWN_COLUMN);
    assert_int_equal(sb_plan_new_map(source, one, 1, columns, names, &refused, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_map(plan, all, 0, columns, names, &refused, NULL),
                     SB_UNKNOWN_COLUMN); /* what it reads is gone */
    assert_null(refused);
    sb_func_drop(all);
    sb_func_drop(one);
    sb_plan_drop(plan);
    sb_plan_drop(source);
}

static void types_that_cannot_be_filtered_are_named(void **state)
{
    (void)state;
    sb_type *columns[2], *schema;
    sb_plan *source, *plan;
    sb_error error;
    sb_func *func = sb_kit_func("f", "a", "b", NULL);
    assert_int_equal(sb_type_new("l", "a", 0, &columns[0], NULL), SB_OK);
    assert_int_equal(sb_type_new("novel:7", "views", 0, &columns[1], NULL), SB_OK);
    assert_int_equal(sb_type_new_struct(columns, 2, NULL, &schema, NULL), SB_OK);
    assert_int_equal(sb_plan_new_source("T", schema, &source, NULL), SB_OK);
    assert_int_equal(sb_plan_new_filter(source, func, &plan, &error), SB_UNSUPPORTED);
    assert_non_null(strstr(error.message, "\"views\""));
    assert_non_null(strstr(error.message, "novel:7"));
    assert_int_equal(sb_plan_new_batch(source, "f", NULL, true, &plan, NULL), SB_UNSUPPORTED);
    sb_func_drop(func);
    sb_plan_drop(source);
    sb_type_drop(schema);
}

/* The whole tree; NULL when memory is short. */
static sb_plan *tree(void)
{
    static const char *const names[] = {"y", "längs"}, *const kept[] = {"längs", "y"},
                             *const named[] = {"längs", "z"};
    static const char *const passed[] = {"längs", NULL}, *const mapped[] = {"längs", "h"};
    sb_plan *plans[6] = {source_plan()};
    sb_plan *last = NULL;
    sb_func *all = sb_kit_map_func("all", "z", "hg", NULL);
    sb_func *mul = sb_kit_func("mul", "a,b", "l", SB_KIT_MUL);
    sb_func *text = sb_kit_func("text", "s,b", "u", NULL);
    sb_func *funcs[] = {mul, text};
    if (plans[0] != NULL && mul != NULL && text != NULL && all != NULL &&
        sb_plan_new_filter(plans[0], mul, &plans[1], NULL) == SB_OK &&
        sb_plan_new_with(plans[1], 2, names, funcs, &plans[2], NULL) == SB_OK &&
        sb_plan_new_project(plans[2], 2, kept, named, &plans[3], NULL) == SB_OK &&
        sb_plan_new_map(plans[3], all, 2, passed, mapped, &plans[4], NULL) == SB_OK &&
        sb_plan_new_batch(plans[4], "top(batch)\tin a hurry", NULL, false, &plans[5], NULL) ==
            SB_OK) {
        last = sb_plan_retain(plans[5]);
    }
    for (int i = 0; i < 6; i++) {
        sb_plan_drop(plans[i]);
    }
    sb_func_drop(mul);
    sb_func_drop(text);
    sb_func_drop(all);
    return last;
}

static void explain_is_a_tree(void **state)
{
    (void)state;
    static const char wanted[] =
        "MAP    top(batch)                   in a hurry; its schema is known with the first batch\n"
        "└─ MAP    all(z)                    interpreted, scalar  reads z  writes h  passes längs\n"
        "   └─ SELECT längs, y as z\n"
        "      └─ WITH   y     = mul(a, b)   compiled, scalar  reads a, b\n"
        "                längs = text(s, b)  interpreted, scalar  reads s, b\n"
        "         └─ FILTER mul(a, b)        compiled, scalar  reads a, b\n"
        "            └─ TABLE kit            5 columns\n";
    sb_plan *plan = tree();
    sb_buf text;
    sb_buf_init(&text, 0);
    sb_plan_explain(plan, &text);
    assert_string_equal(text.data, wanted);
    sb_buf_release(&text);
    sb_plan_drop(plan);
}

static void long_chains_are_dropped_without_recursion(void **state)
{
    (void)state;
    static const char *const names[] = {"a"};
    sb_plan *plan = source_plan(), *next;
    for (int i = 0; i < 200000; i++) {
        assert_int_equal(sb_plan_new_select(plan, 1, names, &next, NULL), SB_OK);
        sb_plan_drop(plan);
        plan = next;
    }
    assert_int_equal(plan->op_index, 199999);
    sb_plan_drop(plan);
}

#ifdef SB_FAULTS
static void failing_allocations_leak_nothing(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        int64_t live = sb_mem_live_blocks();
        sb_fault_arm(nth, false);
        sb_plan *plan = tree();
        sb_fault_arm(0, false);
        bool hit = sb_fault_hit();
        assert_true((plan == NULL) == hit);
        sb_plan_drop(plan);
        assert_int_equal(sb_mem_live_blocks(), live);
        if (!hit) {
            assert_true(nth > 50);
            return;
        }
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_replace_or_follow),
        cmocka_unit_test(wrong_names_are_told),
        cmocka_unit_test(a_projection_names_columns_anew),
        cmocka_unit_test(names_that_two_columns_have_cannot_be_used),
        cmocka_unit_test(deferred_nodes_take_batch_functions_only),
        cmocka_unit_test(a_map_has_results_and_columns),
        cmocka_unit_test(types_that_cannot_be_filtered_are_named),
        cmocka_unit_test(explain_is_a_tree),
        cmocka_unit_test(long_chains_are_dropped_without_recursion),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations_leak_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
