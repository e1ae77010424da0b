/* mlp: fully connected layers with ReLU between them. */
#include "train/spec.h"

/* "784-128-10" names the sizes of input and output, "128" leaves them to the data, and so does "64-64" where samples have
 * 64 values, but there are fewer outputs. */
static bool is_full(const hone_spec *s) {
    int n = s->layer_count;
    if (n < 2) return false;
    int64_t in = s->layers[0].width, out = s->layers[n - 1].width;
    if (n == 2 && in == s->dims[0] && out > s->site->outputs) return false;
    return in == s->dims[0] || out == s->site->outputs;
}

static hone_status check_full(const hone_spec *s, hone_error *err) {
    int64_t in = s->layers[0].width, out = s->layers[s->layer_count - 1].width;
    if (in != s->dims[0])
        return hone_spec_fail(s, err, "the model takes %lld values, but a sample has %lld", (long long)in,
                              (long long)s->dims[0]);
    if (out < s->site->outputs)
        return hone_spec_fail(s, err, "the model has %lld outputs, but the data needs %lld", (long long)out,
                              (long long)s->site->outputs);
    return HONE_OK;
}

static hone_status write_mlp(hone_spec *s, hone_error *err) {
    char name[32];
    hone_spec_flatten(s);
    bool full = is_full(s);
    if (full) HONE_TRY(check_full(s, err));
    int first = full ? 1 : 0, hidden = s->layer_count - first - (full ? 1 : 0);
    for (int i = 0; i < hidden; i++) {
        snprintf(name, sizeof name, "layer%d", i + 1);
        hone_spec_dense(s, name, s->layers[first + i].width);
        hone_spec_node(s, "Relu", "", "%s", "");
        hone_spec_dropout(s, s->site->dropout);
    }
    snprintf(name, sizeof name, "layer%d", hidden + 1);
    hone_spec_dense(s, name, full ? s->layers[s->layer_count - 1].width : s->site->outputs);
    return HONE_OK;
}

const hone_family hone_family_mlp = {.name = "mlp",
                                     .form = "784-128-10",
                                     .about = "fully connected layers with ReLU between; 32-32 names the "
                                              "hidden ones only, the data says the others",
                                     .letters = "",
                                     .words = "",
                                     .input = "float",
                                     .write = write_mlp};
