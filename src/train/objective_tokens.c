/* next-token: at each place of a text the token that comes next, by softmax over the vocabulary; places whose target is
 * -100 have none. The loss is the mean over places. */
#include "train/objective.h"

#include "graph/infer.h"
#include "graph/op.h"

#include <math.h>

enum { NO_TOKEN = -100 };

static bool tokens_for(const hone_type *output, hone_type *target) {
    bool real = output->dtype == HONE_FLOAT32 || output->dtype == HONE_UNDEFINED;
    if (!real || (output->rank >= 0 && output->rank != 3)) return false;
    int64_t dims[] = {HONE_DIM_ANY, HONE_DIM_ANY};
    for (int i = 0; i < 2 && output->rank == 3; i++) dims[i] = output->dims[i];
    *target = hone_type_make(HONE_INT64, 2, dims);
    return true;
}

static hone_value *flat(hone_graph *g, hone_value *x, int count, const int64_t *dims) {
    return HONE_EMIT(g, "", "Reshape", x, hone_graph_ints(g, dims, (size_t)count));
}

/* Rows [batch * places, vocabulary]: the classes lie beside each other, as the loss reads them. */
static hone_value *emit_next_token(hone_graph *g, const hone_train_options *o, hone_value *logits,
                                   hone_value *target) {
    int64_t rows[] = {-1, logits->type.rank == 3 ? logits->type.dims[2] : HONE_DIM_ANY}, all = -1;
    hone_value *in[] = {flat(g, logits, 2, rows), flat(g, target, 1, &all)};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "SoftmaxCrossEntropyLoss"), "loss", 2, in, 1);
    (void)o;
    if (!n) return NULL;
    hone_node_set_int(g, n, "ignore_index", NO_TOKEN);
    return n->outputs[0];
}

static hone_status check_tokens(const hone_answers *a, int64_t values, hone_error *err) {
    int64_t vocabulary = a->size >= 0 && values > 0 ? a->size / values : -1;
    for (int64_t i = 0; i < a->n * values; i++) {
        int64_t id = ((const int64_t *)a->target)[i];
        if ((id < 0 && id != NO_TOKEN) || (vocabulary >= 0 && id >= vocabulary))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the data has token %lld, but the model knows %lld",
                             (long long)id, (long long)vocabulary);
    }
    return HONE_OK;
}

/* The mean share of places that are right, over samples: what training shows. */
static double count_right(const hone_answers *a) {
    int64_t vocabulary = a->size / a->targets;
    double sum = 0;
    for (int64_t s = 0; s < a->n; s++) {
        int64_t places = 0, right = 0;
        for (int64_t i = s * a->targets; i < (s + 1) * a->targets; i++) {
            int64_t id = ((const int64_t *)a->target)[i];
            if (id == NO_TOKEN) continue;
            places++;
            right += hone_argmax(a->output + i * vocabulary, vocabulary) == id;
        }
        sum += places ? (double)right / (double)places : 0;
    }
    return sum;
}

static void add_next_token(hone_tally *t, const hone_answers *a) {
    int64_t vocabulary = a->size / a->targets;
    for (int64_t i = 0; i < a->n * a->targets; i++) {
        int64_t id = ((const int64_t *)a->target)[i];
        const float *x = a->output + i * vocabulary;
        if (id == NO_TOKEN) continue;
        float most = x[0];
        double sum = 0;
        for (int64_t j = 1; j < vocabulary; j++) most = x[j] > most ? x[j] : most;
        for (int64_t j = 0; j < vocabulary; j++) sum += (double)expf(x[j] - most);
        t->loss += log(sum) + (double)most - (double)x[id];
        t->places++;
    }
}

/* Nats a token into what can be compared: between models of one tokenizer, and of all. */
static int perplexity(const hone_tally *t, int64_t size, hone_metric *out) {
    (void)size;
    double nats = t->loss / (double)(t->places ? t->places : 1);
    out[0] = (hone_metric){"perplexity", exp(nats), false};
    if (t->bytes <= 0) return 1;
    out[1] = (hone_metric){"bits_per_byte", t->loss / log(2) / t->bytes, false};
    return 2;
}

const hone_objective hone_objective_next_token = {
    .name = "next-token",
    .wants = "logits, float32 [batch, places, vocabulary], and an integer at each place",
    .target = tokens_for,
    .emit = emit_next_token,
    .sequences = true,
    .check = check_tokens,
    .metric = {.name = "accuracy", .share = true},
    .score = count_right,
    .add = add_next_token,
    .more = perplexity};
