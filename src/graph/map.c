#include "graph/map.h"

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

/* The register that already holds this, or a new one. */
static hone_reg define(hone_map *m, hone_map_code c) {
    for (int i = 0; i < m->count; i++) {
        const hone_map_code *o = &m->code[i];
        if (o->op == c.op && o->a == c.a && o->b == c.b && o->c == c.c && o->input == c.input &&
            memcmp(&o->constant, &c.constant, sizeof c.constant) == 0)
            return i;
    }
    if (!reserve(m, m->count + 1)) return -1;
    m->code[m->count] = c;
    return m->count++;
}

hone_reg hone_map_input(hone_map *m, int i) {
    if (i >= m->inputs) m->inputs = i + 1;
    return define(m, (hone_map_code){.op = HONE_MAP_INPUT, .input = i});
}

hone_reg hone_map_const(hone_map *m, double x) {
    return define(m, (hone_map_code){.op = HONE_MAP_CONST, .constant = x});
}

void hone_map_emit(hone_map *m, const hone_node *node, const hone_reg *operands, hone_reg *results) {
    for (int i = 0; i < node->output_count; i++) results[i] = -1;
    m->operand = operands;
    m->result = results;
    node->op->map(m, node);
    m->operand = NULL;
    m->result = NULL;
    for (int i = 0; i < node->output_count; i++)
        if (results[i] < 0) m->failed = true;
}

hone_reg hone_map_inline(hone_map *m, const hone_map *other, const hone_reg *operands) {
    hone_reg *at = hone_arena_array(m->arena, (size_t)other->count + 1, sizeof *at);
    if (!at) {
        m->failed = true;
        return -1;
    }
    for (int i = 0; i < other->count; i++) {
        hone_map_code c = other->code[i];
        if (c.op == HONE_MAP_INPUT) {
            at[i] = operands[c.input];
            continue;
        }
        if (c.op < HONE_VOP_COUNT) {
            c.a = at[c.a];
            c.b = at[c.b];
            c.c = at[c.c];
        }
        at[i] = define(m, c);
    }
    return at[other->output[0]];
}

void hone_map_add_output(hone_map *m, hone_reg r) {
    if (r < 0 || m->outputs == HONE_MAP_MAX_OUTPUTS)
        m->failed = true;
    else
        m->output[m->outputs++] = r;
}

bool hone_map_ok(const hone_map *m) {
    return m && !m->failed;
}

hone_reg hone_map_in(hone_map *m, int input) {
    return m->operand[input];
}

void hone_map_out(hone_map *m, int output, hone_reg r) {
    m->result[output] = r;
}

static hone_reg vop(hone_map *m, hone_vop op, hone_reg a, hone_reg b, hone_reg c) {
    if (a < 0 || b < 0 || c < 0) {
        m->failed = true;
        return -1;
    }
    return define(m, (hone_map_code){.op = (int)op, .a = a, .b = b, .c = c});
}

#define MAP1(name, op)                                                                                       \
    hone_reg hone_map_##name(hone_map *m, hone_reg a) {                                                      \
        return vop(m, HONE_VOP_##op, a, 0, 0);                                                               \
    }
#define MAP2(name, op)                                                                                       \
    hone_reg hone_map_##name(hone_map *m, hone_reg a, hone_reg b) {                                          \
        return vop(m, HONE_VOP_##op, a, b, 0);                                                               \
    }
#define MAP3(name, op)                                                                                       \
    hone_reg hone_map_##name(hone_map *m, hone_reg a, hone_reg b, hone_reg c) {                              \
        return vop(m, HONE_VOP_##op, a, b, c);                                                               \
    }
MAP1(neg, NEG)
MAP1(abs, ABS)
MAP1(sqrt, SQRT)
MAP1(exp, EXP)
MAP1(log, LOG)
MAP1(tanh, TANH)
MAP1(sigmoid, SIGMOID)
MAP1(erf, ERF)
MAP1(floor, FLOOR)
MAP1(ceil, CEIL)
MAP1(round, ROUND)
MAP2(add, ADD)
MAP2(sub, SUB)
MAP2(mul, MUL)
MAP2(div, DIV)
MAP2(max, MAX)
MAP2(min, MIN)
MAP2(gt, GT)
MAP2(ge, GE)
MAP2(eq, EQ)
MAP3(fma, FMA)
MAP3(select, SELECT)
