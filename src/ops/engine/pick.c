#include "ops/engine/pick.h"

#include "graph/infer.h"

#include "kernels/positions.h"
#include "ops/engine/copy.h"

/* Positions of the innermost axis that is not taken as it is, `count` of them next to each other. */
typedef struct run {
    int64_t to, from, count; /* elements; from < 0: nowhere */
} run;

typedef struct axis {
    int64_t dim, stride;
    const int64_t *from; /* NULL: as it is */
} axis;

struct hone_pick {
    hone_element element;
    int64_t elements; /* of y */
    int rank;         /* of the outer axes, outermost first */
    axis outer[HONE_MAX_RANK];
    int64_t row;       /* elements of y's inner axis, and of what is inside of it */
    const int64_t *at; /* the inner axis element by element; NULL: by runs */
    const run *runs;
    int run_count;
    hone_cut cut; /* of the rows */
};

typedef struct job {
    const hone_pick *q;
    const void *x, *fill;
    void *y;
} job;

static void pick_row(const job *j, int64_t from, int64_t to) {
    const hone_pick *q = j->q;
    if (from < 0) {
        hone_repeat(q->element, j->fill, j->y, to, q->row);
        return;
    }
    if (q->at) {
        const char *x = j->x;
        if (q->element.size) x += (size_t)from * q->element.size;
        hone_take(q->element, x, q->at, q->row, j->fill, j->y, to);
        return;
    }
    for (int i = 0; i < q->run_count; i++) {
        const run *r = &q->runs[i];
        if (r->from < 0)
            hone_repeat(q->element, j->fill, j->y, to + r->to, r->count);
        else
            hone_move(q->element, j->x, from + r->from, j->y, to + r->to, r->count);
    }
}

/* Where row `i` begins in x; negative: nowhere. */
static int64_t row_from(const hone_pick *q, int64_t i) {
    int64_t at = 0;
    bool nowhere = false;
    for (int d = q->rank - 1; d >= 0; d--) {
        const axis *a = &q->outer[d];
        int64_t k = i % a->dim, from = a->from ? a->from[k] : k;
        i /= a->dim;
        nowhere |= from < 0;
        at += from * a->stride;
    }
    return nowhere ? -1 : at;
}

static void pick_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const hone_pick *q = j->q;
    for (int64_t i = begin, last = -1; i < end; i++) {
        int64_t from = row_from(q, i);
        if (from >= 0 && from == last && q->element.size) /* the row before once more */
            hone_move(q->element, j->y, (i - 1) * q->row, j->y, i * q->row, q->row);
        else
            pick_row(j, from, i * q->row);
        last = from;
    }
}

void hone_pick_run(const hone_pick *q, const hone_frame *frame, const void *x, const void *fill, void *y) {
    static const uint64_t zero[2];
    job j = {q, x, fill ? fill : zero, y};
    if (q->element.size) {
        hone_cut_run(&q->cut, frame, pick_rows, &j);
    } else {
        hone_clear_end(y, q->elements, q->element.bits);
        pick_rows(&j, 0, q->cut.count, 0);
    }
}

/* Is the axis taken as it is? */
static bool is_whole(const int64_t *from, int64_t in, int64_t out) {
    if (in != out) return false;
    for (int64_t i = 0; from && i < out; i++)
        if (from[i] != i) return false;
    return true;
}

static int count_runs(const int64_t *from, int64_t n, int64_t block, run *runs) {
    int count = 0;
    for (int64_t i = 0; i < n; i++) {
        bool goes_on =
            i > 0 && (from[i] < 0 ? from[i - 1] < 0 : from[i - 1] >= 0 && from[i] == from[i - 1] + 1);
        if (!goes_on) {
            if (runs) runs[count] = (run){i * block, from[i] < 0 ? -1 : from[i] * block, 0};
            count++;
        }
        if (runs) runs[count - 1].count += block;
    }
    return count;
}

/* The inner axis: runs, or, where they would be short, an entry for each element. */
static bool make_row(hone_prepare *p, hone_pick *q, const int64_t *from, int64_t n, int64_t block) {
    q->row = n * block;
    q->run_count = count_runs(from, n, block, NULL);
    if (block == 1 && q->run_count > n / 8 && q->element.size) {
        q->at = from;
        return true;
    }
    run *runs = hone_prepare_alloc(p, ((size_t)q->run_count + 1) * sizeof *runs);
    if (!runs) return false;
    count_runs(from, n, block, runs);
    q->runs = runs;
    return true;
}

hone_status hone_pick_make(hone_prepare *p, const hone_type *x, const hone_type *y, int64_t *const *from,
                           hone_pick **out, hone_error *err) {
    hone_pick *q = *out = hone_prepare_alloc(p, sizeof *q);
    int64_t strides[HONE_MAX_RANK], block = 1;
    int inner = y->rank - 1;
    if (!q) return hone_fail_memory(err);
    hone_strides_of(x->rank, x->dims, strides);
    q->element = (hone_element){hone_dtype_size(y->dtype), hone_dtype_bits(y->dtype)};
    q->elements = hone_type_count(y);
    while (inner >= 0 && is_whole(from[inner], x->dims[inner], y->dims[inner])) block *= y->dims[inner--];
    int64_t *whole = hone_prepare_alloc(p, sizeof *whole); /* 0: all of it */
    if (!whole || !make_row(p, q, inner < 0 ? whole : from[inner], inner < 0 ? 1 : y->dims[inner], block))
        return hone_fail_memory(err);
    int64_t rows = q->row ? 1 : 0;
    for (int d = 0; d < inner; d++) {
        bool same = is_whole(from[d], x->dims[d], y->dims[d]);
        rows *= y->dims[d];
        axis *last = q->rank ? &q->outer[q->rank - 1] : NULL;
        if (same && last && !last->from) {
            last->dim *= y->dims[d];
            last->stride = strides[d];
        } else
            q->outer[q->rank++] = (axis){y->dims[d], strides[d], same ? NULL : from[d]};
    }
    double each =
        q->at ? 0.7 * (double)q->row : 4 * q->run_count + 0.05 * (double)(q->row * (int64_t)q->element.size);
    q->cut = hone_cut_make(rows, 8 + each, 1);
    return HONE_OK;
}
