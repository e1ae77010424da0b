/* Epilogues that add quantized numbers, or quantize once more: DQ(strip) [+ DQ(other)] [clamp] ─ Q, as hone_epilogue's
 * `plus`. */
#include "graph/infer.h"
#include "ops/engine/operands.h"
#include "ops/engine/product_inside.h"

#include <math.h>

typedef struct place {
    const hone_prepare *p;
    const hone_map *map;
} place;

static const hone_map_code *code_at(const place *l, hone_reg r) {
    return &l->map->code[r];
}

/* A number, or a zero point as one; NULL: it is none. */
static const hone_map_code *constant_at(const place *l, hone_reg r) {
    const hone_map_code *c = code_at(l, r), *from = code_at(l, c->op == HONE_VOP_CAST ? c->a : r);
    return from->op == HONE_MAP_CONST && (from == c || fabs(from->constant) < 256) ? from : NULL;
}

static bool is_number(const place *l, hone_reg r) {
    return constant_at(l, r) != NULL;
}

static double number(const place *l, hone_reg r) {
    return constant_at(l, r)->constant;
}

/* (x - zero) scale, x being an input's codes. */
typedef struct real {
    int input;
    float scale;
    double zero;
} real;

static bool find_real(const place *l, hone_reg r, real *found) {
    const hone_map_code *c = code_at(l, r);
    if (c->op != HONE_VOP_MUL || !is_number(l, c->b)) return false;
    *found = (real){.scale = (float)number(l, c->b)};
    c = code_at(l, c->a);
    if (c->op == HONE_VOP_SUB && is_number(l, c->b)) {
        found->zero = number(l, c->b);
        c = code_at(l, c->a);
    }
    if (c->op != HONE_VOP_CAST || code_at(l, c->a)->op != HONE_MAP_INPUT) return false;
    found->input = code_at(l, c->a)->input;
    return code_at(l, c->a)->dtype == l->p->out[0].dtype;
}

/* x, of min(max(x, lo), hi) or of what there is of it. */
static hone_reg behind_limits(const place *l, hone_reg r, hone_byte_sum *plus) {
    const hone_map_code *c = code_at(l, r);
    if (c->op == HONE_VOP_MIN && is_number(l, c->b)) {
        plus->hi = (float)number(l, c->b);
        c = code_at(l, r = c->a);
    }
    if (c->op == HONE_VOP_MAX && is_number(l, c->b)) {
        plus->lo = (float)number(l, c->b);
        r = c->a;
    }
    return r;
}

static float by_products(const hone_byte_sum *plus, float x) {
    return fmaf(x, plus->inverse, x * plus->inverse_rest);
}

/* The step's inverse in two parts, if the products give the same codes as the quotient. Both only grow with x: they are the same
 * where each code begins, and therefore everywhere. */
static void find_inverse(hone_byte_sum *plus, int least) {
    const double inverse = 1 / (double)plus->step;
    plus->inverse = (float)inverse;
    plus->inverse_rest = (float)(inverse - (double)plus->inverse);
    for (int code = least - 1; code <= least + 255; code++) {
        float x =
            (float)((code + 0.5) * (double)plus->step); /* the last one that becomes `code`, and the next */
        while (nearbyintf(x / plus->step) > (float)code) x = nextafterf(x, -INFINITY);
        float next = nextafterf(x, INFINITY);
        for (; nearbyintf(next / plus->step) <= (float)code; next = nextafterf(x, INFINITY)) x = next;
        if (nearbyintf(by_products(plus, x)) > (float)code ||
            nearbyintf(by_products(plus, next)) <= (float)code) {
            plus->inverse = 0;
            return;
        }
    }
}

static bool is_usual(float scale) {
    return scale > 1e-20f && scale < 1e20f;
}

static bool same_shape(const hone_type *a, const hone_type *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

/* The strip's numbers, a, and maybe others, b, whose input becomes 0 where there are none. */
static bool find_terms(const place *l, hone_reg r, real *a, real *b) {
    const hone_map_code *c = code_at(l, r);
    *b = (real){.scale = 1};
    if (c->op != HONE_VOP_ADD) return find_real(l, r, a) && a->input == 0;
    if (!find_real(l, c->a, a) || !find_real(l, c->b, b)) return false;
    if (a->input > 0) {
        const real other = *a;
        *a = *b;
        *b = other;
    }
    return a->input == 0 && b->input > 0;
}

bool hone_product_byte_sum_find(const hone_prepare *p, const hone_product *s, hone_product_epilogue *e) {
    const place l = {p, p->node->map};
    const hone_dtype dtype = p->out[0].dtype;
    hone_byte_sum plus = {.other_row = s->n, .lo = -INFINITY, .hi = INFINITY};
    real a, b;
    if (s->kind != HONE_GEMM_U8S8 || s->patches || s->depthwise || l.map->outputs != 1 || s->y_zero >= 0 ||
        (dtype != HONE_UINT8 && dtype != HONE_INT8) || hone_prepare_count(p, s->a_scale) != 1 ||
        hone_prepare_count(p, s->a_zero) != 1)
        return false;
    const hone_map_code *c = code_at(&l, l.map->output[0]);
    if (c->op != HONE_VOP_QUANTIZE || !is_number(&l, c->b)) return false;
    plus.zero = (int32_t)number(&l, c->b);
    c = code_at(&l, c->a);
    if (c->op != HONE_VOP_DIV || !is_number(&l, c->b)) return false;
    plus.step = (float)number(&l, c->b);
    if (!find_terms(&l, behind_limits(&l, c->a, &plus), &a, &b) || a.zero != s->y_zero_value) return false;
    plus.scale = a.scale;
    plus.other_scale = b.scale;
    plus.other_zero = (int32_t)b.zero;
    if (!is_usual(plus.scale) || !is_usual(plus.other_scale) || !is_usual(plus.step) ||
        (plus.scale + (b.input ? b.scale : 0)) / plus.step > 1e6f)
        return false;
    const int other = b.input ? p->node->map_input + b.input - 1 : -1;
    if (other >= 0 && !same_shape(p->in[other], &p->out[0])) return false;
    find_inverse(&plus, dtype == HONE_UINT8 ? -plus.zero : -128 - plus.zero);
    e->plus = plus;
    e->other = other;
    return true;
}
