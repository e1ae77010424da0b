#include "ops/engine/window.h"

#include "graph/infer.h"
#include "ops/common/walk.h"

#include <string.h>

/* --- attributes --- */

#define LARGEST ((int64_t)1 << 31) /* of what a model may ask for: products of two stay far from overflow */

static hone_status fail(const hone_node *n, hone_error *err, const char *what) {
    return hone_fail_node(err, HONE_INVALID_ARGUMENT, n->name, hone_node_op_name(n), "%s", what);
}

/* A list of one number an axis, each at least `least`; left out: all `standard`. */
static hone_status read_list(const hone_node *n, const char *name, int axes, int64_t standard, int64_t least,
                             int64_t *out, hone_error *err) {
    size_t count;
    const int64_t *given = hone_node_ints(n, name, &count);
    if (given && count && count != (size_t)axes)
        return hone_fail_node(err, HONE_INVALID_ARGUMENT, n->name, hone_node_op_name(n),
                              "%s has %zu numbers for %d axes", name, count, axes);
    for (int i = 0; i < axes; i++) {
        out[i] = given && count ? given[i] : standard;
        if (out[i] < least || out[i] > LARGEST)
            return hone_fail_node(err, HONE_INVALID_ARGUMENT, n->name, hone_node_op_name(n),
                                  "%s can't have %lld", name, (long long)out[i]);
    }
    return HONE_OK;
}

static hone_status read_auto_pad(const hone_node *n, hone_window *w, hone_error *err) {
    static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
    const char *given = hone_node_string(n, "auto_pad");
    for (int i = 0; given && *given && i < 4; i++)
        if (strcmp(given, names[i]) == 0) {
            w->auto_pad = (hone_auto_pad)i;
            return HONE_OK;
        }
    if (!given || !*given) return HONE_OK;
    return hone_fail_node(err, HONE_INVALID_ARGUMENT, n->name, hone_node_op_name(n),
                          "auto_pad \"%s\" is unknown", given);
}

static hone_status read_kernel(const hone_node *n, const int64_t *kernel, hone_window *w, hone_error *err) {
    size_t count;
    hone_node_ints(n, "kernel_shape", &count);
    if (!count && !kernel) return fail(n, err, "kernel_shape is missing");
    if (count) HONE_TRY(read_list(n, "kernel_shape", w->axes, 1, 1, w->kernel, err));
    for (int i = 0; kernel && i < w->axes; i++) {
        if (count && kernel[i] >= 0 && kernel[i] != w->kernel[i])
            return fail(n, err, "kernel_shape is not the weights'");
        if (kernel[i] == 0 || kernel[i] > LARGEST) return fail(n, err, "the weights have no taps");
        w->kernel[i] = kernel[i] < 0 && count ? w->kernel[i] : kernel[i];
    }
    return HONE_OK;
}

hone_status hone_window_read(const hone_node *n, int rank, const int64_t *kernel, hone_window *w,
                             hone_error *err) {
    *w = (hone_window){.axes = rank - 2};
    if (w->axes < 1 || w->axes > HONE_WINDOW_AXES)
        return hone_fail_node(err, w->axes < 1 ? HONE_INVALID_ARGUMENT : HONE_UNSUPPORTED, n->name,
                              hone_node_op_name(n), "images of %d spatial axes", w->axes);
    int64_t pads[2 * HONE_WINDOW_AXES];
    HONE_TRY(read_kernel(n, kernel, w, err));
    HONE_TRY(read_list(n, "strides", w->axes, 1, 1, w->stride, err));
    HONE_TRY(read_list(n, "dilations", w->axes, 1, 1, w->dilation, err));
    HONE_TRY(read_auto_pad(n, w, err));
    if (w->auto_pad != HONE_PAD_GIVEN) return HONE_OK;
    w->ceil = hone_node_int(n, "ceil_mode") != 0;
    HONE_TRY(read_list(n, "pads", 2 * w->axes, 0, 0, pads, err));
    for (int i = 0; i < w->axes; i++) {
        w->pad[i] = pads[i];
        w->end[i] = pads[w->axes + i];
    }
    return HONE_OK;
}

/* --- shapes --- */

/* Elements that the window spans. */
static int64_t extent(const hone_window *w, int axis) {
    return (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

int64_t hone_window_positions(const hone_window *w, int axis, int64_t size, int64_t *pad, int64_t *end) {
    int64_t stride = w->stride[axis], span = extent(w, axis);
    *pad = w->pad[axis];
    *end = w->end[axis];
    if (w->auto_pad == HONE_PAD_SAME_UPPER || w->auto_pad == HONE_PAD_SAME_LOWER) {
        int64_t count = (size + stride - 1) / stride, need = (count - 1) * stride + span - size;
        if (need < 0) need = 0;
        *pad = w->auto_pad == HONE_PAD_SAME_UPPER ? need / 2 : (need + 1) / 2;
        *end = need - *pad;
        return count;
    }
    int64_t room = size + w->pad[axis] + w->end[axis] - span;
    if (room <= -stride) return size == 0 ? 0 : -1;
    int64_t count = room < 0 ? 0 : room / stride + 1;
    /* one more that is not full, if it begins inside of what there is */
    if (w->ceil && room % stride != 0 && count * stride < size + w->pad[axis]) count++;
    return count > 0 || size == 0 ? count : -1;
}

/* As many positions as elements, whatever their number? */
static bool keeps_size(const hone_window *w, int axis) {
    if (w->stride[axis] != 1) return false;
    if (w->auto_pad == HONE_PAD_SAME_UPPER || w->auto_pad == HONE_PAD_SAME_LOWER) return true;
    return w->kernel[axis] > 0 && w->pad[axis] + w->end[axis] == extent(w, axis) - 1;
}

hone_status hone_window_infer(const hone_infer *ctx, const hone_window *w, const hone_type *x, hone_type *y,
                              hone_error *err) {
    for (int i = 0; i < w->axes; i++) {
        int64_t size = x->rank < 0 ? HONE_DIM_ANY : x->dims[2 + i], pad, end;
        int64_t *out = &y->dims[2 + i];
        *out = keeps_size(w, i) ? size : HONE_DIM_ANY;
        if (size < 0 || w->kernel[i] < 0) continue;
        *out = hone_window_positions(w, i, size, &pad, &end);
        if (*out < 0)
            return hone_infer_fail(ctx, err, "a window of %lld does not fit into %lld elements with pads",
                                   (long long)extent(w, i), (long long)(size + w->pad[i] + w->end[i]));
    }
    return HONE_OK;
}

/* --- kernels' windows --- */

/* An axis on which the window is one element, and each position an element. */
static bool is_plain(const hone_windows *w, int axis) {
    return w->kernel[axis] == 1 && w->stride[axis] == 1 && w->pad[axis] == 0 && w->in[axis] == w->out[axis];
}

/* The width becomes a part of the height, and all axes move up. */
static void merge_width(hone_windows *w) {
    int64_t width = w->in[2];
    w->in[2] = w->in[1] * width;
    w->out[2] = w->out[1] * width;
    w->kernel[2] = w->kernel[1];
    w->stride[2] = w->stride[1];
    w->dilation[2] = w->dilation[1] * width;
    w->pad[2] = w->pad[1] * width;
    w->end[2] = w->end[1] * width;
    w->in[1] = w->in[0], w->out[1] = w->out[0], w->kernel[1] = w->kernel[0];
    w->stride[1] = w->stride[0], w->dilation[1] = w->dilation[0], w->pad[1] = w->pad[0],
    w->end[1] = w->end[0];
    w->in[0] = w->out[0] = w->kernel[0] = w->stride[0] = w->dilation[0] = 1;
    w->pad[0] = w->end[0] = 0;
}

hone_windows hone_windows_of(const hone_window *w, int64_t channels, const hone_type *x, const hone_type *y) {
    hone_windows out = {.channels = channels,
                        .plane = hone_dims_product(x, 2, x->rank),
                        .in = {1, 1, 1},
                        .out = {1, 1, 1},
                        .kernel = {1, 1, 1},
                        .stride = {1, 1, 1},
                        .dilation = {1, 1, 1}};
    for (int i = 0; i < w->axes; i++) {
        int to = i + HONE_WINDOW_AXES - w->axes;
        out.in[to] = x->dims[2 + i];
        out.out[to] = y->dims[2 + i];
        out.kernel[to] = w->kernel[i];
        out.stride[to] = w->stride[i];
        out.dilation[to] = w->dilation[i];
        hone_window_positions(w, i, x->dims[2 + i], &out.pad[to], &out.end[to]);
    }
    for (int i = 1; i < HONE_WINDOW_AXES && is_plain(&out, 2) && (out.in[2] == 1 || out.stride[1] == 1); i++)
        merge_width(&out);
    return out;
}
