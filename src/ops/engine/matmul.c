#include "ops/engine/matmul.h"

#include "graph/infer.h"
#include "kernels/kernels.h"
#include "ops/engine/elementwise.h"

#include <math.h>
#include <string.h>

typedef enum b_form {
    B_PACKED_ONCE, /* a constant: `packed` of the plan */
    B_PACK_EACH,   /* packed into scratch at every run */
    B_DIRECT       /* rows read as they are */
} b_form;

typedef struct matmul_params {
    hone_matmul shape;
    const hone_kernels *kernels;
    bool is_double;
    b_form form;
    const float *packed;
    int bias_input;
    float lo, hi;
    const hone_elementwise *epilogue; /* NULL: none, or all of it is bias and clamp */
    int map_input, epilogue_inputs;
    const hone_elementwise *addend; /* Y = beta C, before the products are added; NULL: none */
    int64_t block_rows, block_columns, row_blocks, column_blocks;
} matmul_params;

/* --- epilogues that fit into registers --- */

static bool is_row(const hone_type *t, int64_t n) {
    return hone_type_count(t) == n && t->rank > 0 && t->dims[t->rank - 1] == n;
}

/* Is the map [+ row] [max constant] of the strip? Then bias and clamp say it all. */
static bool match_bias_clamp(const hone_prepare *p, const hone_matmul *s, matmul_params *params) {
    const hone_map *m = p->node->map;
    if (m->outputs != 1 || s->addend_input >= 0) return false;
    hone_reg at = m->output[0];
    const hone_map_code *c = &m->code[at];
    if (c->op == HONE_VOP_MAX) {
        const hone_map_code *limit = &m->code[c->b];
        if (limit->op != HONE_MAP_CONST) return false;
        params->lo = (float)limit->constant;
        c = &m->code[c->a];
    }
    if (c->op == HONE_VOP_ADD && s->bias_input < 0) {
        const hone_map_code *x = &m->code[c->a], *row = &m->code[c->b];
        if (x->op == HONE_MAP_INPUT && x->input > 0) { /* row + strip */
            row = x;
            x = &m->code[c->b];
        }
        if (row->op != HONE_MAP_INPUT || row->input < 1) return false;
        int input = p->node->map_input + row->input - 1;
        if (!is_row(p->in[input], s->n)) return false;
        params->bias_input = input;
        c = x;
    }
    return c->op == HONE_MAP_INPUT && c->input == 0;
}

static hone_status prepare_epilogue(hone_prepare *p, const hone_matmul *s, matmul_params *params,
                                    hone_error *err) {
    const hone_map *m = p->node->map;
    if (!m) return HONE_OK;
    matmul_params guess = *params;
    if (!params->is_double && match_bias_clamp(p, s, &guess)) {
        *params = guess;
        return HONE_OK;
    }
    const hone_type *in[HONE_PROGRAM_MAX_REGISTERS] = {NULL}; /* operand 0 is the strip itself */
    params->map_input = p->node->map_input;
    params->epilogue_inputs = m->inputs;
    if (m->inputs > HONE_PROGRAM_MAX_REGISTERS) return hone_prepare_fail(p, err, "its epilogue is too long");
    in[0] = &p->out[0];
    for (int i = 1; i < m->inputs; i++) in[i] = p->in[params->map_input + i - 1];
    hone_elementwise *e = NULL;
    HONE_TRY(hone_elementwise_prepare(p, m, in, &p->out[0], &e, err));
    params->epilogue = e;
    return HONE_OK;
}

static hone_status prepare_addend(hone_prepare *p, const hone_matmul *s, matmul_params *params,
                                  hone_error *err) {
    if (s->addend_input < 0) return HONE_OK;
    hone_arena *arena = hone_arena_new();
    hone_map *m = arena ? hone_map_new(arena) : NULL;
    hone_elementwise *e = NULL;
    if (m)
        hone_map_add_output(
            m, hone_map_mul(m, hone_map_input(m, 0, p->out[0].dtype), hone_map_const(m, s->beta)));
    hone_status status = m ? hone_elementwise_prepare(p, m, &p->in[s->addend_input], &p->out[0], &e, err)
                           : hone_fail_memory(err);
    params->addend = e;
    hone_arena_free(arena);
    return status;
}

/* --- B --- */

/* A part is some rows (columns, where B is stored so) of a single matrix, or one of several. */
typedef struct packing {
    const hone_kernels *kernels;
    int64_t k, n, matrices;
    int64_t step; /* rows or columns of a part */
    bool columns;
} packing;

/* Rows [l0, l1) of B [k, n]. */
static void pack_rows(const packing *a, const float *b, int64_t l0, int64_t l1, float *out) {
    int64_t panel = a->kernels->gemm_f32_panel;
    for (int64_t j = 0; j < a->n; j += panel) {
        int64_t width = a->n - j < panel ? a->n - j : panel;
        int64_t stored = (int64_t)(a->kernels->gemm_f32_packed_size(16, width) / 16 / sizeof *out);
        a->kernels->gemm_f32_pack(l1 - l0, width, b + l0 * a->n + j, a->n, 1, out + j * a->k + l0 * stored);
    }
}

static void pack_part(const void *source, const void *arg, int64_t part, void *out) {
    const packing *a = arg;
    int64_t first = part * a->step, end = first + a->step, size = a->columns ? a->n : a->k;
    if (end > size) end = size;
    if (a->columns)
        a->kernels->gemm_f32_pack_part(a->k, a->n, source, 1, a->k, first, end, out);
    else if (a->matrices == 1)
        pack_rows(a, source, first, end, out);
    else
        pack_rows(a, (const float *)source + part * a->k * a->n, 0, a->k,
                  (float *)out + (size_t)part * a->kernels->gemm_f32_packed_size(a->k, a->n) / sizeof(float));
}

static const char *format_of(bool columns) {
    return columns ? "gemm_f32 columns" : "gemm_f32 rows";
}

hone_status hone_matmul_pack(hone_packer *p, const hone_node *node, bool b_columns, hone_error *err) {
    const hone_type *b = &node->inputs[1]->type;
    if (b->dtype != HONE_FLOAT32 || b->rank < 1 || !hone_type_is_concrete(b)) return HONE_OK;
    packing a = {hone_kernels_get(), b->dims[b->rank > 1 ? b->rank - 2 : 0],
                 b->rank > 1 ? b->dims[b->rank - 1] : 1, .matrices = 1, .columns = b_columns};
    if (b_columns) {
        a.k = b->dims[1];
        a.n = b->dims[0];
    }
    for (int i = 0; i + 2 < b->rank; i++) a.matrices *= b->dims[i];
    size_t row = (size_t)(b_columns ? a.k : a.n) * sizeof(float);
    a.step = hone_pack_rows(row, b_columns ? a.kernels->gemm_f32_panel : 8);
    size_t size = a.kernels->gemm_f32_packed_size(a.k, a.n) * (size_t)a.matrices;
    if (size == 0) return HONE_OK;
    hone_packing form = {.format = format_of(b_columns),
                         .bytes = size,
                         .part_bytes = row * (size_t)(a.matrices == 1 ? a.step : a.k),
                         .pack = pack_part,
                         .arg = &a,
                         .arg_size = sizeof a};
    return hone_pack_constant(p, 1, &form, err);
}

/* Rows of A from which packing B at every run pays, being spread over many tiles. */
#define PACK_ROWS 96

static void prepare_b(hone_prepare *p, matmul_params *params) {
    const hone_matmul *s = &params->shape;
    params->form = B_DIRECT;
    if (params->is_double) return;
    params->packed = hone_prepare_packed(p, 1, format_of(s->b_columns));
    if (params->packed)
        params->form = B_PACKED_ONCE;
    else if (s->b_col != 1 || s->m >= PACK_ROWS)
        params->form = B_PACK_EACH;
    size_t size = params->kernels->gemm_f32_packed_size(s->k, s->n);
    if (params->form == B_PACK_EACH) p->scratch = size ? size : 1;
}

typedef struct job {
    const matmul_params *p;
    const hone_step *step;
    const hone_frame *frame;
    hone_gemm_f32 f32;
    hone_gemm_f64 f64;
    const float *b_raw;
    float *b_packed;
    int64_t first_batch;
} job;

static void pack_panels(void *arg, int64_t task, int worker) {
    (void)worker;
    const job *j = arg;
    const hone_matmul *s = &j->p->shape;
    int64_t panel = j->p->kernels->gemm_f32_panel, end = (task + 1) * panel;
    j->p->kernels->gemm_f32_pack_part(s->k, s->n, j->b_raw, s->b_row, s->b_col, task * panel,
                                      end < s->n ? end : s->n, j->b_packed);
}

/* --- run --- */

/* Nanoseconds. */
static double cost_of(const hone_matmul *s) {
    return 0.02 * (double)s->m * (double)s->n * (double)s->k * (double)s->batch;
}

static void run_epilogue(const job *j, void *y, int64_t first_row, int64_t m0, int64_t m1, int64_t n0,
                         int64_t n1, int worker) {
    const matmul_params *p = j->p;
    void *in[HONE_PROGRAM_MAX_REGISTERS];
    in[0] = y;
    for (int i = 1; i < p->epilogue_inputs; i++)
        in[i] = hone_step_in(j->step, j->frame, p->map_input + i - 1);
    void *scratch = hone_step_worker_scratch(j->step, j->frame, worker);
    hone_block block = {p->shape.n, first_row + m0, first_row + m1, n0, n1, NULL, 0};
    hone_elementwise_run_block(p->epilogue, in, &y, &block, scratch);
}

static void run_block(void *arg, int64_t task, int worker) {
    const job *j = arg;
    const matmul_params *p = j->p;
    const hone_matmul *s = &p->shape;
    int64_t column = task % p->column_blocks, row = task / p->column_blocks % p->row_blocks;
    int64_t batch = j->first_batch + task / (p->column_blocks * p->row_blocks);
    int64_t m0 = row * p->block_rows, n0 = column * p->block_columns;
    int64_t m1 = m0 + p->block_rows < s->m ? m0 + p->block_rows : s->m;
    int64_t n1 = n0 + p->block_columns < s->n ? n0 + p->block_columns : s->n;
    int64_t a = s->a_offset ? s->a_offset[batch] : 0, b = s->b_offset ? s->b_offset[batch] : 0,
            y = batch * s->m * s->n;
    void *out = hone_step_out(j->step, j->frame, 0);
    if (p->is_double) {
        hone_gemm_f64 g = j->f64;
        g.a += a;
        g.b += b;
        g.c += y;
        p->kernels->gemm_f64(&g, m0, m1, n0, n1);
    } else {
        hone_gemm_f32 g = j->f32;
        g.a += a;
        g.c += y;
        if (p->form == B_PACKED_ONCE && b)
            g.b = (const float *)((const char *)g.b +
                                  (size_t)(b / (s->k * s->n)) * p->kernels->gemm_f32_packed_size(s->k, s->n));
        else if (p->form == B_DIRECT)
            g.b += b;
        p->kernels->gemm_f32(&g, m0, m1, n0, n1);
    }
    if (p->epilogue) run_epilogue(j, out, batch * s->m, m0, m1, n0, n1, worker);
}

static hone_gemm_f64 gemm_f64_of(const matmul_params *p, const void *a, const void *b, void *y,
                                 const void *bias) {
    const hone_matmul *s = &p->shape;
    return (hone_gemm_f64){.m = s->m,
                           .n = s->n,
                           .k = s->k,
                           .a = a,
                           .a_row = s->a_row,
                           .a_col = s->a_col,
                           .b = b,
                           .b_row = s->b_row,
                           .b_col = s->b_col,
                           .c = y,
                           .c_row = s->n,
                           .alpha = s->alpha,
                           .bias = bias,
                           .accumulate = p->addend != NULL};
}

static hone_gemm_f32 gemm_f32_of(const matmul_params *p, const void *a, const void *b, void *y,
                                 const void *bias) {
    const hone_matmul *s = &p->shape;
    return (hone_gemm_f32){.m = s->m,
                           .n = s->n,
                           .k = s->k,
                           .a = a,
                           .a_row = s->a_row,
                           .a_col = s->a_col,
                           .b = p->form == B_PACKED_ONCE ? p->packed : b,
                           .b_row = p->form == B_DIRECT ? s->b_row : 0,
                           .c = y,
                           .c_row = s->n,
                           .alpha = s->alpha,
                           .bias = bias,
                           .lo = p->lo,
                           .hi = p->hi,
                           .accumulate = p->addend != NULL};
}

/* One scratch for the packed B, batch by batch. */
static void run_packing(job *j, const float *b, hone_pool *pool) {
    const hone_matmul *s = &j->p->shape;
    int64_t panel = j->p->kernels->gemm_f32_panel, panels = (s->n + panel - 1) / panel;
    j->b_packed = hone_step_scratch(j->step, j->frame);
    j->f32.b = j->b_packed;
    for (j->first_batch = 0; j->first_batch < s->batch; j->first_batch++) {
        j->b_raw = b + (s->b_offset ? s->b_offset[j->first_batch] : 0);
        hone_pool_run(pool, panels, pack_panels, j);
        hone_pool_run(pool, j->p->row_blocks * j->p->column_blocks, run_block, j);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const matmul_params *p = step->params;
    const hone_matmul *s = &p->shape;
    job j = {.p = p, .step = step, .frame = frame};
    const void *a = hone_step_in(step, frame, 0), *b = hone_step_in(step, frame, 1);
    const void *bias = p->bias_input >= 0 ? hone_step_in(step, frame, p->bias_input) : NULL;
    void *y = hone_step_out(step, frame, 0);
    hone_pool *pool = hone_frame_pool(frame, cost_of(s));
    if (p->addend) {
        void *c = hone_step_in(step, frame, s->addend_input);
        hone_elementwise_run(p->addend, &c, &y, 0, s->batch * s->m * s->n,
                             hone_step_worker_scratch(step, frame, 0));
    }
    if (p->is_double)
        j.f64 = gemm_f64_of(p, a, b, y, bias);
    else
        j.f32 = gemm_f32_of(p, a, b, y, bias);
    if (p->form == B_PACK_EACH)
        run_packing(&j, b, pool);
    else
        hone_pool_run(pool, p->row_blocks * p->column_blocks * s->batch, run_block, &j);
    return HONE_OK;
}

/* `size` in some `count` blocks of whole units: how large a block is. */
static int64_t block_size(int64_t size, int64_t unit, int64_t count) {
    int64_t units = (size + unit - 1) / unit;
    return units > count ? (units + count - 1) / count * unit : unit;
}

/* Up to so many rows take several panels at once, or they would wait for their sums. */
#define FEW_ROWS 3
#define FEW_ROWS_PANELS 4

#define STRIP 4096 /* elements */

/* Some sixteen blocks in all, rows first: a block of all columns has its epilogue in one go. Work that stays on the
 * caller is cut for its epilogue only, into strips that stay in the cache. */
static void cut(matmul_params *p) {
    const hone_matmul *s = &p->shape;
    bool whole = cost_of(s) < HONE_PARALLEL_NANOSECONDS;
    int64_t tile = p->is_double ? 4 : p->kernels->gemm_f32_rows,
            panel = p->is_double ? 16 : p->kernels->gemm_f32_panel;
    if (s->m <= FEW_ROWS) panel *= FEW_ROWS_PANELS;
    p->block_rows = block_size(s->m, tile, !whole ? 16 : p->epilogue ? 1 + s->m * s->n / STRIP : 1);
    p->row_blocks = (s->m + p->block_rows - 1) / p->block_rows;
    int64_t column_blocks = whole || p->row_blocks >= 8 || p->row_blocks == 0 ? 1 : 16 / p->row_blocks;
    p->block_columns = block_size(s->n, panel, column_blocks);
    p->column_blocks = (s->n + p->block_columns - 1) / p->block_columns;
}

hone_status hone_matmul_prepare(hone_prepare *p, const hone_matmul *shape, hone_error *err) {
    matmul_params *params = hone_prepare_alloc(p, sizeof *params);
    if (!params) return hone_fail_memory(err);
    params->shape = *shape;
    params->kernels = hone_kernels_get();
    params->is_double = p->out[0].dtype == HONE_FLOAT64;
    params->bias_input = shape->bias_input;
    params->lo = -INFINITY;
    params->hi = INFINITY;
    HONE_TRY(prepare_epilogue(p, shape, params, err));
    HONE_TRY(prepare_addend(p, shape, params, err));
    for (int i = 0; i < 2; i++) {
        const hone_elementwise *e = i ? params->addend : params->epilogue;
        size_t scratch = e ? hone_elementwise_scratch(e) : 0;
        if (scratch > p->worker_scratch) p->worker_scratch = scratch;
    }
    prepare_b(p, params);
    cut(params);
    p->params = params;
    p->run = run;
    p->kernel = params->is_double          ? "gemm_f64"
                : params->form == B_DIRECT ? "gemm_f32 direct"
                                           : "gemm_f32 packed";
    return HONE_OK;
}
