/* Products with weights that are stored in few bits, in whatever way the graph says so:
 *
 *   MatMul(x, w), Gemm(x, w, bias?), perhaps Add(MatMul(x, w), bias),   w = W or Transpose(W),
 *   W = D  or  Reshape(Add(Reshape(D), offset)),   D = DequantizeLinear(const codes, scale, const zero?)
 *
 * with scales for blocks along the sum, for channels, or for all; scales and offsets may be computed from constants. They
 * become BitsProduct, which reads the codes as they lie, where they lie in rows. Rows that are looked up among the same codes
 * become BitsRows: they are packed for the product, and in memory once. */
#include "base/bits.h"
#include "base/half.h"
#include "graph/evaluate.h"
#include "graph/infer.h"
#include "ops/common/walk.h"
#include "ops/ops.h"
#include "ops/rewrites/quantized.h"
#include "ops/rewrites/rewrites.h"

#include <string.h>

#define MOST_BLOCK ((int64_t)1 << 20)
#define RUN 32 /* what a scale for a channel is filled up to: elements of A that are rounded together */
/* Elements from which weights with a scale for each channel stay packed: smaller ones are read from a cache as real numbers,
 * exactly, and hardly slower. */
#define LEAST_NIBBLES 4096
#define LEAST_OTHERS ((int64_t)1 << 18)

typedef struct weights {
    hone_node *d;             /* DequantizeLinear */
    const hone_tensor *codes; /* [N, K], or [K, N] where `turned` */
    bool turned, is_signed;
    int64_t n, k, size, count; /* size: of a block, of which a row has `count` */
    int bits;
    hone_tensor *scale, *offset; /* float32 or float16; offset [N, count], NULL: none */
    hone_tensor *zero;           /* of the codes' dtype; NULL: none */
} weights;

static void clear(weights *w) {
    hone_tensor_free(w->scale);
    hone_tensor_free(w->offset);
    hone_tensor_free(w->zero);
    *w = (weights){0};
}

/* --- constants --- */

enum { DEEPEST = 6, MOST_INPUTS = 4 };

/* What `v` is computed to be from constants alone, a reference; NULL: something else. With `ids`: of all rows, where those
 * are looked up by them. */
static hone_tensor *known(const hone_value *v, const hone_value *ids, int depth) {
    if (v->storage == HONE_STORAGE_CONSTANT)
        return v->data && v->data->data ? hone_tensor_retain(v->data) : NULL;
    const hone_node *n = v->producer;
    const hone_tensor *in[MOST_INPUTS] = {NULL};
    hone_tensor *result = NULL;
    if (!n || depth == DEEPEST || n->output_count != 1 || n->input_count > MOST_INPUTS ||
        !hone_node_is_evaluable(n))
        return NULL;
    if (ids && n->op == &hone_op_gather && n->inputs[1] == ids && hone_node_int(n, "axis") == 0)
        return known(n->inputs[0], NULL, depth + 1);
    bool all = true;
    for (int i = 0; i < n->input_count && all; i++) {
        if (!n->inputs[i]) continue;
        in[i] = known(n->inputs[i], ids, depth + 1);
        all = in[i] != NULL;
    }
    hone_error ignored;
    if (all && hone_node_evaluate(n, in, &result, &ignored) != HONE_OK) {
        hone_tensor_free(result);
        result = NULL;
    }
    for (int i = 0; i < n->input_count; i++) hone_tensor_free((hone_tensor *)in[i]);
    return result;
}

static void give_back(void *t) {
    hone_tensor_free(t);
}

/* `known`, of shape [rows, columns]; halves that are made floats stay such. */
static hone_tensor *known_narrow(const hone_value *v, int64_t rows, int64_t columns) {
    const hone_node *n = v->producer;
    const hone_value *from = v;
    while (n && n->op == &hone_op_reshape) {
        from = n->inputs[0];
        n = from->producer;
    }
    const hone_tensor *t = n && n->op == &hone_op_cast ? hone_value_constant(n->inputs[0]) : NULL;
    if (!t || !t->data || t->dtype != HONE_FLOAT16 || v->type.dtype != HONE_FLOAT32 ||
        t->count != rows * columns)
        return known(v, NULL, 0);
    hone_tensor *out;
    if (hone_tensor_borrow(HONE_FLOAT16, 2, (int64_t[]){rows, columns}, t->data, give_back, (void *)t, &out,
                           NULL) != HONE_OK)
        return NULL;
    hone_tensor_retain((hone_tensor *)t);
    return out;
}

static float number_at(const hone_tensor *t, int64_t i) {
    return t->dtype == HONE_FLOAT16 ? hone_float_of_half(((const uint16_t *)t->data)[i])
                                    : ((const float *)t->data)[i];
}

static bool is_shape(const hone_value *v, int rank, const int64_t *dims) {
    if (v->type.rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (v->type.dims[i] != dims[i]) return false;
    return true;
}

/* --- what is looked for --- */

/* Where the scale (zero point) of block b of channel c is. */
static int64_t scale_at(const weights *w, const hone_tensor *t, int64_t c, int64_t b) {
    if (t->count == 1) return 0;
    return t->rank == 1 ? c : w->turned ? b * w->n + c : c * w->count + b;
}

/* Scales or zero points; NULL: they are not there, or none of the kinds that are known. */
static hone_tensor *numbers(const weights *w, const hone_value *v, hone_dtype dtype, bool blocks) {
    const int64_t rows = w->turned ? w->count : w->n, columns = w->turned ? w->n : w->count;
    hone_tensor *t = blocks ? known_narrow(v, rows, columns) : known(v, NULL, 0);
    if (!t) return NULL;
    const bool fits = blocks ? t->rank == 2 && t->dims[0] == rows && t->dims[1] == columns
                             : t->count == 1 || (t->rank == 1 && t->count == w->n);
    if (fits && (t->dtype == dtype || (t->dtype == HONE_FLOAT16 && v->type.dtype == dtype))) return t;
    hone_tensor_free(t);
    return NULL;
}

static bool read_codes(const hone_value *v, bool turned, weights *w) {
    static const uint32_t types = HONE_TYPES_BYTE | HONE_TYPE(HONE_INT4) | HONE_TYPE(HONE_UINT4) |
                                  HONE_TYPE(HONE_INT2) | HONE_TYPE(HONE_UINT2);
    hone_node *d = v->producer;
    if (!d || d->op != &hone_op_dequantize_linear || v->type.dtype != HONE_FLOAT32 || v->type.rank != 2)
        return false;
    const hone_tensor *c = hone_value_constant(d->inputs[0]);
    if (!c || !c->data || c->rank != 2 || !(types & HONE_TYPE(c->dtype)) || c->count == 0) return false;
    const int64_t axis = hone_node_int(d, "axis"), sum_axis = turned ? 0 : 1,
                  block = hone_node_int(d, "block_size");
    const int64_t along = axis < 0 ? axis + 2 : axis;
    *w = (weights){.d = d,
                   .codes = c,
                   .turned = turned,
                   .is_signed = c->dtype == HONE_INT8 || c->dtype == HONE_INT4 || c->dtype == HONE_INT2,
                   .n = c->dims[1 - sum_axis],
                   .k = c->dims[sum_axis],
                   .bits = hone_dtype_bits(c->dtype)};
    w->size = block ? block : hone_tasks(w->k, RUN) * RUN;
    w->count = hone_tasks(w->k, w->size);
    if (w->size < 16 || w->size % 16 || w->size > MOST_BLOCK || (block && along != sum_axis)) return false;
    if (!block && c->count < (w->bits == 4 ? LEAST_NIBBLES : LEAST_OTHERS)) return false;
    w->scale = numbers(w, d->inputs[1], HONE_FLOAT32, block != 0);
    if (!w->scale || (!block && w->scale->count > 1 && along != 1 - sum_axis)) return false;
    const hone_value *zero = hone_quantized_input(d, 2);
    if (zero) w->zero = numbers(w, zero, c->dtype, block != 0);
    return !zero || w->zero;
}

/* [N, K] of [N, count, size] with an offset [N, count, 1] added. */
static bool read_offset(const hone_value *v, weights *w) {
    const hone_node *outer = v->producer, *add = NULL, *inner = NULL;
    if (outer && outer->op == &hone_op_reshape) add = outer->inputs[0]->producer;
    if (!add || add->op != &hone_op_add || v->type.rank != 2) return false;
    for (int i = 0; i < 2; i++) {
        inner = add->inputs[i]->producer;
        if (!inner || inner->op != &hone_op_reshape || !read_codes(inner->inputs[0], false, w)) {
            clear(w);
            continue;
        }
        const hone_value *more = add->inputs[1 - i];
        const int64_t parts[] = {w->n, w->count, w->size}, one[] = {w->n, w->count, 1},
                      whole[] = {w->n, w->k};
        if (!is_shape(add->inputs[i], 3, parts) || !is_shape(more, 3, one) || !is_shape(v, 2, whole))
            return false;
        w->offset = known_narrow(more, w->n, w->count);
        return w->offset && more->type.dtype == HONE_FLOAT32;
    }
    return false;
}

static bool is_turned(const hone_node *n) {
    size_t count;
    if (!n || n->op != &hone_op_transpose || n->outputs[0]->type.rank != 2) return false;
    const int64_t *perm = hone_node_ints(n, "perm", &count);
    return count == 0 || (perm[0] == 1 && perm[1] == 0);
}

static bool is_bias(const hone_value *v, int64_t n) {
    const hone_tensor *t = hone_value_constant(v);
    return t && t->dtype == HONE_FLOAT32 && t->rank == 1 && t->count == n;
}

/* A product, and the Add behind it if that is a bias. */
typedef struct product {
    hone_node *node, *last;
    hone_value *bias;
} product;

static bool is_product(const hone_node *n) {
    if (n->input_count < 2 || !n->inputs[0] || !n->inputs[1]) return false;
    const hone_type *x = &n->inputs[0]->type;
    if (x->dtype != HONE_FLOAT32 || x->rank == 0) return false;
    if (n->op == &hone_op_matmul) return x->rank != 1;
    return n->op == &hone_op_gemm && !hone_node_int(n, "transA") && hone_node_float(n, "alpha") == 1 &&
           (!hone_quantized_input(n, 2) || hone_node_float(n, "beta") == 1);
}

static bool read_product(const hone_graph *g, hone_node *n, product *p, weights *w) {
    *p = (product){.node = n, .last = n};
    if (!is_product(n)) return false;
    const hone_value *v = n->inputs[1];
    bool turned = n->op != &hone_op_gemm || !hone_node_int(n, "transB");
    if (is_turned(v->producer)) {
        v = v->producer->inputs[0];
        turned = !turned;
    }
    if (!read_codes(v, turned, w)) {
        clear(w);
        if (turned || !read_offset(v, w)) return false;
    }
    p->bias = n->op == &hone_op_gemm ? hone_quantized_input(n, 2) : NULL;
    if (p->bias) return is_bias(p->bias, w->n);
    const hone_value *y = n->outputs[0];
    hone_node *add = y->use_count == 1 && !hone_graph_is_output(g, y) ? y->uses[0].node : NULL;
    if (!add || add->op != &hone_op_add || !is_bias(add->inputs[1 - y->uses[0].index], w->n)) return true;
    p->last = add;
    p->bias = add->inputs[1 - y->uses[0].index];
    return true;
}

/* --- what it becomes --- */

static int middle_of(const weights *w) {
    return w->is_signed ? 1 << (w->bits - 1) : 0;
}

/* Codes that lie in no rows of whole blocks, as such rows. */
static hone_status pack_codes(const weights *w, hone_tensor **out, hone_error *err) {
    const int64_t bytes = w->count * w->size * w->bits / 8;
    HONE_TRY(hone_tensor_new(HONE_UINT8, 2, (int64_t[]){w->n, bytes}, out, err));
    for (int64_t c = 0; c < w->n; c++)
        for (int64_t i = 0; i < w->k; i++) {
            const int64_t code =
                hone_tensor_int(w->codes, w->turned ? i * w->n + c : c * w->k + i) + middle_of(w);
            hone_bits_set((uint8_t *)(*out)->data + c * bytes, i, w->bits, (unsigned)code);
        }
    return HONE_OK;
}

/* Codes as bytes without signs, but for those of 8 bits that lie as they should. */
static hone_status bytes_of(const weights *w, hone_tensor **out, hone_error *err) {
    hone_tensor *t = (hone_tensor *)w->codes;
    if (w->turned || w->k % w->size) return pack_codes(w, out, err);
    if (w->bits == 8) {
        *out = hone_tensor_retain(t);
        return HONE_OK;
    }
    const int64_t dims[] = {w->n, w->k * w->bits / 8};
    if (!w->is_signed) {
        HONE_TRY(hone_tensor_borrow(HONE_UINT8, 2, dims, t->data, give_back, t, out, err));
        hone_tensor_retain(t);
        return HONE_OK;
    }
    HONE_TRY(hone_tensor_new(HONE_UINT8, 2, dims, out, err));
    const uint8_t flip = w->bits == 4 ? 0x88 : 0xaa;
    for (size_t i = 0; i < t->bytes; i++) ((uint8_t *)(*out)->data)[i] = ((const uint8_t *)t->data)[i] ^ flip;
    return HONE_OK;
}

/* Scales as [N, count]. */
static hone_status scales_of(const weights *w, hone_tensor **out, hone_error *err) {
    if (w->scale->rank == 2 && !w->turned) {
        *out = hone_tensor_retain(w->scale);
        return HONE_OK;
    }
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){w->n, w->count}, out, err));
    float *y = (*out)->data;
    for (int64_t c = 0; c < w->n; c++)
        for (int64_t b = 0; b < w->count; b++) *y++ = number_at(w->scale, scale_at(w, w->scale, c, b));
    return HONE_OK;
}

/* Zero points of codes that are `shift` larger than they were, or what is added to code · scale. NULL: what is left out. */
static hone_status more_of(const weights *w, int shift, const hone_tensor *scale, hone_tensor **out,
                           hone_error *err) {
    *out = NULL;
    if (!w->zero && !w->offset) return HONE_OK;
    if (w->offset && !w->zero && !shift) {
        const int64_t dims[] = {w->n, w->count};
        HONE_TRY(
            hone_tensor_borrow(w->offset->dtype, 2, dims, w->offset->data, give_back, w->offset, out, err));
        hone_tensor_retain(w->offset);
        return HONE_OK;
    }
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){w->n, w->count}, out, err));
    float *y = (*out)->data;
    for (int64_t c = 0, i = 0; c < w->n; c++)
        for (int64_t b = 0; b < w->count; b++, i++) {
            const int64_t zero = w->zero ? hone_tensor_int(w->zero, scale_at(w, w->zero, c, b)) : 0;
            const float less = (float)(zero + shift);
            y[i] = w->offset ? number_at(w->offset, i) - number_at(scale, i) * less : less;
        }
    return HONE_OK;
}

static void set_blocks(hone_graph *g, hone_node *n, const weights *w) {
    hone_node_set_int(g, n, "bits", w->bits);
    hone_node_set_int(g, n, "block_size", w->size);
    hone_node_set_int(g, n, "K", w->k);
    hone_node_set_int(g, n, "offsets", w->offset || (!w->zero && !w->is_signed));
}

/* Constants of the product: codes, scales, and what is more. */
static hone_status make_operands(hone_graph *g, const weights *w, hone_value *in[3], hone_error *err) {
    static const char *const names[] = {"codes", "scales", "more"};
    hone_tensor *made[3] = {NULL};
    hone_status status = bytes_of(w, &made[0], err);
    const int shift = status == HONE_OK && made[0]->dtype == HONE_UINT8 ? middle_of(w) : 0;
    if (status == HONE_OK) status = scales_of(w, &made[1], err);
    if (status == HONE_OK) status = more_of(w, shift, made[1], &made[2], err);
    for (int i = 0; i < 3 && status == HONE_OK; i++)
        in[i] = made[i] ? hone_graph_add_constant(g, names[i], made[i]) : NULL;
    for (int i = 0; i < 3; i++) hone_tensor_free(made[i]);
    return status == HONE_OK ? hone_graph_check(g, err) : status;
}

/* --- rows of the same codes --- */

/* Is `a` what rows of `b` are by `ids`, which both are made of the same constants in the same way? */
static bool are_rows(const hone_value *a, const hone_value *b, const hone_value *ids, int depth) {
    hone_tensor *x = known(a, ids, 0), *y = x ? known(b, NULL, 0) : NULL;
    bool same = y && x->dtype == y->dtype && x->bytes == y->bytes && memcmp(x->data, y->data, x->bytes) == 0;
    hone_tensor_free(x);
    hone_tensor_free(y);
    const hone_node *m = a->producer, *n = b->producer;
    if (x || !m || !n || depth == DEEPEST) return same;
    same = m->op == n->op && m->op == &hone_op_dequantize_linear && m->input_count == n->input_count &&
           hone_node_int(m, "block_size") == hone_node_int(n, "block_size") &&
           hone_node_int(m, "axis") - hone_node_int(n, "axis") == ids->type.rank - 1;
    for (int i = 0; i < m->input_count && same; i++)
        same = m->inputs[i] && n->inputs[i] && are_rows(m->inputs[i], n->inputs[i], ids, depth + 1);
    return same;
}

/* DequantizeLinear(Gather(codes, ids), scales of those rows), of the weights' own numbers. */
static hone_node *rows_among(const hone_node *gather, const weights *w) {
    const hone_value *rows = gather->outputs[0];
    if (gather->op != &hone_op_gather || hone_node_int(gather, "axis") != 0 || rows->use_count != 1)
        return NULL;
    hone_node *d = rows->uses[0].node;
    if (d->op != &hone_op_dequantize_linear || d->outputs[0]->type.dtype != HONE_FLOAT32 ||
        hone_quantized_input(d, 2) || hone_node_int(d, "block_size") != w->size ||
        hone_node_int(d, "axis") != rows->type.rank - 1)
        return NULL;
    return are_rows(d->inputs[1], w->d->inputs[1], gather->inputs[1], 0) ? d : NULL;
}

static void share_rows(hone_graph *g, const weights *w, hone_value *const operands[3]) {
    const hone_value *codes = w->d->inputs[0];
    if (w->zero || w->offset || w->turned || w->k % w->size) return;
    for (size_t i = 0; i < codes->use_count; i++) {
        hone_node *gather = codes->uses[i].node, *d = rows_among(gather, w);
        if (!d) continue;
        hone_value *in[] = {operands[0], operands[1], NULL, gather->inputs[1]};
        g->insert_before = d;
        hone_value *y = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "BitsRows", in, 4);
        g->insert_before = NULL;
        if (!y) return;
        set_blocks(g, y->producer, w);
        y->type = d->outputs[0]->type;
        hone_graph_replace(g, d->outputs[0], y);
    }
}

static hone_status emit(hone_graph *g, const product *p, const weights *w, hone_error *err) {
    hone_value *in[5] = {p->node->inputs[0]};
    g->insert_before = p->last;
    HONE_TRY(make_operands(g, w, in + 1, err));
    in[4] = p->bias;
    hone_value *y = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "BitsProduct", in, 5);
    g->insert_before = NULL;
    HONE_TRY(hone_graph_check(g, err));
    set_blocks(g, y->producer, w);
    hone_node_set_int(g, y->producer, "N", w->n);
    y->type = p->last->outputs[0]->type;
    share_rows(g, w, in + 1);
    hone_graph_replace(g, p->last->outputs[0], y);
    return hone_graph_check(g, err);
}

hone_status hone_rewrite_bits_product(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first; n; n = n->next) {
        weights w = {0};
        product p;
        hone_status status = HONE_OK;
        if (read_product(g, n, &p, &w)) {
            status = emit(g, &p, &w, err);
            ++*changes;
        }
        clear(&w);
        HONE_TRY(status);
    }
    if (*changes) hone_graph_prune(g);
    return hone_graph_check(g, err);
}
