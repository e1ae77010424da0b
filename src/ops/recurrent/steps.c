#include "ops/recurrent/steps.h"

#include "graph/infer.h"

hone_steps hone_steps_make(const hone_cell *c, const hone_type *gates, const hone_type *weights) {
    return (hone_steps){.steps = gates->dims[c->batch_first ? 1 : 0],
                        .batch = gates->dims[c->batch_first ? 0 : 1],
                        .hidden = weights->dims[weights->rank - 1],
                        .directions = c->directions,
                        .batch_first = c->batch_first,
                        .size = hone_dtype_size(gates->dtype)};
}

/* order and length [batch], and how many are longer than each length [steps + 1] */
size_t hone_steps_room(const hone_steps *s) {
    return (size_t)(2 * s->batch + s->steps + 2) * sizeof(int32_t);
}

hone_status hone_steps_sort(hone_steps *s, const int32_t *lengths, void *room, const hone_step *step,
                            hone_error *err) {
    int32_t *order = room, *length = order + s->batch, *longer = length + s->batch;
    bool whole = true;
    s->order = s->length = NULL;
    if (!lengths) return HONE_OK;
    memset(longer, 0, (size_t)(s->steps + 2) * sizeof *longer);
    for (int64_t i = 0; i < s->batch; i++) {
        if (lengths[i] < 0 || lengths[i] > s->steps)
            return hone_step_fail(step, err, "sequence %lld has length %d, not 0 to %lld", (long long)i,
                                  lengths[i], (long long)s->steps);
        whole &= lengths[i] == s->steps;
        longer[lengths[i]]++;
    }
    if (whole) return HONE_OK;
    for (int64_t l = s->steps, sum = 0; l >= 0; l--) {
        int32_t count = longer[l];
        longer[l] = (int32_t)sum;
        sum += count;
    }
    for (int64_t i = 0; i < s->batch; i++) {
        int32_t at = longer[lengths[i]]++;
        order[at] = (int32_t)i;
        length[at] = lengths[i];
    }
    s->order = order;
    s->length = length;
    return HONE_OK;
}

void hone_steps_pad_x(const hone_steps *s, void *y, int64_t columns, int64_t from, int64_t n) {
    for (int64_t i = 0; i < s->batch && y && s->order; i++)
        for (int64_t t = s->length[i]; t < s->steps; t++)
            hone_steps_copy(s, hone_steps_at(s, y, hone_steps_x_row(s, s->order[i], t), columns, from), NULL,
                            n);
}

void hone_steps_pad_y(const hone_steps *s, void *y, int direction) {
    for (int64_t i = 0; i < s->batch && y && s->order; i++)
        for (int64_t t = s->length[i]; t < s->steps; t++)
            hone_steps_copy(s,
                            hone_steps_at(s, y, hone_steps_y_row(s, s->order[i], t, direction), s->hidden, 0),
                            NULL, s->hidden);
}

/* --- stages --- */

static hone_status prepare_map(hone_prepare *p, const hone_map *m, const hone_cell_stage *stage,
                               const hone_type *matrix, const hone_elementwise **out, hone_error *err) {
    const hone_type row = hone_type_make(matrix->dtype, 1, &matrix->dims[1]);
    const hone_type *in[HONE_CELL_OPERANDS];
    hone_elementwise *work = NULL;
    for (int i = 0; i < stage->inputs; i++)
        in[i] = stage->in[i] >= HONE_CELL_P && stage->in[i] < HONE_CELL_P + 3 ? &row : matrix;
    HONE_TRY(hone_elementwise_prepare(p, m, in, matrix, &work, err));
    size_t scratch = hone_elementwise_scratch(work);
    if (scratch > p->worker_scratch) p->worker_scratch = scratch;
    *out = work;
    return HONE_OK;
}

static hone_status prepare_stage(hone_prepare *p, const hone_cell *c, const hone_type *matrix, int direction,
                                 int stage, bool backward, bool peepholes, hone_steps_map *out,
                                 hone_error *err) {
    hone_arena *arena = hone_arena_new();
    hone_map *m = arena ? hone_map_new(arena) : NULL;
    hone_status status = m ? HONE_OK : hone_fail_memory(err);
    if (m) {
        if (backward)
            hone_cell_backward(c, direction, stage, peepholes, matrix->dtype, m, &out->stage);
        else
            hone_cell_forward(c, direction, stage, peepholes, matrix->dtype, m, &out->stage);
        status =
            hone_map_ok(m) ? prepare_map(p, m, &out->stage, matrix, &out->work, err) : hone_fail_memory(err);
    }
    hone_arena_free(arena);
    return status;
}

hone_status hone_steps_maps(hone_prepare *p, const hone_cell *c, const hone_steps *s, bool backward,
                            bool peepholes, hone_steps_map maps[2][2], hone_error *err) {
    const int64_t dims[] = {s->batch, s->hidden};
    const hone_type matrix = hone_type_make(s->size == sizeof(double) ? HONE_FLOAT64 : HONE_FLOAT32, 2, dims);
    for (int d = 0; d < c->directions; d++)
        for (int k = 0; k < hone_cell_stages(c); k++)
            HONE_TRY(prepare_stage(p, c, &matrix, d, k, backward, peepholes, &maps[d][k], err));
    return HONE_OK;
}

void hone_steps_run(const hone_steps_map *map, const hone_steps *s, void *const *buffers, int64_t m0,
                    int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    void *in[HONE_CELL_OPERANDS], *out[HONE_MAP_MAX_OUTPUTS];
    for (int i = 0; i < map->stage.inputs; i++) in[i] = buffers[map->stage.in[i]];
    for (int o = 0; o < map->stage.outputs; o++) out[o] = buffers[map->stage.out[o]];
    const hone_block block = {s->hidden, m0, m1, n0, n1, NULL, 0};
    hone_elementwise_run_block(map->work, in, out, &block, scratch);
}
