#include "serve/access/admission.h"

#include "serve/access/endpoint.h"
#include "serve/request/grpc_status.h"

static hone_scope scope_of(const hone_admission *a, const hone_request *r) {
    return a->metrics_path && hone_slice_equal(r->head.path, a->metrics_path) ? HONE_SCOPE_METRICS
                                                                              : hone_scope_of(r);
}

static bool is_allowed(const hone_admission *a, hone_request *r, hone_scope scope) {
    static const struct {
        int status;
        const char *challenge, *text;
    } answers[] = {[HONE_AUTH_NO_SECRET] = {401, "Bearer realm=\"hone\"",
                                            "This needs a secret: as Authorization: Bearer, or as X-API-Key"},
                   [HONE_AUTH_UNKNOWN] = {401, "Bearer realm=\"hone\", error=\"invalid_token\"",
                                          "The secret is not known here"},
                   [HONE_AUTH_NO_SCOPE] = {403, "Bearer realm=\"hone\", error=\"insufficient_scope\"",
                                           "The secret is not good for this"}};
    hone_auth_verdict verdict = a->auth ? hone_auth_check(a->auth, &r->head, scope) : HONE_AUTH_FINE;
    if (verdict == HONE_AUTH_FINE) return true;
    hone_request_field(r, "www-authenticate", answers[verdict].challenge);
    hone_request_refuse(r, answers[verdict].status, answers[verdict].text);
    return false;
}

static void refuse_more(hone_request *r) {
    hone_request_refuse(r, 429, "The server has too many requests under way");
}

bool hone_admission_begin(const hone_admission *a, hone_request *r) {
    hone_scope scope = scope_of(a, r);
    if (!hone_endpoint_offers(r->endpoint, scope)) {
        hone_request_refuse(r, 403, "This is answered at the port for administration only");
        return false;
    }
    if (!is_allowed(a, r, scope)) return false;
    /* Who needs no secret gets nothing of the budget either. */
    if (scope == HONE_SCOPE_OPEN) r->body_most = HONE_BUDGET_FREE;
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
