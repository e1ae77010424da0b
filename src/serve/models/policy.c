#include "serve/models/policy.h"

#include "base/memory.h"
#include "serve/format/json_scan.h"

#include <string.h>

static bool is_listed(const hone_policy *p, int64_t version) {
    for (size_t i = 0; i < p->version_count; i++)
        if (p->versions[i] == version) return true;
    return false;
}

bool hone_policy_add(hone_policy *p, int64_t version) {
    if (is_listed(p, version)) return true;
    if (!hone_reserve(&p->versions, &p->version_capacity, p->version_count + 1, sizeof *p->versions))
        return false;
    p->versions[p->version_count++] = version;
    return true;
}

bool hone_policy_copy(hone_policy *to, const hone_policy *from) {
    *to = (hone_policy){.kind = from->kind, .latest = from->latest};
    for (size_t i = 0; i < from->version_count; i++) {
        if (hone_policy_add(to, from->versions[i])) continue;
        hone_policy_free(to);
        return false;
    }
    return true;
}

void hone_policy_free(hone_policy *p) {
    hone_free(p->versions);
    *p = (hone_policy){0};
}

void hone_policy_choose(const hone_policy *p, const int64_t *there, size_t count, bool *wanted) {
    size_t latest = p->latest > 0 ? (size_t)p->latest : 1;
    for (size_t i = 0; i < count; i++) {
        switch (p->kind) {
        case HONE_POLICY_ALL: wanted[i] = true; break;
        case HONE_POLICY_SPECIFIC: wanted[i] = is_listed(p, there[i]); break;
        default: wanted[i] = count - i <= latest;
        }
    }
}

bool hone_version_parse(const char *text, size_t size, int64_t *out) {
    uint64_t number;
    if (!hone_slice_number((hone_slice){text, size}, INT64_MAX, &number)) return false;
    *out = (int64_t)number;
    return true;
}
