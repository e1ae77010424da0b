#include "train/checkpoint.h"

#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "train/recipe.h"
#include "train/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FORMAT = 3, STATE_LIMIT = 1 << 26 };

static hone_status join(char *out, const char *dir, const char *name, hone_error *err) {
    if (hone_path_join(out, PATH_MAX, dir, name)) return HONE_OK;
    return hone_fail_file(err, HONE_INVALID_ARGUMENT, dir, "the path is too long");
}

/* --- state.json --- doubles as hexadecimal floats, so that they come back bit for bit */

static json_t *exact(double x) {
    char text[64];
    snprintf(text, sizeof text, "%a", x);
    return json_string(text);
}

/* Of a JSON value's one spelling. */
static uint64_t checksum(const json_t *value) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    uint64_t h = text ? hone_hash(text, strlen(text)) : 0;
    free(text);
    return h;
}

/* Of the names and the content of all variables. */
static uint64_t checksum_of(const hone_variables *variables) {
    uint64_t h = 0;
    for (size_t i = 0; i < hone_variables_count(variables); i++) {
        hone_tensor *t;
        const char *name = hone_variables_at(variables, i, &t);
        uint64_t parts[] = {h, hone_hash(name, strlen(name)), hone_hash(t->data, t->bytes)};
        h = hone_hash(parts, sizeof parts);
    }
    return h;
}

static json_t *hexadecimal(uint64_t x) {
    char text[24];
    snprintf(text, sizeof text, "%016" PRIx64, x);
    return json_string(text);
}

static bool is_hexadecimal(const json_t *text, uint64_t x) {
    json_t *wanted = hexadecimal(x);
    bool same = json_equal(text, wanted);
    json_decref(wanted);
    return same;
}

static hone_status save_state(const char *path, const hone_variables *variables, const hone_train_state *s,
                              const char *recipe, hone_error *err) {
    json_t *state =
        json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "step", (json_int_t)s->step, "epoch",
                  (json_int_t)s->epoch, "sample", (json_int_t)s->sample, "loss_sum", exact(s->loss_sum),
                  "score_sum", exact(s->score_sum), "rate_factor", exact(s->rate_factor), "best",
                  exact(s->best), "best_epoch", (json_int_t)s->best_epoch, "variables",
                  hexadecimal(checksum_of(variables)), "recipe", json_loads(recipe, 0, NULL));
    json_t *sum = state ? hexadecimal(checksum(state)) : NULL,
           *root =
               state ? json_pack("{s:i, s:o, s:o}", "format", FORMAT, "checksum", sum, "state", state) : NULL;
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    hone_status status = text ? hone_file_replace(path, text, strlen(text), err) : hone_fail_memory(err);
    free(text);
    json_decref(root);
    return status;
}

static bool parse_double(const char *text, double *out) {
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

/* HONE_CORRUPT or HONE_UNSUPPORTED without a file. */
static hone_status parse_state(const json_t *root, hone_train_state *s, json_t **recipe, json_t **variables,
                               hone_error *err) {
    json_int_t format, step, epoch, sample, best_epoch;
    const char *loss = NULL, *score = NULL, *factor = NULL, *best = NULL;
    json_t *state = json_object_get(root, "state");
    if (json_unpack((json_t *)root, "{s:I}", "format", &format) == 0 && format != FORMAT)
        return hone_fail(err, HONE_UNSUPPORTED,
                         "the checkpoint has format %lld; this version reads format %d", (long long)format,
                         FORMAT);
    if (!state ||
        json_unpack(state, "{s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "step", &step, "epoch",
                    &epoch, "sample", &sample, "loss_sum", &loss, "score_sum", &score, "rate_factor", &factor,
                    "best", &best, "best_epoch", &best_epoch, "variables", variables, "recipe",
                    recipe) != 0 ||
        step < 0 || epoch < 0 || sample < 0 || best_epoch < 0 || !parse_double(loss, &s->loss_sum) ||
        !parse_double(score, &s->score_sum) || s->score_sum < 0 || !parse_double(factor, &s->rate_factor) ||
        !parse_double(best, &s->best))
        return hone_fail(err, HONE_CORRUPT, "is not a checkpoint's state");
    if (!is_hexadecimal(json_object_get(root, "checksum"), checksum(state)))
        return hone_fail(err, HONE_CORRUPT, "its checksum is not that of its content");
    s->step = step;
    s->epoch = epoch;
    s->sample = sample;
    s->best_epoch = best_epoch;
    return HONE_OK;
}

/* Reads state and variables of one step. */
static hone_status load_step(const char *dir, hone_variables *variables, hone_train_state *s,
                             const char *recipe, hone_error *err) {
    char state[PATH_MAX], path[PATH_MAX];
    hone_blob blob;
    hone_train_state found;
    HONE_TRY(join(state, dir, "state.json", err));
    HONE_TRY(join(path, dir, "variables.safetensors", err));
    HONE_TRY(hone_file_read(state, STATE_LIMIT, &blob, err));
    json_t *root = json_loadb((const char *)blob.data, blob.size, 0, NULL),
           *now = json_loads(recipe, 0, NULL), *saved = NULL, *sum = NULL;
    hone_blob_free(&blob);
    hone_status status = now ? parse_state(root, &found, &saved, &sum, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_recipe_compare(saved, now, err);
    status = hone_error_in_file(err, status, state);
    if (status == HONE_OK) status = hone_safetensors_load(path, variables, err);
    if (status == HONE_OK && !is_hexadecimal(sum, checksum_of(variables)))
        status = hone_fail_file(err, HONE_CORRUPT, path, "its checksum is not the one in state.json");
    if (status == HONE_OK) *s = found;
    json_decref(root);
    json_decref(now);
    return status;
}

/* --- the directory --- */

static bool is_step(const char *name) {
    return strncmp(name, "step-", 5) == 0;
}

typedef struct sweep {
    const char *dir, *keep, *previous;
} sweep;

/* Everything but the newest two goes, and what a killed process left half-written. */
static void remove_old(void *user, const char *name) {
    const sweep *s = user;
    char path[PATH_MAX];
    if (strcmp(name, s->keep) == 0 || strcmp(name, s->previous) == 0) return;
    if (!hone_path_join(path, sizeof path, s->dir, name)) return;
    if (is_step(name)) hone_dir_remove(path, NULL);
    if (strncmp(name, ".LATEST.tmp-", 12) == 0) unlink(path);
}

static hone_status read_latest(const char *dir, char *name, size_t size, hone_error *err) {
    char path[PATH_MAX];
    hone_blob blob;
    HONE_TRY(join(path, dir, "LATEST", err));
    if (!hone_file_exists(path))
        return hone_fail_file(err, HONE_NOT_FOUND, dir, "there is no checkpoint here");
    hone_status status = hone_file_read(path, 256, &blob, err);
    if (status == HONE_RESOURCE_EXHAUSTED)
        return hone_fail_file(err, HONE_CORRUPT, path, "does not name a checkpoint");
    HONE_TRY(status);
    size_t n = blob.size;
    while (n > 0 && blob.data[n - 1] == '\n') n--;
    bool ok = n > 0 && n < size && !memchr(blob.data, '/', n);
    if (ok) {
        memcpy(name, blob.data, n);
        name[n] = 0;
    }
    hone_blob_free(&blob);
    return ok && is_step(name) ? HONE_OK
                               : hone_fail_file(err, HONE_CORRUPT, path, "does not name a checkpoint");
}

static hone_status write_step(const char *dir, const hone_variables *variables, const hone_train_state *state,
                              const char *recipe, hone_error *err) {
    char path[PATH_MAX];
    HONE_TRY(hone_dir_make(dir, err));
    HONE_TRY(join(path, dir, "variables.safetensors", err));
    HONE_TRY(hone_safetensors_save(path, variables, err));
    HONE_TRY(join(path, dir, "state.json", err));
    HONE_TRY(save_state(path, variables, state, recipe, err));
    return hone_dir_sync(dir, err);
}

hone_status hone_checkpoint_hold(const char *dir, int *hold, hone_error *err) {
    HONE_TRY(hone_dir_make(dir, err));
    hone_status status = hone_dir_hold(dir, hold, err);
    if (status != HONE_UNAVAILABLE) return status;
    return hone_fail_file(err, status, dir, "another training writes its checkpoints here");
}

hone_status hone_checkpoint_save(const char *dir, const hone_variables *variables,
                                 const hone_train_state *state, const char *recipe, hone_error *err) {
    char name[64], previous[64] = "", temporary[PATH_MAX], path[PATH_MAX];
    snprintf(name, sizeof name, "step-%09" PRId64, state->step);
    HONE_TRY(hone_dir_make(dir, err));
    hone_status found = read_latest(dir, previous, sizeof previous, err);
    if (found != HONE_OK && found != HONE_NOT_FOUND && found != HONE_CORRUPT) return found;
    if (found != HONE_OK) previous[0] = 0;
    /* another training's: LATEST names it until ours is whole, so ours needs another name */
    if (strcmp(previous, name) == 0) strcat(name, "-b");
    HONE_TRY(join(path, dir, name, err));
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary)
        return hone_fail_file(err, HONE_INVALID_ARGUMENT, dir, "the path is too long");
    HONE_TRY(hone_dir_remove(temporary, err));
    HONE_TRY(hone_dir_remove(path, err)); /* left by one who was killed before LATEST named it */
    hone_status status = write_step(temporary, variables, state, recipe, err);
    if (status == HONE_OK) status = hone_dir_rename(temporary, path, err);
    if (status != HONE_OK) {
        hone_dir_remove(temporary, NULL);
        return status;
    }
    HONE_TRY(join(path, dir, "LATEST", err));
    HONE_TRY(hone_file_replace(path, name, strlen(name), err));
    return hone_dir_list(dir, remove_old, &(sweep){dir, name, previous}, err);
}

typedef struct search {
    const char * not ;
    char name[64];
} search;

static void find_other(void *user, const char *name) {
    search *s = user;
    size_t length = strlen(name);
    if (!is_step(name) || strcmp(name, s->not ) == 0 || length >= sizeof s->name) return;
    if (strspn(name + 5, "0123456789-b") == length - 5 && strcmp(name, s->name) > 0) strcpy(s->name, name);
}

/* The step before, where the newest one is damaged. */
static hone_status load_previous(const char *dir, const char *newest, hone_variables *variables,
                                 hone_train_state *state, const char *recipe, hone_error *err) {
    search s = {.not = newest};
    char path[PATH_MAX], text[512];
    hone_error why = *err, ignored = {0};
    if (hone_dir_list(dir, find_other, &s, &ignored) != HONE_OK || !*s.name ||
        join(path, dir, s.name, &ignored) != HONE_OK ||
        load_step(path, variables, state, recipe, &ignored) != HONE_OK) {
        *err = why;
        return why.code;
    }
    hone_log(HONE_LOG_WARNING, "the newest checkpoint is damaged, going on from %s: %s", s.name,
             hone_error_format(&why, text, sizeof text));
    return HONE_OK;
}

hone_status hone_checkpoint_load(const char *dir, hone_variables *variables, hone_train_state *state,
                                 const char *recipe, hone_error *err) {
    char name[64], step[PATH_MAX];
    HONE_TRY(read_latest(dir, name, sizeof name, err));
    HONE_TRY(join(step, dir, name, err));
    hone_status status = load_step(step, variables, state, recipe, err);
    if (status != HONE_CORRUPT && status != HONE_NOT_FOUND) return status;
    return load_previous(dir, name, variables, state, recipe, err);
}
