/* The refusal table's texts (ir/refusal.h). Memory: static. Threads: any. */
#include <string.h>

#include "ir/refusal.h"

typedef struct refusal_text {
    const char *code, *message, *hint;
} refusal_text;

static const refusal_text refusal_texts[SB_REFUSAL_COUNT] = {[SB_REFUSAL_NONE] = {"none", "", ""},
#define X(name, code_text, message_text, hint_text)                                                \
    [SB_REFUSAL_##name] = {code_text, message_text, hint_text},
                                                             SB_REFUSAL_LIST(X)
#undef X
};

const char *sb_refusal_code_name(uint32_t code)
{
    return code < SB_REFUSAL_COUNT ? refusal_texts[code].code : "none";
}

const char *sb_refusal_code_message(uint32_t code)
{
    return code < SB_REFUSAL_COUNT ? refusal_texts[code].message : "";
}

const char *sb_refusal_code_hint(uint32_t code)
{
    return code < SB_REFUSAL_COUNT ? refusal_texts[code].hint : "";
}

uint32_t sb_refusal_code_of_name(const char *name, size_t size)
{
    for (uint32_t code = 1; code < SB_REFUSAL_COUNT; code++) {
        if (strlen(refusal_texts[code].code) == size &&
            memcmp(refusal_texts[code].code, name, size) == 0) {
            return code;
        }
    }
    return SB_REFUSAL_SYNTAX;
}
