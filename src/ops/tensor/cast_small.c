#include "ops/tensor/cast_small.h"

#include "graph/infer.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"

#include <string.h>

static bool find_rounding(const hone_node *n, hone_small_rounding *out) {
    static const char *const modes[] = {"up", "down", "nearest"};
    const char *mode = hone_node_string(n, "round_mode");
    int i = 0;
    while (i < 3 && strcmp(modes[i], mode) != 0) i++;
    *out = (hone_small_rounding){hone_node_int(n, "saturate") != 0, (hone_e8m0_rounding)i};
    return i < 3;
}

hone_status hone_infer_cast_small(const hone_infer *ctx, hone_error *err) {
    hone_small_rounding rounding;
    if (find_rounding(ctx->node, &rounding)) return HONE_OK;
    return hone_infer_fail(ctx, err, "round_mode is '%s', not up, down or nearest",
                           hone_node_string(ctx->node, "round_mode"));
}

typedef struct params {
    int from, to, from_bits, to_bits;
    hone_small_rounding rounding;
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const char *x;
    char *y;
} job;

static void convert(void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    hone_cast_small(p->from, p->to, j->x + first * p->from_bits / 8, j->y + first * p->to_bits / 8,
                    end - first, p->rounding);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, convert, &j);
    return HONE_OK;
}

bool hone_is_cast_small(const hone_prepare *p) {
    return hone_cast_is_small(p->in[0]->dtype) || hone_cast_is_small(p->out[0].dtype);
}

hone_status hone_prepare_cast_small(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){p->in[0]->dtype, p->out[0].dtype, hone_dtype_bits(p->in[0]->dtype),
                  hone_dtype_bits(p->out[0].dtype)};
    find_rounding(p->node, &q->rounding);
    q->cut = hone_cut_make(hone_type_count(&p->out[0]), 3, 64); /* whole bytes */
    p->params = q;
    p->run = run;
    p->kernel = "cast, small";
    return HONE_OK;
}
