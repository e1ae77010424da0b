/* Texts: StringConcat, StringSplit, RegexFullMatch. */
#include "base/regex.h"
#include "graph/infer.h"
#include "ops/common/cut.h"
#include "ops/common/texts.h"
#include "ops/common/walk.h"

#define TEXT HONE_TYPE(HONE_STRING)

/* --- StringConcat --- */

typedef struct concat {
    hone_walk a, b; /* where elements of the output lie in X and Y */
} concat;

static hone_walk walk_of(const hone_type *x, const hone_type *y) {
    int64_t strides[HONE_MAX_RANK], stride = 1;
    hone_walk w;
    for (int i = y->rank - 1; i >= 0; i--) {
        int at = i - (y->rank - x->rank);
        int64_t d = at < 0 ? 1 : x->dims[at];
        strides[i] = d == 1 ? 0 : stride;
        stride *= d;
    }
    hone_walk_init(&w);
    for (int i = 0; i < y->rank; i++) hone_walk_add(&w, y->dims[i], strides[i]);
    return w;
}

static hone_status run_concat(const hone_step *s, hone_frame *f, hone_error *err) {
    const concat *p = s->params;
    const hone_string *a = hone_step_in(s, f, 0), *b = hone_step_in(s, f, 1);
    hone_string *y = hone_step_out(s, f, 0);
    hone_texts texts;
    size_t bytes = 0;
    for (int64_t i = 0; i < p->a.count; i++)
        bytes += a[hone_walk_offset(&p->a, i)].size + b[hone_walk_offset(&p->b, i)].size + 1;
    HONE_TRY(hone_texts_open(f, bytes, &texts, err));
    for (int64_t i = 0; i < p->a.count; i++) {
        hone_string u = a[hone_walk_offset(&p->a, i)], v = b[hone_walk_offset(&p->b, i)];
        char *room = hone_texts_room(&texts, u.size + v.size);
        if (u.size) memcpy(room, u.data, u.size);
        if (v.size) memcpy(room + u.size, v.data, v.size);
        y[i] = (hone_string){room, u.size + v.size};
    }
    return HONE_OK;
}

static hone_status prepare_concat(hone_prepare *p, hone_error *err) {
    concat *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (concat){walk_of(p->in[0], &p->out[0]), walk_of(p->in[1], &p->out[0])};
    p->params = q;
    p->run = run_concat;
    p->kernel = "text";
    return HONE_OK;
}

const hone_op hone_op_string_concat = {.name = "StringConcat",
                                       .since = 20,
                                       .oldest = 20,
                                       .inputs = HONE_SLOTS({"X", 0, TEXT, 0}, {"Y", 0, TEXT, 0}),
                                       .outputs = HONE_SLOTS({"Z", 0, TEXT, 0}),
                                       .infer = hone_infer_elementwise,
                                       .prepare = prepare_concat,
                                       .doc = "each text of X followed by that of Y"};

/* --- StringSplit --- */

static hone_status infer_split(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    HONE_TRY(hone_infer_same(ctx, err));
    if (x->rank >= HONE_MAX_RANK) return hone_infer_fail(ctx, err, "X has too many axes for one more");
    if (x->rank >= 0) ctx->out[0].dims[ctx->out[0].rank++] = HONE_DIM_ANY;
    if (ctx->output_count < 2) return HONE_OK;
    ctx->out[1].dtype = HONE_INT64;
    ctx->out[1].rank = x->rank;
    for (int i = 0; i < x->rank; i++) ctx->out[1].dims[i] = x->dims[i];
    return HONE_OK;
}

typedef struct split {
    hone_string delimiter; /* empty: white space */
    int64_t most;          /* splits */
    int64_t count;         /* of X */
    hone_type y;           /* X's shape */
} split;

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next part of the text at *at; false: there is none. `last`: all that is left. */
static bool next_part(const split *p, const char **at, const char *end, bool last, hone_string *part) {
    const char *start = *at, *stop = end;
    if (p->delimiter.size) {
        if (!start) return false;
        const char *found =
            last ? NULL : memmem(start, (size_t)(end - start), p->delimiter.data, p->delimiter.size);
        if (found) stop = found;
        *at = found ? found + p->delimiter.size : NULL;
        *part = (hone_string){(char *)start, (size_t)(stop - start)};
        return true;
    }
    while (start < end && is_space(*start)) start++;
    if (start == end) return false;
    if (!last)
        for (stop = start; stop < end && !is_space(*stop);) stop++;
    *at = stop;
    *part = (hone_string){(char *)start, (size_t)(stop - start)};
    return true;
}

/* Parts of one text; gives them to `texts` and y if these are there. */
static int64_t split_one(const split *p, const hone_string *x, hone_texts *texts, hone_string *y,
                         size_t *bytes) {
    const char *at = x->data ? x->data : "", *end = at + x->size;
    int64_t parts = 0;
    hone_string part;
    while (next_part(p, &at, end, parts == p->most, &part)) {
        *bytes += part.size + 1;
        if (texts) y[parts] = hone_texts_add(texts, part.data, part.size);
        parts++;
    }
    return parts;
}

static hone_status run_split(const hone_step *s, hone_frame *f, hone_error *err) {
    const split *p = s->params;
    const hone_string *x = hone_step_in(s, f, 0);
    int64_t *counts = hone_step_out(s, f, 1), dims[HONE_MAX_RANK], most = 0;
    size_t bytes = 1;
    hone_texts texts;
    void *data = NULL;
    for (int64_t i = 0; i < p->count; i++) {
        int64_t parts = split_one(p, &x[i], NULL, NULL, &bytes);
        if (parts > most) most = parts;
        if (counts) counts[i] = parts;
    }
    for (int i = 0; i < p->y.rank; i++) dims[i] = p->y.dims[i];
    dims[p->y.rank] = most;
    HONE_TRY(f->output(f, s, 0, p->y.rank + 1, dims, &data, err));
    if (!data) return HONE_OK;
    HONE_TRY(hone_texts_open(f, bytes, &texts, err));
    hone_string *y = data, empty = hone_texts_add(&texts, "", 0);
    for (int64_t i = 0; i < p->count; i++, y += most)
        for (int64_t k = split_one(p, &x[i], &texts, y, &bytes); k < most; k++) y[k] = empty;
    return HONE_OK;
}

static hone_status prepare_split(hone_prepare *p, hone_error *err) {
    const hone_attr *delimiter = hone_node_attr(p->node, "delimiter"),
                    *most = hone_node_attr(p->node, "maxsplit");
    split *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (split){.most = most && most->i >= 0 ? most->i : INT64_MAX,
                 .count = hone_type_count(p->in[0]),
                 .y = *p->in[0]};
    if (delimiter) q->delimiter = delimiter->s;
    p->params = q;
    p->run = run_split;
    p->kernel = "text";
    return HONE_OK;
}

const hone_op hone_op_string_split = {
    .name = "StringSplit",
    .since = 20,
    .oldest = 20,
    .inputs = HONE_SLOTS({"X", 0, TEXT, 0}),
    .outputs = HONE_SLOTS({"Y", 0, TEXT, 0}, {"Z", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL}),
    .attrs = HONE_ATTRS({"delimiter", HONE_ATTR_STRING}, {"maxsplit", HONE_ATTR_INT}),
    .infer = infer_split,
    .run_shapes = 1,
    .prepare = prepare_split,
    .doc = "the parts of texts between delimiters, and how many there are"};

/* --- RegexFullMatch --- */

static hone_status infer_match(hone_infer *ctx, hone_error *err) {
    ctx->out[0].dtype = HONE_BOOL;
    return hone_infer_same(ctx, err);
}

typedef struct match {
    const hone_regex *regex;
    hone_cut cut;
} match;

typedef struct match_job {
    const match *p;
    const hone_step *step;
    const hone_frame *frame;
    const hone_string *x;
    bool *y;
} match_job;

static void match_range(void *arg, int64_t begin, int64_t end, int worker) {
    const match_job *j = arg;
    void *scratch = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t i = begin; i < end; i++)
        j->y[i] = hone_regex_full_match(j->p->regex, j->x[i].data ? j->x[i].data : "", j->x[i].size, scratch);
}

static hone_status run_match(const hone_step *s, hone_frame *f, hone_error *err) {
    (void)err;
    const match *p = s->params;
    match_job j = {p, s, f, hone_step_in(s, f, 0), hone_step_out(s, f, 0)};
    hone_cut_run(&p->cut, f, match_range, &j);
    return HONE_OK;
}

static hone_status prepare_match(hone_prepare *p, hone_error *err) {
    const hone_attr *pattern = hone_node_attr(p->node, "pattern");
    match *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    hone_error found = {0};
    hone_status status = hone_regex_compile(p->arena, pattern ? pattern->s.data : "",
                                            pattern ? pattern->s.size : 0, &q->regex, &found);
    if (status != HONE_OK)
        return hone_fail_node(err, status, p->node->name, hone_node_op_name(p->node), "%s", found.message);
    q->cut = hone_cut_make(hone_type_count(p->in[0]), 1000, 1);
    p->worker_scratch = hone_regex_scratch(q->regex);
    p->params = q;
    p->run = run_match;
    p->kernel = "regex";
    return HONE_OK;
}

const hone_op hone_op_regex_full_match = {.name = "RegexFullMatch",
                                          .since = 20,
                                          .oldest = 20,
                                          .inputs = HONE_SLOTS({"X", 0, TEXT, 0}),
                                          .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_BOOL), 0}),
                                          .attrs = HONE_ATTRS({"pattern", HONE_ATTR_STRING}),
                                          .infer = infer_match,
                                          .prepare = prepare_match,
                                          .doc = "does a regular expression match all of a text?"};
