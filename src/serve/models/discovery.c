#include "serve/models/discovery.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_OWNER "/" /* no model's name */
#define CONFIG_SETTLE (50 * HONE_MILLISECOND)

static hone_record *ensure_record(hone_registry *g, const char *name, hone_error *err) {
    hone_record *r = hone_registry_find(g, name, strlen(name));
    if (!r && !(r = hone_registry_add(g, name))) hone_fail_memory(err);
    if (!r || r->root || r->count == 0) return r;
    hone_fail(err, HONE_ALREADY_EXISTS, "the model %s is served from memory", name);
    return NULL;
}

static bool set_place(hone_record *r, const char *root, const char *inside, bool file) {
    if (r->root && strcmp(r->root, root) == 0 && strcmp(r->inside, inside) == 0 && r->file == file)
        return true;
    char *a = hone_strdup(root), *b = hone_strdup(inside);
    if (!a || !b) {
        hone_free(a);
        hone_free(b);
        return false;
    }
    hone_free(r->root);
    hone_free(r->inside);
    r->root = a;
    r->inside = b;
    r->file = file;
    return true;
}

static bool is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* A directory that is a language model, rather than one of versions: sets the path of the file with the model in it. */
static bool is_language_model(const char *path, char out[PATH_MAX]) {
    const char *file = hone_model_in(path);
    int n = snprintf(out, PATH_MAX, "%s/%s", path, HONE_TOKENIZER_FILE);
    if (!file || n >= PATH_MAX - 32) return false;
    if (strcmp(file, HONE_GGUF_FILE) != 0 && access(out, F_OK) != 0) return false;
    snprintf(out, PATH_MAX, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", file);
    return is_file(out);
}

/* With a repository, what is asked for over the API may lie nowhere else. */
static hone_status place_source(hone_registry *g, hone_record *r, const char *path, bool bounded,
                                hone_error *err) {
    const char *root = g->repository;
    size_t n = root ? strlen(root) : 0;
    while (n > 1 && root[n - 1] == '/') n--;
    bool beneath = root && strncmp(path, root, n) == 0 && path[n] == '/' && path[n + 1];
    if (bounded && root && !beneath)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%s does not lie in the repository %s", path, root);
    char inner[PATH_MAX];
    if (!beneath && is_language_model(path, inner)) path = inner;
    bool fine = beneath ? set_place(r, root, path + n + 1, false) : set_place(r, path, ".", is_file(path));
    return fine ? HONE_OK : hone_fail_memory(err);
}

hone_status hone_discovery_add_path(hone_registry *g, const char *name, const char *path, hone_error *err) {
    HONE_TRY(hone_model_name_check(name, err));
    if (hone_registry_find(g, name, strlen(name)))
        return hone_fail(err, HONE_ALREADY_EXISTS, "the model %s is there twice", name);
    hone_record *r = ensure_record(g, name, err);
    if (!r) return err ? err->code : HONE_OUT_OF_MEMORY;
    r->named = r->configured = r->dirty = true;
    return place_source(g, r, path, false, err);
}

static void free_asked(hone_record *r) {
    for (size_t i = 0; i < r->asked_count; i++) hone_free(r->asked[i].name);
    hone_free(r->asked);
    r->asked = NULL;
    r->asked_count = 0;
}

static hone_status apply_source(hone_discovery *d, hone_model_source *e, bool bounded, hone_error *err) {
    hone_error own = {0};
    hone_record *r = ensure_record(d->registry, e->name, &own);
    if (!r) {
        if (err) *err = own;
        return own.code;
    }
    HONE_TRY(place_source(d->registry, r, e->base_path, bounded, err));
    r->named = r->configured = r->dirty = true;
    r->removed = r->unloaded = false;
    hone_policy_free(&r->policy);
    r->policy = e->policy;
    e->policy = (hone_policy){0};
    free_asked(r);
    r->asked = e->labels;
    r->asked_count = e->label_count;
    e->labels = NULL;
    e->label_count = e->label_capacity = 0;
    return HONE_OK;
}

hone_status hone_discovery_apply(hone_discovery *d, hone_model_set *set, bool bounded, hone_error *err) {
    hone_registry *g = d->registry;
    hone_status status = HONE_OK;
    for (size_t i = 0; i < g->count; i++) g->records[i]->removed = g->records[i]->configured;
    for (size_t i = 0; i < set->count; i++) {
        hone_error own = {0};
        hone_status applied = apply_source(d, &set->entries[i], bounded, &own);
        if (status != HONE_OK || applied == HONE_OK) continue;
        status = applied;
        if (err) *err = own;
    }
    for (size_t i = g->count; i-- > 0;) {
        hone_record *r = g->records[i];
        if (r->configured) hone_discovery_reconcile(d, r, HONE_AS_IT_IS);
    }
    for (size_t i = 0; i < g->count && status == HONE_OK; i++)
        if (g->records[i]->configured && !g->records[i]->removed)
            status = hone_record_check(g->records[i], err);
    return status;
}

/* --- watching --- */

static bool watch_inside(hone_discovery *d, const char *directory, const char *name) {
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/%s", directory, name) < PATH_MAX && hone_watch_add(d->watch, path);
}

/* The directories that the files of a version lie in, where they are neighbours in the list. */
static bool watch_version(hone_discovery *d, const hone_place *place, const hone_version *v) {
    char path[PATH_MAX], full[PATH_MAX], last[PATH_MAX] = "";
    bool news = false;
    for (size_t i = 0; i < v->files.count; i++) {
        if (!hone_place_part(place, v->name, v->files.items[i].path, path, sizeof path)) continue;
        char *slash = strrchr(path, '/');
        strcpy(slash ? slash : path, slash ? "" : ".");
        if (strcmp(path, last) == 0) continue;
        strcpy(last, path);
        hone_place_name(place, path, full, sizeof full);
        if (access(full, F_OK) == 0) news |= hone_watch_add(d->watch, full);
    }
    return news;
}

/* The model's directory, those of the versions that are wanted or served, and those whose file is still to
 * come. */
static void watch_record(void *discovery, hone_record *r, const hone_listing *listing) {
    hone_discovery *d = discovery;
    hone_place place = hone_record_place(r);
    char path[PATH_MAX];
    bool news = false;
    hone_watch_begin(d->watch, r->name);
    hone_place_name(&place, r->file ? "." : "", path, sizeof path);
    news = hone_watch_add(d->watch, path);
    for (size_t i = 0; i < r->count; i++)
        if (r->versions[i]->present && (r->versions[i]->wanted || r->versions[i]->servable))
            news |= watch_version(d, &place, r->versions[i]);
    for (size_t i = 0; i < listing->pending_count; i++)
        news |= watch_inside(d, path, listing->pending[i].name);
    r->blind = !hone_watch_end(d->watch);
    if (news) r->dirty = r->written = true; /* once more, for what changed before it was watched */
}

static void watch_root(hone_discovery *d) {
    struct stat info;
    bool there = stat(d->registry->repository, &info) == 0;
    d->root = there ? hone_fingerprint_of(&info) : (hone_fingerprint){0};
    hone_watch_begin(d->watch, ROOT_OWNER);
    hone_watch_add(d->watch, d->registry->repository);
    d->root_blind = !hone_watch_end(d->watch);
}

void hone_discovery_mark_all(hone_discovery *d) {
    d->root_dirty = true;
    for (size_t i = 0; i < d->registry->count; i++) d->registry->records[i]->dirty = true;
}

static void note_event(void *discovery, const char *owner, bool written) {
    hone_discovery *d = discovery;
    hone_record *r = owner ? hone_registry_find(d->registry, owner, strlen(owner)) : NULL;
    if (r) {
        r->dirty = true;
        r->written |= written;
    } else if (owner && strcmp(owner, ROOT_OWNER) == 0) {
        d->root_dirty = true;
    } else if (!owner) {
        hone_discovery_mark_all(d);
        for (size_t i = 0; i < d->registry->count; i++) d->registry->records[i]->written |= written;
    }
}

void hone_discovery_read_events(hone_discovery *d) {
    hone_watch_read(d->watch, note_event, d);
}

static void glance_at_records(hone_discovery *d) {
    for (size_t i = 0; i < d->registry->count; i++) {
        hone_record *r = d->registry->records[i];
        if (r->root && !r->dirty) r->dirty = r->blind || r->elsewhere || hone_record_has_changed(r);
    }
}

void hone_discovery_glance(hone_discovery *d) {
    struct stat info;
    const char *root = d->registry->repository;
    hone_fingerprint is = {0};
    if (root && stat(root, &info) == 0) is = hone_fingerprint_of(&info);
    if (root && (d->root_blind || d->root_elsewhere || !hone_fingerprint_equal(&is, &d->root)))
        d->root_dirty = true;
    glance_at_records(d);
}

/* --- one model --- */

static void drain(void *discovery) {
    hone_discovery *d = discovery;
    d->drain(d->user);
}

void hone_discovery_reconcile(hone_discovery *d, hone_record *r, hone_urgency urgency) {
    hone_reconcile c = {.registry = d->registry,
                        .urgency = urgency,
                        .told = d->starting,
                        .quiet = d->starting && r->named,
                        .gently = !d->starting,
                        .watch = watch_record,
                        .drain = drain,
                        .user = d};
    r->dirty = false;
    r->due = 0;
    if (r->removed) {
        hone_record_unload(d->registry, r);
        hone_watch_forget(d->watch, r->name);
        if (hone_record_is_gone(r)) hone_registry_drop(d->registry, r);
        return;
    }
    if (!r->root) return;
    hone_record_reconcile(&c, r);
    r->due = c.due;
}

void hone_discovery_reconcile_dirty(hone_discovery *d, hone_urgency urgency) {
    uint64_t now = hone_now();
    for (size_t i = d->registry->count; i-- > 0;) { /* from the end: each may be forgotten */
        hone_record *r = d->registry->records[i];
        if (r->removed && hone_record_is_gone(r)) r->dirty = true;
        if (hone_registry_go_on(d->registry, NULL) != HONE_OK) return;
        if (r->dirty || (r->due && now >= r->due)) hone_discovery_reconcile(d, r, urgency);
    }
}

/* --- the repository --- */

static void note_model(void *user, const char *name) {
    hone_discovery *d = user;
    if (hone_registry_find(d->registry, name, strlen(name))) return;
    hone_record *r = ensure_record(d->registry, name, NULL);
    if (r && set_place(r, d->registry->repository, name, false)) r->dirty = true;
}

static void note_root_remarks(hone_discovery *d, hone_remarks *now) {
    uint64_t t = hone_now();
    hone_remarks_follow(now, &d->registry->remarks, t);
    d->root_due = hone_remarks_tell(now, "repository entry", d->starting, t);
    hone_registry_set_remarks(d->registry, &d->registry->remarks, now);
}

/* Of a directory that is gone, nothing is left. */
static void forget_gone(hone_discovery *d) {
    char path[PATH_MAX];
    for (size_t i = 0; i < d->registry->count; i++) {
        hone_record *r = d->registry->records[i];
        if (r->configured || !r->root || !hone_record_is_gone(r)) continue;
        hone_place place = hone_record_place(r);
        hone_place_name(&place, "", path, sizeof path);
        if (access(path, F_OK) != 0) r->removed = r->dirty = true;
    }
}

hone_status hone_discovery_look_at_root(hone_discovery *d, hone_error *err) {
    hone_remarks remarks = {0};
    hone_error own = {0};
    char text[sizeof d->root_error] = "";
    d->root_dirty = false;
    d->root_due = 0;
    if (!d->registry->repository) return HONE_OK;
    watch_root(d);
    hone_status status =
        hone_repository_models(d->registry->repository, note_model, d, &remarks, &d->root_elsewhere, &own);
    if (status == HONE_OK) note_root_remarks(d, &remarks);
    if (status == HONE_OK) forget_gone(d);
    glance_at_records(d); /* links that lead to them lie here */
    hone_remarks_free(&remarks);
    if (status != HONE_OK) hone_error_format(&own, text, sizeof text);
    if (status != HONE_OK && !d->starting && strcmp(text, d->root_error) != 0)
        hone_log(HONE_LOG_ERROR, "the repository: %s", text);
    memcpy(d->root_error, text, sizeof text);
    if (status != HONE_OK && err) *err = own;
    return status;
}

/* --- the configuration file --- */

static bool is_same(const hone_blob *a, const hone_blob *b) {
    return a->data && a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* Takes `blob` over. */
static void keep(hone_blob *to, hone_blob *blob) {
    hone_blob_free(to);
    *to = *blob;
    *blob = (hone_blob){0};
}

hone_status hone_discovery_read_config(hone_discovery *d, bool force, hone_error *err) {
    const char *path = d->registry->config_file;
    hone_blob blob;
    hone_model_set set;
    if (!path) return HONE_OK;
    HONE_TRY(hone_file_read(path, HONE_CONFIG_MAX_BYTES, &blob, err));
    if (!force && is_same(&d->config, &blob)) {
        hone_blob_free(&blob);
        return HONE_OK;
    }
    if (!force && !is_same(&d->config_seen, &blob)) {
        keep(&d->config_seen, &blob);
        d->config_due = hone_now() + CONFIG_SETTLE;
        return HONE_OK;
    }
    keep(&d->config, &blob);
    hone_status status = hone_model_set_parse((const char *)d->config.data, d->config.size, &set, err);
    if (status != HONE_OK) return hone_error_in_file(err, status, path);
    status = hone_discovery_apply(d, &set, false, err);
    hone_model_set_free(&set);
    return status;
}

void hone_discovery_free(hone_discovery *d) {
    hone_watch_free(d->watch);
    hone_blob_free(&d->config);
    hone_blob_free(&d->config_seen);
}
