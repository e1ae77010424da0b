#include "import/gguf.h"

#include "base/file.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A key and where its value begins in the file; checked. */
typedef struct entry {
    const char *name;
    hone_gguf_type type;
    const uint8_t *value;
} entry;

struct hone_gguf {
    hone_arena *arena;
    hone_mapping *mapping; /* NULL: the bytes are the caller's */
    const char *path;
    const uint8_t *bytes;
    size_t size, at; /* `at`: of the reader */
    uint64_t alignment;
    entry *keys; /* by name */
    size_t key_count;
    hone_stored *tensors; /* by name */
    size_t tensor_count;
};

enum { TYPES = HONE_GGUF_F64 + 1, DEEPEST = 4 };

static size_t width_of(hone_gguf_type type) {
    static const uint8_t widths[TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return widths[type];
}

/* --- reading --- */

static hone_status cut_short(const hone_gguf *g, const char *what, hone_error *err) {
    return hone_fail_file(err, HONE_CORRUPT, g->path, "is cut short in %s", what);
}

static hone_status take(hone_gguf *g, void *out, size_t size, const char *what, hone_error *err) {
    if (size > g->size - g->at) return cut_short(g, what, err);
    memcpy(out, g->bytes + g->at, size);
    g->at += size;
    return HONE_OK;
}

/* A name, at most `limit` bytes of UTF-8 without a zero, copied. */
static hone_status take_name(hone_gguf *g, size_t limit, const char *what, const char **out,
                             hone_error *err) {
    uint64_t length = 0;
    HONE_TRY(take(g, &length, sizeof length, what, err));
    if (length > g->size - g->at) return cut_short(g, what, err);
    const char *text = (const char *)g->bytes + g->at;
    if (length == 0 || length > limit || memchr(text, 0, length) || !hone_utf8_is_valid(text, length))
        return hone_fail_file(err, HONE_CORRUPT, g->path, "%s is no name", what);
    g->at += length;
    *out = hone_arena_strndup(g->arena, text, length);
    return *out ? HONE_OK : hone_fail_memory(err);
}

static hone_status bad_value(const hone_gguf *g, const char *key, const char *why, hone_error *err) {
    return hone_fail_file(err, HONE_CORRUPT, g->path, "the key %s %s", key, why);
}

static hone_status skip_value(hone_gguf *g, const char *key, uint32_t type, int depth, hone_error *err);

static hone_status skip_array(hone_gguf *g, const char *key, int depth, hone_error *err) {
    uint32_t type = 0;
    uint64_t count = 0;
    HONE_TRY(take(g, &type, sizeof type, key, err));
    HONE_TRY(take(g, &count, sizeof count, key, err));
    if (type >= TYPES) return bad_value(g, key, "is an array of an unknown type", err);
    if (depth >= DEEPEST) return bad_value(g, key, "is nested too deep", err);
    const size_t width = width_of((hone_gguf_type)type);
    const uint64_t least = width ? width : type == HONE_GGUF_STRING ? 8 : 12;
    if (count > (g->size - g->at) / least) return cut_short(g, key, err);
    if (width && type != HONE_GGUF_BOOL) {
        g->at += count * width;
        return HONE_OK;
    }
    for (uint64_t i = 0; i < count; i++) HONE_TRY(skip_value(g, key, type, depth + 1, err));
    return HONE_OK;
}

static hone_status skip_value(hone_gguf *g, const char *key, uint32_t type, int depth, hone_error *err) {
    if (type >= TYPES) return bad_value(g, key, "has an unknown type", err);
    if (type == HONE_GGUF_ARRAY) return skip_array(g, key, depth, err);
    uint64_t length = width_of((hone_gguf_type)type);
    if (type == HONE_GGUF_STRING) HONE_TRY(take(g, &length, sizeof length, key, err));
    if (length > g->size - g->at) return cut_short(g, key, err);
    if (type == HONE_GGUF_BOOL && g->bytes[g->at] > 1)
        return bad_value(g, key, "is a bool of neither 0 nor 1", err);
    g->at += length;
    return HONE_OK;
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static hone_status read_keys(hone_gguf *g, uint64_t count, hone_error *err) {
    if (count > (g->size - g->at) / 13) return cut_short(g, "its keys", err);
    g->keys = hone_arena_array(g->arena, count + 1, sizeof *g->keys);
    if (!g->keys) return hone_fail_memory(err);
    for (uint64_t i = 0; i < count; i++) {
        entry *k = &g->keys[i];
        uint32_t type = 0;
        HONE_TRY(take_name(g, UINT16_MAX, "a key", &k->name, err));
        HONE_TRY(take(g, &type, sizeof type, k->name, err));
        k->value = g->bytes + g->at;
        HONE_TRY(skip_value(g, k->name, type, 0, err));
        k->type = (hone_gguf_type)type;
        g->key_count++;
    }
    qsort(g->keys, g->key_count, sizeof *g->keys, by_key);
    for (size_t i = 1; i < g->key_count; i++)
        if (strcmp(g->keys[i - 1].name, g->keys[i].name) == 0)
            return bad_value(g, g->keys[i].name, "is there twice", err);
    return HONE_OK;
}

/* --- tensors --- */

static hone_status bad_tensor(const hone_gguf *g, const hone_stored *t, hone_status code, const char *why,
                              hone_error *err) {
    return hone_fail_file(err, code, g->path, "the tensor %s %s", t->name, why);
}

/* Its offset from the start of the data stands in `bytes` until the data's place is known. */
static hone_status read_tensor(hone_gguf *g, hone_stored *t, hone_error *err) {
    enum { LONGEST = 1024 };
    uint32_t rank = 0, type = 0;
    uint64_t offset = 0, dim = 0;
    HONE_TRY(take_name(g, LONGEST, "a tensor's name", &t->name, err));
    HONE_TRY(take(g, &rank, sizeof rank, t->name, err));
    if (rank > 4) return bad_tensor(g, t, HONE_CORRUPT, "has more than 4 dimensions", err);
    t->rank = (int)rank;
    for (uint32_t i = 0; i < rank; i++) {
        HONE_TRY(take(g, &dim, sizeof dim, t->name, err));
        if (dim > INT64_MAX) return bad_tensor(g, t, HONE_CORRUPT, "has a dimension that is too large", err);
        t->dims[rank - 1 - i] = (int64_t)dim;
    }
    HONE_TRY(take(g, &type, sizeof type, t->name, err));
    HONE_TRY(take(g, &offset, sizeof offset, t->name, err));
    if (offset % g->alignment) return bad_tensor(g, t, HONE_CORRUPT, "is not aligned", err);
    if (offset > g->size) return bad_tensor(g, t, HONE_CORRUPT, "lies behind the file's end", err);
    t->format = hone_block_format_of(type);
    t->type = type;
    t->bytes = offset;
    return HONE_OK;
}

/* Where the data lie, and that they are there. */
static hone_status place(const hone_gguf *g, hone_stored *t, size_t start, hone_error *err) {
    const size_t offset = t->bytes, left = g->size - start;
    size_t count = 1;
    if (offset > left) return bad_tensor(g, t, HONE_CORRUPT, "lies behind the file's end", err);
    t->data = g->bytes + start + offset;
    t->bytes = 0;
    for (int i = 0; i < t->rank; i++)
        if (!hone_mul_size(count, (size_t)t->dims[i], &count))
            return bad_tensor(g, t, HONE_CORRUPT, "has too many elements", err);
    if (!t->format) return HONE_OK;
    const size_t row = t->rank ? (size_t)t->dims[t->rank - 1] : 1;
    if (row % t->format->weights) return bad_tensor(g, t, HONE_CORRUPT, "has rows of no whole blocks", err);
    if (!hone_mul_size(count / t->format->weights, t->format->bytes, &t->bytes) || t->bytes > left - offset)
        return bad_tensor(g, t, HONE_CORRUPT, "is cut short", err);
    return HONE_OK;
}

static int by_place(const void *a, const void *b) {
    const hone_stored *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static hone_status read_tensors(hone_gguf *g, uint64_t count, hone_error *err) {
    if (count > (g->size - g->at) / 25) return cut_short(g, "its list of tensors", err);
    hone_stored *t = hone_arena_array(g->arena, count + 1, sizeof *t);
    if (!t) return hone_fail_memory(err);
    g->tensors = t;
    g->tensor_count = (size_t)count;
    for (size_t i = 0; i < count; i++) HONE_TRY(read_tensor(g, &t[i], err));
    size_t start = g->at, over = start % g->alignment;
    if (over && !hone_add_size(start, g->alignment - over, &start)) start = SIZE_MAX;
    if (count && start > g->size) return cut_short(g, "its tensors", err);
    for (size_t i = 0; i < count; i++) HONE_TRY(place(g, &t[i], start, err));
    if (count) qsort(t, count, sizeof *t, by_place);
    for (size_t i = 1; i < count; i++)
        if (t[i - 1].data + t[i - 1].bytes > t[i].data)
            return bad_tensor(g, &t[i], HONE_CORRUPT, "lies where another one does", err);
    const hone_stored *twice = hone_stored_sort(t, count);
    if (twice) return bad_tensor(g, twice, HONE_CORRUPT, "is there twice", err);
    return HONE_OK;
}

/* --- files --- */

static hone_status read_alignment(hone_gguf *g, hone_error *err) {
    int64_t asked = 32;
    hone_gguf_int(g, "general.alignment", &asked);
    if (asked < 1 || asked > 1 << 20 || (asked & (asked - 1)))
        return bad_value(g, "general.alignment", "is no power of two", err);
    g->alignment = (uint64_t)asked;
    return HONE_OK;
}

static hone_status read_all(hone_gguf *g, hone_error *err) {
    uint32_t version = 0;
    uint64_t tensors = 0, keys = 0;
    if (g->size < 4 || memcmp(g->bytes, "GGUF", 4) != 0)
        return hone_fail_file(err, HONE_CORRUPT, g->path, "is no GGUF file");
    g->at = 4;
    HONE_TRY(take(g, &version, sizeof version, "its head", err));
    if (version != 2 && version != 3)
        return version == 0x03000000 || version == 0x02000000
                   ? hone_fail_file(err, HONE_UNSUPPORTED, g->path, "a big-endian GGUF file")
                   : hone_fail_file(err, HONE_UNSUPPORTED, g->path, "version %u of GGUF", version);
    HONE_TRY(take(g, &tensors, sizeof tensors, "its head", err));
    HONE_TRY(take(g, &keys, sizeof keys, "its head", err));
    HONE_TRY(read_keys(g, keys, err));
    HONE_TRY(read_alignment(g, err));
    return read_tensors(g, tensors, err);
}

static hone_status make(const void *data, size_t size, const char *name, hone_mapping *mapping,
                        hone_gguf **out, hone_error *err) {
    hone_arena *arena = hone_arena_new();
    hone_gguf *g = arena ? hone_arena_alloc(arena, sizeof *g) : NULL;
    if (!g) {
        hone_arena_free(arena);
        if (mapping) hone_mapping_free(mapping);
        return hone_fail_memory(err);
    }
    *g = (hone_gguf){.arena = arena, .mapping = mapping, .bytes = data, .size = size};
    g->path = hone_arena_strdup(arena, name);
    hone_status status = g->path ? read_all(g, err) : hone_fail_memory(err);
    if (status == HONE_OK)
        *out = g;
    else
        hone_gguf_free(g);
    return status;
}

hone_status hone_gguf_parse(const void *data, size_t size, const char *name, hone_gguf **out,
                            hone_error *err) {
    return make(data, size, name, NULL, out, err);
}

hone_status hone_gguf_open(const char *path, hone_gguf **out, hone_error *err) {
    int fd;
    uint64_t size;
    hone_mapping *mapping;
    void *data;
    HONE_TRY(hone_file_open(path, &fd, &size, err));
    hone_status status = size < 4 ? hone_fail_file(err, HONE_CORRUPT, path, "is no GGUF file")
                                  : hone_file_map(fd, path, 0, (size_t)size, &mapping, &data, err);
    close(fd);
    return status == HONE_OK ? make(data, (size_t)size, path, mapping, out, err) : status;
}

void hone_gguf_free(hone_gguf *g) {
    if (!g) return;
    if (g->mapping) hone_mapping_free(g->mapping);
    hone_arena_free(g->arena);
}

const char *hone_gguf_path(const hone_gguf *g) {
    return g->path;
}

bool hone_gguf_is_mapped(const hone_gguf *g) {
    return g->mapping != NULL;
}

const hone_stored *hone_gguf_tensors(const hone_gguf *g, size_t *count) {
    *count = g->tensor_count;
    return g->tensors;
}

/* --- values --- */

static const entry *find_key(const hone_gguf *g, const char *name) {
    const entry key = {.name = name};
    return g->key_count ? bsearch(&key, g->keys, g->key_count, sizeof key, by_key) : NULL;
}

#define LOAD(type, at)                                                                                       \
    ({                                                                                                       \
        type load_x_;                                                                                        \
        memcpy(&load_x_, at, sizeof load_x_);                                                                \
        load_x_;                                                                                             \
    })

static bool int_at(hone_gguf_type type, const uint8_t *at, int64_t *out) {
    switch (type) {
    case HONE_GGUF_U8:
    case HONE_GGUF_BOOL: *out = *at; return true;
    case HONE_GGUF_I8: *out = (int8_t)*at; return true;
    case HONE_GGUF_U16: *out = LOAD(uint16_t, at); return true;
    case HONE_GGUF_I16: *out = LOAD(int16_t, at); return true;
    case HONE_GGUF_U32: *out = LOAD(uint32_t, at); return true;
    case HONE_GGUF_I32: *out = LOAD(int32_t, at); return true;
    case HONE_GGUF_I64: *out = LOAD(int64_t, at); return true;
    case HONE_GGUF_U64: {
        const uint64_t x = LOAD(uint64_t, at);
        if (x > INT64_MAX) return false;
        *out = (int64_t)x;
        return true;
    }
    default: return false;
    }
}

static bool float_at(hone_gguf_type type, const uint8_t *at, double *out) {
    int64_t i;
    if (type == HONE_GGUF_F32)
        *out = (double)LOAD(float, at);
    else if (type == HONE_GGUF_F64)
        *out = LOAD(double, at);
    else if (int_at(type, at, &i))
        *out = (double)i;
    else
        return false;
    return true;
}

bool hone_gguf_int(const hone_gguf *g, const char *key, int64_t *out) {
    const entry *k = find_key(g, key);
    return k && int_at(k->type, k->value, out);
}

bool hone_gguf_float(const hone_gguf *g, const char *key, double *out) {
    const entry *k = find_key(g, key);
    return k && float_at(k->type, k->value, out);
}

bool hone_gguf_bool(const hone_gguf *g, const char *key, bool *out) {
    int64_t x;
    if (!hone_gguf_int(g, key, &x)) return false;
    *out = x != 0;
    return true;
}

bool hone_gguf_string(const hone_gguf *g, const char *key, const char **text, size_t *size) {
    const entry *k = find_key(g, key);
    if (!k || k->type != HONE_GGUF_STRING) return false;
    *size = LOAD(uint64_t, k->value);
    *text = (const char *)k->value + 8;
    return true;
}

bool hone_gguf_array_of(const hone_gguf *g, const char *key, hone_gguf_array *out) {
    const entry *k = find_key(g, key);
    if (!k || k->type != HONE_GGUF_ARRAY) return false;
    *out = (hone_gguf_array){(hone_gguf_type)LOAD(uint32_t, k->value), LOAD(uint64_t, k->value + 4),
                             k->value + 12};
    return out->type != HONE_GGUF_ARRAY;
}

bool hone_gguf_next_int(hone_gguf_array *a, int64_t *out) {
    if (!a->count || !int_at(a->type, a->at, out)) return false;
    a->at += width_of(a->type);
    a->count--;
    return true;
}

bool hone_gguf_next_float(hone_gguf_array *a, double *out) {
    if (!a->count || !float_at(a->type, a->at, out)) return false;
    a->at += width_of(a->type);
    a->count--;
    return true;
}

bool hone_gguf_next_string(hone_gguf_array *a, const char **text, size_t *size) {
    if (!a->count || a->type != HONE_GGUF_STRING) return false;
    *size = LOAD(uint64_t, a->at);
    *text = (const char *)a->at + 8;
    a->at += 8 + *size;
    a->count--;
    return true;
}
