/* Convolution where a group gives few channels, as in depthwise ones: no product, but windows of weights, line by line. */
#include "ops/common/walk.h"
#include "ops/engine/product_inside.h"

#define MOST_ROWS 8 /* of A: from more on, patches serve enough of them to pay */
#define STRIP 16384 /* elements of Y that stay in the cache */

bool hone_product_direct_pays(const hone_product *s) {
    int64_t taps = s->kind == HONE_GEMM_U8S8 ? HONE_DIRECT_EXACT / (255 * 255) : HONE_DIRECT_TAPS;
    return s->m <= MOST_ROWS && s->k > 0 && s->k <= taps;
}

/* How many lines are run at once from line `at` on: of one channel, or all of some. */
static int64_t strip(const hone_windows *w, int64_t at, int64_t end) {
    int64_t lines = w->out[0] * w->out[1], most = STRIP / w->out[2] + 1, in = at % lines;
    if (in == 0 && most >= lines && end - at >= lines)
        return hone_min_i64(most / lines, (end - at) / lines) * lines;
    return hone_min_i64(hone_min_i64(most, lines - in), end - at);
}

/* The node's map over lines that are strip()'s. */
static void run_map(const hone_product_job *j, int64_t at, int64_t count, int worker) {
    const hone_windows *w = &j->p->direct.w;
    int64_t lines = w->out[0] * w->out[1], row = at / lines, first = at % lines;
    if (count >= lines)
        hone_product_map_run(j, row, row + count / lines, 0, lines * w->out[2], worker);
    else
        hone_product_map_run(j, row, row + 1, first * w->out[2], (first + count) * w->out[2], worker);
}

void hone_product_direct_run(void *arg, int64_t begin, int64_t end, int worker) {
    const hone_product_job *j = arg;
    const hone_product_params *p = j->p;
    hone_direct d = p->direct;
    const void *x = hone_step_in(j->step, j->frame, p->s.b);
    char *room = (char *)hone_step_worker_scratch(j->step, j->frame, worker) + p->at_b;
    d.weight = j->a;
    d.epilogue = p->gemm.epilogue;
    d.epilogue.row_bias = j->bias;
    d.epilogue.residual = j->residual;
    d.x_zero = j->x_zero;
    d.x_signed = p->integer.b_dtype == HONE_INT8;
    if (p->b.sums) hone_product_rows_epilogue(j, 0, NULL, &d.epilogue);
    for (int64_t at = begin, count; at < end; at += count) {
        count = p->epilogue.map ? strip(&d.w, at, end) : end - at;
        if (p->s.kind == HONE_GEMM_F64)
            hone_direct_f64(&d, x, (void *)j->y, at, at + count);
        else if (p->b.sums)
            hone_kernels_get()->direct_8(&d, x, j->y, at, at + count, (void *)room);
        else
            hone_kernels_get()->direct_f32(&d, x, (void *)j->y, at, at + count, (void *)room);
        if (p->epilogue.map) run_map(j, at, count, worker);
    }
}

void hone_product_direct_choose(hone_product_params *q) {
    const hone_product *s = &q->s;
    const hone_windows *w = s->patches;
    q->direct = (hone_direct){.w = *w, .groups = s->groups, .outputs = s->m};
    q->form = HONE_B_WINDOWS;
    q->b.packed = (size_t)hone_direct_room(&q->direct) * sizeof(float);
    int64_t lines = s->n ? s->batch * s->m * w->out[0] * w->out[1] : 0;
    double each = 2 * hone_kernels_get()->gemm[HONE_GEMM_F32]->nanoseconds; /* also of bytes */
    double line = 10 + (double)(w->out[2] * s->k) * each;
    q->blocks = (hone_product_blocks){.cut = hone_cut_make(lines, line, 1)};
}
