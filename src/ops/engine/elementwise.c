#include "ops/engine/elementwise.h"
#include "graph/infer.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/engine/program.h"

#include <stddef.h>
#include <string.h>

typedef enum operand_kind { OPERAND_UNUSED, OPERAND_FLAT, OPERAND_SCALAR, OPERAND_GATHER } operand_kind;

/* A gathered operand: strides (in elements, 0 where broadcast) over the output's dimensions, merged where
 * possible. */
typedef struct operand {
    operand_kind kind;
    size_t size; /* of an element */
    int rank;
    int64_t dims[HONE_MAX_RANK], strides[HONE_MAX_RANK];
} operand;

typedef struct constant {
    size_t size;
    uint64_t bits;
} constant;

struct hone_elementwise {
    const hone_program *program,
        *once;   /* once: what reads scalars and constants alone: for a run, not for a tile */
    size_t tile; /* bytes of a register */
    int64_t count;
    int64_t
        period;  /* gathered operands repeat after so many elements, which fit into a tile; 0: they do not */
    int64_t run; /* else: within each so many elements they are contiguous or the same; 0: short ones */
    constant *constants;                       /* of the program */
    size_t out_size[HONE_PROGRAM_MAX_OUTPUTS]; /* of an element */
    const hone_kernels *kernels;
    operand in[]; /* of each input of the program */
};

static bool broadcasts(const hone_type *in, const hone_type *out) {
    if (in->rank > out->rank) return false;
    for (int i = 1; i <= in->rank; i++) {
        int64_t d = in->dims[in->rank - i];
        if (d != 1 && d != out->dims[out->rank - i]) return false;
    }
    return true;
}

static operand classify(const hone_type *in, const hone_type *out) {
    operand o = {.kind = OPERAND_GATHER, .size = hone_dtype_size(in->dtype)};
    int64_t strides[HONE_MAX_RANK] = {0};
    int64_t stride = 1;
    bool flat = true;
    for (int i = out->rank - 1, k = in->rank - 1; i >= 0; i--, k--) {
        int64_t d = k >= 0 ? in->dims[k] : 1;
        strides[i] = d == 1 ? 0 : stride;
        if (d != out->dims[i]) flat = false;
        stride *= d;
    }
    if (flat)
        o.kind = OPERAND_FLAT;
    else if (hone_type_count(in) == 1)
        o.kind = OPERAND_SCALAR;
    /* merge dimension i into the one before when they run on as one */
    for (int i = 0; i < out->rank; i++) {
        int64_t d = out->dims[i];
        if (d == 1) continue;
        if (o.rank > 0 && o.strides[o.rank - 1] == strides[i] * d) {
            o.dims[o.rank - 1] *= d;
            o.strides[o.rank - 1] = strides[i];
        } else {
            o.dims[o.rank] = d;
            o.strides[o.rank++] = strides[i];
        }
    }
    return o;
}

#define SHORT 128 /* elements: a tile across runs is gathered rather than cut there */

/* How long tiles are so that gathered operands need not be gathered for each. */
static void find_runs(hone_elementwise *e, int inputs) {
    int64_t period = 1, run = 0;
    for (int i = 0; i < inputs; i++) {
        const operand *o = &e->in[i];
        int64_t length = 1;
        if (o->kind != OPERAND_GATHER) continue;
        for (int d = 1; d < o->rank; d++) length *= o->dims[d];
        int64_t last = o->dims[o->rank - 1], longer = length > period ? length : period;
        period = o->strides[0] == 0 && period && longer % length == 0 && longer % period == 0 ? longer : 0;
        if (run == 0 || last < run) run = last;
    }
    for (int i = 0; i < inputs; i++)
        if (e->in[i].kind == OPERAND_GATHER && e->in[i].dims[e->in[i].rank - 1] % run != 0) run = 1;
    e->period = run > 0 && period <= HONE_PROGRAM_TILE ? period : 0;
    e->run = run >= SHORT ? run : 0;
}

/* Moves into `once` what is the same for all tiles. Registers that are written twice stay. */
static void split(hone_program *p, const operand *in, hone_program *once) {
    int writes[HONE_PROGRAM_MAX_REGISTERS] = {0}, kept = 0;
    bool same[HONE_PROGRAM_MAX_REGISTERS] = {false};
    once->count = 0;
    for (int i = 0; i < p->inputs + p->constants; i++)
        same[i] = i >= p->inputs || in[i].kind == OPERAND_SCALAR;
    for (int i = 0; i < p->count; i++) writes[p->code[i].dst]++;
    for (int o = 0; o < p->outputs; o++) writes[p->output[o]] = 2;
    for (int i = 0; i < p->count; i++) {
        hone_instr c = p->code[i];
        const uint8_t read[] = {c.a, c.b, c.c};
        same[c.dst] = writes[c.dst] == 1;
        for (int k = 0; k < hone_vop_operands((hone_vop)c.op); k++) same[c.dst] &= same[read[k]];
        if (same[c.dst])
            once->code[once->count++] = c;
        else
            p->code[kept++] = c;
    }
    p->count = kept;
}

/* The program without the room that its code does not fill: plans have many. */
static const hone_program *keep_program(hone_prepare *p, const hone_program *program) {
    size_t bytes = offsetof(hone_program, code) + (size_t)program->count * sizeof program->code[0];
    hone_program *kept = hone_prepare_alloc(p, bytes);
    return kept ? memcpy(kept, program, bytes) : NULL;
}

static hone_status keep_constants(hone_prepare *p, hone_elementwise *e, const hone_program *program,
                                  hone_error *err) {
    e->constants = hone_prepare_alloc(p, (size_t)program->constants * sizeof *e->constants);
    if (!e->constants && program->constants) return hone_fail_memory(err);
    for (int c = 0; c < program->constants; c++) {
        hone_dtype dtype = (hone_dtype)program->constant_dtype[c];
        e->constants[c].size = hone_dtype_size(dtype);
        hone_cast(HONE_FLOAT64, dtype, &program->constant[c], &e->constants[c].bits, 1);
    }
    return HONE_OK;
}

/* What the map's input i is; HONE_UNDEFINED if the program does not read it. */
static hone_dtype input_dtype(const hone_map *m, const hone_program *p, int i) {
    bool read = false;
    for (int k = 0; k < p->count; k++) {
        const uint8_t r[] = {p->code[k].a, p->code[k].b, p->code[k].c};
        for (int o = 0; o < hone_vop_operands((hone_vop)p->code[k].op); o++) read |= r[o] == i;
    }
    for (int r = 0; read && r < m->count; r++)
        if (m->code[r].op == HONE_MAP_INPUT && m->code[r].input == i) return m->code[r].dtype;
    return HONE_UNDEFINED;
}

hone_status hone_elementwise_prepare(hone_prepare *p, const hone_map *m, const hone_type *const *in,
                                     const hone_type *out, hone_elementwise **result, hone_error *err) {
    hone_program program, once;
    HONE_TRY(hone_program_make(m, &program, err));
    hone_elementwise *e = hone_prepare_alloc(p, sizeof *e + (size_t)program.inputs * sizeof e->in[0]);
    if (!e) return hone_fail_memory(err);
    e->tile = HONE_PROGRAM_TILE * program.element;
    e->count = hone_type_count(out);
    e->kernels = hone_kernels_get();
    for (int o = 0; o < m->outputs; o++) e->out_size[o] = hone_dtype_size(hone_map_output_dtype(m, o));
    for (int i = 0; i < program.inputs; i++) {
        hone_dtype dtype = input_dtype(m, &program, i);
        if (!in[i] || dtype == HONE_UNDEFINED) continue;
        if (in[i]->dtype != dtype)
            return hone_prepare_fail(p, err, "operand %d is %s where %s is needed", i,
                                     hone_dtype_name(in[i]->dtype), hone_dtype_name(dtype));
        if (!broadcasts(in[i], out))
            return hone_prepare_fail(p, err, "operand %d does not broadcast to the result", i);
        e->in[i] = classify(in[i], out);
    }
    if (e->count > 0) find_runs(e, program.inputs);
    HONE_TRY(keep_constants(p, e, &program, err));
    split(&program, e->in, &once);
    e->program = keep_program(p, &program);
    e->once = keep_program(p, &once);
    if (!e->program || !e->once) return hone_fail_memory(err);
    *result = e;
    return HONE_OK;
}

size_t hone_elementwise_scratch(const hone_elementwise *e) {
    return (size_t)e->program->registers * e->tile;
}

/* Nanoseconds for one element, roughly. */
static double cost_of(const hone_elementwise *e) {
    return 0.1 * (e->program->count + 1) * (double)e->program->element / 4;
}

#define STRIDED(type)                                                                                        \
    for (int64_t i = 0; i < n; i++) ((type *)y)[i] = ((const type *)x)[i * stride]

static void copy_strided(size_t size, const void *x, int64_t stride, void *y, int64_t n) {
    switch (size) {
    case 1: STRIDED(uint8_t); break;
    case 2: STRIDED(uint16_t); break;
    case 4: STRIDED(uint32_t); break;
    default: STRIDED(uint64_t);
    }
}

/* Elements [begin, begin+n) of a broadcast operand: where they are if they lie there in a row, else `tile`, which gets them
 * run by run. */
static void *gather(const operand *o, const char *x, int64_t begin, int64_t n, char *tile) {
    int64_t at[HONE_MAX_RANK], offset = 0, rest = begin;
    for (int i = o->rank - 1; i >= 0; i--) {
        at[i] = rest % o->dims[i];
        rest /= o->dims[i];
        offset += at[i] * o->strides[i];
    }
    int last = o->rank - 1;
    int64_t stride = o->strides[last];
    if (stride == 1 && at[last] + n <= o->dims[last]) return (char *)x + (size_t)offset * o->size;
    for (int64_t done = 0; done < n;) {
        int64_t run = o->dims[last] - at[last];
        if (run > n - done) run = n - done;
        const char *from = x + (size_t)offset * o->size;
        char *to = tile + (size_t)done * o->size;
        if (stride == 1)
            memcpy(to, from, (size_t)run * o->size);
        else if (stride == 0)
            hone_fill(from, o->size, to, run);
        else
            copy_strided(o->size, from, stride, to, run);
        done += run;
        at[last] += run;
        offset += run * stride;
        for (int i = last; i > 0 && at[i] == o->dims[i]; i--) {
            offset += o->strides[i - 1] - at[i] * o->strides[i];
            at[i] = 0;
            at[i - 1]++;
        }
    }
    return tile;
}

/* n copies of one element, doubling what is there. */
static void fill(size_t size, const void *x, int64_t n, void *tile) {
    size_t bytes = (size_t)n * size, done = bytes < size ? bytes : size;
    memcpy(tile, x, done);
    for (; done < bytes; done *= 2)
        memcpy((char *)tile + done, tile, done < bytes - done ? done : bytes - done);
}

/* Where a run's registers are. */
typedef struct registers {
    void *at[HONE_PROGRAM_MAX_REGISTERS];
    char *scratch;
} registers;

static void *own_tile(const hone_elementwise *e, const registers *r, int i) {
    return r->scratch + (size_t)i * e->tile;
}

/* Constants and operands of one element fill their tiles once, and what is computed from them alone. */
static void set_up(const hone_elementwise *e, registers *r, void *const *in, int64_t widest) {
    const hone_program *p = e->program;
    for (int i = 0; i < p->registers; i++) r->at[i] = own_tile(e, r, i);
    for (int c = 0; c < p->constants; c++)
        fill(e->constants[c].size, &e->constants[c].bits, widest, r->at[p->inputs + c]);
    for (int i = 0; i < p->inputs; i++)
        if (e->in[i].kind == OPERAND_SCALAR) fill(e->in[i].size, in[i], widest, r->at[i]);
    if (e->once->count > 0) e->kernels->program(e->once, r->at, widest);
}

/* Elements [at, at+n) of operand i: pointed at, or gathered. */
static void load(const hone_elementwise *e, registers *r, int i, void *in, int64_t at, int64_t n) {
    const operand *o = &e->in[i];
    if (o->kind == OPERAND_FLAT) r->at[i] = (char *)in + (size_t)at * o->size;
    if (o->kind == OPERAND_GATHER) r->at[i] = gather(o, in, at, n, own_tile(e, r, i));
}

/* Results from element `at` on go straight to where they belong; to their own tiles if nobody wants them. */
static void place_results(const hone_elementwise *e, registers *r, void *const *out, int64_t at) {
    for (int o = 0; o < e->program->outputs; o++)
        if (out[o]) r->at[e->program->output[o]] = (char *)out[o] + (size_t)at * e->out_size[o];
}

static int64_t tile_of(int64_t n) {
    return n < HONE_PROGRAM_TILE ? n : HONE_PROGRAM_TILE;
}

/* How many of the elements [at, end) a tile takes. */
static int64_t next_tile(const hone_elementwise *e, int64_t at, int64_t end) {
    int64_t n = tile_of(end - at);
    int64_t limit = e->period ? HONE_PROGRAM_TILE / e->period * e->period : e->run ? e->run - at % e->run : n;
    return n < limit ? n : limit;
}

void hone_elementwise_run(const hone_elementwise *e, void *const *in, void *const *out, int64_t begin,
                          int64_t end, void *scratch) {
    registers r = {.scratch = scratch};
    set_up(e, &r, in, tile_of(end - begin));
    for (int64_t at = begin, n; at < end; at += n) {
        n = next_tile(e, at, end);
        for (int i = 0; i < e->program->inputs; i++)
            if (at == begin || !e->period || e->in[i].kind != OPERAND_GATHER) load(e, &r, i, in[i], at, n);
        place_results(e, &r, out, at);
        e->kernels->program(e->program, r.at, n);
    }
}

/* Is the operand one row, the same in all rows of a matrix with so many columns? */
static bool is_row(const operand *o, int64_t columns) {
    return o->kind == OPERAND_GATHER && o->rank == 2 && o->strides[0] == 0 && o->strides[1] == 1 &&
           o->dims[1] == columns;
}

/* Columns [column, column+n) of the block's rows. */
static void run_columns(const hone_elementwise *e, registers *r, void *const *in, void *const *out,
                        const hone_block *b, int64_t column, int64_t n) {
    int first = b->strip ? 1 : 0, varying = 0, which[HONE_PROGRAM_MAX_REGISTERS];
    for (int i = first; i < e->program->inputs; i++) {
        if (is_row(&e->in[i], b->columns))
            r->at[i] = (char *)in[i] + (size_t)column * e->in[i].size;
        else
            which[varying++] = i;
    }
    for (int64_t row = b->m0; row < b->m1; row++) {
        int64_t at = row * b->columns + column;
        if (b->strip)
            r->at[0] =
                (char *)b->strip + (size_t)((row - b->m0) * b->strip_row + column - b->n0) * e->in[0].size;
        for (int k = 0; k < varying; k++) load(e, r, which[k], in[which[k]], at, n);
        place_results(e, r, out, at);
        e->kernels->program(e->program, r->at, n);
    }
}

void hone_elementwise_run_block(const hone_elementwise *e, void *const *in, void *const *out,
                                const hone_block *block, void *scratch) {
    const hone_block *b = block;
    if (b->n0 == 0 && b->n1 == b->columns && !b->strip) { /* one range */
        hone_elementwise_run(e, in, out, b->m0 * b->columns, b->m1 * b->columns, scratch);
        return;
    }
    registers r = {.scratch = scratch};
    set_up(e, &r, in, tile_of(b->n1 - b->n0));
    for (int64_t column = b->n0; column < b->n1; column += HONE_PROGRAM_TILE)
        run_columns(e, &r, in, out, b, column, tile_of(b->n1 - column));
}

/* --- as a step of its own --- */

typedef struct step_params {
    const hone_elementwise *work;
    hone_cut cut;
    int inputs, outputs;
} step_params;

typedef struct job {
    const step_params *params;
    void *in[HONE_PROGRAM_MAX_REGISTERS], *out[HONE_PROGRAM_MAX_OUTPUTS];
    const hone_step *step;
    const hone_frame *frame;
} job;

static void run_range(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    hone_elementwise_run(j->params->work, j->in, j->out, begin, end,
                         hone_step_worker_scratch(j->step, j->frame, worker));
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const step_params *p = step->params;
    job j = {.params = p, .step = step, .frame = frame};
    for (int i = 0; i < p->inputs; i++) j.in[i] = hone_step_in(step, frame, i);
    for (int o = 0; o < p->outputs; o++) j.out[o] = hone_step_out(step, frame, o);
    hone_cut_run(&p->cut, frame, run_range, &j);
    return HONE_OK;
}

/* The node's map over its inputs. */
static hone_map *own_map(hone_prepare *p, hone_arena *arena) {
    const hone_node *n = p->node;
    hone_map *m = hone_map_new(arena);
    hone_reg *operands = hone_arena_array(arena, (size_t)n->input_count + 1, sizeof *operands);
    hone_reg *results = hone_arena_array(arena, (size_t)n->output_count + 1, sizeof *results);
    if (!m || !operands || !results) return NULL;
    for (int i = 0; i < n->input_count; i++)
        operands[i] = p->in[i] ? hone_map_input(m, i, p->in[i]->dtype) : -1;
    hone_map_emit(m, n, operands, results);
    for (int o = 0; o < n->output_count; o++) hone_map_add_output(m, results[o]);
    return m;
}

hone_status hone_prepare_elementwise(hone_prepare *p, hone_error *err) {
    hone_arena *arena = hone_arena_new();
    if (!arena) return hone_fail_memory(err);
    const hone_map *m = own_map(p, arena);
    step_params *params = hone_prepare_alloc(p, sizeof *params);
    hone_elementwise *work = NULL;
    const hone_type *y = p->out; /* the first result that somebody wants; all are of one shape */
    while (y + 1 < p->out + p->out_count && !p->node->outputs[y - p->out]) y++;
    hone_status status = m && params ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_elementwise_prepare(p, m, p->in, y, &work, err);
    if (status == HONE_OK) {
        *params = (step_params){work, hone_cut_make(work->count, cost_of(work), HONE_PROGRAM_TILE), m->inputs,
                                m->outputs};
        p->params = params;
        p->worker_scratch = hone_elementwise_scratch(work);
        p->kernel = "elementwise";
        p->run = run;
    }
    hone_arena_free(arena);
    return status;
}
