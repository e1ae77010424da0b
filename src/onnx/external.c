#include "onnx/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

/* Tensors smaller than this stay in the model; others start at a multiple of ALIGNMENT in the file. */
#define SMALL 1024
#define ALIGNMENT 64

/* --- reading --- */

static bool parse_size(const char *text, uint64_t *out) {
    uint64_t x = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || x > (UINT64_MAX - 9) / 10) return false;
        x = x * 10 + (uint64_t)(*text - '0');
    }
    *out = x;
    return true;
}

/* Relative, and no component of it "..": this much can be said without looking at the disk. */
static bool stays_inside(const char *location) {
    if (!*location || *location == '/' || strchr(location, '\\')) return false;
    for (const char *p = location; p; p = strchr(p, '/')) {
        if (*p == '/') p++;
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == 0)) return false;
    }
    return true;
}

/* By the model's name for it: the directory may have none that anybody knows. */
static hone_status cannot_open(const char *location, hone_error *err) {
    int code = errno;
    char text[128];
    return hone_fail(err, code == ENOENT ? HONE_NOT_FOUND : HONE_IO, "cannot open the external data '%s': %s",
                     location, hone_errno_text(code, text, sizeof text));
}

/* The file's true path, which must lie in the true path of `dir`. */
static hone_status resolve(const char *dir, const char *location, char path[PATH_MAX], hone_error *err) {
    char joined[PATH_MAX], root[PATH_MAX];
    if (!hone_path_join(joined, sizeof joined, dir, location))
        return hone_fail(err, HONE_CORRUPT, "the path of the external data is too long");
    if (!realpath(*dir ? dir : ".", root) || !realpath(joined, path)) return cannot_open(location, err);
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(path, root, length) == 0 && path[length] == '/') return HONE_OK;
    return hone_fail(err, HONE_CORRUPT, "the external data '%s' leads out of the model's directory",
                     location);
}

static hone_status check_range(const hone_external *e, uint64_t size, const char *length, size_t bytes,
                               hone_error *err) {
    uint64_t stated = bytes;
    if (length && !parse_size(length, &stated))
        return hone_fail(err, HONE_CORRUPT, "the length of the external data is not a number");
    if (stated != bytes)
        return hone_fail(err, HONE_CORRUPT, "the tensor needs %zu bytes and its external data has %llu",
                         bytes, (unsigned long long)stated);
    if (e->offset <= size && bytes <= size - e->offset) return HONE_OK;
    return hone_fail_file(err, HONE_CORRUPT, e->path, "has %llu bytes; %zu are needed from byte %llu on",
                          (unsigned long long)size, bytes, (unsigned long long)e->offset);
}

static hone_status read_entries(hone_external *e, const hone_tensor_message *m, const char **length,
                                hone_error *err) {
    for (size_t i = 0; i < m->n_external_data; i++) {
        const char *key = hone_message_text(m->external_data[i]->key);
        const char *value = hone_message_text(m->external_data[i]->value);
        if (strcmp(key, "location") == 0) e->location = value;
        if (strcmp(key, "length") == 0) *length = value;
        if (strcmp(key, "offset") == 0 && !parse_size(value, &e->offset))
            return hone_fail(err, HONE_CORRUPT, "the offset of the external data is not a number");
    }
    return HONE_OK;
}

static hone_status note(const hone_external *e, const hone_onnx_source *source, const struct stat *info,
                        hone_error *err) {
    hone_fingerprint is = info ? hone_fingerprint_of(info) : (hone_fingerprint){0};
    return hone_file_list_add(source->external, e->location, &is) ? HONE_OK : hone_fail_memory(err);
}

static hone_status not_regular(const hone_external *e, const hone_onnx_source *source,
                               const struct stat *info, hone_error *err) {
    HONE_TRY(note(e, source, info, err));
    return hone_fail_file(err, HONE_CORRUPT, e->path, "the external data is not a regular file");
}

hone_status hone_external_open(hone_external *e, const hone_tensor_message *m, const hone_onnx_source *source,
                               size_t bytes, hone_error *err) {
    const char *length = NULL;
    struct stat info;
    e->offset = 0;
    e->fd = -1;
    e->location = "";
    HONE_TRY(read_entries(e, m, &length, err));
    if (!source || !source->dir)
        return hone_fail(err, HONE_UNSUPPORTED, "external data of a model that is not read from a file");
    if (!stays_inside(e->location))
        return hone_fail(err, HONE_CORRUPT, "the external data '%s' leads out of the model's directory",
                         e->location);
    hone_status status = resolve(source->dir, e->location, e->path, err);
    if (status == HONE_OK) {
        /* what is no file is not opened: that may do things. It is looked at again when it is open */
        if (stat(e->path, &info) == 0 && !S_ISREG(info.st_mode)) return not_regular(e, source, &info, err);
        e->fd = open(e->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (e->fd < 0) status = cannot_open(e->location, err);
    }
    if (status == HONE_OK && fstat(e->fd, &info) != 0)
        status = hone_fail_errno(err, errno, e->path, "cannot read");
    if (status != HONE_OK) {
        hone_external_close(e);
        HONE_TRY(note(e, source, NULL, err));
        return status;
    }
    status = S_ISREG(info.st_mode) ? note(e, source, &info, err) : not_regular(e, source, &info, err);
    if (status == HONE_OK) status = check_range(e, (uint64_t)info.st_size, length, bytes, err);
    if (status != HONE_OK) hone_external_close(e);
    return status;
}

hone_status hone_external_check(const hone_external *e, const hone_onnx_source *source, hone_error *err) {
    struct stat info;
    if (fstat(e->fd, &info) != 0) return hone_fail_errno(err, errno, e->path, "cannot read");
    return note(e, source, &info, err);
}

void hone_external_close(hone_external *e) {
    if (e->fd >= 0) close(e->fd);
    e->fd = -1;
}

/* --- writing --- */

static bool add_entry(hone_tensor_message *m, const char *key, char *value, hone_arena *arena) {
    hone_entry_message *entry = hone_arena_alloc(arena, sizeof *entry);
    if (!entry || !value) return false;
    hone__onnx__string_string_entry_proto__init(entry);
    entry->key = (char *)key;
    entry->value = value;
    m->external_data[m->n_external_data++] = entry;
    return true;
}

static hone_status point_to(hone_tensor_message *m, const char *name, size_t offset, hone_arena *arena,
                            hone_error *err) {
    m->external_data = hone_arena_array(arena, 3, sizeof *m->external_data);
    if (!m->external_data || !add_entry(m, "location", (char *)name, arena) ||
        !add_entry(m, "offset", hone_arena_printf(arena, "%zu", offset), arena) ||
        !add_entry(m, "length", hone_arena_printf(arena, "%zu", m->raw_data.len), arena))
        return hone_fail_memory(err);
    m->has_data_location = true;
    m->data_location = HONE__ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    m->has_raw_data = false;
    m->raw_data = (ProtobufCBinaryData){0};
    return HONE_OK;
}

typedef struct data_file {
    hone_writer *writer;
    const char *name;
    size_t offset;
    hone_arena *arena;
} data_file;

static hone_status write_tensor(data_file *f, hone_tensor_message *m, hone_error *err) {
    static const uint8_t zeros[ALIGNMENT];
    size_t gap = (ALIGNMENT - f->offset % ALIGNMENT) % ALIGNMENT, length = m->raw_data.len;
    if (!m->has_raw_data || length < SMALL) return HONE_OK;
    HONE_TRY(hone_writer_write(f->writer, zeros, gap, err));
    HONE_TRY(hone_writer_write(f->writer, m->raw_data.data, length, err));
    HONE_TRY(point_to(m, f->name, f->offset + gap, f->arena, err));
    f->offset += gap + length;
    return HONE_OK;
}

/* The initializers of a graph and of those inside of it. */
static hone_status write_tensors(data_file *f, hone_graph_message *g, hone_error *err) {
    for (size_t i = 0; i < g->n_initializer; i++) HONE_TRY(write_tensor(f, g->initializer[i], err));
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_attribute; k++) {
            hone_attr_message *a = g->node[i]->attribute[k];
            if (a->g) HONE_TRY(write_tensors(f, a->g, err));
            for (size_t n = 0; n < a->n_graphs; n++) HONE_TRY(write_tensors(f, a->graphs[n], err));
        }
    return HONE_OK;
}

hone_status hone_external_write(hone_graph_message *g, const char *path, hone_arena *arena, hone_error *err) {
    const char *slash = strrchr(path, '/');
    hone_writer *w = NULL;
    HONE_TRY(hone_writer_open(path, &w, err));
    data_file f = {.writer = w, .name = slash ? slash + 1 : path, .arena = arena};
    hone_status status = write_tensors(&f, g, err);
    if (status == HONE_OK) return hone_writer_commit(w, err);
    hone_writer_abort(w);
    return status;
}
