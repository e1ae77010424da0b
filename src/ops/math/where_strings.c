#include "ops/math/where_strings.h"

#include "graph/infer.h"

typedef struct params {
    int64_t count, dims[HONE_MAX_RANK],
        strides[3][HONE_MAX_RANK]; /* strides: of condition, X and Y, broadcast */
    int rank;
} params;

/* Where element i of the result lies in an operand. */
static int64_t place_of(const params *p, int operand, int64_t i) {
    int64_t at = 0;
    for (int d = p->rank - 1; d >= 0; d--) {
        at += i % p->dims[d] * p->strides[operand][d];
        i /= p->dims[d];
    }
    return at;
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    const uint8_t *condition = hone_step_in(step, frame, 0);
    hone_string *y = hone_step_out(step, frame, 0);
    for (int64_t i = 0; i < p->count; i++) {
        int from = condition[place_of(p, 0, i)] ? 1 : 2;
        const hone_string *x = hone_step_in(step, frame, from);
        y[i] = x[place_of(p, from, i)];
    }
    return HONE_OK;
}

hone_status hone_prepare_where_strings(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_type *y = &p->out[0];
    *q = (params){.count = hone_type_count(y), .rank = y->rank};
    for (int d = 0; d < y->rank; d++) q->dims[d] = y->dims[d];
    for (int i = 0; i < 3; i++) {
        int64_t stride = 1;
        const hone_type *x = p->in[i];
        for (int d = x->rank - 1, to = y->rank - 1; d >= 0; d--, to--) {
            q->strides[i][to] = x->dims[d] == 1 ? 0 : stride;
            stride *= x->dims[d];
        }
    }
    p->params = q;
    p->run = run;
    p->kernel = "strings";
    return HONE_OK;
}
