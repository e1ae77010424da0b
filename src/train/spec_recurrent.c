/* Recurrent networks on sequences: samples [time, features], or [1, time, features] as spectrograms are. */
#include "train/spec.h"

enum { TIME, FEATURES };

/* [batch, 1, time, features] to [time, batch, features]. */
static hone_status lay_out(hone_spec *s, hone_error *err) {
    if (s->rank == 3 && s->dims[0] == 1) {
        fprintf(s->nodes, "  first = Constant <value_ints = [1]> ()\n");
        hone_spec_node(s, "Squeeze", "", ", first");
        s->dims[TIME] = s->dims[1];
        s->dims[FEATURES] = s->dims[2];
        s->rank = 2;
    }
    if (s->rank != 2)
        return hone_spec_fail(s, err, "it takes sequences [time, features], but a sample has %d axes",
                              s->rank);
    hone_spec_node(s, "Transpose", "perm = [1, 0, 2]", "%s", "");
    return HONE_OK;
}

/* One layer over [time, batch, features]; its output Y is [time, directions, batch, width]. */
static void layer(hone_spec *s, bool lstm, int index, const hone_spec_layer *l) {
    char name[3][64], attributes[160];
    static const char *const parts[] = {"weight", "recurrence", "bias"};
    int64_t directions = l->both ? 2 : 1, rows = (lstm ? 4 : 3) * l->width;
    for (int i = 0; i < 3; i++) snprintf(name[i], sizeof name[i], "layer%d.%s", index, parts[i]);
    hone_spec_parameter(s, name[0], 3, (int64_t[]){directions, rows, s->dims[FEATURES]});
    hone_spec_parameter(s, name[1], 3, (int64_t[]){directions, rows, l->width});
    hone_spec_parameter(s, name[2], 2, (int64_t[]){directions, 2 * rows});
    snprintf(attributes, sizeof attributes, "hidden_size = %lld, direction = \"%s\"%s", (long long)l->width,
             l->both ? "bidirectional" : "forward", lstm ? "" : ", linear_before_reset = 1");
    if (lstm)
        hone_spec_node(s, "LSTM", attributes, ", \"%s\", \"%s\", \"%s\"", name[0], name[1], name[2]);
    else
        hone_spec_node(s, "GRU", attributes, ", \"%s\", \"%s\", \"%s\"", name[0], name[1], name[2]);
    s->dims[FEATURES] = directions * l->width;
}

/* [time, directions, batch, width] to [batch, time, outputs]. */
static hone_status give_places(hone_spec *s) {
    fprintf(s->nodes, "  sides = Constant <value_ints = [0, 0, -1]> ()\n");
    hone_spec_node(s, "Transpose", "perm = [2, 0, 1, 3]", "%s", "");
    hone_spec_node(s, "Reshape", "", ", sides");
    hone_spec_dropout(s, s->site->dropout);
    hone_spec_dense(s, "head", s->site->outputs);
    return HONE_OK;
}

static hone_status write_layers(hone_spec *s, bool lstm, hone_error *err) {
    HONE_TRY(lay_out(s, err));
    fprintf(s->nodes, "  time = Constant <value_ints = [0]> ()\n");
    if (s->layer_count > 1) fprintf(s->nodes, "  places = Constant <value_ints = [0, 0, -1]> ()\n");
    for (int i = 0; i < s->layer_count; i++) {
        if (i > 0) { /* both directions side by side */
            hone_spec_node(s, "Transpose", "perm = [0, 2, 1, 3]", "%s", "");
            hone_spec_node(s, "Reshape", "", ", places");
        }
        layer(s, lstm, i + 1, &s->layers[i]);
    }
    if (s->site->places) return give_places(s);
    hone_spec_node(s, "ReduceMean", "keepdims = 0", ", time");
    hone_spec_node(s, "Transpose", "perm = [1, 0, 2]", "%s", "");
    hone_spec_node(s, "Flatten", "", "%s", "");
    s->rank = 1;
    s->dims[0] = s->dims[FEATURES];
    hone_spec_dropout(s, s->site->dropout);
    hone_spec_dense(s, "head", s->site->outputs);
    return HONE_OK;
}

static hone_status write_gru(hone_spec *s, hone_error *err) {
    return write_layers(s, false, err);
}

static hone_status write_lstm(hone_spec *s, hone_error *err) {
    return write_layers(s, true, err);
}

const hone_family hone_family_gru = {
    .name = "gru",
    .form = "96b",
    .about = "gated recurrent units over sequences [time, features] (b: "
             "forward and backward), the mean over the time, then "
             "a fully connected layer; for ctc one answer for each place of the time",
    .letters = "b",
    .words = "",
    .input = "float",
    .places = true,
    .write = write_gru};

const hone_family hone_family_lstm = {.name = "lstm",
                                      .form = "128-128",
                                      .about = "the same with long short-term memory",
                                      .letters = "b",
                                      .words = "",
                                      .input = "float",
                                      .places = true,
                                      .write = write_lstm};
