/* Maps from keys to values: ai.onnx.ml.ZipMap makes them of rows, DictVectorizer and CastMap make rows of them. */
#include "ops/common/items.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ML "ai.onnx.ml"
#define KEYS (HONE_TYPE(HONE_INT64) | HONE_TYPE(HONE_STRING))
#define MAP HONE_KIND(HONE_KIND_MAP)

/* The keys that an attribute of integers or one of strings lists; NULL: none, or out of memory. */
static hone_status make_keys(const hone_node *n, const char *integers, const char *texts, hone_tensor **out,
                             hone_error *err) {
    size_t count;
    const int64_t *numbers = hone_node_ints(n, integers, &count);
    const hone_attr *strings = hone_node_attr(n, texts);
    if (numbers) return hone_tensor_copy_of(HONE_INT64, 1, (int64_t[]){(int64_t)count}, numbers, out, err);
    return hone_tensor_copy_of(HONE_STRING, 1, (int64_t[]){(int64_t)strings->count}, strings->strings, out,
                               err);
}

/* How many keys there are, and of which dtype; HONE_INVALID_ARGUMENT unless one of the attributes is there. */
static hone_status count_keys(const hone_infer *ctx, const char *integers, const char *texts, int64_t *count,
                              hone_dtype *dtype, hone_error *err) {
    size_t n = 0;
    const int64_t *numbers = hone_node_ints(ctx->node, integers, &n);
    const hone_attr *strings = hone_node_attr(ctx->node, texts);
    if (!numbers == !strings) return hone_infer_fail(ctx, err, "needs either %s or %s", integers, texts);
    *count = numbers ? (int64_t)n : (int64_t)strings->count;
    *dtype = numbers ? HONE_INT64 : HONE_STRING;
    return HONE_OK;
}

static bool same_key(const hone_tensor *a, int64_t i, const hone_tensor *b, int64_t k) {
    if (a->dtype == HONE_INT64) return ((const int64_t *)a->data)[i] == ((const int64_t *)b->data)[k];
    size_t na, nb;
    const char *x = hone_tensor_string(a, i, &na), *y = hone_tensor_string(b, k, &nb);
    return na == nb && memcmp(x, y, na) == 0;
}

/* --- ZipMap --- */

static const hone_type number = {.kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32, .rank = 0};
static const hone_type of_integers = {
    .kind = HONE_KIND_MAP, .dtype = HONE_INT64, .rank = HONE_RANK_ANY, .element = &number};
static const hone_type of_strings = {
    .kind = HONE_KIND_MAP, .dtype = HONE_STRING, .rank = HONE_RANK_ANY, .element = &number};

static hone_status infer_zip(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    int64_t count;
    hone_dtype key;
    HONE_TRY(count_keys(ctx, "classlabels_int64s", "classlabels_strings", &count, &key, err));
    if (x->rank == 0 || x->rank > 2) return hone_infer_fail(ctx, err, "X must be a row or a list of rows");
    if (x->rank > 0 && x->dims[x->rank - 1] >= 0 && x->dims[x->rank - 1] != count)
        return hone_infer_fail(ctx, err, "rows of %lld numbers for %lld keys",
                               (long long)x->dims[x->rank - 1], (long long)count);
    ctx->out[0] = (hone_type){.kind = HONE_KIND_SEQUENCE,
                              .dtype = key,
                              .rank = HONE_RANK_ANY,
                              .element = key == HONE_INT64 ? &of_integers : &of_strings};
    return HONE_OK;
}

static hone_status make_maps(const hone_tensor *keys, const float *x, hone_tensor **maps, int64_t rows,
                             hone_error *err) {
    for (int64_t i = 0; i < rows; i++) {
        hone_tensor *items[2] = {(hone_tensor *)keys, NULL};
        HONE_TRY(hone_tensor_copy_of(HONE_FLOAT32, 1, &keys->count, x + i * keys->count, &items[1], err));
        hone_status status = hone_tensor_of_items(HONE_KIND_MAP, keys->dtype, items, 2, &maps[i], err);
        hone_tensor_free(items[1]);
        HONE_TRY(status);
    }
    return HONE_OK;
}

static hone_status run_zip(const hone_step *s, hone_frame *f, hone_error *err) {
    const hone_items_params *p = s->params;
    int64_t rows = p->in[0].rank == 2 ? p->in[0].dims[0] : 1;
    hone_tensor *keys = NULL, *t = NULL, **maps = hone_calloc((size_t)rows + 1, sizeof *maps);
    if (!maps) return hone_fail_memory(err);
    hone_status status = make_keys(s->node, "classlabels_int64s", "classlabels_strings", &keys, err);
    if (status == HONE_OK) status = make_maps(keys, hone_step_in(s, f, 0), maps, rows, err);
    if (status == HONE_OK)
        status = hone_tensor_of_items(HONE_KIND_SEQUENCE, keys->dtype, maps, rows, &t, err);
    for (int64_t i = 0; i < rows; i++) hone_tensor_free(maps[i]);
    hone_free(maps);
    hone_tensor_free(keys);
    return status == HONE_OK ? hone_items_give(s, f, 0, t, err) : status;
}

static hone_status prepare_zip(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_zip, "maps", err);
}

static hone_status zip_keys(const hone_node *n, hone_tensor **keys, hone_error *err) {
    if (!hone_node_attr(n, "classlabels_int64s") && !hone_node_attr(n, "classlabels_strings")) return HONE_OK;
    return make_keys(n, "classlabels_int64s", "classlabels_strings", keys, err);
}

const hone_op hone_op_zip_map = {
    .domain = ML,
    .name = "ZipMap",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 0, HONE_TYPE(HONE_FLOAT32), 0}),
    .outputs = HONE_SLOTS({"Z", 0, KEYS, 0, HONE_KIND(HONE_KIND_SEQUENCE)}),
    .attrs = HONE_ATTRS({"classlabels_int64s", HONE_ATTR_INTS}, {"classlabels_strings", HONE_ATTR_STRINGS}),
    .infer = infer_zip,
    .prepare = prepare_zip,
    .row_keys = zip_keys,
    .doc = "a map from class to number for each row"};

/* --- DictVectorizer --- */

static hone_status infer_vectorizer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    int64_t count;
    hone_dtype key;
    HONE_TRY(count_keys(ctx, "int64_vocabulary", "string_vocabulary", &count, &key, err));
    if (x->dtype != HONE_UNDEFINED && x->dtype != key)
        return hone_infer_fail(ctx, err, "the vocabulary is of %s, the keys are %s", hone_dtype_name(key),
                               hone_dtype_name(x->dtype));
    ctx->out[0] = hone_type_make(x->element ? x->element->dtype : HONE_UNDEFINED, 2, (int64_t[]){1, count});
    return HONE_OK;
}

static hone_status run_vectorizer(const hone_step *s, hone_frame *f, hone_error *err) {
    const hone_tensor *map = hone_items_in(s, f, 0), *keys = hone_tensor_item(map, 0),
                      *values = hone_tensor_item(map, 1);
    hone_tensor *words = NULL;
    char *y = hone_step_out(s, f, 0);
    if (hone_tensor_kind(values) != HONE_KIND_TENSOR || values->count != keys->count)
        return hone_step_fail(s, err, "the map's values are no numbers or texts");
    HONE_TRY(make_keys(s->node, "int64_vocabulary", "string_vocabulary", &words, err));
    size_t size = hone_dtype_size(values->dtype);
    memset(y, 0, (size_t)words->count * size);
    for (int64_t i = 0; i < keys->count; i++)
        for (int64_t k = 0; k < words->count; k++)
            if (same_key(keys, i, words, k))
                memcpy(y + (size_t)k * size, (const char *)values->data + (size_t)i * size, size);
    hone_tensor_free(words);
    return HONE_OK;
}

static hone_status prepare_vectorizer(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_vectorizer, "maps", err);
}

const hone_op hone_op_dict_vectorizer = {
    .domain = ML,
    .name = "DictVectorizer",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 0, KEYS, 0, MAP}),
    .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_INT64) | HONE_TYPES_FLOAT | HONE_TYPE(HONE_STRING), 0}),
    .attrs = HONE_ATTRS({"string_vocabulary", HONE_ATTR_STRINGS}, {"int64_vocabulary", HONE_ATTR_INTS}),
    .infer = infer_vectorizer,
    .prepare = prepare_vectorizer,
    .doc = "the values of a map in the order of a vocabulary, 0 where a key is missing"};

/* --- CastMap --- */

static hone_dtype cast_to(const hone_node *n) {
    const char *to = hone_node_string(n, "cast_to");
    if (strcmp(to, "TO_FLOAT") == 0) return HONE_FLOAT32;
    if (strcmp(to, "TO_INT64") == 0) return HONE_INT64;
    return strcmp(to, "TO_STRING") == 0 ? HONE_STRING : HONE_UNDEFINED;
}

static bool is_sparse(const hone_node *n) {
    return strcmp(hone_node_string(n, "map_form"), "SPARSE") == 0;
}

static hone_status infer_cast(hone_infer *ctx, hone_error *err) {
    hone_dtype to = cast_to(ctx->node);
    const char *form = hone_node_string(ctx->node, "map_form");
    int64_t most = hone_node_int(ctx->node, "max_map");
    if (to == HONE_UNDEFINED)
        return hone_infer_fail(ctx, err, "cast_to %s is not known", hone_node_string(ctx->node, "cast_to"));
    if (!is_sparse(ctx->node) && strcmp(form, "DENSE") != 0)
        return hone_infer_fail(ctx, err, "map_form %s is not known", form);
    if (is_sparse(ctx->node) && most < 1) return hone_infer_fail(ctx, err, "max_map must be positive");
    ctx->out[0] = hone_type_make(to, 2, (int64_t[]){1, is_sparse(ctx->node) ? most : HONE_DIM_ANY});
    return HONE_OK;
}

/* Texts that a run makes lie in one block, which lives as long as the run's results. */
static hone_status keep_text(hone_frame *f, const char *text, hone_string *out, hone_error *err) {
    int64_t size = (int64_t)strlen(text) + 1;
    hone_tensor *bytes = NULL;
    HONE_TRY(hone_tensor_copy_of(HONE_UINT8, 1, &size, text, &bytes, err));
    *out = (hone_string){bytes->data, (size_t)size - 1};
    return hone_kept_add(f->kept, bytes, err);
}

static hone_status cast_value(const hone_step *s, hone_frame *f, const hone_tensor *from, int64_t i,
                              hone_dtype to, void *y, int64_t at, hone_error *err) {
    if (from->dtype == HONE_STRING && to == HONE_STRING) {
        ((hone_string *)y)[at] = ((const hone_string *)from->data)[i];
        return HONE_OK;
    }
    double x = from->dtype == HONE_STRING ? NAN : hone_tensor_number(from, i);
    if (from->dtype == HONE_STRING) {
        const char *text = hone_tensor_string(from, i, NULL);
        char *end;
        x = strtod(text, &end);
        if (end == text || *end) return hone_step_fail(s, err, "\"%.40s\" is no number", text);
    }
    if (to == HONE_STRING) {
        char text[64];
        snprintf(text, sizeof text, "%f", x);
        return keep_text(f, text, &((hone_string *)y)[at], err);
    }
    if (to == HONE_FLOAT32)
        ((float *)y)[at] = (float)x;
    else if (x >= -0x1p63 && x < 0x1p63)
        ((int64_t *)y)[at] = (int64_t)x;
    else
        return hone_step_fail(s, err, "%g does not fit an int64", x);
    return HONE_OK;
}

typedef struct place {
    int64_t key, from;
} place;

static int by_key(const void *a, const void *b) {
    const place *x = a, *y = b;
    return x->key != y->key ? (x->key > y->key) - (x->key < y->key)
                            : (x->from > y->from) - (x->from < y->from);
}

static hone_status give_values(const hone_step *s, hone_frame *f, const place *places,
                               const hone_tensor *values, void *y, hone_error *err) {
    int64_t most = hone_node_int(s->node, "max_map");
    bool sparse = is_sparse(s->node);
    for (int64_t i = 0; i < values->count; i++) {
        int64_t key = places[i].key;
        if (sparse && (key < 0 || key >= most))
            return hone_step_fail(s, err, "key %lld is outside of max_map %lld", (long long)key,
                                  (long long)most);
        HONE_TRY(cast_value(s, f, values, places[i].from, cast_to(s->node), y, sparse ? key : i, err));
    }
    return HONE_OK;
}

static hone_status run_cast(const hone_step *s, hone_frame *f, hone_error *err) {
    const hone_tensor *map = hone_items_in(s, f, 0), *keys = hone_tensor_item(map, 0),
                      *values = hone_tensor_item(map, 1);
    void *y = hone_step_out(s, f, 0);
    if (hone_tensor_kind(values) != HONE_KIND_TENSOR || values->count != keys->count)
        return hone_step_fail(s, err, "the map's values are no numbers or texts");
    if (is_sparse(s->node))
        memset(y, 0, (size_t)hone_node_int(s->node, "max_map") * hone_dtype_size(cast_to(s->node)));
    else
        HONE_TRY(f->output(f, s, 0, 2, (int64_t[]){1, keys->count}, &y, err));
    if (!y) return HONE_OK;
    place *places = hone_alloc(((size_t)keys->count + 1) * sizeof *places);
    if (!places) return hone_fail_memory(err);
    for (int64_t i = 0; i < keys->count; i++) places[i] = (place){((const int64_t *)keys->data)[i], i};
    qsort(places, (size_t)keys->count, sizeof *places, by_key);
    hone_status status = give_values(s, f, places, values, y, err);
    hone_free(places);
    return status;
}

static hone_status prepare_cast(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_cast, "maps", err);
}

const hone_op hone_op_cast_map = {
    .domain = ML,
    .name = "CastMap",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 0, HONE_TYPE(HONE_INT64), 0, MAP}),
    .outputs =
        HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_INT64) | HONE_TYPE(HONE_FLOAT32) | HONE_TYPE(HONE_STRING), 0}),
    .attrs = HONE_ATTRS({"cast_to", HONE_ATTR_STRING, .s = "TO_FLOAT"},
                        {"map_form", HONE_ATTR_STRING, .s = "DENSE"}, {"max_map", HONE_ATTR_INT, .i = 1}),
    .infer = infer_cast,
    .run_shapes = 1,
    .prepare = prepare_cast,
    .doc = "the values of a map in the order of its keys, or at its keys"};
