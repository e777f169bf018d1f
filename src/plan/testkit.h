/* Test support of the plan room: the schema of a test table and functions made from IR text.
 *
 * Columns: a int64, b int64, x double, c bool, s string. Linked into test programs only. Threads: none of its own. */
#ifndef SB_PLAN_TESTKIT_H
#define SB_PLAN_TESTKIT_H

#include "plan/plan.h"

sb_type *sb_kit_schema(void); /* out-owned; NULL: no memory */

/* A compiled function of the columns named in `columns` ("a,b") and IR text; ir NULL: not compiled. NULL: no memory. */
sb_func *sb_kit_func(const char *name, const char *columns, const char *format, const char *ir);
/* One with several results: a letter and a format for each ("mlhgfb": m int64, h double, f bool), the outputs of the IR. */
sb_func *sb_kit_map_func(const char *name, const char *columns, const char *results,
                         const char *ir);
/* One of whole batches: inputs and outputs of the IR are lists; pairs: all of pairs, see sb_item. */
sb_func *sb_kit_whole_func(const char *name, const char *columns, const char *results,
                           const char *ir, bool pairs);
/* The same with a code generator (borrow). */
sb_func *sb_kit_func_of(struct sb_jit *jit, const char *name, const char *columns,
                        const char *format, const char *ir);

#define SB_KIT_MUL /* a * b + 1; null where a is; overflow leaves */                               \
    "inputs i64 i64\noutputs i64?\nv1:b = in_valid 0\nif v1\nv3:i64 = in 0\nv4:i64 = in 1\n"       \
    "v5:i64 = py_mul_i64 v3 v4\nv6:i64 = const_i64 1\nv7:i64 = py_add_i64 v5 v6\nelse\n"           \
    "v9:i64 = const_i64 0\nend_if\nv11:i64 = merge v7 v9\nstore 0 v11 v1\n"
#define SB_KIT_HALF /* x * 0.5 */                                                                  \
    "inputs f64\noutputs f64\nv1:f64 = in 0\nv2:f64 = const_f64 0x1p-1\n"                          \
    "v3:f64 = py_mul_f64 v1 v2\nstore 0 v3\n"
#define SB_KIT_KEEP /* b % 3 != 0 */                                                               \
    "inputs i64\noutputs b\nv1:i64 = in 0\nv2:i64 = const_i64 3\nv3:i64 = py_mod_i64 v1 v2\n"      \
    "v4:i64 = const_i64 0\nv5:b = py_eq_i64 v3 v4\nv6:b = not v5\nstore 0 v6\n"
#define SB_KIT_FLIP /* not c; null where c is */                                                   \
    "inputs b\noutputs b?\nv1:b = in 0\nv2:b = in_valid 0\nv3:b = not v1\nstore 0 v3 v2\n"
#define SB_KIT_ALL /* of a, b, x, c: SB_KIT_MUL, SB_KIT_HALF, SB_KIT_FLIP */                       \
    "inputs i64 i64 f64 b\noutputs i64? f64 b?\nv1:b = in_valid 0\nif v1\nv3:i64 = in 0\n"         \
    "v4:i64 = in 1\nv5:i64 = py_mul_i64 v3 v4\nv6:i64 = const_i64 1\nv7:i64 = py_add_i64 v5 v6\n"  \
    "else\nv9:i64 = const_i64 0\nend_if\nv11:i64 = merge v7 v9\nv12:f64 = in 2\n"                  \
    "v13:f64 = const_f64 0x1p-1\nv14:f64 = py_mul_f64 v12 v13\nv15:b = in 3\nv16:b = in_valid 3\n" \
    "v17:b = not v15\nstore 0 v11 v1\nstore 1 v14\nstore 2 v17 v16\n"
#define SB_KIT_COPIES /* of whole batches: its four columns, two of them copied in the heap */     \
    "inputs i64 i64 i64 i64\noutputs i64 i64 i64 i64\nv1:i64 = in 0\nv2:i64 = in 1\n"              \
    "v3:i64 = in 2\nv4:i64 = in 3\nv5:i64 = const_i64 0\nv6:i64 = const_i64 1000000\n"             \
    "v7:i64 = list_slice v2 v5 v6\nv8:i64 = list_slice v3 v5 v6\nstore 0 v1\nstore 1 v7\n"         \
    "store 2 v8\nstore 3 v4\n"
#define SB_KIT_FOREVER                                                                             \
    "inputs i64\noutputs i64\nv1:i64 = in 0\nloop 0\nv3:i64 = arg v1 v5\nv4:i64 = const_i64 1\n"   \
    "v5:i64 = ix_add v3 v4\nv6:b = py_eq_i64 v5 v5\nend_loop v6\nv8:i64 = result v3\nstore 0 v8\n"

#endif
