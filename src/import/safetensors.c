#include "import/safetensors.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mapping.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST_PATH = 4096, LARGEST_TEXT = 256 << 20, MOST_FILES = 1024 };

struct hone_safetensors {
    hone_arena *arena;
    hone_stored *tensors;
    size_t count, capacity;
    hone_mapping *mappings[MOST_FILES];
    int files;
};

/* --- one file --- */

static const hone_block_format *format_of(const char *dtype) {
    return strcmp(dtype, "F32") == 0    ? hone_block_format_of(0)
           : strcmp(dtype, "F16") == 0  ? hone_block_format_of(1)
           : strcmp(dtype, "BF16") == 0 ? hone_block_format_of(30)
                                        : NULL;
}

static hone_status bad(const char *file, const char *tensor, const char *why, hone_error *err) {
    return hone_fail_file(err, HONE_CORRUPT, file, "the tensor %s %s", tensor, why);
}

static hone_status read_entry(const char *file, const char *name, json_t *entry, const uint8_t *data,
                              size_t size, hone_stored *t, hone_error *err) {
    const char *dtype = NULL;
    json_t *shape = NULL;
    json_int_t from = 0, to = 0;
    size_t count = 1;
    if (json_unpack(entry, "{s:s, s:o, s:[I, I]}", "dtype", &dtype, "shape", &shape, "data_offsets", &from,
                    &to))
        return bad(file, name, "is not described", err);
    if (!json_is_array(shape) || json_array_size(shape) > 4)
        return bad(file, name, "has no shape of up to 4", err);
    t->rank = (int)json_array_size(shape);
    for (int i = 0; i < t->rank; i++) {
        const json_t *d = json_array_get(shape, (size_t)i);
        t->dims[i] = json_integer_value(d);
        if (!json_is_integer(d) || t->dims[i] < 0 || !hone_mul_size(count, (size_t)t->dims[i], &count))
            return bad(file, name, "has a shape that is none", err);
    }
    if (from < 0 || to < from || (size_t)to > size) return bad(file, name, "lies behind the file's end", err);
    t->format = format_of(dtype);
    t->data = data + from;
    t->bytes = (size_t)(to - from);
    if (t->format && (!hone_mul_size(count, t->format->bytes, &count) || count != t->bytes))
        return bad(file, name, "has more or fewer bytes than elements", err);
    return HONE_OK;
}

hone_status hone_safetensors_parse(const void *data, size_t size, const char *name, hone_arena *arena,
                                   hone_stored **tensors, size_t *count, size_t *capacity, hone_error *err) {
    uint64_t length = 0;
    if (size >= 8) memcpy(&length, data, 8);
    if (size < 8 || length > size - 8 || length > LARGEST_TEXT)
        return hone_fail_file(err, HONE_CORRUPT, name, "is no safetensors file, or is cut short");
    json_t *root = json_loadb((const char *)data + 8, (size_t)length, JSON_REJECT_DUPLICATES, NULL), *entry;
    const uint8_t *first = (const uint8_t *)data + 8 + length;
    const char *key;
    hone_status status =
        json_is_object(root) ? HONE_OK : hone_fail_file(err, HONE_CORRUPT, name, "its header is not JSON");
    json_object_foreach(root, key, entry) {
        if (status != HONE_OK) break;
        if (strcmp(key, "__metadata__") == 0) continue;
        if (!hone_reserve(tensors, capacity, *count + 1, sizeof **tensors)) {
            status = hone_fail_memory(err);
            break;
        }
        hone_stored *t = &(*tensors)[*count];
        *t = (hone_stored){.name = hone_arena_strdup(arena, key)};
        status = t->name ? read_entry(name, key, entry, first, size - 8 - (size_t)length, t, err)
                         : hone_fail_memory(err);
        if (status == HONE_OK) ++*count;
    }
    json_decref(root);
    return status;
}

/* --- a directory --- */

static hone_status map(hone_safetensors *s, const char *path, hone_error *err) {
    int fd;
    uint64_t size;
    void *data;
    if (s->files == MOST_FILES)
        return hone_fail_file(err, HONE_UNSUPPORTED, path, "more than %d files", MOST_FILES);
    HONE_TRY(hone_file_open(path, &fd, &size, err));
    hone_status status = size < 8
                             ? hone_fail_file(err, HONE_CORRUPT, path, "is no safetensors file")
                             : hone_file_map(fd, path, 0, (size_t)size, &s->mappings[s->files], &data, err);
    close(fd);
    if (status != HONE_OK) return status;
    s->files++;
    return hone_safetensors_parse(data, (size_t)size, path, s->arena, &s->tensors, &s->count, &s->capacity,
                                  err);
}

/* The names of an index's files, each once. */
static hone_status map_parts(hone_safetensors *s, const char *directory, const char *index, hone_error *err) {
    hone_blob blob;
    char path[LONGEST_PATH];
    HONE_TRY(hone_file_read(index, LARGEST_TEXT, &blob, err));
    json_t *root = json_loadb((const char *)blob.data, blob.size, 0, NULL), *value;
    json_t *done = json_object(), *map_of = json_object_get(root, "weight_map");
    const char *key;
    hone_blob_free(&blob);
    hone_status status = json_is_object(map_of) && done
                             ? HONE_OK
                             : hone_fail_file(err, HONE_CORRUPT, index, "has no weight_map");
    json_object_foreach(map_of, key, value) {
        const char *name = json_string_value(value);
        if (status != HONE_OK) break;
        if (!name || strchr(name, '/') || !hone_path_join(path, sizeof path, directory, name))
            status = hone_fail_file(err, HONE_CORRUPT, index, "%s lies in no file of the directory", key);
        else if (!json_object_get(done, name))
            status = json_object_set_new(done, name, json_true()) ? hone_fail_memory(err) : map(s, path, err);
    }
    json_decref(done);
    json_decref(root);
    return status;
}

hone_status hone_safetensors_open(const char *directory, hone_safetensors **out, hone_error *err) {
    char path[LONGEST_PATH];
    hone_safetensors *s = hone_calloc(1, sizeof *s);
    if (s) s->arena = hone_arena_new();
    hone_status status = s && s->arena ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK && !hone_path_join(path, sizeof path, directory, "model.safetensors.index.json"))
        status = hone_fail_file(err, HONE_INVALID_ARGUMENT, directory, "the path is too long");
    if (status == HONE_OK && hone_file_exists(path)) {
        status = map_parts(s, directory, path, err);
    } else if (status == HONE_OK) {
        hone_path_join(path, sizeof path, directory, "model.safetensors");
        status = map(s, path, err);
    }
    const hone_stored *twice = status == HONE_OK ? hone_stored_sort(s->tensors, s->count) : NULL;
    if (twice) status = bad(directory, twice->name, "is there twice", err);
    if (status == HONE_OK)
        *out = s;
    else
        hone_safetensors_close(s);
    return status;
}

const hone_stored *hone_safetensors_tensors(const hone_safetensors *s, size_t *count) {
    *count = s->count;
    return s->tensors;
}

void hone_safetensors_close(hone_safetensors *s) {
    if (!s) return;
    for (int i = 0; i < s->files; i++) hone_mapping_free(s->mappings[i]);
    hone_free(s->tensors);
    hone_arena_free(s->arena);
    hone_free(s);
}
