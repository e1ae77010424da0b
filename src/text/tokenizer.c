/* Reading a whole tokenizer.json. */
#include "text/tokenizer.h"

#include "base/file.h"

#include <jansson.h>

enum { MAX_FILE = 256 << 20 };

/* --- added tokens --- */

static bool is_set(const json_t *json, const char *key) {
    return json_is_true(json_object_get(json, key));
}

static hone_status add_token(hone_tokenizer *t, const json_t *json, hone_error *err) {
    const json_t *content = json_object_get(json, "content"), *id = json_object_get(json, "id");
    if (!json_is_string(content) || !json_is_integer(id))
        return hone_fail(err, HONE_CORRUPT, "added_tokens: a token needs an \"id\" and a \"content\"");
    size_t size = json_string_length(content);
    if (size == 0) return HONE_OK;
    HONE_TRY(hone_vocabulary_add(&t->added, json_integer_value(id), json_string_value(content), size, err));
    hone_added_set *set = is_set(json, "normalized") ? &t->normalized : &t->raw;
    if (set->count == set->capacity &&
        !hone_reserve(&set->items, &set->capacity, set->count + 1, sizeof *set->items))
        return hone_fail_memory(err);
    hone_added *a = &set->items[set->count++];
    *a = (hone_added){.content = t->added.pieces[json_integer_value(id)],
                      .id = (int32_t)json_integer_value(id),
                      .special = is_set(json, "special"),
                      .single_word = is_set(json, "single_word"),
                      .left = is_set(json, "lstrip"),
                      .right = is_set(json, "rstrip")};
    return HONE_OK;
}

static hone_status read_added(hone_tokenizer *t, const json_t *list, hone_error *err) {
    const json_t *token;
    size_t i;
    json_array_foreach(list, i, token) HONE_TRY(add_token(t, token, err));
    t->special = hone_arena_array(t->arena, t->added.count + 1, sizeof *t->special);
    if (!t->special) return hone_fail_memory(err);
    const hone_added_set *sets[] = {&t->raw, &t->normalized};
    for (size_t k = 0; k < 2; k++)
        for (i = 0; i < sets[k]->count; i++) t->special[sets[k]->items[i].id] |= sets[k]->items[i].special;
    return HONE_OK;
}

/* Tokens of normalized text are looked for as normalizing leaves them. */
static hone_status normalize_added(hone_tokenizer *t, hone_error *err) {
    hone_matcher m = {NULL, 0, 0, 0};
    hone_bytes a = {NULL, 0, 0}, b = {NULL, 0, 0}, *out;
    hone_status status = HONE_OK;
    size_t kept = 0;
    for (size_t i = 0; i < t->normalized.count && status == HONE_OK; i++) {
        hone_added item = t->normalized.items[i];
        status =
            hone_normalize_all(t->normalizers, &m, item.content.text, item.content.size, &a, &b, &out, err);
        if (status != HONE_OK || out->size == 0) continue;
        char *text = hone_arena_alloc(t->arena, out->size + 1);
        if (!text) status = hone_fail_memory(err);
        if (!text) continue;
        memcpy(text, out->data, out->size);
        item.content = (hone_piece){text, out->size};
        t->normalized.items[kept++] = item;
    }
    t->normalized.count = kept;
    hone_matcher_free(&m);
    hone_bytes_free(&a);
    hone_bytes_free(&b);
    return status;
}

/* --- what stands around a text --- */

static int32_t find_any(const hone_tokenizer *t, const char *text, size_t size) {
    int32_t id = hone_vocabulary_find(&t->added, text, size);
    return id != HONE_NO_ID ? id : hone_vocabulary_find(&t->model.pieces, text, size);
}

/* Of TemplateProcessing: the ids of a special token by its name. */
static hone_status add_special(hone_tokenizer *t, const json_t *specials, const char *name, hone_ids *to,
                               hone_error *err) {
    const json_t *ids = json_object_get(json_object_get(specials, name), "ids"), *id;
    size_t i;
    if (!json_is_array(ids))
        return hone_fail(err, HONE_CORRUPT, "post_processor: no special token '%.60s'", name ? name : "");
    json_array_foreach(ids, i, id) {
        json_int_t n = json_integer_value(id);
        if (!json_is_integer(id) || n < 0 || n >= HONE_MAX_ID)
            return hone_fail(err, HONE_CORRUPT, "post_processor: an id of '%.60s' is out of range", name);
        if (!hone_ids_add(to, (int32_t)n)) return hone_fail_memory(err);
    }
    (void)t;
    return HONE_OK;
}

static hone_status read_template(hone_tokenizer *t, const json_t *json, hone_error *err) {
    const json_t *item, *list = json_object_get(json, "single");
    hone_ids *to = &t->before;
    size_t i;
    if (!json_is_array(list))
        return hone_fail(err, HONE_CORRUPT, "post_processor: the list \"single\" is missing");
    json_array_foreach(list, i, item) {
        const json_t *special = json_object_get(item, "SpecialToken");
        if (json_object_get(item, "Sequence"))
            to = &t->after;
        else
            HONE_TRY(add_special(t, json_object_get(json, "special_tokens"),
                                 json_string_value(json_object_get(special, "id")), to, err));
    }
    return HONE_OK;
}

/* ["[CLS]", 101] */
static hone_status add_pair(const json_t *pair, hone_ids *to, hone_error *err) {
    json_int_t id = json_integer_value(json_array_get(pair, 1));
    if (!json_is_integer(json_array_get(pair, 1)) || id < 0 || id >= HONE_MAX_ID)
        return hone_fail(err, HONE_CORRUPT, "post_processor: a pair of text and id is needed");
    return hone_ids_add(to, (int32_t)id) ? HONE_OK : hone_fail_memory(err);
}

static hone_status read_post(hone_tokenizer *t, const json_t *json, int depth, hone_error *err) {
    const char *type = json_string_value(json_object_get(json, "type"));
    const json_t *list = json_object_get(json, "processors"), *item;
    size_t i;
    if (!json || json_is_null(json) || (type && strcmp(type, "ByteLevel") == 0)) return HONE_OK;
    if (type && strcmp(type, "TemplateProcessing") == 0) return read_template(t, json, err);
    if (type && (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0)) {
        HONE_TRY(add_pair(json_object_get(json, "cls"), &t->before, err));
        return add_pair(json_object_get(json, "sep"), &t->after, err);
    }
    if (!type || strcmp(type, "Sequence") != 0 || depth > 4)
        return hone_fail(err, HONE_UNSUPPORTED, "post_processor: the type '%.60s' is not supported",
                         type ? type : "");
    json_array_foreach(list, i, item) HONE_TRY(read_post(t, item, depth + 1, err));
    return HONE_OK;
}

/* The first of these names that is a token. */
static int32_t first_of(const hone_tokenizer *t, const char *const *names) {
    for (; *names; names++) {
        int32_t id = find_any(t, *names, strlen(*names));
        if (id != HONE_NO_ID) return id;
    }
    return HONE_NO_ID;
}

static void find_pad(hone_tokenizer *t, const json_t *padding) {
    static const char *const names[] = {"[PAD]", "<pad>", "<|pad|>", "<|padding|>", "<|endoftext|>", NULL};
    json_int_t id = json_integer_value(json_object_get(padding, "pad_id"));
    bool said = json_is_integer(json_object_get(padding, "pad_id")) && id >= 0 && id < HONE_MAX_ID;
    t->pad = said ? (int32_t)id : first_of(t, names);
}

/* --- the whole --- */

static hone_status read_all(hone_tokenizer *t, const json_t *root, hone_error *err) {
    hone_charset_add_space(&t->space);
    hone_charset_add_word(&t->word);
    if (!hone_charset_done(&t->space) || !hone_charset_done(&t->word)) return hone_fail_memory(err);
    HONE_TRY(read_added(t, json_object_get(root, "added_tokens"), err));
    HONE_TRY(hone_read_normalizer(t, json_object_get(root, "normalizer"), &t->normalizers, err));
    HONE_TRY(hone_read_splitter(t, json_object_get(root, "pre_tokenizer"), &t->splitters, err));
    HONE_TRY(hone_read_model(t, json_object_get(root, "model"), err));
    HONE_TRY(hone_read_decoder(t, json_object_get(root, "decoder"), &t->decoders, err));
    HONE_TRY(read_post(t, json_object_get(root, "post_processor"), 0, err));
    HONE_TRY(normalize_added(t, err));
    /* special tokens are looked for before the model sees a text: it makes none of what is left */
    hone_vocabulary_hide(&t->model.pieces, t->special, t->added.count);
    hone_merges_hide(&t->model, t->special, t->added.count);
    hone_added_sort(&t->raw);
    hone_added_sort(&t->normalized);
    find_pad(t, json_object_get(root, "padding"));
    return HONE_OK;
}

static hone_status parse(hone_tokenizer *t, const char *json, size_t size, hone_error *err) {
    json_error_t e;
    if (!hone_bytes_add(&t->json, json, size) || !hone_bytes_add(&t->json, "", 1))
        return hone_fail_memory(err);
    t->json.size = size;
    json_t *root = json_loadb(json, size, JSON_ALLOW_NUL, &e);
    if (!root) return hone_fail(err, HONE_CORRUPT, "line %d, column %d: %s", e.line, e.column, e.text);
    hone_status status = json_is_object(root) ? read_all(t, root, err)
                                              : hone_fail(err, HONE_CORRUPT, "a tokenizer is a JSON object");
    json_decref(root);
    return status;
}

hone_status hone_tokenizer_parse(const char *json, size_t size, hone_tokenizer **out, hone_error *err) {
    hone_tokenizer *t = hone_calloc(1, sizeof *t);
    if (!t || !(t->arena = hone_arena_new())) {
        hone_free(t);
        return hone_fail_memory(err);
    }
    atomic_init(&t->references, 1);
    t->added.arena = t->model.pieces.arena = t->space.arena = t->word.arena = t->arena;
    hone_status status = parse(t, json, size, err);
    if (status == HONE_OK)
        *out = t;
    else
        hone_tokenizer_free(t);
    return status;
}

hone_status hone_tokenizer_load(const char *path, hone_tokenizer **out, hone_error *err) {
    hone_blob blob;
    HONE_TRY(hone_file_read(path, MAX_FILE, &blob, err));
    hone_status status = hone_tokenizer_parse((const char *)blob.data, blob.size, out, err);
    hone_blob_free(&blob);
    return hone_error_in_file(err, status, path);
}

hone_status hone_tokenizer_save(const hone_tokenizer *t, const char *path, hone_error *err) {
    return hone_file_replace(path, t->json.data, t->json.size, err);
}

const char *hone_tokenizer_json(const hone_tokenizer *t, size_t *size) {
    *size = t->json.size;
    return t->json.data;
}

hone_tokenizer *hone_tokenizer_retain(const hone_tokenizer *t) {
    hone_tokenizer *mine = (hone_tokenizer *)(uintptr_t)t; /* the count alone changes */
    if (mine) atomic_fetch_add_explicit(&mine->references, 1, memory_order_relaxed);
    return mine;
}

void hone_tokenizer_free(hone_tokenizer *t) {
    if (!t || atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) != 1) return;
    hone_token_model_free(&t->model);
    hone_vocabulary_free(&t->added);
    hone_free(t->raw.items);
    hone_free(t->normalized.items);
    hone_free(t->before.items);
    hone_free(t->after.items);
    hone_bytes_free(&t->json);
    hone_arena_free(t->arena);
    hone_free(t);
}

int32_t hone_tokenizer_size(const hone_tokenizer *t) {
    return (int32_t)(t->added.count > t->model.pieces.count ? t->added.count : t->model.pieces.count);
}

const char *hone_tokenizer_piece(const hone_tokenizer *t, int32_t id, size_t *size) {
    const hone_vocabulary *of[] = {&t->added, &t->model.pieces};
    for (int k = 0; k < 2; k++) {
        if (id < 0 || (size_t)id >= of[k]->count || !of[k]->pieces[id].text) continue;
        *size = of[k]->pieces[id].size;
        return of[k]->pieces[id].text;
    }
    *size = 0;
    return NULL;
}

int32_t hone_tokenizer_find(const hone_tokenizer *t, const char *piece, size_t size) {
    return find_any(t, piece, size);
}

int32_t hone_tokenizer_pad(const hone_tokenizer *t) {
    return t->pad;
}

int32_t hone_tokenizer_end(const hone_tokenizer *t) {
    static const char *const names[] = {
        "</s>", "<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<eos>", "[SEP]", NULL};
    return first_of(t, names);
}
