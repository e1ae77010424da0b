/* Products with weights that are stored in blocks of few bits, in whatever way the graph says so:
 *
 *   MatMul(x, Transpose(W)),  W [N, K] = D  or  Reshape(Add(Reshape(D), offset)),
 *   D = DequantizeLinear(const codes, scale, const zero?; axis=1, block_size)
 *
 * where scales and offsets may be computed from constants. They become BitsProduct, which reads the codes as they lie. */
#include "base/bits.h"
#include "graph/evaluate.h"
#include "graph/infer.h"
#include "ops/ops.h"
#include "ops/rewrites/rewrites.h"

#include <string.h>

typedef struct blocks {
    const hone_tensor *codes;  /* [N, K] */
    int64_t n, k, size, count; /* size: of a block, of which a row has `count` */
    int bits;
    hone_tensor *scale, *offset; /* float32 [N, count]; offset NULL: none */
    hone_tensor *zero;           /* of the codes' dtype, [N, count]; NULL: none */
} blocks;

static void clear(blocks *b) {
    hone_tensor_free(b->scale);
    hone_tensor_free(b->offset);
    hone_tensor_free(b->zero);
}

/* --- constants --- */

enum { DEEPEST = 6, MOST_INPUTS = 4 };

/* What `v` is computed to be from constants alone, a reference; NULL: something else. */
static hone_tensor *known(const hone_value *v, int depth) {
    if (v->storage == HONE_STORAGE_CONSTANT)
        return v->data && v->data->data ? hone_tensor_retain(v->data) : NULL;
    const hone_node *n = v->producer;
    const hone_tensor *in[MOST_INPUTS] = {NULL};
    hone_tensor *result = NULL;
    if (!n || depth == DEEPEST || n->output_count != 1 || n->input_count > MOST_INPUTS ||
        !hone_node_is_evaluable(n))
        return NULL;
    bool all = true;
    for (int i = 0; i < n->input_count && all; i++) {
        if (!n->inputs[i]) continue;
        in[i] = known(n->inputs[i], depth + 1);
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

static bool is_shape(const hone_value *v, int rank, const int64_t *dims) {
    if (v->type.rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (v->type.dims[i] != dims[i]) return false;
    return true;
}

/* --- what is looked for --- */

/* A number a block, of that dtype: [N, count]. */
static hone_tensor *numbers(const blocks *b, const hone_value *v, hone_dtype dtype) {
    hone_tensor *t = known(v, 0);
    if (t && t->dtype == dtype && t->rank == 2 && t->dims[0] == b->n && t->dims[1] == b->count) return t;
    hone_tensor_free(t);
    return NULL;
}

static bool read_codes(const hone_value *v, blocks *b) {
    const hone_node *d = v->producer;
    if (!d || d->op != &hone_op_dequantize_linear || v->type.dtype != HONE_FLOAT32 || v->type.rank != 2)
        return false;
    b->codes = hone_value_constant(d->inputs[0]);
    b->size = hone_node_int(d, "block_size");
    const int64_t axis = hone_node_int(d, "axis");
    if (!b->codes || b->codes->rank != 2 || (axis != 1 && axis != -1) || b->size < 16 || b->size % 16)
        return false;
    b->n = b->codes->dims[0];
    b->k = b->codes->dims[1];
    b->bits = hone_dtype_bits(b->codes->dtype);
    b->count = b->k / b->size;
    const hone_dtype t = b->codes->dtype;
    const bool integers = t == HONE_UINT4 || t == HONE_INT4 || t == HONE_UINT8 || t == HONE_INT8 ||
                          t == HONE_UINT2 || t == HONE_INT2;
    if (!integers || b->k % b->size || b->n < 1 || b->k < 1) return false;
    b->scale = numbers(b, d->inputs[1], HONE_FLOAT32);
    if (!b->scale) return false;
    if (d->input_count < 3 || !d->inputs[2]) return true;
    b->zero = numbers(b, d->inputs[2], t);
    return b->zero != NULL;
}

/* [N, K] of [N, count, size] with an offset [N, count, 1] added. */
static bool read_offset(const hone_value *v, blocks *b) {
    const hone_node *outer = v->producer, *add = NULL, *inner = NULL;
    if (outer && outer->op == &hone_op_reshape) add = outer->inputs[0]->producer;
    if (!add || add->op != &hone_op_add || v->type.rank != 2) return false;
    for (int i = 0; i < 2; i++) {
        inner = add->inputs[i]->producer;
        if (!inner || inner->op != &hone_op_reshape || !read_codes(inner->inputs[0], b)) {
            clear(b);
            *b = (blocks){0};
            continue;
        }
        const hone_value *more = add->inputs[1 - i];
        const int64_t parts[] = {b->n, b->count, b->size}, one[] = {b->n, b->count, 1},
                      whole[] = {b->n, b->k};
        if (!is_shape(add->inputs[i], 3, parts) || !is_shape(more, 3, one) || !is_shape(v, 2, whole))
            return false;
        b->offset = known(more, 0);
        return b->offset && b->offset->dtype == HONE_FLOAT32;
    }
    return false;
}

/* --- what it becomes --- */

static void give_back(void *t) {
    hone_tensor_free(t);
}

/* Codes of less than a byte as bytes, signed ones made unsigned: those are off by `*shift`. Others as they are. */
static hone_status bytes_of(const blocks *b, int *shift, hone_tensor **out, hone_error *err) {
    hone_tensor *t = (hone_tensor *)b->codes;
    const bool is_signed = t->dtype == HONE_INT4 || t->dtype == HONE_INT2;
    *shift = is_signed ? 1 << (b->bits - 1) : 0;
    if (b->bits == 8) {
        *out = hone_tensor_retain(t);
        return HONE_OK;
    }
    const int64_t dims[] = {b->n, b->k * b->bits / 8};
    if (!is_signed) {
        HONE_TRY(hone_tensor_borrow(HONE_UINT8, 2, dims, t->data, give_back, t, out, err));
        hone_tensor_retain(t);
        return HONE_OK;
    }
    HONE_TRY(hone_tensor_new(HONE_UINT8, 2, dims, out, err));
    const uint8_t flip = b->bits == 4 ? 0x88 : 0xaa;
    for (size_t i = 0; i < t->bytes; i++) ((uint8_t *)(*out)->data)[i] = ((const uint8_t *)t->data)[i] ^ flip;
    return HONE_OK;
}

static double zero_of(const blocks *b, int64_t i) {
    if (!b->zero) return 0;
    if (b->bits == 8) return hone_tensor_number(b->zero, i);
    const int code = (int)hone_bits_get(b->zero->data, i, b->bits);
    const bool is_signed = b->zero->dtype == HONE_INT4 || b->zero->dtype == HONE_INT2;
    return is_signed && code >= 1 << (b->bits - 1) ? code - (1 << b->bits) : code;
}

/* What is added to code · scale, for codes that are `shift` larger than they were; NULL: that is what is left out. */
static hone_status offsets_of(const blocks *b, int shift, hone_tensor **out, hone_error *err) {
    *out = NULL;
    if (!b->zero && !shift && !b->offset) return HONE_OK;
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, b->scale->dims, out, err));
    const float *scale = b->scale->data, *offset = b->offset ? b->offset->data : NULL;
    float *y = (*out)->data;
    for (int64_t i = 0; i < b->scale->count; i++) {
        const float from_zero = -scale[i] * (float)(zero_of(b, i) + shift);
        y[i] = offset ? offset[i] + (b->zero || shift ? from_zero : 0) : from_zero;
    }
    return HONE_OK;
}

static hone_status emit(hone_graph *g, hone_node *n, const blocks *b, hone_error *err) {
    int shift;
    hone_tensor *codes = NULL, *offsets = NULL;
    hone_status status = bytes_of(b, &shift, &codes, err);
    if (status == HONE_OK) status = offsets_of(b, shift, &offsets, err);
    if (status == HONE_OK) {
        g->insert_before = n;
        hone_value *in[] = {n->inputs[0], hone_graph_add_constant(g, "codes", codes),
                            hone_graph_add_constant(g, "scales", b->scale),
                            offsets ? hone_graph_add_constant(g, "offsets", offsets) : NULL};
        hone_value *y = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "BitsProduct", in, 4);
        g->insert_before = NULL;
        if (y) {
            hone_node_set_int(g, y->producer, "bits", b->bits);
            hone_node_set_int(g, y->producer, "block_size", b->size);
            hone_node_set_int(g, y->producer, "K", b->k);
            hone_node_set_int(g, y->producer, "N", b->n);
            hone_node_set_int(g, y->producer, "offsets", 1);
            y->type = n->outputs[0]->type;
            hone_graph_replace(g, n->outputs[0], y);
            hone_graph_remove_node(g, n);
        }
    }
    hone_tensor_free(codes);
    hone_tensor_free(offsets);
    return status == HONE_OK ? hone_graph_check(g, err) : status;
}

static bool is_turned(const hone_node *n) {
    size_t count;
    if (n->op != &hone_op_transpose || n->outputs[0]->type.rank != 2) return false;
    const int64_t *perm = hone_node_ints(n, "perm", &count);
    return count == 0 || (perm[0] == 1 && perm[1] == 0);
}

hone_status hone_rewrite_block_weights(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        const hone_node *turned = n->op == &hone_op_matmul && n->inputs[1] ? n->inputs[1]->producer : NULL;
        if (!turned || !is_turned(turned) || n->inputs[0]->type.dtype != HONE_FLOAT32) continue;
        const hone_value *w = turned->inputs[0];
        blocks b = {0};
        hone_status status = HONE_OK;
        bool found = read_codes(w, &b);
        if (!found) {
            clear(&b);
            b = (blocks){0};
            found = read_offset(w, &b);
        }
        if (found) {
            status = emit(g, n, &b, err);
            ++*changes;
        }
        clear(&b);
        HONE_TRY(status);
    }
    if (*changes) hone_graph_prune(g);
    return hone_graph_check(g, err);
}
