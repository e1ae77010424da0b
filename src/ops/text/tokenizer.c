/* Tokenizer of com.microsoft, which pipelines of scikit-learn are written with. */
#include "base/regex.h"
#include "base/utf8.h"
#include "graph/infer.h"
#include "ops/common/texts.h"

#include <string.h>

#define TEXT HONE_TYPE(HONE_STRING)

enum { MOST_SEPARATORS = 100 };

static bool has_characters_mode(const hone_attr *separators) {
    return separators && separators->count == 1 && separators->strings[0].size == 0;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    const hone_attr *separators = hone_node_attr(ctx->node, "separators"),
                    *tokens = hone_node_attr(ctx->node, "tokenexp");
    if (!separators == !tokens) return hone_infer_fail(ctx, err, "needs either separators or tokenexp");
    if (separators && separators->count > MOST_SEPARATORS)
        return hone_infer_fail(ctx, err, "more than %d separators", MOST_SEPARATORS);
    if (hone_node_int(ctx->node, "mincharnum") < 1)
        return hone_infer_fail(ctx, err, "mincharnum must be at least 1");
    if (x->rank == 0 || x->rank > 2) return hone_infer_fail(ctx, err, "X must have one axis or two");
    HONE_TRY(hone_infer_same(ctx, err));
    if (x->rank > 0) ctx->out[0].dims[ctx->out[0].rank++] = HONE_DIM_ANY;
    return HONE_OK;
}

typedef struct params {
    const hone_regex **separators; /* NULL: `token`, or characters */
    const hone_regex *token;
    int separator_count;
    int64_t least; /* characters of a token */
    bool mark;
    hone_string pad;
    hone_type x;
    int64_t count;
} params;

/* The tokens of one text: counted, and stored where `texts` is there. */
typedef struct sink {
    const params *p;
    void *scratch;
    size_t *ends;  /* of matches, by where they begin */
    bool *removed; /* bytes that separators match */
    hone_texts *texts;
    hone_string *y;
    int64_t tokens;
    size_t bytes;
} sink;

static void put(sink *s, const char *text, size_t size) {
    s->bytes += size + 1;
    if (s->texts) s->y[s->tokens] = hone_texts_add(s->texts, text, size);
    s->tokens++;
}

/* Bytes of the character there, one of what is none. */
static size_t character(const char *text, size_t left) {
    size_t n = hone_utf8_length(text, left);
    return n ? n : 1;
}

static void offer(sink *s, const char *text, size_t size) {
    int64_t characters = 0;
    for (size_t at = 0; at < size && characters < s->p->least; characters++)
        at += character(text + at, size - at);
    if (characters >= s->p->least) put(s, text, size);
}

/* The first match from byte *begin on, and of those that begin there the longest; false: there is none. */
static bool find(const sink *s, size_t size, size_t *begin, size_t *end) {
    while (*begin < size && s->ends[*begin] == HONE_REGEX_NONE) ++*begin;
    if (*begin < size) *end = s->ends[*begin];
    return *begin < size;
}

static void take_matches(sink *s, const char *text, size_t size) {
    size_t end;
    hone_regex_ends(s->p->token, text, size, s->scratch, s->ends);
    for (size_t begin = 0; find(s, size, &begin, &end); begin = end > begin ? end : begin + 1)
        offer(s, text + begin, end - begin);
}

/* A run of bytes from *begin on that no separator has matched; false: there is none. */
static bool next_part(const sink *s, size_t size, size_t *begin, size_t *end) {
    while (*begin < size && s->removed[*begin]) ++*begin;
    for (*end = *begin; *end < size && !s->removed[*end];) ++*end;
    return *begin < size;
}

/* Parts between matches of the first separator, each cut by those that follow. */
static void cut(sink *s, const char *text, size_t size) {
    size_t part, stop, end;
    memset(s->removed, 0, size);
    for (int k = 0; k < s->p->separator_count; k++)
        for (part = 0; next_part(s, size, &part, &stop); part = stop) {
            const size_t n = stop - part;
            hone_regex_ends(s->p->separators[k], text + part, n, s->scratch, s->ends);
            for (size_t begin = 0; find(s, n, &begin, &end); begin = end > begin ? end : begin + 1)
                memset(s->removed + part + begin, 1, end - begin);
        }
    for (part = 0; next_part(s, size, &part, &stop); part = stop) offer(s, text + part, stop - part);
}

static void take(sink *s, const hone_string *x) {
    const char *text = x->data ? x->data : "";
    s->tokens = 0;
    if (s->p->mark) put(s, "\x02", 1);
    if (s->p->token)
        take_matches(s, text, x->size);
    else if (s->p->separators)
        cut(s, text, x->size);
    else
        for (size_t at = 0, n; at < x->size; at += n) {
            n = character(text + at, x->size - at);
            put(s, text + at, n);
        }
    if (s->p->mark) put(s, "\x03", 1);
}

/* Texts are taken twice: counted, then stored. */
static hone_status take_all(sink *s, const hone_step *step, hone_frame *f, hone_error *err) {
    const params *p = s->p;
    const hone_string *x = hone_step_in(step, f, 0);
    int64_t dims[HONE_MAX_RANK] = {0}, most = 0;
    hone_texts texts;
    void *data = NULL;
    for (int64_t i = 0; i < p->count; i++) {
        take(s, &x[i]);
        if (s->tokens > most) most = s->tokens;
    }
    if (p->mark && most == 2) most = 0; /* nobody has a token: then there are no marks */
    for (int i = 0; i < p->x.rank; i++) dims[i] = p->x.dims[i];
    dims[p->x.rank] = most;
    HONE_TRY(f->output(f, step, 0, p->x.rank + 1, dims, &data, err));
    if (!data || most == 0) return HONE_OK;
    HONE_TRY(hone_texts_open(f, s->bytes + p->pad.size + 1, &texts, err));
    const hone_string pad = hone_texts_add(&texts, p->pad.data, p->pad.size);
    s->texts = &texts;
    s->y = data;
    for (int64_t i = 0; i < p->count; i++, s->y += most) {
        take(s, &x[i]);
        for (int64_t k = s->tokens; k < most; k++) s->y[k] = pad;
    }
    return HONE_OK;
}

static hone_status run(const hone_step *step, hone_frame *f, hone_error *err) {
    const params *p = step->params;
    const hone_string *x = hone_step_in(step, f, 0);
    sink s = {.p = p, .scratch = hone_step_scratch(step, f)};
    size_t longest = 0, bytes;
    for (int64_t i = 0; i < p->count; i++)
        if (x[i].size > longest) longest = x[i].size;
    if (!p->token && !p->separators) return take_all(&s, step, f, err);
    if (!hone_mul_size(longest + 1, sizeof *s.ends + sizeof *s.removed, &bytes) ||
        !(s.ends = hone_alloc(bytes)))
        return hone_fail_memory(err);
    s.removed = (bool *)(s.ends + longest + 1);
    hone_status status = take_all(&s, step, f, err);
    hone_free(s.ends);
    return status;
}

static hone_status compile(hone_prepare *p, const hone_string *pattern, const hone_regex **out,
                           hone_error *err) {
    hone_error found = {0};
    hone_status status =
        hone_regex_compile(p->arena, pattern->data ? pattern->data : "", pattern->size, out, &found);
    if (status != HONE_OK)
        return hone_fail_node(err, status, p->node->name, hone_node_op_name(p->node), "%s", found.message);
    size_t scratch = hone_regex_scratch(*out);
    if (scratch > p->scratch) p->scratch = scratch;
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_attr *separators = hone_node_attr(p->node, "separators"),
                    *token = hone_node_attr(p->node, "tokenexp"), *pad = hone_node_attr(p->node, "pad_value");
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){.least = hone_node_int(p->node, "mincharnum"),
                  .mark = hone_node_int(p->node, "mark"),
                  .x = *p->in[0],
                  .count = hone_type_count(p->in[0])};
    if (pad) q->pad = pad->s;
    if (token) HONE_TRY(compile(p, &token->s, &q->token, err));
    if (separators && !has_characters_mode(separators)) {
        q->separators = hone_arena_array(p->arena, separators->count + 1, sizeof *q->separators);
        if (!q->separators) return hone_fail_memory(err);
        for (size_t i = 0; i < separators->count; i++)
            HONE_TRY(compile(p, &separators->strings[i], &q->separators[i], err));
        q->separator_count = (int)separators->count;
    }
    if (!p->scratch) p->scratch = 1; /* characters */
    p->params = q;
    p->run = run;
    p->kernel = "text";
    return HONE_OK;
}

const hone_op hone_op_microsoft_tokenizer = {
    .domain = "com.microsoft",
    .name = "Tokenizer",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 0, TEXT, 0}),
    .outputs = HONE_SLOTS({"Y", 0, TEXT, 0}),
    .attrs = HONE_ATTRS({"mark", HONE_ATTR_INT}, {"mincharnum", HONE_ATTR_INT, .i = 1},
                        {"pad_value", HONE_ATTR_STRING}, {"separators", HONE_ATTR_STRINGS},
                        {"tokenexp", HONE_ATTR_STRING}),
    .infer = infer,
    .run_shapes = 1,
    .prepare = prepare,
    .doc = "the parts of texts that match a regular expression, or stand between matches of others"};
