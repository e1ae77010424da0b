/* Methods that run the model with parts of its inputs covered: put to the baseline. A part is a patch of a picture, a stretch of a
 * long row, a number, a token, a text. */
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "explain/subject.h"
#include "graph/tensor.h"

#include <math.h>
#include <string.h>

enum { ROW_PARTS = 64, ROW_MOST = 256 }; /* of a row of more elements than that so many stretches are made */

typedef struct parts {
    hone_subject *subject;
    int32_t **of;      /* of each input, which part an element is of; NULL: none of it is covered */
    hone_tensor **now; /* of each input: what the next run takes; the input itself where nothing is covered */
    hone_string **text; /* the elements of those of texts */
    bool *covered;      /* the parts */
    double *value;
    int32_t count;
} parts;

/* --- which parts there are --- */

/* Masks and the like tell nothing: whole numbers that are all the same. */
static bool tells(const hone_tensor *x) {
    if (hone_tensor_kind(x) != HONE_KIND_TENSOR || x->count == 0) return false;
    if (x->dtype == HONE_FLOAT32 || x->dtype == HONE_FLOAT64 || x->dtype == HONE_STRING) return true;
    if (!hone_dtype_is_int(x->dtype) || hone_dtype_size(x->dtype) == 0) return false;
    for (int64_t i = 1; i < x->count; i++)
        if (hone_tensor_int(x, i) != hone_tensor_int(x, 0)) return true;
    return x->count == 1;
}

/* Rows and columns of a picture; false: it is none. */
static bool find_plane(const hone_tensor *x, int *first) {
    bool last = x->rank == 4 && x->dims[3] <= 4 && x->dims[1] > 4;
    *first = x->rank == 4 ? (last ? 1 : 2) : 1;
    return (x->rank == 3 || x->rank == 4) && x->dims[*first] > 4 && x->dims[*first + 1] > 4;
}

static int64_t patch_of(const hone_subject *s, const hone_tensor *x, int first) {
    int64_t side = x->dims[first] < x->dims[first + 1] ? x->dims[first] : x->dims[first + 1];
    return s->options->patch ? s->options->patch : (side + 6) / 7;
}

/* Numbers the parts of an input from p->count on. */
static void divide(parts *p, const hone_tensor *x, int32_t *of) {
    int first;
    if (find_plane(x, &first)) {
        int64_t side = patch_of(p->subject, x, first), h = x->dims[first], w = x->dims[first + 1];
        int64_t across = (w + side - 1) / side, down = (h + side - 1) / side, inner = 1;
        for (int d = first + 2; d < x->rank; d++) inner *= x->dims[d];
        for (int64_t i = 0; i < x->count; i++)
            of[i] = p->count + (int32_t)(i / inner / w % h / side * across + i / inner % w / side);
        p->count += (int32_t)(across * down);
        return;
    }
    int64_t each = x->count > ROW_MOST ? (x->count + ROW_PARTS - 1) / ROW_PARTS : 1;
    for (int64_t i = 0; i < x->count; i++) of[i] = p->count + (int32_t)(i / each);
    p->count += (int32_t)((x->count + each - 1) / each);
}

/* --- covering them --- */

static void put(parts *p, int input, int64_t i, bool covered) {
    const hone_tensor *x = p->subject->inputs[input];
    hone_tensor *now = p->now[input];
    double base = p->subject->options->baseline;
    size_t size = hone_dtype_size(x->dtype);
    if (!covered)
        memcpy((char *)now->data + (size_t)i * size, (const char *)x->data + (size_t)i * size, size);
    else if (x->dtype == HONE_STRING)
        ((hone_string *)now->data)[i] = (hone_string){NULL, 0};
    else if (x->dtype == HONE_FLOAT32)
        ((float *)now->data)[i] = (float)base;
    else if (x->dtype == HONE_FLOAT64)
        ((double *)now->data)[i] = base;
    else { /* little-endian, and no baseline is negative */
        uint64_t id = isnan(base) || base < 0 ? 0 : (uint64_t)base;
        memcpy((char *)now->data + (size_t)i * size, &id, size);
    }
}

static hone_status score(parts *p, double *out, hone_error *err) {
    for (int i = 0; i < p->subject->input_count; i++) {
        int64_t count = p->of[i] ? p->subject->inputs[i]->count : 0;
        for (int64_t k = 0; k < count; k++) put(p, i, k, p->covered[p->of[i][k]]);
    }
    return hone_subject_score(p->subject, (const hone_tensor *const *)p->now, out, err);
}

/* --- the methods --- */

static hone_status occlude(parts *p, hone_error *err) {
    double now;
    for (int32_t i = 0; i < p->count; i++) {
        p->covered[i] = true;
        HONE_TRY(score(p, &now, err));
        p->covered[i] = false;
        p->value[i] = p->subject->score - now;
        HONE_TRY(hone_subject_tell(p->subject, i + 1, p->count, err));
    }
    return HONE_OK;
}

/* The parts come one after the other, in an order of chance. */
static hone_status walk(parts *p, const uint32_t *order, int walks, int64_t *done, hone_error *err) {
    double before = p->subject->base, now;
    memset(p->covered, true, (size_t)p->count * sizeof *p->covered);
    for (int32_t i = 0; i < p->count; i++) {
        p->covered[order[i]] = false;
        HONE_TRY(score(p, &now, err));
        p->value[order[i]] += (now - before) / walks;
        before = now;
        HONE_TRY(hone_subject_tell(p->subject, ++*done, (int64_t)walks * p->count, err));
    }
    return HONE_OK;
}

static hone_status shapley(parts *p, hone_error *err) {
    int walks = p->subject->options->steps ? p->subject->options->steps : 30;
    int64_t done = 0;
    uint32_t *order = hone_calloc((size_t)p->count + 1, sizeof *order);
    if (!order) return hone_fail_memory(err);
    memset(p->covered, true, (size_t)p->count * sizeof *p->covered);
    hone_status status = score(p, &p->subject->base, err);
    for (int i = 0; i < walks && status == HONE_OK; i++) {
        for (int32_t k = 0; k < p->count; k++) order[k] = (uint32_t)k;
        hone_rng_permutation(p->subject->options->seed, (uint64_t)i, order, (uint32_t)p->count);
        status = walk(p, order, walks, &done, err);
    }
    hone_free(order);
    return status;
}

/* --- all together --- */

static hone_status make_input(parts *p, int i, hone_error *err) {
    const hone_tensor *x = p->subject->inputs[i];
    if (!tells(x)) {
        p->now[i] = hone_tensor_retain((hone_tensor *)(uintptr_t)x);
        return HONE_OK;
    }
    p->of[i] = hone_calloc((size_t)x->count, sizeof *p->of[i]);
    if (!p->of[i]) return hone_fail_memory(err);
    divide(p, x, p->of[i]);
    if (x->dtype != HONE_STRING) return hone_tensor_new(x->dtype, x->rank, x->dims, &p->now[i], err);
    p->text[i] = hone_calloc((size_t)x->count, sizeof *p->text[i]);
    if (!p->text[i]) return hone_fail_memory(err);
    return hone_tensor_borrow_strings(x->rank, x->dims, p->text[i], NULL, NULL, &p->now[i], err);
}

static hone_status make(parts *p, hone_error *err) {
    size_t n = (size_t)p->subject->input_count + 1;
    p->of = hone_calloc(n, sizeof *p->of);
    p->now = hone_calloc(n, sizeof *p->now);
    p->text = hone_calloc(n, sizeof *p->text);
    if (!p->of || !p->now || !p->text) return hone_fail_memory(err);
    for (int i = 0; i < p->subject->input_count; i++) HONE_TRY(make_input(p, i, err));
    p->covered = hone_calloc((size_t)p->count + 1, sizeof *p->covered);
    p->value = hone_calloc((size_t)p->count + 1, sizeof *p->value);
    if (!p->covered || !p->value) return hone_fail_memory(err);
    return p->count > 0 ? HONE_OK
                        : hone_fail(err, HONE_INVALID_ARGUMENT, "nothing of the inputs could be left out");
}

/* A part's value is each of its elements'; Shapley's, which add up, are shared by them. */
static hone_status give(parts *p, bool shared, hone_error *err) {
    for (int i = 0; i < p->subject->input_count; i++) {
        float *values;
        if (!p->of[i]) continue;
        HONE_TRY(hone_subject_values(p->subject, i, &values, err));
        int64_t count = p->subject->inputs[i]->count, size = 0;
        for (int64_t k = 0; k < count; k++) {
            if (shared && (k == 0 || p->of[i][k] != p->of[i][k - 1])) {
                size = 0;
                for (int64_t j = 0; j < count; j++) size += p->of[i][j] == p->of[i][k];
            }
            values[k] = (float)(shared ? p->value[p->of[i][k]] / (double)size : p->value[p->of[i][k]]);
        }
    }
    return HONE_OK;
}

static void free_parts(parts *p) {
    for (int i = 0; i < p->subject->input_count; i++) {
        if (p->now) hone_tensor_free(p->now[i]);
        if (p->of) hone_free(p->of[i]);
        if (p->text) hone_free(p->text[i]);
    }
    hone_free(p->of);
    hone_free(p->now);
    hone_free(p->text);
    hone_free(p->covered);
    hone_free(p->value);
}

hone_status hone_explain_by_parts(hone_subject *s, hone_error *err) {
    parts p = {.subject = s};
    bool shared = s->options->method == HONE_EXPLAIN_SHAPLEY;
    hone_status status = make(&p, err);
    if (status == HONE_OK) status = shared ? shapley(&p, err) : occlude(&p, err);
    if (status == HONE_OK) status = give(&p, shared, err);
    free_parts(&p);
    return status;
}
