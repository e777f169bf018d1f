/* A test that fails, and one that passes beside it: tools/run_tests.py demands to see exactly one of each, which shows
 * that a failing C test is noticed. It runs in a suite of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_that_passes(void **state)
{
    (void)state;
    assert_int_equal(1, 1);
}

static void test_that_fails(void **state)
{
    (void)state;
    assert_int_equal(1, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_that_passes),
        cmocka_unit_test(test_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
