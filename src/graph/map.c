#include "graph/map.h"

#include <assert.h>
#include <math.h>
#include <string.h>

hone_map *hone_map_new(hone_arena *arena) {
    hone_map *m = hone_arena_alloc(arena, sizeof *m);
    if (m) m->arena = arena;
    return m;
}

static bool reserve(hone_map *m, int need) {
    if (need <= m->capacity) return true;
    int capacity = need < 16 ? 16 : 2 * need;
    hone_map_code *code = hone_arena_array(m->arena, (size_t)capacity, sizeof *code);
    if (!code) {
        m->failed = true;
        return false;
    }
    if (m->count) memcpy(code, m->code, (size_t)m->count * sizeof *code);
    m->code = code;
    m->capacity = capacity;
    return true;
}

hone_map *hone_map_copy(hone_arena *arena, const hone_map *m) {
    hone_map *copy = hone_map_new(arena);
    if (!copy) return NULL;
    *copy = *m;
    copy->arena = arena;
    copy->code = NULL;
    copy->count = copy->capacity = 0;
    copy->operand = NULL;
    copy->result = NULL;
    if (!reserve(copy, m->count)) return NULL;
    memcpy(copy->code, m->code, (size_t)m->count * sizeof *m->code);
    copy->count = m->count;
    return copy;
}

/* --- dtypes --- */

/* Integers have bits and may have a sign; floats have a significand. */
typedef struct numbers {
    int bits, significand;
    bool is_signed;
    hone_dtype computes;
} numbers;

static numbers numbers_of(hone_dtype dtype) {
    switch (dtype) {
    case HONE_BOOL: return (numbers){1, 0, false, HONE_INT32};
    case HONE_UINT8: return (numbers){8, 0, false, HONE_INT32};
    case HONE_INT8: return (numbers){8, 0, true, HONE_INT32};
    case HONE_UINT16: return (numbers){16, 0, false, HONE_INT32};
    case HONE_INT16: return (numbers){16, 0, true, HONE_INT32};
    case HONE_UINT32: return (numbers){32, 0, false, HONE_UINT32};
    case HONE_INT32: return (numbers){32, 0, true, HONE_INT32};
    case HONE_UINT64: return (numbers){64, 0, false, HONE_UINT64};
    case HONE_INT64: return (numbers){64, 0, true, HONE_INT64};
    case HONE_FLOAT16: return (numbers){0, 11, true, HONE_FLOAT32};
    case HONE_BFLOAT16: return (numbers){0, 8, true, HONE_FLOAT32};
    case HONE_FLOAT32: return (numbers){0, 24, true, HONE_FLOAT32};
    case HONE_FLOAT64: return (numbers){0, 53, true, HONE_FLOAT64};
    default: return (numbers){0};
    }
}

hone_dtype hone_map_computes(hone_dtype dtype) {
    return numbers_of(dtype).computes;
}

static bool is_float(hone_dtype dtype) {
    return numbers_of(dtype).significand > 0;
}

static bool is_half(hone_dtype dtype) {
    return dtype == HONE_FLOAT16 || dtype == HONE_BFLOAT16;
}

/* Is every value of `dtype` one of `of`, too? */
static bool fits(hone_dtype dtype, hone_dtype of) {
    numbers a = numbers_of(dtype), b = numbers_of(of);
    if (dtype == of) return true;
    if (is_float(dtype)) return is_float(of) && !is_half(of) && a.significand < b.significand;
    int magnitude = a.bits - a.is_signed;
    if (is_float(of)) return magnitude <= b.significand;
    return magnitude <= b.bits - b.is_signed && (b.is_signed || !a.is_signed);
}

static bool constant_fits(double x, hone_dtype of) {
    numbers n = numbers_of(of);
    if (n.significand > 11) return true;
    if (is_half(of) && isinf(x)) return true;
    if (x != floor(x)) return false;
    if (is_half(of)) return fabs(x) <= 256;
    return n.is_signed ? fabs(x) < ldexp(1, n.bits - 1) : x >= 0 && x < ldexp(1, n.bits);
}

/* --- code --- */

/* The register that already holds this, or a new one. */
static hone_reg define(hone_map *m, hone_map_code c) {
    for (int i = 0; i < m->count; i++) {
        const hone_map_code *o = &m->code[i];
        if (o->op == c.op && o->dtype == c.dtype && o->a == c.a && o->b == c.b && o->c == c.c &&
            o->input == c.input && memcmp(&o->constant, &c.constant, sizeof c.constant) == 0)
            return i;
    }
    if (!reserve(m, m->count + 1)) return -1;
    m->code[m->count] = c;
    return m->count++;
}

hone_reg hone_map_input(hone_map *m, int i, hone_dtype dtype) {
    if (i >= m->inputs) m->inputs = i + 1;
    return define(m, (hone_map_code){.op = HONE_MAP_INPUT, .dtype = dtype, .holds = dtype, .input = i});
}

hone_reg hone_map_number(hone_map *m, double x, hone_dtype dtype) {
    return define(
        m, (hone_map_code){
               .op = HONE_MAP_CONST, .dtype = hone_map_computes(dtype), .holds = dtype, .constant = x});
}

hone_reg hone_map_const(hone_map *m, double x) {
    return define(m, (hone_map_code){.op = HONE_MAP_CONST, .constant = x});
}

/* An operator that computes in two types at once is wrong. */
static hone_reg mismatch(hone_map *m) {
    assert(!"operands of a map's operation have different types");
    m->failed = true;
    return -1;
}

static bool is_free_constant(const hone_map *m, hone_reg r) {
    return m->code[r].op == HONE_MAP_CONST && m->code[r].dtype == HONE_UNDEFINED;
}

static hone_reg typed_constant(hone_map *m, hone_reg r, hone_dtype dtype) {
    return define(m,
                  (hone_map_code){
                      .op = HONE_MAP_CONST, .dtype = dtype, .holds = dtype, .constant = m->code[r].constant});
}

/* The register from which r was converted without a change of any element, where converting that one to `to` gives the
 * same as converting r; else r. To integers, floats are held at the ends of the range where integers wrap. */
static hone_reg origin(const hone_map *m, hone_reg r, hone_dtype to) {
    while (m->code[r].op == HONE_VOP_CAST) {
        const hone_map_code *cast = &m->code[r], *from = &m->code[cast->a];
        bool same_kind = is_float(from->dtype) == is_float(cast->dtype);
        if (!fits(from->holds, cast->dtype) || !(is_float(to) || same_kind || fits(from->holds, to))) break;
        r = cast->a;
    }
    return r;
}

static hone_reg convert(hone_map *m, hone_reg r, hone_dtype to) {
    if (r < 0 || m->code[r].dtype == to) return r;
    if (is_free_constant(m, r)) return typed_constant(m, r, to);
    r = origin(m, r, to);
    const hone_map_code *c = &m->code[r];
    if (c->dtype == to) return r;
    return define(m,
                  (hone_map_code){
                      .op = HONE_VOP_CAST, .dtype = to, .holds = fits(c->holds, to) ? c->holds : to, .a = r});
}

/* r in a type that operations compute in: bool in the one it was computed in. */
static hone_reg widen(hone_map *m, hone_reg r) {
    if (is_free_constant(m, r)) return r;
    if (m->code[r].dtype == HONE_BOOL) {
        hone_reg from = origin(m, r, HONE_BOOL);
        hone_dtype dtype = m->code[from].dtype;
        if (hone_map_computes(dtype) == dtype) return from;
    }
    hone_dtype computes = hone_map_computes(m->code[r].dtype);
    return computes == HONE_UNDEFINED ? mismatch(m) : convert(m, r, computes);
}

/* The type of an operation: that of the first operand that is neither a constant nor bool. */
static hone_dtype type_of(const hone_map *m, const hone_reg *r, int count) {
    hone_dtype found = HONE_UNDEFINED;
    for (int i = count - 1; i >= 0; i--) {
        const hone_map_code *c = &m->code[r[i]];
        if (is_free_constant(m, r[i]) || (c->holds == HONE_BOOL && found != HONE_UNDEFINED)) continue;
        found = c->dtype;
    }
    return found;
}

/* What the elements of both are values of; `computed` if no narrower dtype has them all. */
static hone_dtype common(const hone_map *m, hone_reg a, hone_reg b, hone_dtype computed) {
    const hone_map_code *x = &m->code[a], *y = &m->code[b];
    if (x->op == HONE_MAP_CONST && constant_fits(x->constant, y->holds)) return y->holds;
    if (y->op == HONE_MAP_CONST && constant_fits(y->constant, x->holds)) return x->holds;
    return fits(x->holds, y->holds) ? y->holds : fits(y->holds, x->holds) ? x->holds : computed;
}

static hone_dtype holds(const hone_map *m, hone_vop op, hone_dtype computed, const hone_reg *r) {
    hone_dtype first = m->code[r[0]].holds;
    switch (op) {
    case HONE_VOP_GT:
    case HONE_VOP_GE:
    case HONE_VOP_EQ:
    case HONE_VOP_NE: return HONE_BOOL;
    case HONE_VOP_MAX:
    case HONE_VOP_MIN: return common(m, r[0], r[1], computed);
    case HONE_VOP_SELECT: return common(m, r[1], r[2], computed);
    case HONE_VOP_NEG:
    case HONE_VOP_ABS:
    case HONE_VOP_FLOOR:
    case HONE_VOP_CEIL:
    case HONE_VOP_ROUND: return is_half(first) ? first : computed;
    default: return computed;
    }
}

static hone_reg vop(hone_map *m, hone_vop op, hone_reg a, hone_reg b, hone_reg c) {
    hone_reg r[3] = {a, b, c};
    int count = hone_vop_operands(op), data = op == HONE_VOP_SELECT ? 1 : 0;
    for (int i = 0; i < count; i++) {
        if (r[i] >= 0) r[i] = widen(m, r[i]);
        if (r[i] >= 0) continue;
        m->failed = true;
        return -1;
    }
    hone_dtype type = type_of(m, r + data, count - data);
    if (type == HONE_UNDEFINED) type = type_of(m, r, 1);
    if (type == HONE_UNDEFINED) return mismatch(m);
    for (int i = 0; i < count; i++) {
        if (m->code[r[i]].dtype != type && !is_free_constant(m, r[i]) && m->code[r[i]].holds != HONE_BOOL)
            return mismatch(m);
        r[i] = convert(m, r[i], type);
        if (r[i] < 0) return -1;
    }
    return define(m, (hone_map_code){.op = (int)op,
                                     .dtype = type,
                                     .holds = holds(m, op, type, r),
                                     .a = r[0],
                                     .b = count > 1 ? r[1] : 0,
                                     .c = count > 2 ? r[2] : 0});
}

hone_reg hone_map_cast(hone_map *m, hone_reg r, hone_dtype dtype) {
    if (r < 0) return r;
    if (dtype != HONE_BOOL) return convert(m, r, dtype);
    return m->code[r].holds == HONE_BOOL ? r : hone_map_ne(m, r, hone_map_const(m, 0));
}

hone_reg hone_map_quantize(hone_map *m, hone_reg r, hone_reg zero, hone_dtype dtype) {
    if (r >= 0) r = widen(m, r);
    if (zero >= 0) zero = convert(m, zero, HONE_FLOAT32);
    if (r < 0 || zero < 0) return -1;
    if (m->code[r].dtype != HONE_FLOAT32) return mismatch(m);
    return define(
        m, (hone_map_code){.op = HONE_VOP_QUANTIZE, .dtype = dtype, .holds = dtype, .a = r, .b = zero});
}

#define DEFINE_1(NAME, name)                                                                                 \
    hone_reg hone_map_##name(hone_map *m, hone_reg a) {                                                      \
        return vop(m, HONE_VOP_##NAME, a, 0, 0);                                                             \
    }
#define DEFINE_2(NAME, name)                                                                                 \
    hone_reg hone_map_##name(hone_map *m, hone_reg a, hone_reg b) {                                          \
        return vop(m, HONE_VOP_##NAME, a, b, 0);                                                             \
    }
#define DEFINE_3(NAME, name)                                                                                 \
    hone_reg hone_map_##name(hone_map *m, hone_reg a, hone_reg b, hone_reg c) {                              \
        return vop(m, HONE_VOP_##NAME, a, b, c);                                                             \
    }
#define X(NAME, name, operands) DEFINE_##operands(NAME, name)
HONE_VOPS(X)
#undef X

/* --- whole maps --- */

/* An operator's result as its output's dtype. */
static hone_reg narrow(hone_map *m, hone_reg r, hone_dtype dtype) {
    if (r < 0 || m->code[r].dtype == dtype) return r;
    hone_dtype computes = hone_map_computes(dtype);
    if (is_free_constant(m, r)) r = typed_constant(m, r, computes);
    if (r < 0) return r;
    const hone_map_code *c = &m->code[r];
    bool right = c->holds == HONE_BOOL || (c->dtype == computes && dtype != HONE_BOOL) || c->holds == dtype;
    return right ? convert(m, r, dtype) : mismatch(m);
}

void hone_map_emit(hone_map *m, const hone_node *node, const hone_reg *operands, hone_reg *results) {
    for (int i = 0; i < node->output_count; i++) results[i] = -1;
    m->operand = operands;
    m->result = results;
    node->op->map(m, node);
    m->operand = NULL;
    m->result = NULL;
    for (int i = 0; i < node->output_count; i++) {
        if (node->outputs[i]) results[i] = narrow(m, results[i], node->outputs[i]->type.dtype);
        if (results[i] < 0) m->failed = true;
    }
}

void hone_map_inline(hone_map *m, const hone_map *other, const hone_reg *operands, hone_reg *results) {
    hone_reg *at = hone_arena_array(m->arena, (size_t)other->count + 1, sizeof *at);
    if (!at) m->failed = true;
    for (int i = 0; at && i < other->count; i++) {
        hone_map_code c = other->code[i];
        if (c.op == HONE_MAP_INPUT) {
            at[i] = operands[c.input];
            continue;
        }
        if (c.op == HONE_VOP_CAST) { /* may be none any more, now that its operand is known */
            at[i] = convert(m, at[c.a], c.dtype);
            continue;
        }
        int count = c.op < HONE_VOP_COUNT ? hone_vop_operands((hone_vop)c.op) : 0;
        if (count > 0) c.a = at[c.a];
        if (count > 1) c.b = at[c.b];
        if (count > 2) c.c = at[c.c];
        at[i] = c.a < 0 || c.b < 0 || c.c < 0 ? -1 : define(m, c);
    }
    for (int o = 0; o < other->outputs; o++) results[o] = at ? at[other->output[o]] : -1;
}

void hone_map_add_output(hone_map *m, hone_reg r) {
    if (r < 0 || m->outputs == HONE_MAP_MAX_OUTPUTS || is_free_constant(m, r))
        m->failed = true;
    else
        m->output[m->outputs++] = r;
}

bool hone_map_ok(const hone_map *m) {
    return m && !m->failed;
}

hone_dtype hone_map_output_dtype(const hone_map *m, int o) {
    return m->code[m->output[o]].dtype;
}

hone_reg hone_map_in(hone_map *m, int input) {
    return m->operand[input];
}

void hone_map_out(hone_map *m, int output, hone_reg r) {
    m->result[output] = r;
}
