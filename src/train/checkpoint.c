#include "train/checkpoint.h"

#include "base/file.h"
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

enum { FORMAT = 2, STATE_LIMIT = 1 << 26 };

static hone_status join(char *out, const char *dir, const char *name, hone_error *err) {
    if (hone_path_join(out, PATH_MAX, dir, name)) return HONE_OK;
    return hone_fail_file(err, HONE_INVALID_ARGUMENT, dir, "the path is too long");
}

/* --- state.json --- doubles as hexadecimal floats, so that they come back bit for bit */

static hone_status save_state(const char *path, const hone_train_state *s, const char *recipe,
                              hone_error *err) {
    char loss[64], score[64];
    snprintf(loss, sizeof loss, "%a", s->loss_sum);
    snprintf(score, sizeof score, "%a", s->score_sum);
    json_t *settings = json_loads(recipe, 0, NULL);
    json_t *root = json_pack("{s:i, s:I, s:I, s:I, s:s, s:s, s:o}", "format", FORMAT, "step",
                             (json_int_t)s->step, "epoch", (json_int_t)s->epoch, "sample",
                             (json_int_t)s->sample, "loss_sum", loss, "score_sum", score, "recipe", settings);
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
static hone_status parse_state(const json_t *root, hone_train_state *s, json_t **recipe, hone_error *err) {
    json_int_t format, step, epoch, sample;
    const char *loss = NULL, *score = NULL;
    if (json_unpack((json_t *)root, "{s:I}", "format", &format) == 0 && format != FORMAT)
        return hone_fail(err, HONE_UNSUPPORTED,
                         "the checkpoint has format %lld; this version reads format %d", (long long)format,
                         FORMAT);
    if (json_unpack((json_t *)root, "{s:I, s:I, s:I, s:I, s:s, s:s, s:o}", "format", &format, "step", &step,
                    "epoch", &epoch, "sample", &sample, "loss_sum", &loss, "score_sum", &score, "recipe",
                    recipe) != 0 ||
        step < 0 || epoch < 0 || sample < 0 || !parse_double(loss, &s->loss_sum) ||
        !parse_double(score, &s->score_sum) || s->score_sum < 0)
        return hone_fail(err, HONE_CORRUPT, "is not a checkpoint's state");
    s->step = step;
    s->epoch = epoch;
    s->sample = sample;
    return HONE_OK;
}

static hone_status load_state(const char *path, hone_train_state *s, const char *recipe, hone_error *err) {
    hone_blob blob;
    HONE_TRY(hone_file_read(path, STATE_LIMIT, &blob, err));
    json_t *root = json_loadb((const char *)blob.data, blob.size, 0, NULL),
           *now = json_loads(recipe, 0, NULL), *saved;
    hone_blob_free(&blob);
    hone_status status = now ? parse_state(root, s, &saved, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_recipe_compare(saved, now, err);
    json_decref(root);
    json_decref(now);
    return hone_error_in_file(err, status, path);
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
    HONE_TRY(save_state(path, state, recipe, err));
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

hone_status hone_checkpoint_load(const char *dir, hone_variables *variables, hone_train_state *state,
                                 const char *recipe, hone_error *err) {
    char name[64], step[PATH_MAX], path[PATH_MAX];
    HONE_TRY(read_latest(dir, name, sizeof name, err));
    HONE_TRY(join(step, dir, name, err));
    HONE_TRY(join(path, step, "state.json", err));
    HONE_TRY(load_state(path, state, recipe, err));
    HONE_TRY(join(path, step, "variables.safetensors", err));
    return hone_safetensors_load(path, variables, err);
}
