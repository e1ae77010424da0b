/* Networks on ids of tokens, [tokens]: what fills up short texts is masked. */
#include "train/spec.h"

#include <math.h>
#include <string.h>

static hone_status need_ids(const hone_spec *s, hone_error *err) {
    if (s->site->vocabulary > 0 && s->rank == 1) return HONE_OK;
    return hone_spec_fail(s, err, "it takes tokens of texts: --data text:… or lm:…");
}

/* Nodes that make a value of a name of their own. */
static void line(hone_spec *s, const char *text) {
    fprintf(s->nodes, "  %s\n", text);
}

static void constant(hone_spec *s, const char *name, long long value) {
    fprintf(s->nodes, "  %s = Constant <value_ints = [%lld]> ()\n", name, value);
}

/* "known" [batch, tokens]: is there a token, or what fills up? */
static void mask(hone_spec *s) {
    fprintf(s->nodes, "  pad = Constant <value_int = %lld> ()\n", (long long)s->site->pad);
    line(s, "filled = Equal (input, pad)");
    line(s, "known = Not (filled)");
    line(s, "known_f = Cast <to = 1> (known)");
    constant(s, "last", -1);
    constant(s, "one", 1);
    constant(s, "zero", 0);
    line(s, "known_3 = Unsqueeze (known_f, last)");
}

static void to_value(hone_spec *s, const char *name, int rank, int64_t a, int64_t b) {
    snprintf(s->value, sizeof s->value, "%s", name);
    s->rank = rank;
    s->dims[0] = a;
    s->dims[1] = b;
}

/* --- bag --- */

/* Pairs of neighbours share `buckets` rows by a hash: the mean of words and pairs says what a text is about (Joulin et al.
 * 2017, arXiv 1607.01759). */
static hone_status write_bag(hone_spec *s, hone_error *err) {
    enum { BUCKETS = 1 << 15 };
    HONE_TRY(need_ids(s, err));
    int64_t width = s->layers[0].width, buckets = s->layer_count > 1 ? s->layers[1].width : BUCKETS;
    if (s->layer_count > 2)
        return hone_spec_fail(s, err, "expected a width and rows for pairs, such as 64-32768");
    hone_spec_parameter(s, "words.weight", 2, (int64_t[]){s->site->vocabulary, width});
    hone_spec_parameter(s, "pairs.weight", 2, (int64_t[]){buckets, width});
    mask(s);
    line(s, "words = Gather (\"words.weight\", input)");
    line(s, "words_known = Mul (words, known_3)");
    line(s, "words_sum = ReduceSum <keepdims = 0> (words_known, one)");
    constant(s, "all", 1 << 30);
    line(s, "first_ids = Slice (input, zero, last, one, one)");
    line(s, "second_ids = Slice (input, one, all, one, one)");
    line(s, "a = Constant <value_int = 1000003> ()");
    line(s, "b = Constant <value_int = 8191> ()");
    line(s, "p = Constant <value_int = 2147483647> ()");
    fprintf(s->nodes, "  buckets = Constant <value_int = %lld> ()\n", (long long)buckets);
    line(s, "first_a = Mul (first_ids, a)");
    line(s, "second_b = Mul (second_ids, b)");
    line(s, "both = Add (first_a, second_b)");
    line(s, "both_p = Mod (both, p)");
    line(s, "hash = Mod (both_p, buckets)");
    line(s, "pairs = Gather (\"pairs.weight\", hash)");
    line(s, "second_known = Slice (known_3, one, all, one, one)");
    line(s, "pairs_known = Mul (pairs, second_known)");
    line(s, "pairs_sum = ReduceSum <keepdims = 0> (pairs_known, one)");
    line(s, "sum = Add (words_sum, pairs_sum)");
    line(s, "count = ReduceSum <keepdims = 0> (known_3, one)");
    line(s, "two = Constant <value_float = 2.0> ()");
    line(s, "count_2 = Mul (count, two)"); /* as many words as pairs, but for one */
    line(s, "least = Constant <value_float = 2.0> ()");
    line(s, "terms = Max (count_2, least)");
    line(s, "mean_of = Div (sum, terms)");
    to_value(s, "mean_of", 1, width, 0);
    hone_spec_dropout(s, s->site->dropout);
    hone_spec_dense(s, "head", s->site->outputs);
    return HONE_OK;
}

const hone_family hone_family_bag = {
    .name = "bag",
    .form = "64",
    .about =
        "the mean of a text's words and pairs of neighbours, each a row of so many numbers (64-32768: rows "
        "that pairs share, by a hash); then a fully connected layer",
    .letters = "",
    .words = "",
    .input = "int64",
    .write = write_bag};

/* --- layers of transformers --- */

typedef struct shape {
    int64_t layers, width, heads;
} shape;

/* "4x192h6" */
static hone_status read_shape(const hone_spec *s, shape *out, hone_error *err) {
    const hone_spec_layer *l = &s->layers[0];
    *out = (shape){l->width, l->repeat, l->more ? l->more : 4};
    if (s->layer_count != 1 || out->layers > 256 || out->width < 1)
        return hone_spec_fail(s, err, "expected layers, width and heads, such as 2x128h4");
    if (out->width % out->heads || out->width / out->heads % 2)
        return hone_spec_fail(s, err, "a width of %lld is not %lld heads of an even width",
                              (long long)out->width, (long long)out->heads);
    return HONE_OK;
}

/* Rows are small, and what layers add is not: times √width, tokens are not drowned out (Vaswani et al. 2017, 3.4). */
static void embed(hone_spec *s, int64_t width, bool positions) {
    hone_spec_parameter(s, "embed.weight", 2, (int64_t[]){s->site->vocabulary, width});
    fprintf(s->nodes, "  root = Constant <value_float = %#.9g> ()\n", sqrt((double)width));
    line(s, "rows = Gather (\"embed.weight\", input)");
    to_value(s, "rows", 2, s->site->dims[0], width);
    if (positions) {
        hone_spec_parameter(s, "position.weight", 2, s->dims);
        hone_spec_node(s, "Add", "", ", \"position.weight\"%s", "");
    }
    hone_spec_node(s, "Mul", "", ", root%s", "");
}

/* NAME.weight [in, out] without a bias, of `from`, into s->value. */
static void linear(hone_spec *s, const char *name, const char *from, int64_t in, int64_t out) {
    char weight[96];
    snprintf(weight, sizeof weight, "%s.weight", name);
    hone_spec_parameter(s, weight, 2, (int64_t[]){in, out});
    snprintf(s->value, sizeof s->value, "%s", from);
    hone_spec_node(s, "MatMul", "", ", \"%s\"", weight);
    s->dims[1] = out;
}

static void dense(hone_spec *s, const char *name, const char *from, int64_t in, int64_t out) {
    snprintf(s->value, sizeof s->value, "%s", from);
    s->dims[1] = in;
    hone_spec_dense(s, name, out);
}

static void keep(const hone_spec *s, char *out) {
    memcpy(out, s->value, sizeof s->value);
}

/* --- encoder --- */

static void layer_norm(hone_spec *s, const char *name, int64_t width) {
    char scale[96], bias[96];
    snprintf(scale, sizeof scale, "%s.scale", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    hone_spec_parameter(s, scale, 1, &width);
    hone_spec_parameter(s, bias, 1, &width);
    hone_spec_node(s, "LayerNormalization", "", ", \"%s\", \"%s\"", scale, bias);
}

static void encoder_layer(hone_spec *s, int i, const shape *t) {
    char name[64], attributes[96], x[32], h[32], q[32], k[32], v[32];
    keep(s, x);
    snprintf(name, sizeof name, "layer%d.norm1", i);
    layer_norm(s, name, t->width);
    keep(s, h);
    const char *const parts[] = {"q", "k", "v"};
    char *const to[] = {q, k, v};
    for (int p = 0; p < 3; p++) {
        snprintf(name, sizeof name, "layer%d.%s", i, parts[p]);
        dense(s, name, h, t->width, t->width);
        keep(s, to[p]);
    }
    snprintf(attributes, sizeof attributes, "q_num_heads = %lld, kv_num_heads = %lld", (long long)t->heads,
             (long long)t->heads);
    memcpy(s->value, q, sizeof q);
    hone_spec_node(s, "Attention", attributes, ", %s, %s, attend", k, v);
    snprintf(name, sizeof name, "layer%d.out", i);
    keep(s, h);
    dense(s, name, h, t->width, t->width);
    hone_spec_dropout(s, s->site->dropout);
    hone_spec_node(s, "Add", "", ", %s", x);
    keep(s, x);
    snprintf(name, sizeof name, "layer%d.norm2", i);
    layer_norm(s, name, t->width);
    snprintf(name, sizeof name, "layer%d.up", i);
    keep(s, h);
    dense(s, name, h, t->width, 4 * t->width);
    hone_spec_node(s, "Gelu", "", "%s", "");
    snprintf(name, sizeof name, "layer%d.down", i);
    keep(s, h);
    dense(s, name, h, 4 * t->width, t->width);
    hone_spec_dropout(s, s->site->dropout);
    hone_spec_node(s, "Add", "", ", %s", x);
}

/* Learned positions, norms before attention and before the two layers, the mean over what is no filling. */
static hone_status write_encoder(hone_spec *s, hone_error *err) {
    shape t;
    HONE_TRY(need_ids(s, err));
    HONE_TRY(read_shape(s, &t, err));
    mask(s);
    fprintf(s->nodes, "  axes = Constant <value_ints = [1, 2]> ()\n");
    line(s, "attend = Unsqueeze (known, axes)"); /* [batch, 1, 1, tokens] */
    embed(s, t.width, true);
    hone_spec_dropout(s, s->site->dropout);
    for (int i = 0; i < t.layers; i++) encoder_layer(s, i, &t);
    layer_norm(s, "norm", t.width);
    hone_spec_node(s, "Mul", "", ", known_3%s", "");
    hone_spec_node(s, "ReduceSum", "keepdims = 0", ", one%s", "");
    line(s, "known_count = ReduceSum <keepdims = 0> (known_3, one)");
    line(s, "least = Constant <value_float = 1.0> ()");
    line(s, "terms = Max (known_count, least)");
    hone_spec_node(s, "Div", "", ", terms%s", "");
    s->rank = 1;
    s->dims[0] = t.width;
    hone_spec_dropout(s, s->site->dropout);
    hone_spec_dense(s, "head", s->site->outputs);
    return HONE_OK;
}

const hone_family hone_family_encoder = {.name = "encoder",
                                         .form = "2x128h4",
                                         .about = "a transformer over a text's tokens: 2 layers of width 128 "
                                                  "with 4 heads; the mean of what comes out, then "
                                                  "a fully connected layer",
                                         .letters = "xh",
                                         .words = "",
                                         .input = "int64",
                                         .write = write_encoder};

/* --- lm --- */

static void rms_norm(hone_spec *s, const char *name, int64_t width) {
    char scale[96];
    snprintf(scale, sizeof scale, "%s.scale", name);
    hone_spec_parameter(s, scale, 1, &width);
    hone_spec_node(s, "RMSNormalization", "", ", \"%s\"", scale);
}

/* Angles of positions, "cos" and "sin" [tokens, head/2] (Su et al. 2021, arXiv 2104.09864), and "positions" [batch, tokens]. */
static void rotary(hone_spec *s, const shape *t) {
    enum { THETA = 10000 };
    int64_t half = t->width / t->heads / 2;
    fprintf(s->nodes,
            "  zero = Constant <value_int = 0> ()\n  step = Constant <value_int = 1> ()\n"
            "  tokens = Constant <value_int = %lld> ()\n  half = Constant <value_int = %lld> ()\n",
            (long long)s->site->dims[0], (long long)half);
    line(s, "places = Range (zero, tokens, step)");
    line(s, "pairs = Range (zero, half, step)");
    line(s, "pairs_f = Cast <to = 1> (pairs)");
    line(s, "places_f = Cast <to = 1> (places)");
    fprintf(s->nodes, "  fall = Constant <value_float = %#.9g> ()\n",
            -9.2103403719761836 / (double)half); /* ln(THETA) */
    line(s, "falls = Mul (pairs_f, fall)");
    line(s, "rates = Exp (falls)");
    fprintf(s->nodes, "  second = Constant <value_ints = [1]> ()\n");
    line(s, "places_2 = Unsqueeze (places_f, second)");
    line(s, "angles = Mul (places_2, rates)");
    line(s, "cos = Cos (angles)");
    line(s, "sin = Sin (angles)");
    line(s, "size = Shape (input)");
    line(s, "positions = Expand (places, size)");
}

static void lm_layer(hone_spec *s, int i, const shape *t) {
    char name[64], attributes[96], x[32], h[32], q[32], k[32], v[32], gate[32];
    int64_t inner = (8 * t->width / 3 + 31) / 32 * 32;
    keep(s, x);
    snprintf(name, sizeof name, "layer%d.norm1", i);
    rms_norm(s, name, t->width);
    keep(s, h);
    const char *const parts[] = {"q", "k", "v"};
    char *const to[] = {q, k, v};
    for (int p = 0; p < 3; p++) {
        snprintf(name, sizeof name, "layer%d.%s", i, parts[p]);
        linear(s, name, h, t->width, t->width);
        snprintf(attributes, sizeof attributes, "num_heads = %lld", (long long)t->heads);
        if (p < 2) hone_spec_node(s, "RotaryEmbedding", attributes, ", cos, sin, positions%s", "");
        keep(s, to[p]);
    }
    snprintf(attributes, sizeof attributes, "is_causal = 1, q_num_heads = %lld, kv_num_heads = %lld",
             (long long)t->heads, (long long)t->heads);
    memcpy(s->value, q, sizeof q);
    hone_spec_node(s, "Attention", attributes, ", %s, %s", k, v);
    snprintf(name, sizeof name, "layer%d.out", i);
    keep(s, h);
    linear(s, name, h, t->width, t->width);
    hone_spec_dropout(s, s->site->dropout);
    hone_spec_node(s, "Add", "", ", %s", x);
    keep(s, x);
    snprintf(name, sizeof name, "layer%d.norm2", i);
    rms_norm(s, name, t->width);
    keep(s, h);
    snprintf(name, sizeof name, "layer%d.gate", i);
    linear(s, name, h, t->width, inner);
    keep(s, gate);
    hone_spec_node(s, "Sigmoid", "", "%s", "");
    hone_spec_node(s, "Mul", "", ", %s", gate);
    keep(s, gate);
    snprintf(name, sizeof name, "layer%d.up", i);
    linear(s, name, h, t->width, inner);
    hone_spec_node(s, "Mul", "", ", %s", gate);
    snprintf(name, sizeof name, "layer%d.down", i);
    keep(s, h);
    linear(s, name, h, inner, t->width);
    hone_spec_dropout(s, s->site->dropout);
    hone_spec_node(s, "Add", "", ", %s", x);
}

/* Root-mean-square norms, rotary positions, gated layers, the table of tokens as the last layer: as Llama has them. */
static hone_status write_lm(hone_spec *s, hone_error *err) {
    shape t;
    HONE_TRY(need_ids(s, err));
    HONE_TRY(read_shape(s, &t, err));
    rotary(s, &t);
    embed(s, t.width, false);
    hone_spec_dropout(s, s->site->dropout);
    for (int i = 0; i < t.layers; i++) lm_layer(s, i, &t);
    rms_norm(s, "norm", t.width);
    line(s, "head = Transpose <perm = [1, 0]> (\"embed.weight\")");
    hone_spec_node(s, "MatMul", "", ", head%s", "");
    s->dims[1] = s->site->vocabulary;
    return HONE_OK;
}

const hone_family hone_family_lm = {.name = "lm",
                                    .form = "4x192h6",
                                    .about = "a causal language model: 4 layers of width 192 with 6 heads, "
                                             "rotary positions, gated layers, and the table "
                                             "of tokens as the last layer",
                                    .letters = "xh",
                                    .words = "",
                                    .input = "int64",
                                    .write = write_lm};
