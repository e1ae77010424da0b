/* Weights of few bits as panels (kernels/nbits.h), once a model from constants, else panel by panel in each run. Numbers are
 * float16 where that says the same. */
#include "base/bits.h"
#include "base/half.h"
#include "ops/common/emit.h"
#include "ops/common/walk.h"
#include "ops/engine/product_b.h"
#include "ops/quant/nbits.h"

#include <stdio.h>
#include <string.h>

#define PANEL HONE_BITS_PANEL

/* --- panels of rows --- */

/* Nibbles 0 … 3 of x, each in the low half of a byte. */
static uint32_t spread_nibbles(uint32_t x) {
    x &= 0xffff;
    x = (x | x << 8) & 0x00ff00ff;
    return (x | x << 4) & 0x0f0f0f0f;
}

/* Elements 4 i + t of 16 from place 4 i + t to 4 t + i. */
static uint32_t turn_pairs(uint32_t x) {
    uint32_t y = 0;
    for (int i = 0; i < 4; i++)
        for (int t = 0; t < 4; t++) y |= (x >> (8 * i + 2 * t) & 3) << (8 * t + 2 * i);
    return y;
}

static void put_codes(const hone_bits_weights *w, const uint8_t *b, int64_t rows, uint32_t *y) {
    const int64_t words = w->row / 4;
    const uint32_t flip = w->shape.is_signed ? 0x80808080 : 0;
    if (rows < PANEL) memset(y, 0, (size_t)(words * PANEL) * 4);
    for (int64_t i = 0; i < rows; i++, b += w->row)
        for (int64_t l = 0; l < words; l++) {
            uint32_t x;
            memcpy(&x, b + 4 * l, 4);
            y[l * PANEL + i] = w->shape.bits == 8   ? x ^ flip
                               : w->shape.bits == 4 ? spread_nibbles(x) | spread_nibbles(x >> 16) << 4
                                                    : turn_pairs(x);
        }
}

/* Floats, or halves (`narrow`), which stay such. */
static void put_numbers(const void *x, bool narrow, int64_t rows, int64_t blocks, bool half, void *out) {
    uint16_t *halves = out;
    float *floats = out;
    if (rows < PANEL) memset(out, 0, (size_t)(blocks * PANEL) * (half ? 2 : 4));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t l = 0; l < blocks; l++) {
            const int64_t from = i * blocks + l, to = l * PANEL + i;
            if (narrow)
                halves[to] = ((const uint16_t *)x)[from];
            else if (half)
                halves[to] = hone_half_of_float(((const float *)x)[from]);
            else
                floats[to] = ((const float *)x)[from];
        }
}

/* Zero points that are packed. */
static void put_zeros(const hone_bits_weights *w, const uint8_t *x, int64_t rows, uint16_t *y) {
    if (rows < PANEL) memset(y, 0, (size_t)(w->shape.blocks * PANEL) * 2);
    for (int64_t i = 0; i < rows; i++, x += w->zero_row)
        for (int64_t l = 0; l < w->shape.blocks; l++)
            y[l * PANEL + i] = hone_half_of_float((float)hone_bits_get(x, l, w->shape.bits));
}

/* --- constants --- */

typedef struct packing {
    hone_bits_weights w;
    int64_t row, step; /* bytes of a row; rows of a part */
    size_t panel;      /* bytes of a packed one */
    bool narrow, half; /* of the constant; of what is packed */
} packing;

/* Panels of a part: rows from *row on, *count of them. */
#define EACH_PANEL(a, part)                                                                                  \
    for (int64_t row = (part) * (a)->step, count; row < hone_min_i64(((part) + 1) * (a)->step, (a)->w.n) &&  \
                                                  (count = hone_min_i64((a)->w.n - row, PANEL), true);       \
         row += PANEL)

static void pack_codes(const void *source, const void *arg, int64_t part, void *out) {
    const packing *a = arg;
    EACH_PANEL(a, part)
    put_codes(&a->w, (const uint8_t *)source + row * a->row, count,
              (uint32_t *)(void *)((char *)out + (size_t)(row / PANEL) * a->panel));
}

static void pack_numbers(const void *source, const void *arg, int64_t part, void *out) {
    const packing *a = arg;
    EACH_PANEL(a, part)
    put_numbers((const char *)source + row * a->row, a->narrow, count, a->w.shape.blocks, a->half,
                (char *)out + (size_t)(row / PANEL) * a->panel);
}

static void pack_zeros(const void *source, const void *arg, int64_t part, void *out) {
    const packing *a = arg;
    EACH_PANEL(a, part)
    put_zeros(&a->w, (const uint8_t *)source + row * a->row, count,
              (uint16_t *)(void *)((char *)out + (size_t)(row / PANEL) * a->panel));
}

/* Formats of one constant, which products of other shapes might have, too. */
typedef struct format {
    char name[64];
} format;

static format codes_format(const hone_bits_weights *w) {
    format f;
    snprintf(f.name, sizeof f.name, "panels of codes, %d bits, %lld", w->shape.bits, (long long)w->row);
    return f;
}

static format numbers_format(const hone_bits_weights *w, const char *what) {
    format f;
    snprintf(f.name, sizeof f.name, "panels of %s, %lld", what, (long long)w->shape.blocks);
    return f;
}
#define FLOATS "numbers"
#define HALVES "halves"
#define ZEROS "zero points"

static hone_status pack_one(hone_packer *p, int input, format f, hone_pack_fn *pack, packing *a,
                            hone_error *err) {
    a->step = hone_pack_rows((size_t)a->row, PANEL);
    const hone_packing form = {.format = f.name,
                               .bytes = (size_t)hone_tasks(a->w.n, PANEL) * a->panel,
                               .part_bytes = (size_t)(a->step * a->row),
                               .pack = pack,
                               .arg = a,
                               .arg_size = sizeof *a};
    return form.bytes ? hone_pack_constant(p, input, &form, err) : HONE_OK;
}

/* Are all of them halves, but for how they are stored? */
static bool are_halves(const hone_tensor *t) {
    const float *x = t->data;
    for (int64_t i = 0; i < t->count; i++)
        if (hone_float_of_half(hone_half_of_float(x[i])) != x[i]) return false;
    return true;
}

static hone_status pack_floats(hone_packer *p, const hone_node *node, int input, const hone_bits_weights *w,
                               hone_error *err) {
    const hone_tensor *t = hone_value_constant(node->inputs[input]);
    packing a = {.w = *w,
                 .row = w->shape.blocks * (int64_t)hone_dtype_size(t->dtype),
                 .narrow = t->dtype == HONE_FLOAT16};
    a.half = a.narrow || are_halves(t);
    a.panel = (size_t)(w->shape.blocks * PANEL) * (a.half ? 2 : 4);
    return pack_one(p, input, numbers_format(w, a.half ? HALVES : FLOATS), pack_numbers, &a, err);
}

hone_status hone_bits_pack(hone_packer *p, const hone_node *node, int at, hone_error *err) {
    const hone_value *zeros = hone_input(node, at + 2);
    const hone_value *all[] = {node->inputs[at], node->inputs[at + 1], zeros};
    for (int i = 0; i < 3; i++)
        if (all[i] && (!hone_value_constant(all[i]) || all[i]->type.rank != 2)) return HONE_OK;
    const hone_bits_weights w =
        hone_bits_weights_of(node, &all[0]->type, &all[1]->type, zeros ? &zeros->type : NULL);
    packing codes = {.w = w, .row = w.row, .panel = (size_t)(w.row * PANEL)};
    HONE_TRY(pack_one(p, at, codes_format(&w), pack_codes, &codes, err));
    HONE_TRY(pack_floats(p, node, at + 1, &w, err));
    if (!zeros) return HONE_OK;
    if (!w.packed_zeros) return pack_floats(p, node, at + 2, &w, err);
    packing a = {.w = w, .row = w.zero_row, .panel = (size_t)(w.shape.blocks * PANEL) * 2};
    return pack_one(p, at + 2, numbers_format(&w, ZEROS), pack_zeros, &a, err);
}

/* --- plans --- */

/* Numbers as they are packed; NULL: they are not. */
static const void *find_numbers(const hone_prepare *p, int input, const hone_bits_weights *w, bool *half) {
    const void *floats = hone_prepare_packed(p, input, numbers_format(w, FLOATS).name);
    *half = !floats;
    if (floats) return floats;
    const void *halves = hone_prepare_packed(p, input, numbers_format(w, HALVES).name);
    return halves ? halves : hone_prepare_packed(p, input, numbers_format(w, ZEROS).name);
}

hone_bits_panels hone_bits_panels_of(const hone_prepare *p, int at, int parts) {
    const hone_type *zeros = at + 2 < p->in_count ? p->in[at + 2] : NULL;
    const hone_bits_weights w = hone_bits_weights_of(p->node, p->in[at], p->in[at + 1], zeros);
    hone_bits_panels r = {.w = w,
                          .form = {.blocks = w.shape.blocks,
                                   .block = w.shape.block,
                                   .bits = w.shape.bits,
                                   .parts = parts,
                                   .middle = w.shape.is_signed                ? 128
                                             : w.has_zeros || w.shape.offsets ? 0
                                                                              : 1 << (w.shape.bits - 1),
                                   .more = !w.has_zeros      ? HONE_BITS_ALONE
                                           : w.shape.offsets ? HONE_BITS_OFFSETS
                                                             : HONE_BITS_ZEROS}};
    hone_bits *f = &r.form;
    r.first.codes = hone_prepare_packed(p, at, codes_format(&w).name);
    if (r.first.codes) r.first.scales = find_numbers(p, at + 1, &w, &f->half_scales);
    if (r.first.scales && w.has_zeros) r.first.more = find_numbers(p, at + 2, &w, &f->half_more);
    if (!r.first.scales || (w.has_zeros && !r.first.more)) {
        r.first = (hone_bits_panel){0};
        f->half_scales = w.half_scales;
        f->half_more = w.packed_zeros || w.half_zeros;
    }
    r.codes = hone_bits_codes_size(f);
    r.scales = hone_bits_numbers_size(f, f->half_scales);
    r.more = w.has_zeros ? hone_bits_numbers_size(f, f->half_more) : 0;
    return r;
}

size_t hone_bits_panel_room(const hone_bits_panels *p) {
    return p->first.codes ? 0 : hone_align_64(p->codes) + hone_align_64(p->scales) + hone_align_64(p->more);
}

hone_bits_panel hone_bits_panel_at(const hone_bits_panels *p, int64_t i, const uint8_t *b,
                                   const void *scales, const void *more, void *room) {
    const hone_bits_weights *w = &p->w;
    if (p->first.codes)
        return (hone_bits_panel){p->first.codes + (size_t)i * p->codes,
                                 (const char *)p->first.scales + (size_t)i * p->scales,
                                 p->first.more ? (const char *)p->first.more + (size_t)i * p->more : NULL};
    char *codes = room, *numbers = codes + hone_align_64(p->codes),
         *third = numbers + hone_align_64(p->scales);
    const int64_t row = i * PANEL, count = hone_min_i64(w->n - row, PANEL), blocks = w->shape.blocks;
    put_codes(w, b + row * w->row, count, (uint32_t *)(void *)codes);
    put_numbers((const char *)scales + row * blocks * (w->half_scales ? 2 : 4), w->half_scales, count, blocks,
                w->half_scales, numbers);
    if (w->packed_zeros)
        put_zeros(w, (const uint8_t *)more + row * w->zero_row, count, (uint16_t *)(void *)third);
    else if (w->has_zeros)
        put_numbers((const char *)more + row * blocks * (w->half_zeros ? 2 : 4), w->half_zeros, count, blocks,
                    w->half_zeros, third);
    return (hone_bits_panel){(const uint8_t *)codes, numbers, w->has_zeros ? third : NULL};
}
