#include "ops/engine/program.h"

#include <string.h>

#define MAX_MAP 256

typedef struct build {
    const hone_map *m;
    hone_map_code code[MAX_MAP];
    int count;
    int last_use[MAX_MAP]; /* index of the last reader; MAX_MAP + 1: an output; -1: dead */
    int reg[MAX_MAP];      /* program register of a map register; -1: none yet */
    int first;             /* temporaries: registers from here on */
    bool busy[HONE_PROGRAM_MAX_REGISTERS];
} build;

static bool is_vop(const hone_map_code *c) {
    return c->op < HONE_VOP_COUNT;
}

static int operands(const hone_map_code *c) {
    return is_vop(c) ? hone_vop_operands((hone_vop)c->op) : 0;
}

static int operand(const hone_map_code *c, int i) {
    return i == 0 ? c->a : i == 1 ? c->b : c->c;
}

static void find_uses(build *b) {
    for (int i = 0; i < b->count; i++) b->last_use[i] = -1;
    for (int o = 0; o < b->m->outputs; o++) b->last_use[b->m->output[o]] = MAX_MAP + 1;
    for (int i = b->count - 1; i >= 0; i--) {
        if (b->last_use[i] < 0) continue;
        for (int k = 0; k < operands(&b->code[i]); k++) {
            int r = operand(&b->code[i], k);
            if (b->last_use[r] < i) b->last_use[r] = i;
        }
    }
}

/* --- instructions that stand for several --- */

static bool is_number(const build *b, hone_reg r, double least, double most) {
    const hone_map_code *c = &b->code[r];
    return c->op == HONE_MAP_CONST && c->constant >= least && c->constant <= most;
}

/* (float(codes) - zero) * scale, where nobody else reads what is between. */
static void combine_real(build *b, const int *uses, hone_map_code *c) {
    const hone_map_code *sub = &b->code[c->a];
    if (c->op != HONE_VOP_MUL || c->dtype != HONE_FLOAT32 || sub->op != HONE_VOP_SUB || uses[c->a] != 1)
        return;
    const hone_map_code *cast = &b->code[sub->a];
    if (cast->op != HONE_VOP_CAST || uses[sub->a] != 1) return;
    const hone_dtype codes = b->code[cast->a].dtype;
    if (codes != HONE_UINT8 && codes != HONE_INT8) return;
    const hone_reg scale = c->b;
    c->op = codes == HONE_UINT8 ? HONE_VOP_REAL_U8 : HONE_VOP_REAL_S8;
    c->a = cast->a;
    c->b = sub->b;
    c->c = scale;
}

/* The codes of x / scale. */
static void combine_code(build *b, const int *uses, hone_map_code *c) {
    const hone_map_code *div = &b->code[c->a];
    if (c->op != HONE_VOP_QUANTIZE || div->op != HONE_VOP_DIV || uses[c->a] != 1) return;
    if (!is_number(b, div->b, 0x1p-60, 0x1p60)) return;
    c->op = HONE_VOP_CODE;
    c->c = div->b;
    c->a = div->a;
}

static bool is_only(const build *b, const int *uses, hone_reg r, int op) {
    return b->code[r].op == op && uses[r] == 1;
}

/* c is x times a share of it: sigmoid(y), or what Gelu lets pass. */
static bool take_share(const build *b, const int *uses, hone_map_code *c, hone_reg x, hone_reg share) {
    const hone_map_code *s = &b->code[share], *erf = &b->code[s->a], *mul;
    if (is_only(b, uses, share, HONE_VOP_SIGMOID)) {
        *c = (hone_map_code){.op = HONE_VOP_GATE, .dtype = c->dtype, .holds = c->holds, .a = x, .b = s->a};
        return true;
    }
    if (!is_only(b, uses, share, HONE_VOP_FMA) || s->b != s->c || !is_only(b, uses, s->a, HONE_VOP_ERF))
        return false;
    mul = &b->code[erf->a];
    if (!is_only(b, uses, erf->a, HONE_VOP_MUL) || (mul->a != x && mul->b != x)) return false;
    *c = (hone_map_code){.op = HONE_VOP_GELU, .dtype = c->dtype, .holds = c->holds, .a = x, .c = s->b};
    c->b = mul->a == x ? mul->b : mul->a;
    return true;
}

static void combine_share(build *b, const int *uses, hone_map_code *c) {
    if (c->op != HONE_VOP_MUL || c->dtype != HONE_FLOAT32) return;
    const hone_reg one = c->a, other = c->b;
    if (!take_share(b, uses, c, one, other)) take_share(b, uses, c, other, one);
}

static void combine(build *b) {
    int uses[MAX_MAP] = {0};
    for (int o = 0; o < b->m->outputs; o++) uses[b->m->output[o]]++;
    for (int i = 0; i < b->count; i++)
        for (int k = 0; k < operands(&b->code[i]); k++) uses[operand(&b->code[i], k)]++;
    for (int i = 0; i < b->count; i++) {
        combine_real(b, uses, &b->code[i]);
        combine_code(b, uses, &b->code[i]);
        combine_share(b, uses, &b->code[i]);
    }
}

/* --- registers --- */

/* May output o's memory be what `read`, an input, lies in? */
static bool may_alias(const hone_map *m, int o, const hone_map_code *read) {
    return (m->outputs == 1 || o == read->input) && read->dtype == hone_map_output_dtype(m, o);
}

/* May register r be written straight into output o's memory? Not if a later instruction reads an input there,
 * nor if r is an input or constant itself, or stands for an earlier output already. */
static bool direct(const build *b, int o) {
    int r = b->m->output[o];
    if (!is_vop(&b->code[r])) return false;
    for (int k = 0; k < o; k++)
        if (b->m->output[k] == r) return false;
    for (int i = r + 1; i < b->count; i++) {
        if (b->last_use[i] < 0) continue;
        for (int k = 0; k < operands(&b->code[i]); k++) {
            const hone_map_code *read = &b->code[operand(&b->code[i], k)];
            if (read->op == HONE_MAP_INPUT && may_alias(b->m, o, read)) return false;
        }
    }
    /* copies at the end read their sources after all of this */
    for (int k = 0; k < b->m->outputs; k++) {
        const hone_map_code *source = &b->code[b->m->output[k]];
        if (source->op == HONE_MAP_INPUT && may_alias(b->m, o, source)) return false;
    }
    return true;
}

static hone_status too_big(hone_error *err) {
    return hone_fail(err, HONE_UNSUPPORTED,
                     "the vector program is too long (at most %d instructions, %d registers)",
                     HONE_PROGRAM_MAX_CODE, HONE_PROGRAM_MAX_REGISTERS);
}

static bool emit(hone_program *p, int op, hone_dtype dtype, int dst, const int *r) {
    if (p->count == HONE_PROGRAM_MAX_CODE) return false;
    p->code[p->count++] =
        (hone_instr){(uint8_t)op, (uint8_t)dtype, (uint8_t)dst, (uint8_t)r[0], (uint8_t)r[1], (uint8_t)r[2]};
    return true;
}

static bool emit_copy(hone_program *p, hone_dtype dtype, int dst, int from) {
    return emit(p, HONE_VOP_COPY, dtype, dst, (int[]){from, from, from});
}

/* Inputs and constants get their registers, in the order that the program promises. */
static bool place_operands(build *b, hone_program *p) {
    p->inputs = b->m->inputs;
    p->outputs = b->m->outputs;
    for (int i = 0; i < b->count; i++) {
        b->reg[i] = -1;
        if (b->code[i].op == HONE_MAP_INPUT) b->reg[i] = b->code[i].input;
        if (b->code[i].op != HONE_MAP_CONST || b->last_use[i] < 0) continue;
        if (p->constants == HONE_PROGRAM_MAX_CONSTANTS) return false;
        b->reg[i] = p->inputs + p->constants;
        p->constant_dtype[p->constants] = (uint8_t)b->code[i].dtype;
        p->constant[p->constants++] = b->code[i].constant;
    }
    p->registers = p->inputs + p->constants;
    for (int o = 0; o < p->outputs; o++) {
        p->output[o] = (uint8_t)p->registers++;
        if (direct(b, o)) b->reg[b->m->output[o]] = p->output[o];
    }
    return p->registers <= HONE_PROGRAM_MAX_REGISTERS;
}

/* A temporary that nobody holds; -1 if there is none left. */
static int take(build *b, hone_program *p) {
    int t = b->first;
    while (t < HONE_PROGRAM_MAX_REGISTERS && b->busy[t]) t++;
    if (t == HONE_PROGRAM_MAX_REGISTERS) return -1;
    b->busy[t] = true;
    if (t >= p->registers) p->registers = t + 1;
    return t;
}

/* The registers of what ends with code i are free again. */
static void release(build *b, int i) {
    for (int k = 0; k < operands(&b->code[i]); k++) {
        int v = operand(&b->code[i], k);
        if (b->last_use[v] == i && b->reg[v] >= b->first) b->busy[b->reg[v]] = false;
    }
}

static bool emit_code(build *b, hone_program *p) {
    for (int i = 0; i < b->count; i++) {
        const hone_map_code *c = &b->code[i];
        bool in_place = c->op != HONE_VOP_CAST && c->op != HONE_VOP_QUANTIZE && c->op < HONE_VOP_REAL_U8;
        int r[3];
        if (!is_vop(c) || b->last_use[i] < 0) continue;
        for (int k = 0; k < 3; k++) r[k] = b->reg[operand(c, k < operands(c) ? k : 0)];
        if (c->op == HONE_VOP_CAST) r[1] = (int)b->code[c->a].dtype;
        if (in_place) release(b, i);
        if (b->reg[i] < 0 && (b->reg[i] = take(b, p)) < 0) return false;
        if (!in_place) release(b, i);
        if (!emit(p, c->op, c->dtype, b->reg[i], r)) return false;
    }
    return true;
}

/* Results that are not in their places yet. An input that another result may overwrite is saved before any of
 * them is copied. */
static bool emit_copies(build *b, hone_program *p) {
    int from[HONE_PROGRAM_MAX_OUTPUTS];
    for (int o = 0; o < p->outputs; o++) {
        const hone_map_code *source = &b->code[b->m->output[o]];
        from[o] = b->reg[b->m->output[o]];
        if (source->op != HONE_MAP_INPUT || source->input == o || source->input >= p->outputs) continue;
        int saved = take(b, p);
        if (saved < 0 || !emit_copy(p, source->dtype, saved, from[o])) return false;
        from[o] = saved;
    }
    for (int o = 0; o < p->outputs; o++)
        if (from[o] != p->output[o] && !emit_copy(p, hone_map_output_dtype(b->m, o), p->output[o], from[o]))
            return false;
    return true;
}

hone_status hone_program_make(const hone_map *m, hone_program *p, hone_error *err) {
    if (!hone_map_ok(m)) return hone_fail_memory(err);
    if (m->count > MAX_MAP || m->outputs > HONE_PROGRAM_MAX_OUTPUTS) return too_big(err);
    build b; /* its arrays are filled as far as the map goes */
    b.m = m;
    b.count = m->count;
    memset(b.busy, 0, sizeof b.busy);
    memcpy(b.code, m->code, (size_t)m->count * sizeof *m->code);
    memset(p, 0, sizeof *p);
    for (int i = 0; i < b.count; i++)
        if (b.code[i].dtype != HONE_UNDEFINED && !(HONE_TYPES_FIXED & HONE_TYPE(b.code[i].dtype)))
            return hone_fail(err, HONE_UNSUPPORTED, "no vector program holds %s",
                             hone_dtype_name(b.code[i].dtype));
    for (int i = 0; i < b.count; i++)
        if (hone_dtype_size(b.code[i].dtype) > p->element) p->element = hone_dtype_size(b.code[i].dtype);
    combine(&b);
    find_uses(&b);
    if (!place_operands(&b, p)) return too_big(err);
    b.first = p->registers;
    return emit_code(&b, p) && emit_copies(&b, p) ? HONE_OK : too_big(err);
}
