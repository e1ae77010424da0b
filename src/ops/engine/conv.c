#include "ops/engine/conv.h"

#include "ops/common/axes.h"
#include "ops/common/walk.h"

static hone_status check_channels(const hone_infer *ctx, int64_t group, const hone_type *x,
                                  const hone_type *w, const hone_type *bias, hone_error *err) {
    int64_t m = w->dims[0], each = w->dims[1], d;
    if (group < 1) return hone_infer_fail(ctx, err, "group %lld", (long long)group);
    if (m >= 0 && m % group != 0)
        return hone_infer_fail(ctx, err, "%lld channels in %lld groups", (long long)m, (long long)group);
    if (x->rank > 1 && x->dims[1] >= 0 && each >= 0 && (x->dims[1] % group || x->dims[1] / group != each))
        return hone_infer_fail(ctx, err, "%lld channels for weights of %lld groups of %lld",
                               (long long)x->dims[1], (long long)group, (long long)each);
    if (!bias || bias->rank < 0) return HONE_OK;
    if (bias->rank != 1) return hone_infer_fail(ctx, err, "the bias must be a vector");
    return hone_infer_same_dim(ctx, m, bias->dims[0], &d, err);
}

hone_status hone_conv_infer(const hone_infer *ctx, const hone_type *x, const hone_type *w,
                            const hone_type *bias, hone_type *y, hone_error *err) {
    int rank = w->rank >= 0 ? w->rank : x->rank;
    hone_window window;
    if (rank < 0) return HONE_OK;
    if (x->rank >= 0 && x->rank != rank)
        return hone_infer_fail(ctx, err, "weights of rank %d for an input of rank %d", rank, x->rank);
    hone_type any = {.rank = rank};
    for (int i = 0; i < rank; i++) any.dims[i] = HONE_DIM_ANY;
    if (w->rank < 0) w = &any;
    HONE_TRY(hone_window_read(ctx->node, rank, w->dims + 2, &window, err));
    HONE_TRY(check_channels(ctx, hone_node_int(ctx->node, "group"), x, w, bias, err));
    y->rank = rank;
    y->dims[0] = x->rank < 0 ? HONE_DIM_ANY : x->dims[0];
    y->dims[1] = w->dims[0];
    return hone_window_infer(ctx, &window, x, y, err);
}

void hone_conv_axes(const hone_node *n, hone_axes *out, int x, int w, int bias) {
    if (n->outputs[0]->type.rank < 3) return;
    hone_axes_same(out, x, 0, 0);
    const int64_t groups = hone_node_int(n, "group"), *dims = n->inputs[w]->type.dims;
    const bool alone = groups > 1 && dims[0] == groups && dims[1] == 1; /* each channel gives one */
    if (groups != 1 && !alone) return; /* as many channels as before would have to stay */
    hone_axes_same(out, w, 0, 1);
    if (alone)
        hone_axes_same(out, x, 1, 1);
    else
        hone_axes_contract(out, x, 1, w, 1);
    if (bias >= 0 && bias < n->input_count && n->inputs[bias]) hone_axes_same(out, bias, 0, 1);
}

int64_t hone_conv_multiply_adds(const hone_type *w, const hone_type *y) {
    return hone_type_count(y) * hone_dims_product(w, 1, w->rank);
}

void hone_conv_product_of(hone_product *s, const hone_windows *windows, int64_t groups, const hone_type *w,
                          int64_t batch) {
    s->patches = windows;
    s->groups = groups;
    s->m = w->dims[0] / groups;
    s->k = s->a_row = hone_dims_product(w, 1, w->rank);
    s->a_col = 1;
    s->n = hone_windows_positions(windows);
    s->batch = batch * groups;
}

hone_status hone_conv_product(const hone_prepare *p, hone_product *s, hone_windows *windows,
                              hone_error *err) {
    const hone_type *x = p->in[s->b], *w = p->in[s->a];
    hone_window window;
    HONE_TRY(hone_window_read(p->node, x->rank, w->dims + 2, &window, err));
    *windows = hone_windows_of(&window, w->dims[1], x, &p->out[0]);
    hone_conv_product_of(s, windows, hone_node_int(p->node, "group"), w, x->dims[0]);
    return HONE_OK;
}
