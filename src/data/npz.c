#include "data/npz.h"

#include "base/memory.h"
#include "data/npy.h"
#include "graph/tensor.h"

#include <hone/data.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

struct hone_npz {
    zip_t *zip;
    const char *path; /* NULL: memory */
    uint64_t size;    /* of the archive */
};

typedef struct entry_source {
    hone_source base;
    zip_file_t *file;
} entry_source;

static hone_status fail_zip(hone_error *err, const char *path, zip_error_t *e) {
    int code = zip_error_code_zip(e);
    if (code == ZIP_ER_MEMORY) return hone_fail_memory(err);
    if (code == ZIP_ER_OPEN || code == ZIP_ER_READ || code == ZIP_ER_SEEK)
        return hone_fail_file(err, HONE_IO, path, "%s", zip_error_strerror(e));
    return hone_fail_file(err, HONE_CORRUPT, path, "%s", zip_error_strerror(e));
}

static hone_status open_zip(zip_source_t *source, hone_npz init, hone_npz **out, zip_error_t *e,
                            hone_error *err) {
    if (!source) return fail_zip(err, init.path, e);
    hone_npz *z = hone_alloc(sizeof *z);
    zip_t *zip = z ? zip_open_from_source(source, ZIP_RDONLY, e) : NULL;
    if (!zip) {
        zip_source_free(source);
        hone_free(z);
        return z ? fail_zip(err, init.path, e) : hone_fail_memory(err);
    }
    *z = init;
    z->zip = zip;
    *out = z;
    return HONE_OK;
}

hone_status hone_npz_open(const char *path, hone_npz **out, hone_error *err) {
    struct stat st;
    if (stat(path, &st) != 0) return hone_fail_errno(err, errno, path, "cannot open");
    if (!S_ISREG(st.st_mode)) return hone_fail_file(err, HONE_IO, path, "not a regular file");
    zip_error_t e;
    zip_error_init(&e);
    hone_npz init = {.path = path, .size = (uint64_t)st.st_size};
    hone_status status = open_zip(zip_source_file_create(path, 0, -1, &e), init, out, &e, err);
    zip_error_fini(&e);
    return hone_error_in_file(err, status, path);
}

hone_status hone_npz_open_memory(const void *data, size_t size, hone_npz **out, hone_error *err) {
    zip_error_t e;
    zip_error_init(&e);
    hone_status status =
        open_zip(zip_source_buffer_create(data, size, 0, &e), (hone_npz){.size = size}, out, &e, err);
    zip_error_fini(&e);
    return status;
}

void hone_npz_close(hone_npz *z) {
    if (!z) return;
    zip_discard(z->zip);
    hone_free(z);
}

const char *hone_npz_name(const hone_npz *z, int64_t index) {
    return index < 0 || index >= zip_get_num_entries(z->zip, 0)
               ? NULL
               : zip_get_name(z->zip, (zip_uint64_t)index, 0);
}

/* Index of NAME.npy, or of NAME itself; < 0 if there is none. */
static int64_t locate(const hone_npz *z, const char *name) {
    char file[256];
    int n = snprintf(file, sizeof file, "%s.npy", name);
    if (n < 0 || (size_t)n >= sizeof file) return -1;
    int64_t index = zip_name_locate(z->zip, file, 0);
    return index >= 0 ? index : zip_name_locate(z->zip, name, 0);
}

bool hone_npz_has(const hone_npz *z, const char *name) {
    return locate(z, name) >= 0;
}

hone_status hone_npz_missing(const hone_npz *z, const char *name, hone_error *err) {
    char list[384] = "";
    size_t used = 0;
    const char *there;
    for (int64_t i = 0; (there = hone_npz_name(z, i)) && used < sizeof list; i++) {
        size_t length = strlen(there);
        if (length > 4 && strcmp(there + length - 4, ".npy") == 0) length -= 4;
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s%.*s", i ? ", " : "", (int)length, there);
    }
    return hone_fail_file(err, HONE_NOT_FOUND, z->path, "no array '%s'; there is: %s", name,
                          list[0] ? list : "nothing");
}

static hone_status read_entry(hone_source *s, void *to, size_t size, size_t *got, hone_error *err) {
    entry_source *e = (entry_source *)s;
    zip_int64_t n = zip_fread(e->file, to, size);
    if (n < 0) return fail_zip(err, NULL, zip_file_get_error(e->file));
    *got = (size_t)n;
    return HONE_OK;
}

/* What the entry can give: what the archive says, but not more than its compressed bytes can hold. */
static hone_status entry_limit(const hone_npz *z, zip_uint64_t index, uint64_t *out, hone_error *err) {
    const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    zip_stat_t st;
    if (zip_stat_index(z->zip, index, 0, &st) != 0 || (st.valid & needed) != needed)
        return hone_fail(err, HONE_CORRUPT, "bad directory entry");
    if ((st.valid & ZIP_STAT_ENCRYPTION_METHOD) && st.encryption_method != ZIP_EM_NONE)
        return hone_fail(err, HONE_UNSUPPORTED, "the archive is encrypted");
    if (st.comp_method != ZIP_CM_STORE && st.comp_method != ZIP_CM_DEFLATE)
        return hone_fail(err, HONE_UNSUPPORTED, "zip compression method %d; NumPy writes 0 and 8",
                         st.comp_method);
    uint64_t ratio = st.comp_method == ZIP_CM_STORE ? 1 : HONE_DEFLATE_RATIO;
    uint64_t packed = st.comp_size < z->size ? st.comp_size : z->size;
    uint64_t most = packed < UINT64_MAX / ratio ? packed * ratio : UINT64_MAX;
    *out = st.size < most ? st.size : most;
    return HONE_OK;
}

hone_status hone_npz_read(hone_npz *z, const char *name, hone_tensor **out, hone_error *err) {
    int64_t index = locate(z, name);
    if (index < 0) return hone_npz_missing(z, name, err);
    entry_source e = {.base = {.read = read_entry}};
    hone_status status = entry_limit(z, (zip_uint64_t)index, &e.base.limit, err);
    if (status != HONE_OK) return hone_error_in_file(err, status, z->path);
    e.file = zip_fopen_index(z->zip, (zip_uint64_t)index, 0);
    if (!e.file) return hone_error_in_file(err, fail_zip(err, z->path, zip_get_error(z->zip)), z->path);
    status = hone_npy_read(&e.base, out, err);
    zip_fclose(e.file);
    if (status != HONE_OK && err) {
        hone_error inner = *err;
        hone_fail(err, status, "array '%s': %.400s", name, inner.message);
    }
    return hone_error_in_file(err, status, z->path);
}

hone_status hone_npz_load(const char *path, const char *name, hone_tensor **out, hone_error *err) {
    hone_npz *z = NULL;
    HONE_TRY(hone_npz_open(path, &z, err));
    hone_status status = hone_npz_read(z, name, out, err);
    hone_npz_close(z);
    return status;
}

/* --- as a sequence --- */

/* Of an entry, without .npy. */
static size_t name_length(const char *name) {
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".npy") == 0 ? length - 4 : length;
}

static int by_name(const void *a, const void *b) {
    return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

static hone_status read_converted(hone_npz *z, const char *name, hone_dtype dtype, hone_tensor **out,
                                  hone_error *err) {
    hone_tensor *t = NULL;
    HONE_TRY(hone_npz_read(z, name, &t, err));
    hone_status status = hone_tensor_convert(t, dtype, out, err);
    hone_tensor_free(t);
    if (status == HONE_OK || !err) return status;
    hone_error inner = *err;
    return hone_fail_file(err, status, z->path, "array '%.*s': %.400s", (int)name_length(name), name,
                          inner.message);
}

static hone_status read_sequence(hone_npz *z, hone_dtype dtype, int64_t count, hone_tensor **out,
                                 hone_error *err) {
    const char **names = hone_calloc((size_t)count + 1, sizeof *names);
    hone_tensor **items = hone_calloc((size_t)count + 1, sizeof *items);
    hone_status status = names && items ? HONE_OK : hone_fail_memory(err);
    for (int64_t i = 0; status == HONE_OK && i < count; i++)
        if (!(names[i] = hone_npz_name(z, i)))
            status = hone_fail(err, HONE_CORRUPT, "an array without a name");
    if (status == HONE_OK) qsort(names, (size_t)count, sizeof *names, by_name);
    for (int64_t i = 0; status == HONE_OK && i < count; i++)
        status = read_converted(z, names[i], dtype, &items[i], err);
    if (status == HONE_OK) status = hone_tensor_of_items(HONE_KIND_SEQUENCE, dtype, items, count, out, err);
    for (int64_t i = 0; items && i < count; i++) hone_tensor_free(items[i]);
    hone_free(names);
    hone_free(items);
    return status;
}

hone_status hone_npz_load_sequence(const char *path, hone_dtype dtype, hone_tensor **out, hone_error *err) {
    hone_npz *z = NULL;
    HONE_TRY(hone_npz_open(path, &z, err));
    hone_status status = read_sequence(z, dtype, zip_get_num_entries(z->zip, 0), out, err);
    hone_npz_close(z);
    return hone_error_in_file(err, status, path);
}

/* --- writing --- */

/* One array: what stands before the elements, which stay where they are. `front` lives until the archive is made. */
static hone_status add_array(zip_t *zip, const hone_named_tensor *a, hone_blob *front, hone_error *err) {
    HONE_TRY(hone_npy_front(a->tensor, front, err));
    bool strings = a->tensor->dtype == HONE_STRING;
    zip_buffer_fragment_t parts[2] = {{front->data, front->size},
                                      {strings ? NULL : a->tensor->data, strings ? 0 : a->tensor->bytes}};
    size_t room = strlen(a->name) + sizeof ".npy";
    char *name = hone_alloc(room);
    if (!name) return hone_fail_memory(err);
    snprintf(name, room, "%s.npy", a->name);
    zip_source_t *source = zip_source_buffer_fragment(zip, parts, parts[1].length ? 2 : 1, 0);
    zip_int64_t at = source ? zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8) : -1;
    hone_free(name);
    if (at < 0) {
        zip_source_free(source);
        return fail_zip(err, NULL, zip_get_error(zip));
    }
    /* the first moment that zip knows, so that the bytes don't tell the time */
    if (zip_set_file_compression(zip, (zip_uint64_t)at, ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(zip, (zip_uint64_t)at, 0, 1 << 5 | 1, 0) != 0)
        return fail_zip(err, NULL, zip_get_error(zip));
    return HONE_OK;
}

/* Into memory that `held` keeps. */
static hone_status make_zip(zip_source_t *held, const hone_named_tensor *arrays, int count, hone_blob *fronts,
                            hone_error *err) {
    zip_error_t e;
    zip_error_init(&e);
    zip_t *zip = zip_open_from_source(held, ZIP_CREATE | ZIP_TRUNCATE, &e);
    hone_status status = zip ? HONE_OK : fail_zip(err, NULL, &e);
    zip_error_fini(&e);
    if (!zip) return status;
    zip_source_keep(held); /* closing gives one reference back */
    for (int i = 0; status == HONE_OK && i < count; i++) status = add_array(zip, &arrays[i], &fronts[i], err);
    if (status == HONE_OK && zip_close(zip) != 0)
        status = fail_zip(err, NULL, zip_get_error(zip));
    else if (status == HONE_OK)
        return HONE_OK;
    zip_discard(zip);
    return status;
}

static hone_status copy_zip(zip_source_t *held, hone_writer *w, hone_error *err) {
    char part[1 << 16];
    zip_int64_t n;
    if (zip_source_open(held) != 0) return fail_zip(err, NULL, zip_source_error(held));
    hone_status status = HONE_OK;
    while (status == HONE_OK && (n = zip_source_read(held, part, sizeof part)) > 0)
        status = hone_writer_write(w, part, (size_t)n, err);
    if (status == HONE_OK && n < 0) status = fail_zip(err, NULL, zip_source_error(held));
    zip_source_close(held);
    return status;
}

static hone_status save_zip(const char *path, zip_source_t *held, const hone_named_tensor *arrays, int count,
                            hone_blob *fronts, hone_error *err) {
    static const char empty[22] = "PK\5\6"; /* libzip makes no archive of nothing */
    hone_writer *w = NULL;
    if (count) HONE_TRY(make_zip(held, arrays, count, fronts, err));
    HONE_TRY(hone_writer_open(path, &w, err));
    hone_status status = count ? copy_zip(held, w, err) : hone_writer_write(w, empty, sizeof empty, err);
    if (status == HONE_OK) return hone_writer_commit(w, err);
    hone_writer_abort(w);
    return status;
}

hone_status hone_npz_save(const char *path, const hone_named_tensor *arrays, int count, hone_error *err) {
    zip_error_t e;
    zip_error_init(&e);
    hone_blob *fronts = hone_calloc((size_t)count + 1, sizeof *fronts);
    zip_source_t *held = fronts ? zip_source_buffer_create(NULL, 0, 0, &e) : NULL;
    hone_status status = held ? save_zip(path, held, arrays, count, fronts, err) : hone_fail_memory(err);
    zip_source_free(held);
    zip_error_fini(&e);
    for (int i = 0; fronts && i < count; i++) hone_blob_free(&fronts[i]);
    hone_free(fronts);
    return hone_error_in_file(err, status, path);
}
