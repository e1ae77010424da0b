/* TfIdfVectorizer: how often n-grams of a pool are in each row. The pool is a tree of tokens:
 *
 *   root ─ "I" ─ "am" ─ …        a node that ends an n-gram knows where it counts
 *         └ "you" …
 *
 * From each element of a row the tree is followed over every s-th element, for s from 1 to max_skip_count + 1. */
#include "graph/infer.h"
#include "graph/run.h"
#include "graph/tensor.h"
#include "ops/common/cut.h"
#include "ops/common/dictionary.h"
#include "ops/common/walk.h"

#include <string.h>

#define TOKENS (HONE_TYPES_INT | HONE_TYPE(HONE_STRING))

static int64_t width_of(const hone_node *n) {
    size_t count;
    int64_t most = -1;
    const int64_t *at = hone_node_ints(n, "ngram_indexes", &count);
    for (size_t i = 0; i < count; i++)
        if (at[i] > most) most = at[i];
    return most + 1;
}

static hone_status check_attributes(const hone_infer *ctx, hone_error *err) {
    const hone_node *n = ctx->node;
    const hone_attr *texts = hone_node_attr(n, "pool_strings"), *integers = hone_node_attr(n, "pool_int64s");
    const char *mode = hone_node_string(n, "mode");
    size_t counts, indexes, pool = texts ? texts->count : integers ? integers->count : 0, grams = 0;
    const int64_t *first = hone_node_ints(n, "ngram_counts", &counts),
                  *at = hone_node_ints(n, "ngram_indexes", &indexes);
    const hone_attr *weights = hone_node_attr(n, "weights");
    if (!texts == !integers) return hone_infer_fail(ctx, err, "needs either pool_strings or pool_int64s");
    if (ctx->in[0]->dtype != HONE_UNDEFINED && (ctx->in[0]->dtype == HONE_STRING) != (texts != NULL))
        return hone_infer_fail(ctx, err, "the pool is of another dtype than X");
    if (strcmp(mode, "TF") != 0 && strcmp(mode, "IDF") != 0 && strcmp(mode, "TFIDF") != 0)
        return hone_infer_fail(ctx, err, "mode %s is not known", mode);
    int64_t least = hone_node_int(n, "min_gram_length"), most = hone_node_int(n, "max_gram_length");
    if (least < 1 || most < least || hone_node_int(n, "max_skip_count") < 0 || most > (int64_t)counts)
        return hone_infer_fail(ctx, err, "n-grams of %lld to %lld with %zu counts", (long long)least,
                               (long long)most, counts);
    for (size_t i = 0; i < counts; i++) {
        size_t end = i + 1 < counts ? (size_t)first[i + 1] : pool;
        if (first[i] < 0 || (size_t)first[i] > end || end > pool || (end - (size_t)first[i]) % (i + 1))
            return hone_infer_fail(ctx, err, "ngram_counts do not divide the pool");
        grams += (end - (size_t)first[i]) / (i + 1);
    }
    if (indexes != grams || (weights && weights->count != grams))
        return hone_infer_fail(ctx, err, "%zu n-grams with %zu indices", grams, indexes);
    for (size_t i = 0; i < indexes; i++)
        if (at[i] < 0 || at[i] > INT32_MAX) return hone_infer_fail(ctx, err, "index %lld", (long long)at[i]);
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    HONE_TRY(check_attributes(ctx, err));
    if (x->rank > 2) return hone_infer_fail(ctx, err, "X has more than two axes");
    if (x->rank < 0) return HONE_OK;
    y->rank = x->rank == 2 ? 2 : 1;
    y->dims[0] = x->dims[0];
    y->dims[y->rank - 1] = width_of(ctx->node);
    return HONE_OK;
}

/* --- the tree --- */

typedef struct gram {
    int64_t index; /* of the output; -1: no n-gram ends here */
    float weight;
} gram;

typedef struct edge {
    int32_t from, token, to; /* to 0: free */
} edge;

typedef struct params {
    hone_type x;
    hone_dictionary tokens; /* of the pool */
    gram *nodes;            /* 0 is the root */
    int32_t node_count;
    edge *edges; /* by hash */
    uint32_t mask;
    int64_t width, rows, columns, skips;
    int least, most;
    bool counts, weighs; /* TF, IDF or both */
    hone_cut cut;
} params;

static edge *edge_of(const params *p, int32_t from, int32_t token) {
    uint32_t h = ((uint32_t)from * 0x9E3779B1u ^ (uint32_t)token) * 0x85EBCA6Bu;
    for (h ^= h >> 15;; h++) {
        edge *e = &p->edges[h & p->mask];
        if (e->to == 0 || (e->from == from && e->token == token)) return e;
    }
}

/* One n-gram of `size` tokens from position `at` of the pool. */
static void add_gram(params *p, int64_t at, int size, int64_t index, float weight) {
    int32_t node = 0;
    for (int k = 0; k < size; k++) {
        int32_t token = (int32_t)hone_dictionary_find(&p->tokens, &p->tokens.keys, at + k);
        edge *e = edge_of(p, node, token);
        if (e->to == 0) {
            *e = (edge){node, token, p->node_count};
            p->nodes[p->node_count++] = (gram){-1, 0};
        }
        node = e->to;
    }
    p->nodes[node] = (gram){index, weight};
}

static void add_grams(params *p, const hone_node *n) {
    size_t counts, indexes, next = 0;
    const int64_t *first = hone_node_ints(n, "ngram_counts", &counts),
                  *at = hone_node_ints(n, "ngram_indexes", &indexes);
    const hone_attr *weights = hone_node_attr(n, "weights");
    for (int size = 1; size <= (int)counts; size++) {
        int64_t end = (size_t)size < counts ? first[size] : p->tokens.keys.count;
        for (int64_t i = first[size - 1]; i < end; i += size, next++)
            if (size >= p->least && size <= p->most)
                add_gram(p, i, size, at[next], weights ? weights->floats[next] : 1);
    }
}

/* --- running --- */

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    hone_tensor x;
    float *y;
} job;

static void follow(const params *p, const int32_t *tokens, int64_t start, int64_t step, float *y) {
    int32_t node = 0;
    for (int k = 0; k < p->most && start + k * step < p->columns; k++) {
        int32_t token = tokens[start + k * step];
        const edge *e = token >= 0 ? edge_of(p, node, token) : NULL;
        if (!e || e->to == 0) return;
        node = e->to;
        const gram *g = &p->nodes[node];
        if (g->index < 0 || (k == 0 && step > 1)) continue; /* single tokens skip nothing */
        float add = p->weighs ? g->weight : 1;
        y[g->index] = p->counts ? y[g->index] + add : add;
    }
}

static void run_range(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    int32_t *tokens = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t row = begin; row < end; row++) {
        float *y = j->y + row * p->width;
        memset(y, 0, (size_t)p->width * sizeof *y);
        for (int64_t i = 0; i < p->columns; i++)
            tokens[i] = (int32_t)hone_dictionary_find(&p->tokens, &j->x, row * p->columns + i);
        for (int64_t step = 1; step <= p->skips + 1 && step <= p->columns + 1; step++)
            for (int64_t i = 0; i < p->columns; i++) follow(p, tokens, i, step, y);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p, .step = step, .frame = frame, .y = hone_step_out(step, frame, 0)};
    j.x = (hone_tensor){.dtype = p->x.dtype,
                        .rank = 1,
                        .dims = {p->rows * p->columns},
                        .count = p->rows * p->columns,
                        .data = hone_step_in(step, frame, 0)};
    hone_cut_run(&p->cut, frame, run_range, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_node *n = p->node;
    const hone_type *x = p->in[0];
    const hone_attr *texts = hone_node_attr(n, "pool_strings"), *integers = hone_node_attr(n, "pool_int64s");
    const char *mode = hone_node_string(n, "mode");
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    hone_tensor pool = {.dtype = texts ? HONE_STRING : HONE_INT64,
                        .rank = 1,
                        .data = texts ? (void *)texts->strings : (void *)integers->ints};
    pool.count = pool.dims[0] = (int64_t)(texts ? texts->count : integers->count);
    uint32_t edges = 4;
    while (edges < 2 * (uint64_t)pool.count) edges *= 2;
    *q = (params){.x = *x,
                  .width = width_of(n),
                  .rows = x->rank == 2 ? x->dims[0] : 1,
                  .columns = x->rank ? x->dims[x->rank - 1] : 1,
                  .skips = hone_node_int(n, "max_skip_count"),
                  .least = (int)hone_node_int(n, "min_gram_length"),
                  .most = (int)hone_node_int(n, "max_gram_length"),
                  .counts = mode[0] == 'T',
                  .weighs = strcmp(mode, "TF") != 0,
                  .node_count = 1,
                  .mask = edges - 1,
                  .nodes = hone_prepare_alloc(p, ((size_t)pool.count + 1) * sizeof(gram)),
                  .edges = hone_prepare_alloc(p, edges * sizeof(edge))};
    if (!q->nodes || !q->edges || !hone_dictionary_make(p->arena, &pool, false, &q->tokens))
        return hone_fail_memory(err);
    q->nodes[0] = (gram){-1, 0};
    add_grams(q, n);
    q->cut = hone_cut_make(q->rows, 30 * (double)q->columns * (double)(q->skips + 1) + (double)q->width, 1);
    p->worker_scratch = (size_t)(q->columns + 1) * sizeof(int32_t);
    p->params = q;
    p->run = run;
    p->kernel = "ngrams";
    return HONE_OK;
}

const hone_op hone_op_tf_idf_vectorizer = {
    .name = "TfIdfVectorizer",
    .since = 9,
    .oldest = 9,
    .inputs = HONE_SLOTS({"X", 0, TOKENS, 0}),
    .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_FLOAT32), 0}),
    .attrs = HONE_ATTRS({"max_gram_length", HONE_ATTR_INT, .required = true},
                        {"max_skip_count", HONE_ATTR_INT, .required = true},
                        {"min_gram_length", HONE_ATTR_INT, .required = true},
                        {"mode", HONE_ATTR_STRING, .required = true},
                        {"ngram_counts", HONE_ATTR_INTS, .required = true},
                        {"ngram_indexes", HONE_ATTR_INTS, .required = true}, {"pool_int64s", HONE_ATTR_INTS},
                        {"pool_strings", HONE_ATTR_STRINGS}, {"weights", HONE_ATTR_FLOATS}),
    .infer = infer,
    .prepare = prepare,
    .doc = "how often n-grams are in rows of tokens"};
