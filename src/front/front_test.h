/* Test support: the functions of front_vectors.inc, lowered. */
#ifndef SB_FRONT_FRONT_TEST_H
#define SB_FRONT_FRONT_TEST_H

#include <string.h>

#include "front/front.h"
#include "front/front_vectors.inc"

#define VECTORS SB_COUNT_OF(front_vectors)
#define PARAMS_MAX 4

static inline sb_status lower_with(const front_vector *v, const void *blob, size_t size, bool off,
                                   sb_lowered *out, sb_error *err)
{
    char names[PARAMS_MAX][32];
    char formats[PARAMS_MAX][2];
    sb_front_column columns[PARAMS_MAX];
    uint32_t count = 0;
    const char *at = v->params;
    for (; *at != '\0'; count++) {
        const size_t length = strcspn(at, " ");
        memcpy(names[count], at, length);
        names[count][length] = '\0';
        formats[count][0] = v->kinds[count];
        formats[count][1] = '\0';
        columns[count] = (sb_front_column){names[count], formats[count]};
        at += length + (at[length] == ' ');
    }
    return sb_front_lower(blob, size, columns, count, off, out, err);
}

static inline sb_status lower(const front_vector *v, sb_lowered *out, sb_error *err)
{
    return lower_with(v, v->blob, v->blob_size, false, out, err);
}

#endif
