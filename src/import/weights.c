#include "import/weights.h"

#include "base/bits.h"
#include "base/half.h"

#include <string.h>

/* The constants of a matrix in blocks: codes [N, K]; scales [N, K / group], or steps of that shape and scales
 * [N, K / weights]; the same of offsets. */
typedef struct parts {
    hone_tensor *codes, *d, *m, *steps, *lows;
} parts;

static void free_parts(parts *p) {
    hone_tensor *all[] = {p->codes, p->d, p->m, p->steps, p->lows};
    for (int i = 0; i < 5; i++) hone_tensor_free(all[i]);
}

static int64_t row_of(hone_row_order order, int64_t i) {
    if (!order.head) return i;
    const int64_t first = i / order.head * order.head, j = i % order.head, half = order.head / 2;
    return first + (j < half ? 2 * j : 2 * (j - half) + 1);
}

static hone_status check(const hone_store *s, const hone_stored *t, hone_row_order order, hone_error *err) {
    if (!t->format)
        return hone_fail_file(err, HONE_UNSUPPORTED, s->path, "the tensor %s is of type %u", t->name,
                              t->type);
    if (t->rank < 1 || t->rank > 2)
        return hone_fail_file(err, HONE_UNSUPPORTED, s->path, "the tensor %s has rank %d", t->name, t->rank);
    if (order.head && t->dims[0] % order.head)
        return hone_fail_file(err, HONE_CORRUPT, s->path, "the tensor %s has %lld rows, heads %lld", t->name,
                              (long long)t->dims[0], (long long)order.head);
    return HONE_OK;
}

/* --- numbers --- */

static hone_status copy_numbers(const hone_stored *t, hone_row_order order, hone_tensor **out,
                                hone_error *err) {
    HONE_TRY(hone_tensor_new(t->format->plain, t->rank, t->dims, out, err));
    const size_t row = (size_t)(t->rank > 1 ? t->dims[1] : 1) * t->format->bytes;
    char *to = hone_tensor_data(*out);
    for (int64_t i = 0; i < t->dims[0]; i++)
        memcpy(to + (size_t)i * row, t->data + (size_t)row_of(order, i) * row, row);
    return HONE_OK;
}

/* --- blocks --- */

static hone_status new_matrix(hone_dtype dtype, int64_t n, int64_t k, hone_tensor **out, hone_error *err) {
    return hone_tensor_new(dtype, 2, (int64_t[]){n, k}, out, err);
}

static hone_status make_parts(const hone_stored *t, hone_dtype codes, parts *p, hone_error *err) {
    const hone_block_format *f = t->format;
    const int64_t n = t->rank > 1 ? t->dims[0] : 1, k = t->dims[t->rank - 1];
    const int64_t groups = k / (int64_t)f->group, blocks = k / (int64_t)f->weights;
    HONE_TRY(new_matrix(codes, n, k, &p->codes, err));
    HONE_TRY(new_matrix(f->scale, n, blocks, &p->d, err));
    if (f->steps) HONE_TRY(new_matrix(f->steps, n, groups, &p->steps, err));
    if (f->offset) HONE_TRY(new_matrix(f->scale, n, blocks, &p->m, err));
    return f->offset && f->steps ? new_matrix(HONE_UINT8, n, groups, &p->lows, err) : HONE_OK;
}

static uint64_t word_at(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* The low halves of 8 bytes as 4: pairs of bytes, then of what those became, close up. */
static void close_up(uint64_t x, uint32_t flip, uint8_t *to) {
    x &= 0x0f0f0f0f0f0f0f0f;
    x = (x | x >> 4) & 0x00ff00ff00ff00ff;
    x = (x | x >> 8) & 0x0000ffff0000ffff;
    const uint32_t y = (uint32_t)(x | x >> 16) ^ flip;
    memcpy(to, &y, sizeof y);
}

/* 32 codes that are low halves of 16 bytes, then high ones, in order; `flip` takes 8 from each. */
static void put_nibbles(const uint8_t *p, uint32_t flip, uint8_t *to) {
    const uint64_t a = word_at(p), b = word_at(p + 8);
    close_up(a, flip, to);
    close_up(b, flip, to + 4);
    close_up(a >> 4, flip, to + 8);
    close_up(b >> 4, flip, to + 12);
}

/* A row of blocks that are halves d, m and such codes. */
static void put_nibble_row(const hone_block_format *f, const uint8_t *row, size_t blocks, size_t at,
                           const parts *p) {
    const uint32_t flip = f->codes == HONE_INT4 ? 0x88888888 : 0;
    uint8_t *codes = (uint8_t *)p->codes->data + at * f->weights / 2;
    for (size_t k = 0; k < blocks; k++, row += f->bytes) {
        memcpy((uint16_t *)p->d->data + at + k, row, 2);
        if (p->m) memcpy((uint16_t *)p->m->data + at + k, row + 2, 2);
        put_nibbles(row + f->nibbles, flip, codes + 16 * k);
    }
}

/* Codes of a block behind those of `at` weights before it, a whole number of bytes. */
static void put_codes(const hone_block *b, size_t count, int bits, uint8_t *codes, size_t at) {
    uint8_t *to = codes + at * (size_t)bits / 8;
    if (bits == 8) {
        memcpy(to, b->codes, count);
    } else if (bits == 4) {
        for (size_t i = 0; i < count; i += 8) close_up(word_at(b->codes + i), 0, to + i / 2);
    } else {
        for (size_t i = 0; i < count; i++) hone_bits_set(to, (int64_t)i, bits, b->codes[i]);
    }
}

static void fill_parts(const hone_stored *t, hone_row_order order, const parts *p) {
    const hone_block_format *f = t->format;
    const size_t n = t->rank > 1 ? (size_t)t->dims[0] : 1, blocks = (size_t)t->dims[t->rank - 1] / f->weights,
                 groups = f->weights / f->group;
    const int bits = hone_dtype_bits(p->codes->dtype);
    hone_block b;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *row = t->data + (size_t)row_of(order, (int64_t)i) * blocks * f->bytes;
        if (f->nibbles && bits == 4) {
            put_nibble_row(f, row, blocks, i * blocks, p);
            continue;
        }
        for (size_t k = 0; k < blocks; k++) {
            const size_t at = i * blocks + k;
            f->open(row + k * f->bytes, &b);
            put_codes(&b, f->weights, bits, p->codes->data, at * f->weights);
            ((uint16_t *)p->d->data)[at] = b.d;
            if (p->m) ((uint16_t *)p->m->data)[at] = b.m;
            if (p->steps) memcpy((uint8_t *)p->steps->data + at * groups, b.steps, groups);
            if (p->lows) memcpy((uint8_t *)p->lows->data + at * groups, b.lows, groups);
        }
    }
}

/* --- as values --- */

static hone_value *constant(hone_graph *g, const char *name, const char *suffix, hone_tensor *t) {
    char *whole = hone_arena_printf(g->arena, "%s%s", name, suffix);
    if (!whole) hone_graph_out_of_memory(g);
    hone_value *there = whole ? hone_graph_find(g, whole) : NULL;
    return there || !t ? there : hone_graph_add_constant(g, whole, t);
}

static hone_value *as_floats(hone_graph *g, hone_value *v, hone_dtype dtype) {
    if (!v || dtype == HONE_FLOAT32) return v;
    v = HONE_EMIT(g, "", "Cast", v);
    if (v) hone_node_set_int(g, v->producer, "to", HONE_FLOAT32);
    return v;
}

static hone_value *shaped(hone_graph *g, hone_value *v, const int64_t *shape, int64_t rank) {
    return HONE_EMIT(g, "", "Reshape", v, hone_graph_ints(g, shape, rank));
}

static hone_value *dequantized(hone_graph *g, hone_value *codes, hone_value *scale, int axis, size_t block) {
    hone_value *y = HONE_EMIT(g, "", "DequantizeLinear", codes, scale);
    if (!y) return NULL;
    hone_node_set_int(g, y->producer, "axis", axis);
    hone_node_set_int(g, y->producer, "block_size", (int64_t)block);
    return y;
}

/* A number for each group: d, or d · steps. `ids`: of those rows. */
static hone_value *group_numbers(hone_graph *g, const hone_block_format *f, hone_value *d, hone_value *steps,
                                 hone_value *ids) {
    if (ids) d = HONE_EMIT(g, "", "Gather", d, ids);
    if (ids && steps) steps = HONE_EMIT(g, "", "Gather", steps, ids);
    d = as_floats(g, d, f->scale);
    return steps ? dequantized(g, steps, d, ids ? 2 : 1, f->weights / f->group) : d;
}

/* Of constants that are in the graph, `p` has none. */
static hone_value *emit_blocks(hone_graph *g, const hone_stored *t, const char *name, const parts *p,
                               hone_value *ids) {
    const hone_block_format *f = t->format;
    const int64_t n = t->rank > 1 ? t->dims[0] : 1, k = t->dims[t->rank - 1], group = (int64_t)f->group;
    hone_value *codes = constant(g, name, "", p->codes), *d = constant(g, name, "_scale", p->d),
               *steps = constant(g, name, "_scale_steps", p->steps), *m = constant(g, name, "_offset", p->m),
               *lows = constant(g, name, "_offset_steps", p->lows);
    if (ids) codes = HONE_EMIT(g, "", "Gather", codes, ids);
    hone_value *y = dequantized(g, codes, group_numbers(g, f, d, steps, ids), ids ? 2 : 1, f->group);
    if (!m) return y;
    m = group_numbers(g, f, m, lows, ids);
    if (ids) {
        y = shaped(g, y, (int64_t[]){0, 0, k / group, group}, 4);
        y = HONE_EMIT(g, "", "Add", y,
                      HONE_EMIT(g, "", "Unsqueeze", m, hone_graph_ints(g, (int64_t[]){3}, 1)));
        return shaped(g, y, (int64_t[]){0, 0, k}, 3);
    }
    y = shaped(g, y, (int64_t[]){n, k / group, group}, 3);
    y = HONE_EMIT(g, "", "Add", y, shaped(g, m, (int64_t[]){n, k / group, 1}, 3));
    return shaped(g, y, (int64_t[]){n, k}, 2);
}

/* What tables of rows have for codes: Gather is not known to take less than bytes. */
static hone_dtype whole_bytes(hone_dtype codes) {
    return codes == HONE_INT4 || codes == HONE_INT2     ? HONE_INT8
           : codes == HONE_UINT4 || codes == HONE_UINT2 ? HONE_UINT8
                                                        : codes;
}

static hone_status emit(hone_graph *g, const hone_stored *t, const char *name, hone_row_order order,
                        hone_value *ids, hone_value **out, hone_error *err) {
    const bool there = hone_graph_find(g, name) != NULL; /* a table that is the last layer, too */
    hone_tensor *numbers = NULL;
    parts p = {NULL};
    hone_status status = HONE_OK;
    if (t->format->plain) {
        if (!there) status = copy_numbers(t, order, &numbers, err);
        hone_value *v = status == HONE_OK ? constant(g, name, "", numbers) : NULL;
        if (ids) v = HONE_EMIT(g, "", "Gather", v, ids);
        *out = as_floats(g, v, t->format->plain);
        hone_tensor_free(numbers);
    } else {
        if (!there) status = make_parts(t, ids ? whole_bytes(t->format->codes) : t->format->codes, &p, err);
        if (status == HONE_OK && !there) fill_parts(t, order, &p);
        if (status == HONE_OK) *out = emit_blocks(g, t, name, &p, ids);
        free_parts(&p);
    }
    return status == HONE_OK ? hone_graph_check(g, err) : status;
}

hone_status hone_weight_emit(hone_graph *g, const hone_store *s, const hone_stored *t, const char *name,
                             hone_row_order order, hone_value **out, hone_error *err) {
    HONE_TRY(check(s, t, order, err));
    HONE_TRY(emit(g, t, name, order, NULL, out, err));
    if (s->mapped) hone_discard((void *)t->data, t->bytes); /* else it would be in memory twice */
    return HONE_OK;
}

hone_status hone_weight_emit_rows(hone_graph *g, const hone_store *s, const hone_stored *t, const char *name,
                                  hone_value *ids, hone_value **out, hone_error *err) {
    HONE_TRY(check(s, t, (hone_row_order){0}, err));
    HONE_TRY(emit(g, t, name, (hone_row_order){0}, ids, out, err));
    if (s->mapped) hone_discard((void *)t->data, t->bytes);
    return HONE_OK;
}

hone_status hone_weight_emit_vector(hone_graph *g, const hone_store *s, const hone_stored *t,
                                    const char *name, float plus, hone_row_order order, hone_value **out,
                                    hone_error *err) {
    HONE_TRY(check(s, t, order, err));
    if (t->rank != 1)
        return hone_fail_file(err, HONE_UNSUPPORTED, s->path, "the tensor %s has rank %d", t->name, t->rank);
    hone_tensor *numbers = NULL, *ordered = NULL;
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 1, t->dims, &numbers, err));
    hone_status status = hone_tensor_new(HONE_FLOAT32, 1, t->dims, &ordered, err);
    if (status == HONE_OK) {
        const float *x = numbers->data;
        float *y = ordered->data;
        hone_blocks_to_floats(t->format, t->data, (size_t)t->dims[0], numbers->data);
        for (int64_t i = 0; i < t->dims[0]; i++) y[i] = x[row_of(order, i)] + plus;
        *out = hone_graph_add_constant(g, name, ordered);
        status = hone_graph_check(g, err);
    }
    hone_tensor_free(numbers);
    hone_tensor_free(ordered);
    return status;
}
