#include "serve/admission.h"

#include "serve/endpoint.h"
#include "serve/grpc.h"

void hone_admission_refuse(hone_request *r, int status, const char *message) {
    if (hone_grpc_takes(r))
        hone_grpc_fail(r, hone_grpc_code_of_http(status), message);
    else
        hone_request_fail(r, status, message);
}

static hone_scope scope_of(const hone_admission *a, const hone_request *r) {
    return a->metrics_path && hone_json_text_is(r->head.path, a->metrics_path) ? HONE_SCOPE_METRICS
                                                                               : hone_scope_of(r);
}

static void refuse_more(hone_request *r) {
    hone_admission_refuse(r, 429, "The server has too many requests under way");
}

bool hone_admission_begin(const hone_admission *a, hone_request *r) {
    hone_scope scope = scope_of(a, r);
    if (!hone_endpoint_offers(r->endpoint, scope)) {
        hone_admission_refuse(r, 403, "This is answered at the port for administration only");
        return false;
    }
    if (!a->max_requests || atomic_load_explicit(&a->requests, memory_order_relaxed) < a->max_requests ||
        scope != HONE_SCOPE_PREDICT)
        return true;
    refuse_more(r);
    return false;
}

bool hone_admission_enter(hone_admission *a, hone_request *r) {
    if (!a->max_requests) return true;
    r->counted = &a->requests;
    if (atomic_fetch_add_explicit(&a->requests, 1, memory_order_relaxed) < a->max_requests ||
        scope_of(a, r) != HONE_SCOPE_PREDICT)
        return true;
    refuse_more(r);
    return false;
}
