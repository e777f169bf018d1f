/* Private to the api room: what the opaque handles of sabot.h are, and the mapping of statuses.
 *
 * sabot_function is sb_func; sabot_error has the layout of sb_error, so that one can be filled as the other.
 * Threads: see sabot.h. */
#ifndef SB_API_API_INT_H
#define SB_API_API_INT_H

#include "base/error.h"
#include "exec/watch.h"
#include "jit/code.h"
#include "jit/func.h"
#include "sabot.h"

struct sabot_session {
    sb_jit *jit;       /* always there; without a helper it fails every request with that reason */
    char *helper_path; /* owned; NULL: none */
    sb_mutex *lock;    /* over: */
    sb_watch *watch;   /* of all spots; NULL: none was made */
};

_Static_assert(sizeof(sabot_error) == sizeof(sb_error) &&
                   offsetof(sabot_error, message) == offsetof(sb_error, message),
               "one can be filled as the other");
_Static_assert((int)SABOT_INTERNAL == (int)SB_INTERNAL && (int)SABOT_USER == (int)SB_USER &&
                   (int)SABOT_UNKNOWN_COLUMN == (int)SB_UNKNOWN_COLUMN &&
                   (int)SABOT_TIMEOUT == (int)SB_TIMEOUT,
               "statuses have the same numbers");

static inline sb_error *api_error(sabot_error *err)
{
    return (sb_error *)(void *)err;
}

static inline sabot_status api_status(sb_status status)
{
    return (sabot_status)status;
}

static inline sb_func *api_func(sabot_function *function)
{
    return (sb_func *)(void *)function;
}

static inline const sb_func *api_const_func(const sabot_function *function)
{
    return (const sb_func *)(const void *)function;
}

/* Moves what buf holds to *text (out-owned by sabot_text_free); buf is released either way. */
sabot_status sb_api_give_text(sb_buf *buf, char **text, sabot_error *err);

#endif
