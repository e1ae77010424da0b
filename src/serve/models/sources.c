#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/models/loader.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_OWNER "/" /* no model's name */
#define CONFIG_SETTLE (50 * HONE_MILLISECOND)

static hone_record *ensure_record(hone_core *core, const char *name, hone_error *err) {
    hone_record *r = hone_core_record(core, name, strlen(name));
    if (!r && !(r = hone_core_new_record(core, name))) hone_fail_memory(err);
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

/* With a repository, what is asked for over the API may lie nowhere else. */
static hone_status place_source(hone_core *core, hone_record *r, const char *path, bool bounded,
                                hone_error *err) {
    const char *root = core->repository;
    size_t n = root ? strlen(root) : 0;
    while (n > 1 && root[n - 1] == '/') n--;
    bool beneath = root && strncmp(path, root, n) == 0 && path[n] == '/' && path[n + 1];
    if (bounded && root && !beneath)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%s does not lie in the repository %s", path, root);
    bool fine = beneath ? set_place(r, root, path + n + 1, false) : set_place(r, path, ".", is_file(path));
    return fine ? HONE_OK : hone_fail_memory(err);
}

hone_status hone_core_add_path(hone_core *core, const char *name, const char *path, hone_error *err) {
    HONE_TRY(hone_model_name_check(name, err));
    if (hone_core_record(core, name, strlen(name)))
        return hone_fail(err, HONE_ALREADY_EXISTS, "the model %s is there twice", name);
    hone_record *r = ensure_record(core, name, err);
    if (!r) return err ? err->code : HONE_OUT_OF_MEMORY;
    r->named = r->configured = r->dirty = true;
    return place_source(core, r, path, false, err);
}

static void free_asked(hone_record *r) {
    for (size_t i = 0; i < r->asked_count; i++) hone_free(r->asked[i].name);
    hone_free(r->asked);
    r->asked = NULL;
    r->asked_count = 0;
}

static hone_status apply_source(hone_model_loader *l, hone_model_source *e, bool bounded, hone_error *err) {
    hone_error own = {0};
    hone_record *r = ensure_record(l->core, e->name, &own);
    if (!r) {
        if (err) *err = own;
        return own.code;
    }
    HONE_TRY(place_source(l->core, r, e->base_path, bounded, err));
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

/* Serves exactly this set; returns the first thing that is wrong with it. */
hone_status hone_model_loader_apply(hone_model_loader *l, hone_model_set *set, bool bounded,
                                    hone_error *err) {
    hone_core *core = l->core;
    hone_status status = HONE_OK;
    for (size_t i = 0; i < core->count; i++) core->records[i]->removed = core->records[i]->configured;
    for (size_t i = 0; i < set->count; i++) {
        hone_error own = {0};
        hone_status applied = apply_source(l, &set->entries[i], bounded, &own);
        if (status != HONE_OK || applied == HONE_OK) continue;
        status = applied;
        if (err) *err = own;
    }
    for (size_t i = core->count; i-- > 0;) {
        hone_record *r = core->records[i];
        if (r->configured) hone_model_loader_reconcile(l, r, true);
    }
    for (size_t i = 0; i < core->count && status == HONE_OK; i++)
        if (core->records[i]->configured && !core->records[i]->removed)
            status = hone_record_check(core->records[i], err);
    return status;
}

/* --- watching --- */

static bool watch_inside(hone_model_loader *l, const char *directory, const char *name) {
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/%s", directory, name) < PATH_MAX && hone_watch_add(l->watch, path);
}

/* The model's directory, those of the versions that are wanted or served, and those whose file is still to
 * come. */
static void watch_record(void *loader, hone_record *r, const hone_listing *listing) {
    hone_model_loader *l = loader;
    char path[PATH_MAX];
    bool news = false;
    hone_watch_begin(l->watch, r->name);
    if (r->file) {
        const char *slash = strrchr(r->root, '/');
        size_t n = slash && slash > r->root ? (size_t)(slash - r->root) : 1;
        snprintf(path, sizeof path, "%.*s", (int)n, slash ? r->root : ".");
        news = hone_watch_add(l->watch, path);
    } else if (snprintf(path, sizeof path, "%s/%s", r->root, r->inside) < PATH_MAX) {
        news = hone_watch_add(l->watch, path);
        for (size_t i = 0; i < r->count; i++)
            if (r->versions[i]->present && (r->versions[i]->wanted || r->versions[i]->servable))
                news |= watch_inside(l, path, r->versions[i]->name);
        for (size_t i = 0; i < listing->pending_count; i++)
            news |= watch_inside(l, path, listing->pending[i].name);
    }
    r->blind = !hone_watch_end(l->watch);
    if (news) r->dirty = true; /* once more, for what changed before it was watched */
}

static void watch_root(hone_model_loader *l) {
    hone_watch_begin(l->watch, ROOT_OWNER);
    hone_watch_add(l->watch, l->core->repository);
    l->root_blind = !hone_watch_end(l->watch);
}

void hone_model_loader_mark_all(hone_model_loader *l) {
    l->root_dirty = true;
    for (size_t i = 0; i < l->core->count; i++) l->core->records[i]->dirty = true;
}

void hone_model_loader_note_event(void *loader, const char *owner) {
    hone_model_loader *l = loader;
    hone_record *r = owner ? hone_core_record(l->core, owner, strlen(owner)) : NULL;
    if (r)
        r->dirty = true;
    else if (owner && strcmp(owner, ROOT_OWNER) == 0)
        l->root_dirty = true;
    else if (!owner)
        hone_model_loader_mark_all(l);
}

/* --- one model --- */

bool hone_record_is_gone(const hone_record *r) {
    for (size_t i = 0; i < r->count; i++)
        if (r->versions[i]->servable || r->versions[i]->draining) return false;
    return true;
}

void hone_model_loader_reconcile(hone_model_loader *l, hone_record *r, bool at_once) {
    hone_reconcile c = {.core = l->core,
                        .first = at_once,
                        .now = at_once,
                        .quiet = l->starting && r->named,
                        .gently = !l->starting,
                        .watch = watch_record,
                        .drain = hone_model_loader_drain,
                        .user = l};
    r->dirty = false;
    r->due = 0;
    if (r->removed) {
        hone_record_unload(l->core, r);
        hone_watch_forget(l->watch, r->name);
        if (hone_record_is_gone(r)) hone_core_drop_record(l->core, r);
        return;
    }
    if (!r->root) return;
    hone_record_reconcile(&c, r);
    r->due = c.due;
}

void hone_model_loader_reconcile_dirty(hone_model_loader *l, bool at_once) {
    uint64_t now = hone_now();
    for (size_t i = l->core->count; i-- > 0;) { /* from the end: each may be forgotten */
        hone_record *r = l->core->records[i];
        if (r->removed && hone_record_is_gone(r)) r->dirty = true;
        if (r->dirty || (r->due && now >= r->due)) hone_model_loader_reconcile(l, r, at_once);
    }
}

/* --- the repository --- */

static void note_model(void *user, const char *name) {
    hone_model_loader *l = user;
    hone_record *r = hone_core_record(l->core, name, strlen(name));
    if (r || hone_model_name_check(name, NULL) != HONE_OK) return;
    r = ensure_record(l->core, name, NULL);
    if (r && set_place(r, l->core->repository, name, false)) r->dirty = true;
}

hone_status hone_model_loader_look_at_root(hone_model_loader *l, hone_error *err) {
    l->root_dirty = false;
    if (!l->core->repository) return HONE_OK;
    watch_root(l);
    hone_status status = hone_repository_models(l->core->repository, note_model, l, err);
    for (size_t i = 0; status == HONE_OK && i < l->core->count; i++) {
        hone_record *r = l->core->records[i];
        char path[PATH_MAX];
        if (r->configured || !r->root || !hone_record_is_gone(r)) continue;
        /* of a directory that is gone, nothing is left */
        if (snprintf(path, sizeof path, "%s/%s", r->root, r->inside) < PATH_MAX && access(path, F_OK) != 0) {
            r->removed = r->dirty = true;
        }
    }
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

hone_status hone_model_loader_read_config(hone_model_loader *l, bool force, hone_error *err) {
    const char *path = l->core->config_file;
    hone_blob blob;
    hone_model_set set;
    if (!path) return HONE_OK;
    HONE_TRY(hone_file_read(path, HONE_CONFIG_MAX_BYTES, &blob, err));
    if (!force && is_same(&l->config, &blob)) {
        hone_blob_free(&blob);
        return HONE_OK;
    }
    if (!force && !is_same(&l->config_seen, &blob)) {
        keep(&l->config_seen, &blob);
        l->config_due = hone_now() + CONFIG_SETTLE;
        return HONE_OK;
    }
    keep(&l->config, &blob);
    hone_status status = hone_model_set_parse((const char *)l->config.data, l->config.size, &set, err);
    if (status != HONE_OK) return hone_error_in_file(err, status, path);
    status = hone_model_loader_apply(l, &set, false, err);
    hone_model_set_free(&set);
    return status;
}
