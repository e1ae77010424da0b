#include "graph/infer.h"
#include "ops/common/walk.h"
#include "ops/engine/product_inside.h"

/* A name for each kind and way in which B lies. */
static const char *format_of(const hone_product_b *b) {
    static const char *const names[HONE_GEMM_KINDS][2] = {
        [HONE_GEMM_F32] = {"gemm_f32 rows", "gemm_f32 columns"},
        [HONE_GEMM_U8S8] = {"gemm_u8s8 rows", "gemm_u8s8 columns"},
        [HONE_GEMM_BF16] = {"gemm_bf16 rows", "gemm_bf16 columns"},
    };
    return names[b->kind][b->columns];
}

hone_product_b hone_product_b_make(hone_gemm_kind kind, const hone_type *t, bool columns) {
    hone_product_b b = {
        .kind = kind, .family = hone_kernels_get()->gemm[kind], .matrices = 1, .columns = columns};
    int64_t rows = t->rank > 1 ? t->dims[t->rank - 2] : t->dims[0];
    int64_t across = t->rank > 1 ? t->dims[t->rank - 1] : 1;
    b.k = columns ? across : rows;
    b.n = columns ? rows : across;
    for (int i = 0; i + 2 < t->rank; i++) b.matrices *= t->dims[i];
    b.size = hone_dtype_size(t->dtype);
    b.sums = kind == HONE_GEMM_U8S8;
    b.flip = t->dtype == HONE_UINT8 ? 0x80 : 0;
    b.packed = b.family->packed_size ? hone_align_64(b.family->packed_size(b.k, b.n)) : 0;
    return b;
}

size_t hone_product_b_bytes(const hone_product_b *b, int64_t matrices) {
    return (b->packed + (b->sums ? (size_t)b->n * sizeof(int32_t) : 0)) * (size_t)matrices;
}

static void pack_block(const hone_product_b *b, const void *matrix, int64_t l0, int64_t l1, int64_t n0,
                       int64_t n1, void *packed, int32_t *sums) {
    hone_gemm_b source = {.k = b->k,
                          .n = b->n,
                          .b = matrix,
                          .b_row = b->columns ? 1 : b->n,
                          .b_col = b->columns ? b->k : 1,
                          .flip = b->flip,
                          .packed = packed,
                          .column_sum = sums};
    b->family->pack(&source, l0, l1, n0, n1);
}

void hone_product_b_pack(const hone_product_b *b, const void *matrix, int64_t n0, int64_t n1, void *packed,
                         int32_t *sums) {
    pack_block(b, matrix, 0, b->k, n0, n1, packed, sums);
}

/* --- constants --- */

/* A part is one of several matrices, or some rows (columns, where B is stored so) of a single one. */
typedef struct packing {
    hone_product_b b;
    int64_t step;
} packing;

static void pack_part(const void *source, const void *arg, int64_t part, void *out) {
    const packing *a = arg;
    const hone_product_b *b = &a->b;
    int32_t *sums = hone_product_b_sums(b, out, b->matrices);
    int64_t first = part * a->step, end = first + a->step;
    if (b->matrices != 1)
        pack_block(b, (const char *)source + (size_t)(part * b->k * b->n) * b->size, 0, b->k, 0, b->n,
                   (char *)out + (size_t)part * b->packed, sums ? sums + part * b->n : NULL);
    else if (b->columns)
        pack_block(b, source, 0, b->k, first, hone_min_i64(end, b->n), out, sums);
    else
        pack_block(b, source, first, hone_min_i64(end, b->k), 0, b->n, out, sums);
}

#define LEAST_BF16 16 /* columns, and half of the rows, that are worth a tile */

/* The kind of kernel that packs constants of that type. */
static bool packed_kind(const hone_packer *p, const hone_type *t, bool columns, hone_gemm_kind *kind) {
    *kind = t->dtype == HONE_FLOAT32 ? HONE_GEMM_F32 : HONE_GEMM_U8S8;
    if (*kind == HONE_GEMM_F32 && hone_product_by_bf16(p)) {
        const hone_product_b b = hone_product_b_make(HONE_GEMM_F32, t, columns);
        if (b.n >= LEAST_BF16 && b.k >= 2 * LEAST_BF16) *kind = HONE_GEMM_BF16;
    }
    return (HONE_TYPE(t->dtype) & (HONE_TYPE(HONE_FLOAT32) | HONE_TYPES_BYTE)) != 0;
}

bool hone_product_by_bf16(const hone_packer *p) {
    return hone_packer_precision(p) == HONE_PRECISION_BFLOAT16 && hone_kernels_get()->gemm[HONE_GEMM_BF16];
}

hone_status hone_product_pack(hone_packer *p, const hone_node *node, int input, bool b_columns,
                              hone_error *err) {
    const hone_type *t = &node->inputs[input]->type;
    hone_gemm_kind kind;
    if (t->rank < 1 || !hone_type_is_concrete(t) || !packed_kind(p, t, b_columns, &kind)) return HONE_OK;
    packing a = {.b = hone_product_b_make(kind, t, b_columns)};
    size_t row = (size_t)(b_columns ? a.b.k : a.b.n) * a.b.size,
           bytes = hone_product_b_bytes(&a.b, a.b.matrices);
    a.step = hone_pack_rows(row, b_columns ? a.b.family->panel : HONE_GEMM_PACK_ROWS);
    hone_packing form = {.format = format_of(&a.b),
                         .bytes = bytes,
                         .part_bytes = row * (size_t)(a.b.matrices == 1 ? a.step
                                                      : b_columns       ? a.b.n
                                                                        : a.b.k),
                         .direct = a.b.family->direct && !b_columns,
                         .pack = pack_part,
                         .arg = &a,
                         .arg_size = sizeof a};
    return bytes ? hone_pack_constant(p, input, &form, err) : HONE_OK;
}

const void *hone_product_b_find(const hone_prepare *p, const hone_product_b *b, int input) {
    return b->family->pack ? hone_prepare_packed(p, input, format_of(b)) : NULL;
}
