#include "data/corpus.h"

#include "base/file.h"
#include "data/csv.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

void hone_corpus_free(hone_corpus *c) {
    hone_free(c->items);
    hone_arena_free(c->arena);
    *c = (hone_corpus){.arena = NULL};
}

static hone_status add(hone_corpus *c, const char *text, size_t size, const char *label, hone_error *err) {
    if (c->count == c->capacity && !hone_reserve(&c->items, &c->capacity, c->count + 1, sizeof *c->items))
        return hone_fail_memory(err);
    char *copy = hone_arena_alloc(c->arena, size + 1);
    if (!copy) return hone_fail_memory(err);
    if (size) memcpy(copy, text, size);
    c->items[c->count++] = (hone_document){copy, label, size};
    c->labeled += label != NULL;
    c->bytes += (int64_t)size;
    return HONE_OK;
}

static void skip(hone_corpus *c, const char *path, long long line, const char *why) {
    if (c->skipped++ > 0) return;
    if (line)
        snprintf(c->why, sizeof c->why, "%.120s, line %lld: %.100s", path, line, why);
    else
        snprintf(c->why, sizeof c->why, "%.150s: %.100s", path, why);
}

static bool ends_in(const char *name, const char *suffix) {
    size_t length = strlen(name), n = strlen(suffix);
    return length > n && strcasecmp(name + length - n, suffix) == 0;
}

static bool is_dir(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* --- lines --- */

/* The next line of a blob, without its end; false at the end. */
static bool next_line(const hone_blob *b, size_t *at, const char **line, size_t *size) {
    if (*at >= b->size) return false;
    const char *from = (const char *)b->data + *at, *end = memchr(from, '\n', b->size - *at);
    *line = from;
    *size = end ? (size_t)(end - from) : b->size - *at;
    *at += *size + 1;
    if (*size && from[*size - 1] == '\r') --*size;
    return true;
}

static hone_status add_tsv(hone_corpus *c, const char *path, const hone_blob *b, hone_error *err) {
    const char *line;
    size_t at = 0, size;
    for (long long n = 1; next_line(b, &at, &line, &size); n++) {
        const char *tab = size ? memchr(line, '\t', size) : NULL;
        if (size == 0 || (n == 1 && size == 10 && strncasecmp(line, "label\ttext", 10) == 0)) continue;
        if (!tab || tab == line) {
            skip(c, path, n, "no label and tab before the text");
            continue;
        }
        const char *label = hone_arena_strndup(c->arena, line, (size_t)(tab - line));
        if (!label) return hone_fail_memory(err);
        HONE_TRY(add(c, tab + 1, size - (size_t)(tab + 1 - line), label, err));
    }
    return HONE_OK;
}

/* A text, or an integer as text. */
static const char *label_of(hone_corpus *c, const json_t *v) {
    if (json_is_string(v)) return hone_arena_strdup(c->arena, json_string_value(v));
    return json_is_integer(v) ? hone_arena_printf(c->arena, "%" JSON_INTEGER_FORMAT, json_integer_value(v))
                              : NULL;
}

static hone_status add_json(hone_corpus *c, const char *path, long long n, const json_t *o, hone_error *err) {
    const json_t *text = json_object_get(o, "text"), *label = json_object_get(o, "label");
    if (!json_is_string(text) || (label && !json_is_string(label) && !json_is_integer(label))) {
        skip(c, path, n, "no object with \"text\" and, if it has one, a \"label\"");
        return HONE_OK;
    }
    const char *name = label_of(c, label);
    if (label && !name) return hone_fail_memory(err);
    return add(c, json_string_value(text), json_string_length(text), name, err);
}

static hone_status add_jsonl(hone_corpus *c, const char *path, const hone_blob *b, hone_error *err) {
    const char *line;
    size_t at = 0, size;
    for (long long n = 1; next_line(b, &at, &line, &size); n++) {
        if (size == 0) continue;
        json_t *o = json_loadb(line, size, JSON_ALLOW_NUL, NULL);
        hone_status status = HONE_OK;
        if (o)
            status = add_json(c, path, n, o, err);
        else
            skip(c, path, n, "no JSON");
        json_decref(o);
        HONE_TRY(status);
    }
    return HONE_OK;
}

/* --- tables --- */

static int column_of(const hone_cells *c, const char *const *names) {
    for (; *names; names++)
        for (int i = 0; i < c->columns; i++)
            if (strcasecmp(c->at[i].data, *names) == 0) return i;
    return -1;
}

static hone_status add_cells(hone_corpus *c, const hone_cells *cells, hone_error *err) {
    const char *const texts[] = {"text", "sentence", "content", NULL};
    const char *const usual[] = {"label", "y", "target", "class", NULL}, *const said[] = {c->target, NULL};
    int label = column_of(cells, c->target ? said : usual), text = column_of(cells, texts);
    if (c->target && label < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "no column '%s' in the table", c->target);
    if (text < 0) text = label == 0 ? 1 : 0;
    if (cells->rows < 1 || text >= cells->columns || text == label)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "a table of texts has a line of names, \"text\" and \"label\"");
    for (int64_t r = 1; r < cells->rows; r++) {
        const hone_string *row = cells->at + (size_t)r * (size_t)cells->columns;
        const char *name = label < 0 ? NULL : hone_arena_strdup(c->arena, row[label].data);
        if (label >= 0 && !name) return hone_fail_memory(err);
        HONE_TRY(add(c, row[text].data, row[text].size, name, err));
    }
    return HONE_OK;
}

static hone_status add_csv(hone_corpus *c, const char *path, hone_error *err) {
    hone_source *s = NULL;
    hone_cells cells = {NULL};
    HONE_TRY(hone_source_open(path, &s, err));
    hone_status status = hone_cells_read(s, &cells, err);
    hone_source_close(s);
    if (status == HONE_OK) status = add_cells(c, &cells, err);
    if (cells.bad_rows) skip(c, path, cells.bad_line, "another number of cells than in the first line");
    if (cells.bad_rows) c->skipped += cells.bad_rows - 1;
    hone_cells_free(&cells);
    return hone_error_in_file(err, status, path);
}

/* --- files --- */

static hone_status add_file(hone_corpus *c, const char *path, const char *label, hone_error *err) {
    enum { LIMIT = INT32_MAX };
    hone_blob blob;
    if (c->paths) return add(c, path, strlen(path), label, err);
    if (!label && ends_in(path, ".csv")) return add_csv(c, path, err);
    HONE_TRY(hone_file_read(path, LIMIT, &blob, err));
    hone_status status = !label && ends_in(path, ".tsv") ? add_tsv(c, path, &blob, err)
                         : !label && ends_in(path, ".jsonl")
                             ? add_jsonl(c, path, &blob, err)
                             : add(c, (const char *)blob.data, blob.size, label, err);
    hone_blob_free(&blob);
    return status;
}

typedef struct names {
    hone_arena *arena;
    char **items;
    size_t count, capacity;
    bool failed;
} names;

static void keep_name(void *user, const char *name) {
    names *n = user;
    if (*name == '.') return; /* hidden */
    char *copy = hone_arena_strdup(n->arena, name);
    if (!copy ||
        (n->count == n->capacity && !hone_reserve(&n->items, &n->capacity, n->count + 1, sizeof *n->items))) {
        n->failed = true;
        return;
    }
    n->items[n->count++] = copy;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static hone_status list(hone_corpus *c, const char *dir, names *out, hone_error *err) {
    *out = (names){.arena = c->arena};
    hone_status status = hone_dir_list(dir, keep_name, out, err);
    if (status == HONE_OK && out->failed) status = hone_fail_memory(err);
    if (status == HONE_OK && out->count) qsort(out->items, out->count, sizeof *out->items, by_bytes);
    return status;
}

/* Folders are labels, files in them are texts; files beside them are texts without a label. A file that can't be read is
 * left out. */
static hone_status add_dir(hone_corpus *c, const char *dir, const char *label, int depth, hone_error *err) {
    names n;
    char path[PATH_MAX];
    hone_status status = list(c, dir, &n, err);
    for (size_t i = 0; i < n.count && status == HONE_OK; i++) {
        if (!hone_path_join(path, sizeof path, dir, n.items[i])) continue;
        hone_error why = {0};
        if (is_dir(path)) {
            if (depth < 8) status = add_dir(c, path, label ? label : n.items[i], depth + 1, err);
            continue;
        }
        hone_status one = add_file(c, path, label, &why);
        if (one == HONE_OUT_OF_MEMORY)
            status = hone_fail_memory(err);
        else if (one != HONE_OK)
            skip(c, path, 0, why.message);
    }
    hone_free(n.items);
    return status;
}

static hone_status add_any(hone_corpus *c, const char *path, hone_error *err) {
    return is_dir(path) ? add_dir(c, path, NULL, 0, err) : add_file(c, path, NULL, err);
}

/* --- splits --- */

static const char *const train_names[] = {"train", NULL}, *const test_names[] = {"test", NULL},
                         *const validation_names[] = {"validation", "val", "dev", "valid", NULL};

/* DIR/train, DIR/train.tsv … */
static bool find_part(const char *dir, const char *const *parts, char *path, size_t size) {
    static const char *const endings[] = {"", ".tsv", ".jsonl", ".csv", ".txt"};
    for (; *parts; parts++)
        for (size_t e = 0; e < sizeof endings / sizeof *endings; e++) {
            char name[64];
            snprintf(name, sizeof name, "%s%s", *parts, endings[e]);
            if (hone_path_join(path, size, dir, name) && hone_file_exists(path)) return true;
        }
    return false;
}

hone_status hone_corpus_read(const char *path, hone_split split, const char *target, hone_corpus *out,
                             hone_error *err) {
    char part[PATH_MAX];
    out->target = target;
    out->arena = hone_arena_new();
    if (!out->arena) return hone_fail_memory(err);
    if (!is_dir(path) || !find_part(path, train_names, part, sizeof part)) return add_any(out, path, err);
    const char *const *parts = split == HONE_SPLIT_TRAIN  ? train_names
                               : split == HONE_SPLIT_TEST ? test_names
                                                          : validation_names;
    out->split = true;
    if (!find_part(path, parts, part, sizeof part))
        return hone_fail_file(err, HONE_NOT_FOUND, path, "no %s here, nor %s.tsv, %s.jsonl or %s.txt", *parts,
                              *parts, *parts, *parts);
    return add_any(out, part, err);
}

hone_status hone_corpus_list(const char *path, hone_split split, hone_corpus *out, hone_error *err) {
    out->paths = true;
    return hone_corpus_read(path, split, NULL, out, err);
}
