/* Reorder: the same tensor in another layout. The layout pass inserts it; what it gives is the node's layout. */
#include "graph/infer.h"
#include "ops/engine/copy.h"

#include <string.h>

typedef struct params {
    hone_copy whole, rest;      /* whole blocks of channels, and the channels of the last one */
    int64_t rest_from, rest_to; /* elements from the first one to where the rest starts */
    size_t size, bytes;
    bool pads; /* lanes without a channel become zero */
} params;

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    const char *x = hone_step_in(step, frame, 0);
    char *y = hone_step_out(step, frame, 0);
    if (p->pads) memset(y, 0, p->bytes);
    hone_copy_run(&p->whole, frame, x, y);
    hone_copy_run(&p->rest, frame, x + (size_t)p->rest_from * p->size, y + (size_t)p->rest_to * p->size);
    return HONE_OK;
}

/* Strides of [N, whole blocks, positions, lanes] and of [N, positions, channels of the last block], and where the latter
 * start. */
typedef struct strides {
    int64_t whole[4], rest[3], start;
} strides;

static strides strides_of(hone_layout l, int64_t block, int64_t channels, int64_t positions) {
    int64_t blocks = channels / block, padded = (channels + block - 1) / block * block;
    switch ((hone_layout_kind)l.kind) {
    case HONE_LAYOUT_BLOCKED:
        return (strides){{padded * positions, block * positions, block, 1},
                         {padded * positions, block, 1},
                         blocks * block * positions};
    case HONE_LAYOUT_CHANNELS_LAST:
        return (strides){
            {channels * positions, block, channels, 1}, {channels * positions, channels, 1}, blocks * block};
    default:
        return (strides){{channels * positions, block * positions, 1, positions},
                         {channels * positions, 1, positions},
                         blocks * block * positions};
    }
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[0], *y = &p->out[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    if (x->rank < 2) return hone_prepare_fail(p, err, "a tensor of rank %d has no channels", x->rank);
    int64_t n = x->dims[0], channels = x->dims[1], positions = hone_dims_product(x, 2, x->rank);
    int64_t block = x->layout.kind == HONE_LAYOUT_BLOCKED   ? x->layout.block
                    : y->layout.kind == HONE_LAYOUT_BLOCKED ? y->layout.block
                                                            : (channels ? channels : 1);
    if (x->layout.kind == HONE_LAYOUT_BLOCKED && y->layout.kind == HONE_LAYOUT_BLOCKED &&
        x->layout.block != y->layout.block)
        return hone_prepare_fail(p, err, "from one blocked layout to another");
    strides from = strides_of(x->layout, block, channels, positions),
            to = strides_of(y->layout, block, channels, positions);
    q->size = hone_dtype_size(x->dtype);
    q->bytes = hone_type_bytes(y);
    q->pads = y->layout.kind == HONE_LAYOUT_BLOCKED && channels % block != 0;
    q->rest_from = from.start;
    q->rest_to = to.start;
    hone_copy_make(&q->whole, x->dtype, 4, (int64_t[]){n, channels / block, positions, block}, from.whole,
                   to.whole);
    hone_copy_make(&q->rest, x->dtype, 3, (int64_t[]){n, positions, channels % block}, from.rest, to.rest);
    p->params = q;
    p->run = run;
    p->kernel = "reorder";
    return HONE_OK;
}

const hone_op hone_op_reorder = {.domain = HONE_PRIVATE_DOMAIN,
                                 .name = "Reorder",
                                 .since = 1,
                                 .role = HONE_ROLE_REORDER,
                                 .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FIXED, 0}),
                                 .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_FIXED, 0}),
                                 .infer = hone_infer_same,
                                 .prepare = prepare,
                                 .doc = "the same tensor, lying differently in memory"};
