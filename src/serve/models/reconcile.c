#include "serve/models/reconcile.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "serve/models/labels.h"
#include "serve/models/loading.h"
#include "serve/models/repository.h"

#include <stdio.h>
#include <string.h>

enum { ENDED_MOST = 8 }; /* versions that are kept for the record */
enum { FALLBACKS = 8 };  /* older versions that may be tried in place of the wanted ones */

hone_place hone_record_place(const hone_record *r) {
    return (hone_place){r->root, r->inside, r->file};
}

/* --- what is there --- */

static bool is_wanted(const hone_version *v, const int64_t *there, const bool *wanted, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (there[i] == v->number) return wanted[i];
    return false;
}

/* Another name, other permissions or one more link to it make no new file, as long as nobody says that it was written
 * to: then it may have got its old time and size back. */
static bool is_same(const hone_print *is, hone_print *was, bool *written) {
    if (is->content != was->content) return false;
    if (is->changed == was->changed)
        *written = false;
    else if (!*written)
        was->changed = is->changed;
    return !*written;
}

static void look_at_files(hone_reconcile *c, const hone_record *r, hone_version *v) {
    hone_place place = hone_record_place(r);
    v->there = hone_place_print(&place, v->name, &v->files);
    v->written |= r->written || r->blind || c->urgency != HONE_WHEN_AT_REST;
    is_same(&v->there, &v->loaded, &v->written);
}

static hone_status note_found(hone_reconcile *c, hone_record *r, const hone_found *f, hone_error *err) {
    hone_place place = hone_record_place(r);
    hone_version *v = hone_record_version(r, f->number);
    if (!v) v = hone_registry_add_version(c->registry, r, f->number);
    if (!v) return hone_fail_memory(err);
    if (!v->files.count &&
        !hone_file_list_add(&v->files, hone_place_model(&place, f->name), &(hone_fingerprint){0}))
        return hone_fail_memory(err);
    snprintf(v->name, sizeof v->name, "%s", f->name);
    v->present = true;
    look_at_files(c, r, v);
    return HONE_OK;
}

/* Only those that are wanted, or are known already, become versions. */
static hone_status note_listing(hone_reconcile *c, hone_record *r, const hone_listing *l, hone_error *err) {
    const hone_policy *policy = hone_record_policy(r);
    int64_t *there = hone_calloc(l->count + 1, sizeof *there);
    bool *wanted = hone_calloc(l->count + 1, sizeof *wanted);
    hone_status status = there && wanted ? HONE_OK : hone_fail_memory(err);
    for (size_t i = 0; there && i < l->count; i++) there[i] = l->versions[i].number;
    if (status == HONE_OK) hone_policy_choose(policy, there, l->count, wanted);
    for (size_t i = 0; i < r->count; i++) {
        hone_version *v = r->versions[i];
        v->present = v->wanted = v->fallback = false;
    }
    for (size_t i = 0; i < l->count && status == HONE_OK; i++)
        if (wanted[i] || hone_record_version(r, there[i])) status = note_found(c, r, &l->versions[i], err);
    for (size_t i = 0; i < r->count && status == HONE_OK; i++)
        r->versions[i]->wanted = is_wanted(r->versions[i], there, wanted, l->count) && !r->unloaded;
    hone_free(there);
    hone_free(wanted);
    return status;
}

/* --- settings --- */

hone_status hone_record_set_settings(hone_registry *g, hone_record *r, const hone_model_settings *settings,
                                     hone_error *err) {
    hone_model_settings copy;
    if (!hone_model_settings_copy(&copy, settings)) return hone_fail_memory(err);
    hone_status status = HONE_OK;
    for (size_t i = 0; i < r->count && status == HONE_OK; i++) {
        hone_version *v = r->versions[i];
        hone_servable *s = NULL;
        if (!v->servable || hone_servable_settings_equal(&v->servable->settings, &settings->run)) continue;
        if (hone_servable_language(v->servable)) { /* its graph is the engine's: it is read again */
            v->loaded = (hone_print){0};
            continue;
        }
        hone_servable_options o = hone_registry_servable_options(g, r->name, v->number, settings);
        status = hone_servable_remake(&o, v->servable->model, &s, err);
        if (status == HONE_OK) hone_servable_read_texts(s, hone_servable_tokenizer(v->servable));
        if (status == HONE_OK) status = hone_registry_prepare(g, s, NULL, err);
        if (status == HONE_OK)
            hone_registry_publish(g, v, s);
        else
            hone_servable_release(s);
    }
    if (status != HONE_OK) {
        hone_model_settings_free(&copy);
        return status;
    }
    hone_model_settings_free(&r->settings);
    r->settings = copy;
    return HONE_OK;
}

static hone_status read_settings(hone_reconcile *c, hone_record *r, hone_error *err) {
    hone_place place = hone_record_place(r);
    hone_model_settings settings = c->registry->defaults;
    hone_blob blob;
    hone_status status = hone_repository_settings(&place, &blob, err);
    if (status == HONE_OK && blob.data)
        status = hone_model_settings_parse((const char *)blob.data, blob.size, &c->registry->defaults,
                                           &settings, err);
    hone_blob_free(&blob);
    if (status == HONE_OK) status = hone_record_set_settings(c->registry, r, &settings, err);
    hone_model_settings_free(&settings);
    return status;
}

/* False: they are being written. What is wrong with them stays with the record until they change. */
static bool follow_settings(hone_reconcile *c, hone_record *r, const hone_listing *l) {
    hone_error err = {0};
    const hone_print *is = &l->settings;
    r->settings_written |= r->written || r->blind || r->settings_code != HONE_OK;
    bool same = is_same(is, &r->settings_file, &r->settings_written);
    if (same && (r->settings_set || c->urgency == HONE_WHEN_AT_REST)) return true;
    if (is->content == 0 && r->settings_set) return true;
    if (!same && is->content && !hone_reconcile_rests(c, &r->settings_rest, is, 0, hone_now())) return false;
    r->settings_file = *is;
    r->settings_set = r->settings_written = false;
    r->settings_code = read_settings(c, r, &err);
    if (r->settings_code == HONE_OK) return true;
    hone_error_in_file(&err, r->settings_code, HONE_SETTINGS_FILE);
    hone_error_format(&err, r->settings_message, sizeof r->settings_message);
    return true;
}

/* --- unloading --- */

bool hone_record_is_gone(const hone_record *r) {
    for (size_t i = 0; i < r->count; i++)
        if (r->versions[i]->servable || r->versions[i]->draining) return false;
    return true;
}

void hone_record_unload(hone_registry *g, hone_record *r) {
    for (size_t i = 0; i < r->count; i++)
        if (r->versions[i]->servable) hone_version_unload(g, r, r->versions[i]);
}

void hone_record_ended(hone_registry *g, hone_record *r, int64_t version, const hone_servable *s) {
    hone_version *v = hone_record_version(r, version);
    if (!v || v->draining != s) return;
    v->draining = NULL;
    if (v->state != HONE_VERSION_UNLOADING) return;
    char message[sizeof v->message];
    memcpy(message, v->message, sizeof message);
    hone_registry_set_state(g, v, HONE_VERSION_END, v->code, message);
}

static bool serves_wanted(const hone_record *r) {
    for (size_t i = 0; i < r->count; i++)
        if (r->versions[i]->wanted && r->versions[i]->servable) return true;
    return false;
}

/* What is not wanted goes when something else is served instead, so that a model whose files vanish goes
 * on. */
static void unload_unwanted(hone_reconcile *c, hone_record *r, bool replace) {
    bool others = r->unloaded || replace || serves_wanted(r);
    for (size_t i = 0; i < r->count; i++) {
        hone_version *v = r->versions[i];
        if (v->servable && !v->wanted && others) hone_version_unload(c->registry, r, v);
    }
}

/* --- falling back --- */

/* The newest of those that are wanted, if each was tried and none can be loaded; else NULL. */
static const hone_version *unloadable(const hone_record *r) {
    const hone_version *newest = NULL;
    for (size_t i = 0; i < r->count; i++) {
        const hone_version *v = r->versions[i];
        if (!v->wanted) continue;
        if (v->servable || v->failures == 0) return NULL;
        newest = v;
    }
    return newest;
}

/* When nothing at all is served, since what a policy of the latest versions wants can't be loaded: the newest
 * older version that can be. It goes as soon as one that is wanted is served. */
static hone_status fall_back(hone_reconcile *c, hone_record *r, const hone_listing *l, hone_error *err) {
    const hone_policy *policy = hone_record_policy(r);
    const hone_version *bad = unloadable(r);
    int tried = 0;
    if (!bad || policy->kind != HONE_POLICY_LATEST) return HONE_OK;
    for (size_t i = l->count; i-- > 0 && tried < FALLBACKS && !hone_record_serves(r);) {
        const hone_found *f = &l->versions[i];
        hone_version *v = hone_record_version(r, f->number);
        if (f->number > bad->number || (v && v->wanted)) continue;
        tried++;
        HONE_TRY(note_found(c, r, f, err));
        v = hone_record_version(r, f->number);
        v->fallback = true;
        if (!hone_version_should_load(c, r, v, hone_now())) continue;
        hone_version_load(c, r, v);
        if (v->servable)
            hone_log(HONE_LOG_WARNING,
                     "model %s: version %lld can't be loaded (%.*s); version %lld is served instead", r->name,
                     (long long)bad->number, HONE_UTF8_SHOWN(bad->message, 300), (long long)v->number);
    }
    return HONE_OK;
}

/* --- what is told --- */

static void tell(hone_reconcile *c, hone_record *r) {
    for (size_t i = 0; i < r->count; i++) {
        hone_version *v = r->versions[i];
        bool same = v->present && hone_print_equal(&v->there, &v->loaded);
        hone_version_stats_fallback(v->stats, v->servable && !v->wanted && unloadable(r));
        if (!v->servable || (v->present && !same && v->failures)) continue;
        if (same) v->failures = 0;
        if (!v->present) {
            if (v->code != HONE_NOT_FOUND)
                hone_log(HONE_LOG_WARNING, "the files of model %s version %lld are gone; it is served on",
                         r->name, (long long)v->number);
            hone_registry_set_state(c->registry, v, v->state, HONE_NOT_FOUND,
                                    "its files are gone; what was loaded goes on");
            continue;
        }
        const char *message = r->code == HONE_OK ? v->servable->unpadded : r->message;
        if (r->code != v->code || strcmp(message, v->message) != 0)
            hone_registry_set_state(c->registry, v, v->state, r->code, message);
    }
}

/* Those that are neither there nor served: only the last few are kept, for whoever asks what became of
 * them. */
static void forget_ended(hone_registry *g, hone_record *r) {
    size_t ended = 0;
    for (size_t i = r->count; i-- > 0;) {
        hone_version *v = r->versions[i];
        bool busy = v->servable || v->draining || v->wanted || v->fallback;
        if (!busy && (++ended > ENDED_MOST || v->state == HONE_VERSION_START))
            hone_registry_drop_version(g, r, i);
    }
}

hone_status hone_record_check(const hone_record *r, hone_error *err) {
    bool served = false;
    for (size_t i = 0; i < r->count; i++) {
        const hone_version *v = r->versions[i];
        served |= v->servable != NULL;
        if (v->wanted && v->code != HONE_OK)
            return hone_fail(err, v->code, "model %s version %lld: %s", r->name, (long long)v->number,
                             v->message);
    }
    if (!served && r->code != HONE_OK) return hone_fail(err, r->code, "model %s: %s", r->name, r->message);
    if (!served && r->remarks.count)
        return hone_fail(err, HONE_NOT_FOUND, "model %s: %s", r->name, r->remarks.items[0].text);
    if (!served) return hone_fail(err, HONE_NOT_FOUND, "model %s has no version that is wanted", r->name);
    return hone_record_check_labels(r, err);
}

/* --- the whole --- */

static void bring_about(hone_reconcile *c, hone_record *r) {
    uint64_t now = hone_now();
    if (c->registry->options.reload == HONE_RELOAD_REPLACE) {
        bool loads = false;
        for (size_t i = 0; i < r->count; i++) {
            hone_version *v = r->versions[i];
            loads |= !v->servable && hone_version_should_load(c, r, v, now);
        }
        unload_unwanted(c, r, loads);
        if (loads) c->drain(c->user);
    }
    for (size_t i = r->count; i-- > 0;)
        if (hone_version_should_load(c, r, r->versions[i], now)) hone_version_load(c, r, r->versions[i]);
    unload_unwanted(c, r, false);
}

static void note_trouble(hone_reconcile *c, hone_record *r, hone_status code, const char *text) {
    if (r->code == code && strcmp(r->message, text) == 0) return;
    if (!c->quiet && code != HONE_OK) hone_log(HONE_LOG_WARNING, "model %s: %s", r->name, text);
    hone_registry_set_trouble(c->registry, r, code, text);
}

/* Takes the listing's. */
static void note_remarks(hone_reconcile *c, hone_record *r, hone_listing *l) {
    uint64_t now = hone_now();
    hone_record_remark_versions(r, l, &l->remarks);
    hone_remarks_follow(&l->remarks, &r->remarks, now);
    uint64_t due = hone_remarks_tell(&l->remarks, "model", c->told, now);
    if (due) hone_reconcile_look_again(c, due);
    hone_registry_set_remarks(c->registry, &r->remarks, &l->remarks);
}

static void load_what_is_wanted(hone_reconcile *c, hone_record *r, const hone_listing *l) {
    bring_about(c, r);
    if (fall_back(c, r, l, NULL) != HONE_OK)
        hone_reconcile_look_again(c, hone_now() + c->registry->options.retry_least);
}

void hone_record_reconcile(hone_reconcile *c, hone_record *r) {
    hone_place place = hone_record_place(r);
    hone_listing listing = {0};
    hone_error err = {0};
    char text[sizeof r->message] = "";
    bool ready = true;
    c->due = 0;
    if (!r->root) return;
    hone_status status = hone_repository_list(&place, r->name, &listing, &err);
    if (status == HONE_OK) ready = follow_settings(c, r, &listing);
    if (status == HONE_OK || status == HONE_NOT_FOUND) {
        hone_status noted = note_listing(c, r, &listing, &err);
        if (status == HONE_OK) status = noted;
    }
    r->directory = listing.directory;
    r->elsewhere = listing.elsewhere;
    r->written = false; /* also by c->watch, which may know better */
    c->watch(c->user, r, &listing);
    if (status != HONE_OK)
        note_trouble(c, r, status, hone_error_format(&err, text, sizeof text));
    else
        note_trouble(c, r, r->settings_code, r->settings_code == HONE_OK ? "" : r->settings_message);
    if (ready) load_what_is_wanted(c, r, &listing);
    tell(c, r);
    hone_record_settle_labels(c->registry, r);
    if (status == HONE_OK) note_remarks(c, r, &listing);
    hone_listing_free(&listing);
    forget_ended(c->registry, r);
}

/* --- a glance --- */

bool hone_record_has_changed(const hone_record *r) {
    hone_place place = hone_record_place(r);
    hone_print settings = {0};
    for (size_t i = 0; i < r->count; i++) {
        const hone_version *v = r->versions[i];
        if (!v->present || !(v->servable || v->wanted || v->fallback)) continue;
        if (hone_place_glance_print(&place, v->name, &v->files).content != v->there.content) return true;
    }
    if (r->file) return false;
    hone_fingerprint is = hone_place_glance(&place, "");
    if (!hone_fingerprint_same_content(&is, &r->directory)) return true;
    if (!is.inode) return false;
    is = hone_place_glance(&place, HONE_SETTINGS_FILE);
    if (is.inode) hone_print_add(&settings, HONE_SETTINGS_FILE, &is);
    return settings.content != r->settings_file.content && (is.inode || !r->settings_set);
}
