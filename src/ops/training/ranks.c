/* SumRanks: values summed over all processes that train together, in one exchange.
 *
 *      x0 x1 x2 … ──► one array ──► the sum over all ranks ──► y0 y1 y2 … */
#include "base/ranks.h"
#include "graph/infer.h"
#include "graph/run.h"

#include <string.h>

#define FLOAT HONE_TYPE(HONE_FLOAT32)

typedef struct params {
    int count;
    const size_t *bytes; /* of each */
    size_t elements;
} params;

static hone_status infer(hone_infer *ctx, hone_error *err) {
    (void)err;
    for (int i = 0; i < ctx->output_count && i < ctx->input_count; i++) ctx->out[i] = *ctx->in[i];
    return HONE_OK;
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    char *all = hone_step_scratch(step, frame);
    size_t at = 0;
    for (int i = 0; i < p->count; i++) {
        memcpy(all + at, hone_step_in(step, frame, i), p->bytes[i]);
        at += p->bytes[i];
    }
    HONE_TRY(hone_ranks_sum(all, p->elements, HONE_RANKS_F32, err));
    at = 0;
    for (int i = 0; i < p->count; i++) {
        if (hone_step_out(step, frame, i)) memcpy(hone_step_out(step, frame, i), all + at, p->bytes[i]);
        at += p->bytes[i];
    }
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    size_t *bytes = hone_prepare_alloc(p, (size_t)p->in_count * sizeof *bytes);
    if (!q || !bytes) return hone_fail_memory(err);
    for (int i = 0; i < p->in_count; i++)
        p->scratch += bytes[i] = (size_t)hone_type_count(p->in[i]) * sizeof(float);
    *q = (params){.count = p->in_count, .bytes = bytes, .elements = p->scratch / sizeof(float)};
    p->params = q;
    p->run = run;
    p->kernel = "ranks";
    return HONE_OK;
}

const hone_op hone_op_sum_ranks = {.domain = HONE_PRIVATE_DOMAIN,
                                   .name = "SumRanks",
                                   .since = 1,
                                   .oldest = 1,
                                   .inputs = HONE_SLOTS({"x", 0, FLOAT, HONE_SLOT_VARIADIC}),
                                   .outputs = HONE_SLOTS({"y", 0, FLOAT, HONE_SLOT_VARIADIC}),
                                   .infer = infer,
                                   .prepare = prepare,
                                   .doc = "what comes to it in all processes that train together, summed"};
