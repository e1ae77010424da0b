#include "data/npz.h"

#include "base/memory.h"
#include "data/npy.h"

#include <hone/data.h>

#include <errno.h>
#include <stdio.h>
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
