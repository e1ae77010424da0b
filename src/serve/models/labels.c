#include "serve/models/labels.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

static hone_record_label *label_slot(hone_registry *g, hone_record *r, const char *name) {
    for (size_t i = 0; i < r->label_count; i++)
        if (strcmp(r->labels[i].name, name) == 0) return &r->labels[i];
    char *copy = hone_strdup(name);
    pthread_rwlock_wrlock(&g->lock);
    bool fine = copy && hone_reserve(&r->labels, &r->label_capacity, r->label_count + 1, sizeof *r->labels);
    if (fine) r->labels[r->label_count++] = (hone_record_label){copy, -1, -1, false};
    pthread_rwlock_unlock(&g->lock);
    if (!fine) hone_free(copy);
    return fine ? &r->labels[r->label_count - 1] : NULL;
}

static void ask_labels(hone_registry *g, hone_record *r, const hone_label *labels, size_t count) {
    for (size_t i = 0; i < count; i++) {
        hone_record_label *l = label_slot(g, r, labels[i].name);
        if (!l) continue;
        l->wanted = labels[i].version;
        l->stale = false;
    }
}

void hone_record_settle_labels(hone_registry *g, hone_record *r) {
    for (size_t i = 0; i < r->label_count; i++) r->labels[i].stale = true;
    ask_labels(g, r, r->asked, r->asked_count);
    if (r->settings.has_labels) ask_labels(g, r, r->settings.labels, r->settings.label_count);
    pthread_rwlock_wrlock(&g->lock);
    for (size_t i = r->label_count; i-- > 0;) {
        hone_record_label *l = &r->labels[i];
        const hone_version *to = hone_record_version(r, l->wanted), *at = hone_record_version(r, l->version);
        if (l->stale) {
            hone_free(l->name);
            *l = r->labels[--r->label_count];
        } else if (to && to->servable) {
            l->version = l->wanted;
        } else if (!at || !at->servable) {
            l->version = -1;
        }
    }
    pthread_rwlock_unlock(&g->lock);
}

hone_status hone_record_check_labels(const hone_record *r, hone_error *err) {
    for (size_t i = 0; i < r->label_count; i++)
        if (r->labels[i].version != r->labels[i].wanted)
            return hone_fail(err, HONE_FAILED_PRECONDITION,
                             "model %s: the label %s can't be given to version %lld, which is not loaded",
                             r->name, r->labels[i].name, (long long)r->labels[i].wanted);
    return HONE_OK;
}

static int by_number(const void *key, const void *found) {
    const int64_t *number = key;
    const hone_found *f = found;
    return (*number > f->number) - (*number < f->number);
}

static bool is_there(const hone_listing *l, int64_t number) {
    return l->count && bsearch(&number, l->versions, l->count, sizeof *l->versions, by_number);
}

void hone_record_remark_versions(const hone_record *r, const hone_listing *l, hone_remarks *out) {
    const hone_policy *policy = hone_record_policy(r);
    if (r->unloaded) return;
    for (size_t i = 0; policy->kind == HONE_POLICY_SPECIFIC && i < policy->version_count; i++)
        if (!is_there(l, policy->versions[i]))
            hone_remarks_add(out, r->name, "its version policy names version %lld, which is not there",
                             (long long)policy->versions[i]);
    for (size_t i = 0; i < r->label_count; i++) {
        const hone_record_label *label = &r->labels[i];
        const hone_version *v = hone_record_version(r, label->wanted);
        if (label->version == label->wanted || (v && v->wanted)) continue;
        hone_remarks_add(out, r->name, "the label %.*s is to stand for version %lld, which %s",
                         HONE_UTF8_SHOWN(label->name, 100), (long long)label->wanted,
                         is_there(l, label->wanted) ? "the version policy does not want" : "is not there");
    }
}
