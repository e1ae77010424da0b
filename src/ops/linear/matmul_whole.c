/* Products of matrices of integers, computed as their dtype wraps. */
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/linear/matmul_shape.h"

typedef struct params {
    hone_product s;
    size_t size; /* bytes of an element: signed or not, the bits are the same */
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const char *a, *b;
    char *c;
} job;

/* Rows [begin, end) of all matrices. */
static void run_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const hone_product *s = &j->p->s;
    size_t size = j->p->size;
    for (int64_t row = begin; row < end;) {
        int64_t matrix = row / s->m, first = row % s->m,
                rows = s->m - first < end - row ? s->m - first : end - row;
        int64_t am = s->a_matrix ? s->a_matrix[matrix] : 0, bm = s->b_matrix ? s->b_matrix[matrix] : 0;
        const void *a = j->a + (size_t)((am * s->m + first) * s->k) * size,
                   *b = j->b + (size_t)(bm * s->k * s->n) * size;
        void *c = j->c + (size_t)(row * s->n) * size;
        if (size == 4)
            hone_matmul_u32(a, b, c, rows, s->k, s->n);
        else
            hone_matmul_u64(a, b, c, rows, s->k, s->n);
        row += rows;
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, 0), hone_step_in(step, frame, 1), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, run_rows, &j);
    return HONE_OK;
}

hone_status hone_matmul_whole_prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->s = (hone_product)HONE_PRODUCT_INIT;
    q->size = hone_dtype_size(p->out[0].dtype);
    HONE_TRY(hone_matmul_shape(p, &q->s, err));
    q->cut = hone_cut_make(q->s.batch * q->s.m, 0.3 * (double)q->s.k * (double)q->s.n, 1);
    p->params = q;
    p->run = run;
    p->kernel = "integers";
    return HONE_OK;
}
