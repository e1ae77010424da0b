/* StringNormalizer: stop words go, the case of the others is changed. */
#include "base/unicode.h"
#include "graph/infer.h"
#include "graph/tensor.h"
#include "ops/common/dictionary.h"
#include "ops/common/texts.h"

#include <string.h>

#define TEXT HONE_TYPE(HONE_STRING)

typedef enum change { NONE, LOWER, UPPER, UNKNOWN } change;

static change change_of(const hone_node *n) {
    const char *c = hone_node_string(n, "case_change_action");
    return strcmp(c, "NONE") == 0    ? NONE
           : strcmp(c, "LOWER") == 0 ? LOWER
           : strcmp(c, "UPPER") == 0 ? UPPER
                                     : UNKNOWN;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    if (change_of(ctx->node) == UNKNOWN)
        return hone_infer_fail(ctx, err, "case_change_action %s is not known",
                               hone_node_string(ctx->node, "case_change_action"));
    if (x->rank < 0) return HONE_OK;
    if (x->rank != 1 && (x->rank != 2 || (x->dims[0] >= 0 && x->dims[0] != 1)))
        return hone_infer_fail(ctx, err, "X is neither [C] nor [1, C]");
    y->rank = x->rank;
    y->dims[0] = x->rank == 1 ? HONE_DIM_ANY : 1;
    y->dims[1] = HONE_DIM_ANY;
    return HONE_OK;
}

typedef struct params {
    int64_t count;
    int rank;
    change change, compare; /* of results, and before stop words are looked for */
    bool turkic;            /* i without a dot is a letter of its own */
    hone_dictionary stopwords;
} params;

static uint32_t changed(const params *p, change c, uint32_t x) {
    if (p->turkic && c == UPPER && x == 'i') return 0x130;
    if (p->turkic && c == LOWER && x == 'I') return 0x131;
    return c == UPPER ? hone_unicode_upper(x) : c == LOWER ? hone_unicode_lower(x) : x;
}

/* Writes the text in another case to `out`, which may be NULL; returns its size. */
static size_t convert(const params *p, change c, hone_string x, char *out) {
    size_t size = 0;
    const char *at = x.data, *end = at + x.size;
    while (at < end) {
        char bytes[4];
        size_t n = hone_utf8_encode(changed(p, c, hone_utf8_decode(&at, end)), bytes);
        if (out) memcpy(out + size, bytes, n);
        size += n;
    }
    return size;
}

static bool is_stopword(const params *p, hone_string x) {
    hone_tensor t = {.dtype = HONE_STRING, .rank = 1, .dims = {1}, .count = 1, .data = &x};
    return p->stopwords.keys.count && hone_dictionary_find(&p->stopwords, &t, 0) >= 0;
}

/* All of x in another case. */
static hone_status convert_all(const params *p, hone_frame *f, change c, const hone_string *x, hone_string *y,
                               hone_error *err) {
    hone_texts texts;
    size_t bytes = 0;
    for (int64_t i = 0; i < p->count; i++) bytes += convert(p, c, x[i], NULL) + 1;
    HONE_TRY(hone_texts_open(f, bytes, &texts, err));
    for (int64_t i = 0; i < p->count; i++) {
        size_t size = convert(p, c, x[i], NULL);
        char *room = hone_texts_room(&texts, size);
        convert(p, c, x[i], room);
        y[i] = (hone_string){room, size};
    }
    return HONE_OK;
}

static hone_status run(const hone_step *s, hone_frame *f, hone_error *err) {
    const params *p = s->params;
    const hone_string *x = hone_step_in(s, f, 0);
    hone_string *compared = hone_step_scratch(s, f), *results = compared + p->count;
    int64_t kept = 0;
    void *data = NULL;
    HONE_TRY(convert_all(p, f, p->compare, x, compared, err));
    HONE_TRY(convert_all(p, f, p->change, x, results, err));
    for (int64_t i = 0; i < p->count; i++)
        if (!is_stopword(p, compared[i])) results[kept++] = results[i];
    int64_t dims[] = {1, kept ? kept : 1};
    HONE_TRY(f->output(f, s, 0, p->rank, p->rank == 2 ? dims : dims + 1, &data, err));
    if (!data) return HONE_OK;
    if (kept) memcpy(data, results, (size_t)kept * sizeof *results);
    if (!kept) *(hone_string *)data = (hone_string){"", 0};
    return HONE_OK;
}

static bool is_turkic(const hone_node *n) {
    const char *locale = hone_node_string(n, "locale");
    return locale && (strncmp(locale, "tr", 2) == 0 || strncmp(locale, "az", 2) == 0);
}

/* Stop words in the case that they are compared in. */
static hone_status make_stopwords(hone_prepare *p, params *q, hone_error *err) {
    const hone_attr *a = hone_node_attr(p->node, "stopwords");
    size_t count = a ? a->count : 0;
    hone_string *words = hone_prepare_alloc(p, (count + 1) * sizeof *words);
    if (!words) return hone_fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        size_t size = convert(q, q->compare, a->strings[i], NULL);
        char *room = hone_prepare_alloc(p, size + 1);
        if (!room) return hone_fail_memory(err);
        convert(q, q->compare, a->strings[i], room);
        words[i] = (hone_string){room, size};
    }
    hone_tensor t = {
        .dtype = HONE_STRING, .rank = 1, .dims = {(int64_t)count}, .count = (int64_t)count, .data = words};
    return hone_dictionary_make(p->arena, &t, false, &q->stopwords) ? HONE_OK : hone_fail_memory(err);
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    bool sensitive = hone_node_int(p->node, "is_case_sensitive") != 0;
    *q = (params){.count = hone_type_count(p->in[0]),
                  .rank = p->in[0]->rank,
                  .change = change_of(p->node),
                  .compare = sensitive ? NONE : LOWER,
                  .turkic = is_turkic(p->node)};
    HONE_TRY(make_stopwords(p, q, err));
    p->scratch = (size_t)(2 * q->count) * sizeof(hone_string);
    p->params = q;
    p->run = run;
    p->kernel = "text";
    return HONE_OK;
}

const hone_op hone_op_string_normalizer = {
    .name = "StringNormalizer",
    .since = 10,
    .oldest = 10,
    .inputs = HONE_SLOTS({"X", 0, TEXT, 0}),
    .outputs = HONE_SLOTS({"Y", 0, TEXT, 0}),
    .attrs = HONE_ATTRS({"case_change_action", HONE_ATTR_STRING, .s = "NONE"},
                        {"is_case_sensitive", HONE_ATTR_INT}, {"locale", HONE_ATTR_STRING},
                        {"stopwords", HONE_ATTR_STRINGS}),
    .infer = infer,
    .run_shapes = 1,
    .prepare = prepare,
    .doc = "texts without stop words, in upper or lower case"};
