/* sabot_spot_*: a function over a small batch without a run.
 *
 * Interface: sabot.h. Checks arguments, then calls the exec room. sabot_spot is sb_spot. Memory: out-owned handles. Threads: any. */
#include "exec/spot.h"
#include "api/api_int.h"

_Static_assert(SABOT_SPOT_ROWS_MAX == SB_SPOT_ROWS_MAX, "both say the same");

sabot_status sabot_spot_new(sabot_session *session, sabot_plan *plan, sabot_spot **out,
                            sabot_error *err)
{
    sb_spot *spot = NULL;
    sb_status status = SB_OK;
    if (session == NULL || plan == NULL || out == NULL) {
        return api_status(sb_error_set(api_error(err), SB_INVALID, "an argument is NULL"));
    }
    sb_mutex_lock(session->lock);
    if (session->watch == NULL) {
        status = sb_watch_new(&session->watch, api_error(err));
    }
    sb_mutex_unlock(session->lock);
    if (status == SB_OK) {
        status = sb_spot_new((sb_plan *)(void *)plan, session->watch, &spot, api_error(err));
    }
    if (status == SB_OK) {
        *out = (sabot_spot *)(void *)spot;
    }
    return api_status(status);
}

void sabot_spot_free(sabot_spot *spot)
{
    sb_spot_free((sb_spot *)(void *)spot);
}

sabot_status sabot_spot_run(sabot_spot *spot, struct ArrowArray *batch, struct ArrowArray *out,
                            bool *done, sabot_error *err)
{
    if (spot == NULL || batch == NULL || batch->release == NULL || out == NULL || done == NULL) {
        return api_status(
            sb_error_set(api_error(err), SB_INVALID, "an argument is NULL or released"));
    }
    return api_status(sb_spot_run((sb_spot *)(void *)spot, batch, out, done, api_error(err)));
}
