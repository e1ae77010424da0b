#include "train/checkpoint.h"

#include "base/file.h"
#include "train/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hone_status join(char *out, const char *dir, const char *name, hone_error *err) {
    if (hone_path_join(out, PATH_MAX, dir, name)) return HONE_OK;
    return hone_fail_file(err, HONE_INVALID_ARGUMENT, dir, "the path is too long");
}

/* --- state.json --- doubles as hexadecimal floats, so that they come back bit for bit */

static hone_status save_state(const char *path, const hone_train_state *s, const char *recipe,
                              hone_error *err) {
    char loss[64];
    snprintf(loss, sizeof loss, "%a", s->loss_sum);
    json_t *settings = json_loads(recipe, 0, NULL);
    json_t *root = json_pack("{s:i, s:I, s:I, s:I, s:s, s:I, s:o}", "format", 1, "step", (json_int_t)s->step,
                             "epoch", (json_int_t)s->epoch, "sample", (json_int_t)s->sample, "loss_sum", loss,
                             "correct", (json_int_t)s->correct, "recipe", settings);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    hone_status status = text ? hone_file_replace(path, text, strlen(text), err) : hone_fail_memory(err);
    free(text);
    json_decref(root);
    return status;
}

/* Every setting must be as it was. */
static hone_status compare_recipes(const char *path, json_t *saved, json_t *now, hone_error *err) {
    const char *key;
    json_t *value;
    json_object_foreach(now, key, value) {
        json_t *other = json_object_get(saved, key);
        if (other && json_equal(other, value)) continue;
        char *before = other ? json_dumps(other, JSON_ENCODE_ANY) : NULL,
             *after = json_dumps(value, JSON_ENCODE_ANY);
        hone_status status =
            hone_fail_file(err, HONE_FAILED_PRECONDITION, path,
                           "the checkpoint was made with %s %s, not %s; resume with the same settings", key,
                           before ? before : "unknown", after ? after : "this");
        free(before);
        free(after);
        return status;
    }
    return HONE_OK;
}

static hone_status load_state(const char *path, hone_train_state *s, const char *recipe, hone_error *err) {
    hone_blob blob;
    HONE_TRY(hone_file_read(path, 1 << 20, &blob, err));
    json_t *root = json_loadb((const char *)blob.data, blob.size, 0, NULL), *saved = NULL;
    hone_blob_free(&blob);
    json_int_t step, epoch, sample, correct;
    const char *loss = NULL;
    hone_status status = HONE_OK;
    if (json_unpack(root, "{s:I, s:I, s:I, s:s, s:I, s:o}", "step", &step, "epoch", &epoch, "sample", &sample,
                    "loss_sum", &loss, "correct", &correct, "recipe", &saved) != 0)
        status = hone_fail_file(err, HONE_CORRUPT, path, "is not a checkpoint's state");
    if (status == HONE_OK) {
        json_t *now = json_loads(recipe, 0, NULL);
        *s = (hone_train_state){step, epoch, sample, strtod(loss, NULL), correct};
        status = compare_recipes(path, saved, now, err);
        json_decref(now);
    }
    json_decref(root);
    return status;
}

/* --- the directory --- */

static bool is_step(const char *name) {
    return strncmp(name, "step-", 5) == 0;
}

typedef struct sweep {
    const char *dir, *keep, *previous;
} sweep;

/* Everything but the newest two goes, half-written ones too. */
static void remove_old(void *user, const char *name) {
    const sweep *s = user;
    char path[PATH_MAX];
    if (!is_step(name) || strcmp(name, s->keep) == 0 || strcmp(name, s->previous) == 0) return;
    if (hone_path_join(path, sizeof path, s->dir, name)) hone_dir_remove(path, NULL);
}

static hone_status read_latest(const char *dir, char *name, size_t size, hone_error *err) {
    char path[PATH_MAX];
    hone_blob blob;
    HONE_TRY(join(path, dir, "LATEST", err));
    if (!hone_file_exists(path))
        return hone_fail_file(err, HONE_NOT_FOUND, dir, "there is no checkpoint here");
    HONE_TRY(hone_file_read(path, 256, &blob, err));
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

hone_status hone_checkpoint_save(const char *dir, const hone_variables *variables,
                                 const hone_train_state *state, const char *recipe, hone_error *err) {
    char name[64], previous[64] = "", temporary[PATH_MAX], path[PATH_MAX];
    snprintf(name, sizeof name, "step-%09" PRId64, state->step);
    HONE_TRY(hone_dir_make(dir, err));
    if (read_latest(dir, previous, sizeof previous, NULL) != HONE_OK) previous[0] = 0;
    if (strcmp(previous, name) == 0) return HONE_OK; /* it is there */
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
