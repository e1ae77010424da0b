#include "ops/attention/paged.h"

#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "ops/attention/core.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#include <math.h>
#include <string.h>

enum { KEYS = HONE_PAGED_KEYS, VALUES, Q, K, V, POSITION, TEXT, TABLES };
enum { KEYS_OUT, VALUES_OUT, Y };

/* --- shapes --- */

static bool differ(int64_t a, int64_t b) {
    return a >= 0 && b >= 0 && a != b;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    static const int rank[] = {4, 4, 3, 3, 3, 2, 1, 2};
    const int64_t heads = hone_node_int(ctx->node, "q_heads"), shared = hone_node_int(ctx->node, "kv_heads");
    for (int i = 0; i < ctx->input_count; i++) {
        if (ctx->in[i]->rank < 0) return HONE_OK;
        if (ctx->in[i]->rank != rank[i])
            return hone_infer_fail(ctx, err, "input %d must have rank %d", i, rank[i]);
    }
    const int64_t *keys = ctx->in[KEYS]->dims, *values = ctx->in[VALUES]->dims, *q = ctx->in[Q]->dims;
    if (heads < 1 || shared < 1 || heads % shared)
        return hone_infer_fail(ctx, err, "%lld heads of Q can't share %lld of K", (long long)heads,
                               (long long)shared);
    if (differ(keys[1], shared) || differ(keys[3], HONE_PAGE) || differ(values[0], keys[0]) ||
        differ(values[1], shared) || differ(values[2], HONE_PAGE))
        return hone_infer_fail(ctx, err, "pages must be [pages, heads, width, %d], [pages, heads, %d, width]",
                               HONE_PAGE, HONE_PAGE);
    if (differ(q[0], 1) || differ(q[2], heads * keys[2]) || differ(ctx->in[K]->dims[2], shared * keys[2]) ||
        differ(ctx->in[V]->dims[2], shared * values[3]))
        return hone_infer_fail(ctx, err, "Q, K and V must be [1, tokens, heads * width of the pages]");
    for (int i = K; i <= TEXT; i++)
        if (differ(ctx->in[i]->dims[i == TEXT ? 0 : 1], q[1]))
            return hone_infer_fail(ctx, err, "input %d is not of as many tokens as Q", i);
    ctx->out[KEYS_OUT] = *ctx->in[KEYS];
    ctx->out[VALUES_OUT] = *ctx->in[VALUES];
    const int64_t y[] = {q[0], q[1], values[3] >= 0 ? heads * values[3] : HONE_DIM_ANY};
    ctx->out[Y] = hone_type_make(ctx->in[Q]->dtype, 3, y);
    return HONE_OK;
}

/* --- running --- */

typedef struct params {
    const hone_kernels *kernels;
    int64_t pages, texts, columns, tokens;
    int64_t heads, shared, group; /* of Q, of K, of Q for one of K */
    int64_t d, e;                 /* widths of a key and of a value */
    int64_t window;               /* 0: none */
    float scale, softcap;
    int64_t most;              /* tokens of a tile */
    int64_t score_row;         /* elements of a row of scores */
    size_t at_q, at_y;         /* in worker scratch, behind the scores */
    size_t key_page, val_page; /* elements of a page, of one head */
} params;

/* Tokens of one text that follow each other, and all heads of Q that share one of K: the rows that meet a page together. */
typedef struct tile {
    int64_t token, count;
} tile;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    float *keys, *values;
    const float *q, *k, *v;
    float *y;
    const int64_t *position, *text, *tables;
    tile *tiles;
    int64_t tile_count;
} job;

static float *page_of(const params *p, float *pool, size_t size, int64_t page, int64_t head) {
    return pool + (size_t)(page * p->shared + head) * size;
}

static int64_t first_seen(const params *p, int64_t position) {
    return p->window > 0 && position + 1 > p->window ? position + 1 - p->window : 0;
}

/* Keys are lanes of their page: elements of one are a page's width apart. */
static void write_tokens(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    for (int64_t t = begin; t < end; t++) {
        if (j->text[t] < 0) continue;
        const int64_t page = j->tables[j->text[t] * p->columns + j->position[t] / HONE_PAGE],
                      at = j->position[t] % HONE_PAGE;
        for (int64_t h = 0; h < p->shared; h++) {
            float *key = page_of(p, j->keys, p->key_page, page, h) + at,
                  *value = page_of(p, j->values, p->val_page, page, h) + at * p->e;
            const float *k = j->k + (t * p->shared + h) * p->d;
            for (int64_t l = 0; l < p->d; l++) key[l * HONE_PAGE] = k[l];
            memcpy(value, j->v + (t * p->shared + h) * p->e, (size_t)p->e * sizeof(float));
        }
    }
}

/* A tile at work: `rows` of Q times the scale, their scores from key `from` on, their sums. */
typedef struct part {
    int64_t token, head, rows;
    int64_t position; /* of its first token */
    int64_t from, page, pages;
    const int64_t *table;
    float *scores, *q, *y;
} part;

static int64_t position_of(const params *p, const part *w, int64_t row) {
    return w->position + row / p->group;
}

static void take_q(const job *j, const part *w) {
    const params *p = j->p;
    const int64_t run = p->group * p->d;
    for (int64_t t = 0; t < w->rows / p->group; t++) {
        const float *q = j->q + (w->token + t) * p->heads * p->d + w->head * run;
        for (int64_t l = 0; l < run; l++) w->q[t * run + l] = q[l] * p->scale;
    }
}

static void weigh_scores(const params *p, const part *w) {
    for (int64_t i = 0; i < w->rows; i++) {
        const int64_t last = position_of(p, w, i), first = first_seen(p, last);
        float *x = w->scores + i * p->score_row + (first - w->from);
        if (p->softcap > 0) p->kernels->softcap_f32(x, last + 1 - first, p->softcap);
        p->kernels->softmax_f32(x, x, last + 1 - first);
    }
}

/* What a row may not see is not multiplied by 0 but left out: it may be no number, or another text's. */
static void add_values(const job *j, const part *w, int64_t page) {
    const params *p = j->p;
    const float *v = page_of(p, j->values, p->val_page, w->table[page], w->head);
    const int64_t begin = page * HONE_PAGE, end = begin + HONE_PAGE;
    const float *shares = w->scores + (begin - w->from);
    if (first_seen(p, position_of(p, w, w->rows - 1)) <= begin && end <= w->position + 1) {
        p->kernels->page_values_f32(shares, p->score_row, w->rows, HONE_PAGE, v, p->e, w->y, p->e);
        return;
    }
    for (int64_t i = 0; i < w->rows; i++) {
        const int64_t last = position_of(p, w, i), first = hone_max_i64(first_seen(p, last), begin),
                      keys = hone_min_i64(last + 1, end) - first;
        if (keys > 0)
            p->kernels->page_values_f32(shares + i * p->score_row + (first - begin), p->score_row, 1, keys,
                                        v + (first - begin) * p->e, p->e, w->y + i * p->e, p->e);
    }
}

static void run_part(const job *j, part *w) {
    const params *p = j->p;
    const int64_t run = p->group * p->e;
    take_q(j, w);
    for (int64_t i = 0; i < w->pages; i++)
        p->kernels->page_scores_f32(w->q, p->d, w->rows, p->d,
                                    page_of(p, j->keys, p->key_page, w->table[w->page + i], w->head),
                                    w->scores + i * HONE_PAGE, p->score_row);
    weigh_scores(p, w);
    memset(w->y, 0, (size_t)(w->rows * p->e) * sizeof(float));
    for (int64_t i = 0; i < w->pages; i++) add_values(j, w, w->page + i);
    for (int64_t t = 0; t < w->rows / p->group; t++)
        memcpy(j->y + (w->token + t) * p->heads * p->e + w->head * run, w->y + t * run,
               (size_t)run * sizeof(float));
}

static void run_parts(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    for (int64_t item = begin; item < end; item++) {
        const tile *t = &j->tiles[item / p->shared];
        const int64_t position = j->position[t->token], page = first_seen(p, position) / HONE_PAGE;
        char *scratch = hone_step_worker_scratch(j->step, j->frame, worker);
        part w = {.token = t->token,
                  .head = item % p->shared,
                  .rows = t->count * p->group,
                  .position = position,
                  .from = page * HONE_PAGE,
                  .page = page,
                  .pages = (position + t->count - 1) / HONE_PAGE + 1 - page,
                  .table = j->tables + j->text[t->token] * p->columns,
                  .scores = (float *)(void *)scratch,
                  .q = (float *)(void *)(scratch + p->at_q),
                  .y = (float *)(void *)(scratch + p->at_y)};
        run_part(j, &w);
    }
}

/* The tiles, and what they cost in multiply-adds. */
static double make_tiles(job *j) {
    const params *p = j->p;
    double cost = 0;
    for (int64_t t = 0, n; t < p->tokens; t += n) {
        n = 1;
        if (j->text[t] < 0) {
            memset(j->y + t * p->heads * p->e, 0, (size_t)(p->heads * p->e) * sizeof(float));
            continue;
        }
        while (t + n < p->tokens && n < p->most && j->text[t + n] == j->text[t] &&
               j->position[t + n] == j->position[t] + n)
            n++;
        j->tiles[j->tile_count++] = (tile){t, n};
        const double seen = (double)(j->position[t] + n - first_seen(p, j->position[t]));
        cost += seen * (double)(n * p->heads * (p->d + p->e));
    }
    return cost;
}

static hone_status check(const job *j, hone_error *err) {
    const params *p = j->p;
    for (int64_t t = 0; t < p->tokens; t++) {
        if (j->text[t] < 0) continue;
        if (j->text[t] >= p->texts)
            return hone_step_fail(j->step, err, "text %lld of %lld", (long long)j->text[t],
                                  (long long)p->texts);
        if (j->position[t] < 0 || j->position[t] / HONE_PAGE >= p->columns)
            return hone_step_fail(j->step, err, "position %lld of a text of %lld pages",
                                  (long long)j->position[t], (long long)p->columns);
        if (t + 1 < p->tokens && j->text[t + 1] == j->text[t] && j->position[t + 1] > j->position[t])
            continue; /* which sees more */
        const int64_t *table = j->tables + j->text[t] * p->columns;
        for (int64_t i = 0; i <= j->position[t] / HONE_PAGE; i++)
            if (table[i] < 0 || table[i] >= p->pages)
                return hone_step_fail(j->step, err, "page %lld of %lld", (long long)table[i],
                                      (long long)p->pages);
    }
    return HONE_OK;
}

static float *take_pool(const hone_step *step, hone_frame *frame, int i, int64_t elements) {
    float *now = hone_step_out(step, frame, i);
    const float *before = hone_step_in(step, frame, i);
    if (now != before) memcpy(now, before, (size_t)elements * sizeof *now);
    return now;
}

#define MULTIPLY_ADD 0.03 /* nanoseconds */

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    job j = {.p = p,
             .step = step,
             .frame = frame,
             .q = hone_step_in(step, frame, Q),
             .k = hone_step_in(step, frame, K),
             .v = hone_step_in(step, frame, V),
             .y = hone_step_out(step, frame, Y),
             .position = hone_step_in(step, frame, POSITION),
             .text = hone_step_in(step, frame, TEXT),
             .tables = hone_step_in(step, frame, TABLES),
             .tiles = hone_step_scratch(step, frame)};
    HONE_TRY(check(&j, err));
    j.keys = take_pool(step, frame, KEYS, p->pages * p->shared * (int64_t)p->key_page);
    j.values = take_pool(step, frame, VALUES, p->pages * p->shared * (int64_t)p->val_page);
    const hone_cut writing = hone_cut_make(p->tokens, (double)(p->shared * (p->d + p->e)), 1);
    hone_cut_run(&writing, frame, write_tokens, &j);
    const double cost = make_tiles(&j);
    const int64_t parts = j.tile_count * p->shared;
    const hone_cut cut = hone_cut_make(parts, parts ? MULTIPLY_ADD * cost / (double)parts : 0, 1);
    hone_cut_run(&cut, frame, run_parts, &j);
    return HONE_OK;
}

/* --- preparing --- */

#define MOST_SCORES                                                                                          \
    ((int64_t)1 << 18) /* of a tile, of texts that fill their pages: half of a second-level cache */
#define MOST_ROWS 32

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const int64_t *keys = p->in[KEYS]->dims, *values = p->in[VALUES]->dims, *tables = p->in[TABLES]->dims;
    const float scale = hone_node_float(p->node, "scale");
    *q = (params){.kernels = hone_kernels_get(),
                  .pages = keys[0],
                  .texts = tables[0],
                  .columns = tables[1],
                  .tokens = p->in[Q]->dims[1],
                  .heads = hone_node_int(p->node, "q_heads"),
                  .shared = hone_node_int(p->node, "kv_heads"),
                  .d = keys[2],
                  .e = values[3],
                  .window = hone_core_near(hone_node_int(p->node, "window")),
                  .scale = scale != 0 ? scale : (float)(1 / sqrt((double)keys[2])),
                  .softcap = hone_node_float(p->node, "softcap")};
    q->group = q->heads / q->shared;
    q->key_page = (size_t)(q->d * HONE_PAGE);
    q->val_page = (size_t)(q->e * HONE_PAGE);
    q->score_row = (q->columns + 1) * HONE_PAGE;
    q->most = hone_min_i64(MOST_SCORES / (q->score_row * q->group), MOST_ROWS / q->group);
    if (q->most < 1) q->most = 1;
    const int64_t rows = q->most * q->group;
    q->at_q = (size_t)(rows * q->score_row) * sizeof(float);
    q->at_y = q->at_q + (((size_t)(rows * q->d) * sizeof(float) + 63) & ~(size_t)63);
    p->worker_scratch = q->at_y + (size_t)(rows * q->e) * sizeof(float);
    p->scratch = (size_t)q->tokens * sizeof(tile);
    p->params = q;
    p->run = run;
    p->kernel = "attention, pages";
    return HONE_OK;
}

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define REAL (FLOAT | HONE_TYPES_HALF)
#define INT64 HONE_TYPE(HONE_INT64)

const hone_op hone_op_paged_attention = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "PagedAttention",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"keys", 0, FLOAT, 0}, {"values", 0, FLOAT, 0}, {"Q", 'T', REAL, 0},
                         {"K", 'T', REAL, 0}, {"V", 'T', REAL, 0}, {"position", 0, INT64, 0},
                         {"text", 0, INT64, 0}, {"tables", 0, INT64, 0}),
    .outputs = HONE_SLOTS({"keys", 0, FLOAT, 0}, {"values", 0, FLOAT, 0}, {"Y", 'T', REAL, 0}),
    .attrs = HONE_ATTRS({"q_heads", HONE_ATTR_INT}, {"kv_heads", HONE_ATTR_INT}, {"scale", HONE_ATTR_FLOAT},
                        {"softcap", HONE_ATTR_FLOAT}, {"window", HONE_ATTR_INT}),
    .widened = HONE_TYPES_HALF,
    .infer = infer,
    .overwrite = 1 << KEYS | 1 << VALUES,
    .prepare = prepare,
    .doc = "attention of tokens of many texts, over keys and values in pages"};
