#include "ops/engine/elementwise.h"
#include "graph/infer.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/engine/program.h"

#include <string.h>

typedef enum operand_kind { OPERAND_FLAT, OPERAND_SCALAR, OPERAND_GATHER } operand_kind;

/* A gathered operand: strides (in elements, 0 where broadcast) over the output's dimensions, merged where
 * possible. */
typedef struct operand {
    operand_kind kind;
    int rank;
    int64_t dims[HONE_MAX_RANK], strides[HONE_MAX_RANK];
} operand;

struct hone_elementwise {
    hone_program program;
    hone_program once; /* the part of it that reads scalars and constants alone: for a run, not for a tile */
    hone_dtype dtype, computed; /* narrow integers are computed as int64 and wrap when stored */
    size_t size;                /* of a stored element */
    size_t tile;                /* bytes of a register */
    int64_t count;
    operand in[HONE_PROGRAM_MAX_REGISTERS];
    const hone_kernels *kernels;
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
    operand o = {.kind = OPERAND_GATHER};
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

static hone_dtype computed_as(hone_dtype dtype) {
    switch (dtype) {
    case HONE_FLOAT32:
    case HONE_FLOAT64:
    case HONE_INT32:
    case HONE_INT64: return dtype;
    case HONE_INT8:
    case HONE_UINT8:
    case HONE_INT16:
    case HONE_UINT16:
    case HONE_UINT32: return HONE_INT64;
    default: return HONE_UNDEFINED;
    }
}

/* Moves into `once` what is the same for all tiles. Registers that are written twice stay. */
static void split(hone_elementwise *e) {
    hone_program *p = &e->program;
    int writes[HONE_PROGRAM_MAX_REGISTERS] = {0}, kept = 0;
    bool same[HONE_PROGRAM_MAX_REGISTERS] = {false};
    for (int i = 0; i < p->inputs + p->constants; i++)
        same[i] = i >= p->inputs || e->in[i].kind == OPERAND_SCALAR;
    for (int i = 0; i < p->count; i++) writes[p->code[i].dst]++;
    for (int o = 0; o < p->outputs; o++) writes[p->output[o]] = 2;
    for (int i = 0; i < p->count; i++) {
        hone_instr c = p->code[i];
        same[c.dst] = writes[c.dst] == 1 && same[c.a] && same[c.b] && same[c.c];
        if (same[c.dst])
            e->once.code[e->once.count++] = c;
        else
            p->code[kept++] = c;
    }
    p->count = kept;
}

hone_status hone_elementwise_prepare(hone_prepare *p, const hone_map *m, const hone_type *const *in,
                                     const hone_type *out, hone_elementwise **result, hone_error *err) {
    hone_elementwise *e = hone_prepare_alloc(p, sizeof *e);
    if (!e) return hone_fail_memory(err);
    HONE_TRY(hone_program_make(m, &e->program, err));
    e->dtype = out->dtype;
    e->computed = computed_as(out->dtype);
    if (e->computed == HONE_UNDEFINED)
        return hone_prepare_fail(p, err, "no kernel for %s", hone_dtype_name(out->dtype));
    e->size = hone_dtype_size(out->dtype);
    e->tile = HONE_PROGRAM_TILE * hone_dtype_size(e->computed);
    e->count = hone_type_count(out);
    e->kernels = hone_kernels_get();
    for (int i = 0; i < e->program.inputs; i++) {
        if (in[i] && in[i]->dtype != out->dtype)
            return hone_prepare_fail(p, err, "operand %d is %s where %s is needed", i,
                                     hone_dtype_name(in[i]->dtype), hone_dtype_name(out->dtype));
        if (in[i] && !broadcasts(in[i], out))
            return hone_prepare_fail(p, err, "operand %d does not broadcast to the result", i);
        if (in[i]) e->in[i] = classify(in[i], out);
    }
    split(e);
    *result = e;
    return HONE_OK;
}

size_t hone_elementwise_scratch(const hone_elementwise *e) {
    return ((size_t)e->program.registers + 1) * e->tile; /* one more to gather narrow elements in */
}

/* Nanoseconds for one element, roughly. */
static double cost_of(const hone_elementwise *e) {
    return 0.1 * (e->program.count + 1) * (double)e->size / 4;
}

/* Elements [begin, begin+n) of a broadcast operand. Rows of the innermost dimension are copied or filled. */
#define GATHER(type, name)                                                                                   \
    static void name(const operand *o, const type *x, int64_t begin, int64_t n, type *y) {                   \
        int64_t at[HONE_MAX_RANK], offset = 0, rest = begin;                                                 \
        for (int i = o->rank - 1; i >= 0; i--) {                                                             \
            at[i] = rest % o->dims[i];                                                                       \
            rest /= o->dims[i];                                                                              \
            offset += at[i] * o->strides[i];                                                                 \
        }                                                                                                    \
        int last = o->rank - 1;                                                                              \
        for (int64_t done = 0; done < n;) {                                                                  \
            int64_t run = o->dims[last] - at[last], stride = o->strides[last];                               \
            if (run > n - done) run = n - done;                                                              \
            if (stride == 1)                                                                                 \
                for (int64_t i = 0; i < run; i++) y[done + i] = x[offset + i];                               \
            else if (stride == 0)                                                                            \
                for (int64_t i = 0; i < run; i++) y[done + i] = x[offset];                                   \
            else                                                                                             \
                for (int64_t i = 0; i < run; i++) y[done + i] = x[offset + i * stride];                      \
            done += run;                                                                                     \
            at[last] += run;                                                                                 \
            offset += run * stride;                                                                          \
            for (int i = last; i > 0 && at[i] == o->dims[i]; i--) {                                          \
                offset += o->strides[i - 1] - at[i] * o->strides[i];                                         \
                at[i] = 0;                                                                                   \
                at[i - 1]++;                                                                                 \
            }                                                                                                \
        }                                                                                                    \
    }
GATHER(uint8_t, gather_1)
GATHER(uint16_t, gather_2)
GATHER(uint32_t, gather_4)
GATHER(uint64_t, gather_8)
#undef GATHER

static void gather(const operand *o, size_t size, const void *x, int64_t begin, int64_t n, void *y) {
    switch (size) {
    case 1: gather_1(o, x, begin, n, y); break;
    case 2: gather_2(o, x, begin, n, y); break;
    case 4: gather_4(o, x, begin, n, y); break;
    default: gather_8(o, x, begin, n, y);
    }
}

/* n copies of one element, doubling what is there. */
static void fill(size_t size, const void *x, int64_t n, void *tile) {
    size_t bytes = (size_t)n * size, done = bytes < size ? bytes : size;
    memcpy(tile, x, done);
    for (; done < bytes; done *= 2)
        memcpy((char *)tile + done, tile, done < bytes - done ? done : bytes - done);
}

static void fill_constant(hone_dtype dtype, double x, int64_t n, void *tile) {
    float f32 = (float)x;
    bool integer = dtype == HONE_INT32 || dtype == HONE_INT64;
    int64_t i64 = integer ? (int64_t)x : 0;
    int32_t i32 = (int32_t)i64;
    const void *element = dtype == HONE_FLOAT32   ? (void *)&f32
                          : dtype == HONE_FLOAT64 ? (void *)&x
                          : dtype == HONE_INT32   ? (void *)&i32
                                                  : (void *)&i64;
    fill(hone_dtype_size(dtype), element, n, tile);
}

static void execute(const hone_elementwise *e, const hone_program *p, void *const *registers, int64_t n) {
    switch (e->computed) {
    case HONE_FLOAT32: e->kernels->program_f32(p, (float *const *)registers, n); break;
    case HONE_FLOAT64: e->kernels->program_f64(p, (double *const *)registers, n); break;
    case HONE_INT32: e->kernels->program_i32(p, (int32_t *const *)registers, n); break;
    default: e->kernels->program_i64(p, (int64_t *const *)registers, n);
    }
}

/* Where a run's registers are. */
typedef struct registers {
    void *at[HONE_PROGRAM_MAX_REGISTERS];
    char *scratch;
    void *spare;
} registers;

static bool is_narrow(const hone_elementwise *e) {
    return e->computed != e->dtype;
}

static void *own_tile(const hone_elementwise *e, const registers *r, int i) {
    return r->scratch + (size_t)i * e->tile;
}

/* Constants and operands of one element fill their tiles once, and what is computed from them alone. */
static void set_up(const hone_elementwise *e, registers *r, void *const *in, int64_t widest) {
    const hone_program *p = &e->program;
    for (int i = 0; i < p->registers; i++) r->at[i] = own_tile(e, r, i);
    r->spare = own_tile(e, r, p->registers);
    for (int c = 0; c < p->constants; c++)
        fill_constant(e->computed, p->constant[c], widest, r->at[p->inputs + c]);
    for (int i = 0; i < p->inputs; i++) {
        if (e->in[i].kind != OPERAND_SCALAR) continue;
        const void *element = in[i];
        if (is_narrow(e)) hone_cast(e->dtype, e->computed, in[i], r->spare, 1);
        fill(hone_dtype_size(e->computed), is_narrow(e) ? r->spare : element, widest, r->at[i]);
    }
    if (e->once.count > 0) execute(e, &e->once, r->at, widest);
}

/* Elements [at, at+n) of operand i: pointed at, gathered, or widened. */
static void load(const hone_elementwise *e, registers *r, int i, void *in, int64_t at, int64_t n) {
    void *here = (char *)in + (size_t)at * e->size;
    if (e->in[i].kind == OPERAND_SCALAR) return;
    if (e->in[i].kind == OPERAND_GATHER) {
        here = is_narrow(e) ? r->spare : r->at[i];
        gather(&e->in[i], e->size, in, at, n, here);
    }
    if (is_narrow(e))
        hone_cast(e->dtype, e->computed, here, r->at[i], n);
    else
        r->at[i] = here;
}

void hone_elementwise_run(const hone_elementwise *e, void *const *in, void *const *out, int64_t begin,
                          int64_t end, void *scratch) {
    const hone_program *p = &e->program;
    registers r = {.scratch = scratch};
    set_up(e, &r, in, end - begin < HONE_PROGRAM_TILE ? end - begin : HONE_PROGRAM_TILE);
    for (int64_t at = begin; at < end; at += HONE_PROGRAM_TILE) {
        int64_t n = end - at < HONE_PROGRAM_TILE ? end - at : HONE_PROGRAM_TILE;
        for (int i = 0; i < p->inputs; i++) load(e, &r, i, in[i], at, n);
        for (int o = 0; o < p->outputs && !is_narrow(e); o++)
            if (out[o])
                r.at[p->output[o]] = (char *)out[o] + (size_t)at * e->size; /* else a result nobody wants */
        execute(e, p, r.at, n);
        for (int o = 0; o < p->outputs && is_narrow(e); o++)
            if (out[o])
                hone_cast(e->computed, e->dtype, r.at[p->output[o]], (char *)out[o] + (size_t)at * e->size,
                          n);
    }
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

/* The map of a node that is one operator. */
static hone_map *own_map(hone_prepare *p, hone_arena *arena) {
    const hone_node *n = p->node;
    hone_map *m = hone_map_new(arena);
    hone_reg *operands = hone_arena_array(arena, (size_t)n->input_count + 1, sizeof *operands);
    hone_reg *results = hone_arena_array(arena, (size_t)n->output_count + 1, sizeof *results);
    if (!m || !operands || !results) return NULL;
    for (int i = 0; i < n->input_count; i++) operands[i] = hone_map_input(m, i);
    hone_map_emit(m, n, operands, results);
    for (int o = 0; o < n->output_count; o++) hone_map_add_output(m, results[o]);
    return m;
}

hone_status hone_prepare_elementwise(hone_prepare *p, hone_error *err) {
    if (!p->node->map && !p->node->op->map) return hone_prepare_fail(p, err, "the node has no program");
    hone_arena *arena = hone_arena_new();
    if (!arena) return hone_fail_memory(err);
    const hone_map *m = p->node->map ? p->node->map : own_map(p, arena);
    step_params *params = hone_prepare_alloc(p, sizeof *params);
    hone_elementwise *work = NULL;
    const hone_type *y = p->out; /* the first result that somebody wants; all are of one type */
    while (y + 1 < p->out + p->out_count && !p->node->outputs[y - p->out]) y++;
    bool integer = hone_dtype_is_int(y->dtype);
    hone_status status = m && params ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK && integer && !p->node->op->integer_map)
        status = hone_prepare_fail(p, err, "no kernel for %s", hone_dtype_name(y->dtype));
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
