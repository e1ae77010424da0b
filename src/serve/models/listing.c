#include "serve/models/listing.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "serve/models/model_config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSIONS_MOST = 100000, PENDING_MOST = 100 };

/* --- what a name tells --- */

static bool is_version(const char *name, int64_t *number) {
    return strlen(name) < sizeof((hone_found *)0)->name && hone_version_parse(name, strlen(name), number);
}

static bool is_onnx(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && strcasecmp(dot, ".onnx") == 0;
}

/* A file that somebody takes for a model. */
static bool is_model(const char *name) {
    return is_onnx(name) || strcmp(name, "saved_model.pb") == 0;
}

/* "v2", "1.0", "-4". */
static bool looks_like_version(const char *name) {
    if (*name == 'v' || *name == 'V' || *name == '-' || *name == '+') name++;
    return isdigit((unsigned char)*name);
}

/* The first number in a name, as text. */
static void number_in(const char *name, char out[24]) {
    const char *from = name + strcspn(name, "0123456789");
    size_t n = strspn(from, "0123456789");
    snprintf(out, 24, "%.*s", n && n < 20 ? (int)n : 1, n && n < 20 ? from : "1");
}

static bool is_directory(const hone_place *place, const char *path) {
    int fd;
    if (hone_place_open(place, path, O_PATH | O_DIRECTORY, &fd, NULL) != HONE_OK) return false;
    close(fd);
    return true;
}

/* --- versions --- */

/* The first entry of a directory that may be meant as the model; "": none. */
static void find_model(const hone_place *place, const char *version, char out[NAME_MAX + 1]) {
    DIR *d;
    *out = 0;
    if (hone_place_list(place, version, &d, NULL) != HONE_OK) return;
    for (struct dirent *e; (e = readdir(d));)
        if (is_model(e->d_name) && (!*out || strcmp(e->d_name, out) < 0))
            snprintf(out, NAME_MAX + 1, "%s", e->d_name);
    closedir(d);
}

static void remark_pending(const hone_place *place, const char *name, const char *version,
                           hone_listing *out) {
    char found[NAME_MAX + 1];
    find_model(place, version, found);
    out->elsewhere |= strcmp(found, HONE_MODEL_FILE) == 0;
    if (strcmp(found, HONE_MODEL_FILE) == 0)
        hone_remarks_add(&out->remarks, name,
                         "version %s: its model.onnx is a link to a file that is not there", version);
    else if (is_onnx(found))
        hone_remarks_add(&out->remarks, name,
                         "version %s has no model.onnx: rename %.*s, which it has, to that", version,
                         HONE_UTF8_SHOWN(found, 100));
    else if (*found)
        hone_remarks_add(&out->remarks, name,
                         "version %s has no model.onnx: convert %.*s, which it has, to ONNX", version,
                         HONE_UTF8_SHOWN(found, 100));
    else
        hone_remarks_add(&out->remarks, name, "version %s has no model.onnx", version);
}

static hone_status append(hone_found **items, size_t *count, size_t *capacity, const hone_found *f,
                          hone_error *err) {
    if (!hone_reserve(items, capacity, *count + 1, sizeof *f)) return hone_fail_memory(err);
    (*items)[(*count)++] = *f;
    return HONE_OK;
}

static hone_status add_version(const hone_place *place, const char *name, const struct dirent *e,
                               int64_t number, hone_listing *out, hone_error *err) {
    char path[PATH_MAX];
    hone_found v = {.number = number};
    hone_fingerprint file;
    snprintf(v.name, sizeof v.name, "%.*s", (int)sizeof v.name - 1, e->d_name);
    hone_place_part(place, v.name, hone_place_model(place, v.name), path, sizeof path);
    if (hone_place_look(place, path, &file, NULL) != HONE_NOT_FOUND) {
        if (out->count == VERSIONS_MOST)
            return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "more than %d versions", VERSIONS_MOST);
        return append(&out->versions, &out->count, &out->capacity, &v, err);
    }
    if (!is_directory(place, v.name)) {
        out->elsewhere |= e->d_type == DT_LNK;
        hone_remarks_add(&out->remarks, name,
                         e->d_type == DT_LNK
                             ? "version %s is a link to a directory that is not there"
                             : "%s is no version, since it is no directory: move the model to "
                               "model.onnx in a directory of that name",
                         v.name);
        return HONE_OK;
    }
    remark_pending(place, name, v.name, out);
    out->elsewhere |= e->d_type != DT_DIR || out->pending_count == PENDING_MOST;
    if (out->pending_count == PENDING_MOST) return HONE_OK;
    return append(&out->pending, &out->pending_count, &out->pending_capacity, &v, err);
}

/* --- what else lies there --- */

static void remark_directory(const hone_place *place, const char *name, const char *entry,
                             hone_listing *out) {
    char found[NAME_MAX + 1], number[24];
    int64_t ignored;
    number_in(entry, number);
    if (!looks_like_version(entry)) find_model(place, entry, found);
    if (!looks_like_version(entry) && !*found) return;
    if (entry[strspn(entry, "0123456789")] == 0 && !is_version(entry, &ignored))
        hone_remarks_add(&out->remarks, name, "%.*s is no version, since the largest number is %lld",
                         HONE_UTF8_SHOWN(entry, 100), (long long)INT64_MAX);
    else
        hone_remarks_add(&out->remarks, name,
                         "%.*s is no version, since its name is no whole number: rename it, as to %s",
                         HONE_UTF8_SHOWN(entry, 100), number);
}

static void remark_entry(const hone_place *place, const char *name, const struct dirent *e,
                         hone_listing *out) {
    const char *entry = e->d_name;
    if (is_onnx(entry))
        hone_remarks_add(&out->remarks, name,
                         "%.*s lies beside the versions: move it into one, as 1/model.onnx",
                         HONE_UTF8_SHOWN(entry, 100));
    else if (is_model(entry))
        hone_remarks_add(&out->remarks, name, "%.*s is no ONNX model: convert it, and put it to 1/model.onnx",
                         HONE_UTF8_SHOWN(entry, 100));
    else if (strcasecmp(entry, HONE_SETTINGS_FILE) == 0 && strcmp(entry, HONE_SETTINGS_FILE) != 0)
        hone_remarks_add(&out->remarks, name, "%s is not read: rename it to " HONE_SETTINGS_FILE, entry);
    else if (e->d_type != DT_REG && is_directory(place, entry))
        remark_directory(place, name, entry, out);
}

static int by_number(const void *a, const void *b) {
    const hone_found *x = a, *y = b;
    int numbers = (x->number > y->number) - (x->number < y->number);
    size_t m = strlen(x->name), n = strlen(y->name);
    return numbers ? numbers : (m > n) - (m < n);
}

/* "7" and "07" are the same version. */
static void drop_repeats(const char *name, hone_listing *out) {
    size_t kept = 0;
    if (out->count) qsort(out->versions, out->count, sizeof *out->versions, by_number);
    for (size_t i = 0; i < out->count; i++) {
        const hone_found *last = kept ? &out->versions[kept - 1] : NULL, *v = &out->versions[i];
        if (last && last->number == v->number)
            hone_remarks_add(&out->remarks, name,
                             "%s is the same version as %s, which counts: remove or rename it", v->name,
                             last->name);
        else
            out->versions[kept++] = *v;
    }
    out->count = kept;
}

static hone_status list_entry(const hone_place *place, const char *name, const struct dirent *e,
                              hone_listing *out, hone_error *err) {
    int64_t number;
    if (is_version(e->d_name, &number)) return add_version(place, name, e, number, out, err);
    if (e->d_name[0] != '.') remark_entry(place, name, e, out);
    return HONE_OK;
}

static void look_at_settings(const hone_place *place, hone_listing *out) {
    hone_fingerprint is;
    if (hone_place_look(place, HONE_SETTINGS_FILE, &is, NULL) != HONE_NOT_FOUND)
        hone_print_add(&out->settings, HONE_SETTINGS_FILE, &is);
}

static hone_status list_directory(const hone_place *place, const char *name, hone_listing *out,
                                  hone_error *err) {
    struct stat info;
    DIR *d;
    hone_status status = HONE_OK;
    HONE_TRY(hone_place_list(place, "", &d, err));
    if (fstat(dirfd(d), &info) == 0) out->directory = hone_fingerprint_of(&info);
    look_at_settings(place, out);
    for (struct dirent *e; status == HONE_OK && (e = readdir(d));)
        status = list_entry(place, name, e, out, err);
    closedir(d);
    drop_repeats(name, out);
    if (!out->count && !out->pending_count && !out->remarks.count)
        hone_remarks_add(&out->remarks, name,
                         "it has no version: put the model to 1/model.onnx in its directory");
    return status;
}

static hone_status list_file(const hone_place *place, hone_listing *out, hone_error *err) {
    struct stat info;
    if (stat(place->root, &info) != 0) return hone_fail_errno(err, errno, place->root, "cannot open");
    if (!S_ISREG(info.st_mode)) return hone_fail_file(err, HONE_NOT_FOUND, place->root, "is no regular file");
    return append(&out->versions, &out->count, &out->capacity, &(hone_found){.number = 1, .name = "1"}, err);
}

hone_status hone_repository_list(const hone_place *place, const char *name, hone_listing *out,
                                 hone_error *err) {
    *out = (hone_listing){0};
    hone_status status = place->file ? list_file(place, out, err) : list_directory(place, name, out, err);
    if (status != HONE_OK) hone_listing_free(out);
    return status;
}

void hone_listing_free(hone_listing *l) {
    hone_free(l->versions);
    hone_free(l->pending);
    hone_remarks_free(&l->remarks);
    *l = (hone_listing){0};
}

/* --- repositories --- */

static void remark_other(const char *entry, int code, hone_remarks *out) {
    char text[128];
    if (code == ENOTDIR && is_model(entry))
        hone_remarks_add(out, entry, "lies in the repository itself: move it to NAME/1/model.onnx");
    else if (code == ENOENT)
        hone_remarks_add(out, entry, "is a link to a directory that is not there");
    else if (code == EXDEV || code == ELOOP)
        hone_remarks_add(
            out, entry,
            "is a link that leads out of the repository, and is not followed: move there what it "
            "leads to, or name it by --model");
    else if (code != ENOTDIR)
        hone_remarks_add(out, entry, "cannot be opened: %s", hone_errno_text(code, text, sizeof text));
}

hone_status hone_repository_models(const char *root, void (*fn)(void *user, const char *name), void *user,
                                   hone_remarks *remarks, bool *elsewhere, hone_error *err) {
    DIR *d = opendir(root);
    *elsewhere = false;
    if (!d) return hone_fail_errno(err, errno, root, "cannot open");
    for (struct dirent *e; (e = readdir(d));) {
        hone_error why;
        if (e->d_name[0] == '.') continue;
        int inner = hone_open_beneath(dirfd(d), e->d_name, O_PATH | O_DIRECTORY);
        *elsewhere |= inner < 0 && e->d_type == DT_LNK;
        if (inner < 0) {
            remark_other(e->d_name, errno, remarks);
            continue;
        }
        close(inner);
        if (hone_model_name_check(e->d_name, &why) == HONE_OK)
            fn(user, e->d_name);
        else
            hone_remarks_add(remarks, e->d_name, "is not served: %s; rename it", why.message);
    }
    closedir(d);
    return HONE_OK;
}
