/* Convolutional networks on samples [channels, height, width]. Each convolution is followed by batch normalization. */
#include "train/spec.h"

#include <string.h>

enum { CHANNELS, HEIGHT, WIDTH };

typedef enum activation { LINEAR, RELU, RELU6 } activation;

static hone_status need_image(const hone_spec *s, hone_error *err) {
    if (s->rank == 3) return HONE_OK;
    return hone_spec_fail(s, err, "it takes images [channels, height, width], but a sample has %d axes",
                          s->rank);
}

/* One convolution to `width` channels, whose output has ceil(size / stride) rows and columns, and batch normalization;
 * group 0: each channel on its own. */
static void conv(hone_spec *s, const char *name, int64_t width, int kernel, int stride, bool depthwise,
                 activation f) {
    char attributes[192], weight[96], parameter[4][96];
    static const char *const parts[] = {"scale", "bias", "mean", "var"};
    int64_t channels = s->dims[CHANNELS];
    if (depthwise) width = channels;
    snprintf(weight, sizeof weight, "%s.weight", name);
    hone_spec_parameter(s, weight, 4, (int64_t[]){width, depthwise ? 1 : channels, kernel, kernel});
    int low = (kernel - 1) / 2, high = kernel - 1 - low;
    snprintf(attributes, sizeof attributes,
             "kernel_shape = [%d, %d], pads = [%d, %d, %d, %d], strides = [%d, %d], group = %lld", kernel,
             kernel, low, low, high, high, stride, stride, depthwise ? (long long)channels : 1);
    hone_spec_node(s, "Conv", attributes, ", \"%s\"", weight);
    for (int i = 0; i < 4; i++) {
        snprintf(parameter[i], sizeof parameter[i], "%s.norm.%s", name, parts[i]);
        hone_spec_parameter(s, parameter[i], 1, &width);
    }
    hone_spec_node(s, "BatchNormalization", "", ", \"%s\", \"%s\", \"%s\", \"%s\"", parameter[0],
                   parameter[1], parameter[2], parameter[3]);
    if (f == RELU) hone_spec_node(s, "Relu", "", "%s", "");
    if (f == RELU6) hone_spec_node(s, "Clip", "", "%s", ", zero, six");
    s->dims[CHANNELS] = width;
    for (int a = HEIGHT; a <= WIDTH; a++) s->dims[a] = (s->dims[a] - 1) / stride + 1;
}

static hone_status pool(hone_spec *s, hone_error *err) {
    if (s->dims[HEIGHT] < 2 || s->dims[WIDTH] < 2)
        return hone_spec_fail(s, err, "p: %lldx%lld cannot be halved", (long long)s->dims[HEIGHT],
                              (long long)s->dims[WIDTH]);
    hone_spec_node(s, "MaxPool", "kernel_shape = [2, 2], strides = [2, 2]", "%s", "");
    s->dims[HEIGHT] /= 2;
    s->dims[WIDTH] /= 2;
    return HONE_OK;
}

static void average(hone_spec *s) {
    hone_spec_node(s, "GlobalAveragePool", "", "%s", "");
    s->dims[HEIGHT] = s->dims[WIDTH] = 1;
}

static void head(hone_spec *s) {
    hone_spec_flatten(s);
    hone_spec_dropout(s, s->site->dropout);
    hone_spec_dense(s, "head", s->site->outputs);
}

static int kernel_of(const hone_spec_layer *l, int otherwise) {
    return l->kernel ? l->kernel : otherwise;
}
static int stride_of(const hone_spec_layer *l) {
    return l->stride ? l->stride : 1;
}
static bool is(const hone_spec_layer *l, const char *word) {
    return strcmp(l->word, word) == 0;
}

/* --- cnn --- */

static hone_status write_cnn(hone_spec *s, hone_error *err) {
    char name[48];
    HONE_TRY(need_image(s, err));
    for (int i = 0; i < s->layer_count; i++) {
        const hone_spec_layer *l = &s->layers[i];
        snprintf(name, sizeof name, "%s%d", is(l, "fc") ? "dense" : "conv", i + 1);
        if (is(l, "fc")) {
            if (l->width < 1) return hone_spec_fail(s, err, "fc needs a width: fc64");
            hone_spec_flatten(s);
            hone_spec_dense(s, name, l->width);
            hone_spec_node(s, "Relu", "", "%s", "");
        } else if (s->rank == 1) {
            return hone_spec_fail(s, err, "behind fc there is only fc");
        } else if (is(l, "p")) {
            HONE_TRY(pool(s, err));
        } else if (is(l, "gap")) {
            average(s);
        } else {
            conv(s, name, l->width, kernel_of(l, 3), stride_of(l), false, RELU);
        }
    }
    head(s);
    return HONE_OK;
}

const hone_family hone_family_cnn = {
    .name = "cnn",
    .form = "16-32s2-48-p-64-56",
    .about = "convolutions of so many channels (k5: windows of 5x5, else 3x3; s2: stride 2), p halves by max "
             "pooling, gap averages over the image, fc64 is a hidden layer; then a fully connected layer",
    .letters = "ks",
    .words = " p gap fc ",
    .input = "float",
    .write = write_cnn};

/* --- resnet --- */

/* Of two convolutions (He et al. 2016, arXiv 1512.03385). */
static void residual(hone_spec *s, const char *name, int64_t width, int stride) {
    char part[80], before[sizeof s->value], shortcut[sizeof s->value];
    int64_t dims[HONE_SPEC_RANK];
    memcpy(before, s->value, sizeof before);
    memcpy(dims, s->dims, sizeof dims);
    bool same = s->dims[CHANNELS] == width && stride == 1;
    if (!same) {
        snprintf(part, sizeof part, "%s.shortcut", name);
        conv(s, part, width, 1, stride, false, LINEAR);
    }
    memcpy(shortcut, s->value, sizeof shortcut);
    memcpy(s->value, before, sizeof before);
    memcpy(s->dims, dims, sizeof dims);
    snprintf(part, sizeof part, "%s.a", name);
    conv(s, part, width, 3, stride, false, RELU);
    snprintf(part, sizeof part, "%s.b", name);
    conv(s, part, width, 3, 1, false, LINEAR);
    hone_spec_node(s, "Add", "", ", %s", shortcut);
    hone_spec_node(s, "Relu", "", "%s", "");
}

static hone_status write_resnet(hone_spec *s, hone_error *err) {
    char name[48];
    HONE_TRY(need_image(s, err));
    if (*s->layers[0].word) return hone_spec_fail(s, err, "it begins with a stage such as 48x1");
    conv(s, "stem", (s->layers[0].width + 1) / 2, 5, 2, false, RELU);
    for (int i = 0; i < s->layer_count; i++) {
        const hone_spec_layer *l = &s->layers[i];
        if (is(l, "p")) {
            HONE_TRY(pool(s, err));
            continue;
        }
        snprintf(name, sizeof name, "stage%d", i + 1);
        conv(s, name, l->width, 3, stride_of(l), false, RELU);
        for (int64_t k = 0; k < (l->repeat ? l->repeat : 1); k++) {
            snprintf(name, sizeof name, "stage%d.block%lld", i + 1, (long long)k + 1);
            residual(s, name, l->width, 1);
        }
    }
    average(s);
    head(s);
    return HONE_OK;
}

const hone_family hone_family_resnet = {
    .name = "resnet",
    .form = "48x1-p-96x2",
    .about =
        "a stem of 5x5 windows with stride 2, then stages: a convolution and so many residual blocks of two "
        "convolutions each (x2; s2: stride 2), p halves by max pooling",
    .letters = "sx",
    .words = " p ",
    .input = "float",
    .write = write_resnet};

/* --- mobilenet --- */

/* Expansion, depthwise windows, projection (Sandler et al. 2018, arXiv 1801.04381). */
static void inverted(hone_spec *s, const char *name, int64_t width, int64_t times, int stride) {
    char part[80], before[sizeof s->value];
    bool same = s->dims[CHANNELS] == width && stride == 1;
    memcpy(before, s->value, sizeof before);
    if (times > 1) {
        snprintf(part, sizeof part, "%s.expand", name);
        conv(s, part, s->dims[CHANNELS] * times, 1, 1, false, RELU6);
    }
    snprintf(part, sizeof part, "%s.depthwise", name);
    conv(s, part, 0, 3, stride, true, RELU6);
    snprintf(part, sizeof part, "%s.project", name);
    conv(s, part, width, 1, 1, false, LINEAR);
    if (same) hone_spec_node(s, "Add", "", ", %s", before);
}

static hone_status write_mobilenet(hone_spec *s, hone_error *err) {
    char name[48];
    int last = s->layer_count - 1;
    HONE_TRY(need_image(s, err));
    if (last < 1) return hone_spec_fail(s, err, "it has a stem and blocks, such as 32-16t1-24t6s2x2");
    fprintf(s->nodes, "  zero = Constant <value = float {0}> ()\n  six = Constant <value = float {6}> ()\n");
    conv(s, "stem", s->layers[0].width, 3, s->layers[0].stride ? s->layers[0].stride : 2, false, RELU6);
    for (int i = 1; i <= last; i++) {
        const hone_spec_layer *l = &s->layers[i];
        for (int64_t k = 0; k < (l->repeat ? l->repeat : 1); k++) {
            snprintf(name, sizeof name, "stage%d.block%lld", i, (long long)k + 1);
            inverted(s, name, l->width, l->more ? l->more : 6, k == 0 ? stride_of(l) : 1);
        }
    }
    conv(s, "last", 4 * s->dims[CHANNELS], 1, 1, false, RELU6);
    average(s);
    head(s);
    return HONE_OK;
}

const hone_family hone_family_mobilenet = {.name = "mobilenet",
                                           .form = "32-16t1-24s2x2-32s2x3-64s2x4-96x3-160s2x3-320",
                                           .about = "a stem with stride 2, then inverted residual blocks: "
                                                    "channels, t6 times as many inside (the default), "
                                                    "s2 for the first one's stride, x3 blocks",
                                           .letters = "stx",
                                           .words = "",
                                           .input = "float",
                                           .write = write_mobilenet};

/* --- dscnn --- */

/* Depthwise separable convolutions (Zhang et al. 2017, arXiv 1711.07128). */
static hone_status write_dscnn(hone_spec *s, hone_error *err) {
    char name[64];
    HONE_TRY(need_image(s, err));
    const hone_spec_layer *stem = &s->layers[0];
    conv(s, "stem", stem->width, kernel_of(stem, 5), stem->stride ? stem->stride : 2, false, RELU);
    for (int i = 1; i < s->layer_count; i++) {
        snprintf(name, sizeof name, "block%d.depthwise", i);
        conv(s, name, 0, kernel_of(&s->layers[i], 3), stride_of(&s->layers[i]), true, RELU);
        snprintf(name, sizeof name, "block%d.pointwise", i);
        conv(s, name, s->layers[i].width, 1, 1, false, RELU);
    }
    average(s);
    head(s);
    return HONE_OK;
}

const hone_family hone_family_dscnn = {.name = "dscnn",
                                       .form = "48-48-64s2-64-96s2",
                                       .about = "a stem of 5x5 windows with stride 2, then depthwise "
                                                "separable convolutions, averaged at the end: small "
                                                "and fast, for spectrograms and images",
                                       .letters = "ks",
                                       .words = "",
                                       .input = "float",
                                       .write = write_dscnn};
