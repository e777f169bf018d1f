/* Values of libm as compiled code sees them: for a host that has to know whether its own are the same.
 *
 * Threads: any. Memory: none. */
#include <string.h>

#include "api/api_int.h"
#include "rt/rt_table.h"

int sabot_math_value(const char *name, double a, double b, double *out)
{
    static const char *const names[] = {
#define SB_E(X, NAME, name) [SB_RT_SLOW_MATH_##NAME] = #name,
        SB_RT_MATH1_LIST(SB_E, ) SB_RT_MATH2_LIST(SB_E, )
#undef SB_E
    };
    if (name == NULL || out == NULL) {
        return -1;
    }
    for (size_t k = 0; k < SB_COUNT_OF(names); k++) {
        if (strcmp(names[k], name) == 0) {
            int64_t bad = 0;
            sb_rt_table_default.slow((int64_t)k, out, &bad, &a, &b, 1);
            return bad == 0 ? 1 : 0;
        }
    }
    return -1;
}
