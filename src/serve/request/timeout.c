#include "serve/request/timeout.h"

#include "base/clock.h"
#include "serve/request/grpc_status.h"

uint64_t hone_grpc_timeout(hone_slice text, bool *bad) {
    static const char units[] = "HMSmun";
    static const uint64_t nanoseconds[] = {3600000000000u, 60000000000u, 1000000000u, 1000000u, 1000u, 1u};
    uint64_t n;
    *bad = false;
    if (!text.data) return 0;
    const char *unit = text.size > 1 ? strchr(units, text.data[text.size - 1]) : NULL;
    *bad = text.size > 9 || !unit || !*unit ||
           !hone_slice_number((hone_slice){text.data, text.size - 1}, 99999999, &n);
    if (*bad) return 0;
    n *= nanoseconds[unit - units]; /* eight digits of hours fit */
    return n ? n : 1;
}

static uint64_t rest_timeout(hone_slice text, bool *bad) {
    uint64_t ms;
    *bad = false;
    if (!text.data) return 0;
    *bad = !hone_slice_number(text, 999999999, &ms) || ms == 0;
    return *bad ? 0 : ms * HONE_MILLISECOND;
}

void hone_request_lift_timeout(hone_request *r) {
    hone_deadlines *wheel = r->due.wheel;
    hone_deadlines_remove(r);
    r->deadline = 0;
    r->timed = false;
    hone_request_take_timeout(r);
    if (wheel && r->deadline) hone_deadlines_put(wheel, r);
}

bool hone_request_take_timeout(hone_request *r) {
    if (r->timed) return !r->bad_timeout;
    r->timed = true;
    hone_slice grpc = hone_head_field(&r->head, "grpc-timeout"),
               rest = hone_head_field(&r->head, "x-request-timeout-ms");
    if (!grpc.data && !rest.data) return true;
    hone_request_limit_time(r, hone_grpc_takes(r) ? hone_grpc_timeout(grpc, &r->bad_timeout)
                                                  : rest_timeout(rest, &r->bad_timeout));
    return !r->bad_timeout;
}
