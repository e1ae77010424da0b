/* ctc: a sequence of symbols that is shorter than the places of the output, which say a symbol or the blank, class 0, each
 * (ops/training/ctc.c). Answers are read greedily: the likeliest class of each place, repetitions once, blanks left out. */
#include "train/objective_ctc.h"

#include "base/memory.h"
#include "base/random.h"
#include "graph/infer.h"
#include "graph/op.h"

#include <math.h>
#include <string.h>

enum { BLANK = 0 };

static bool symbols_for(const hone_type *output, hone_type *target) {
    bool real = output->dtype == HONE_FLOAT32 || output->dtype == HONE_UNDEFINED;
    if (!real || (output->rank >= 0 && output->rank != 3)) return false;
    int64_t batch = output->rank == 3 ? output->dims[0] : HONE_DIM_ANY;
    *target = hone_type_make(HONE_INT64, 2, (int64_t[]){batch, HONE_DIM_ANY});
    return true;
}

static hone_value *emit(hone_graph *g, const hone_train_options *o, hone_value *logits, hone_value *target) {
    (void)o;
    hone_node *n = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "CtcLoss"), "loss", 2,
                                       (hone_value *[]){logits, target}, 1);
    return n ? n->outputs[0] : NULL;
}

/* Each symbol needs a place, and a blank before it where it follows its like. */
static hone_status check_room(const int64_t *symbols, int64_t most, int64_t places, hone_error *err) {
    int64_t n = 0, needed = 0;
    for (; n < most && symbols[n] >= 0; n++) needed += 1 + (n > 0 && symbols[n] == symbols[n - 1]);
    if (needed <= places) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "a sequence of %lld symbols needs %lld places, but the model has %lld", (long long)n,
                     (long long)needed, (long long)places);
}

static hone_status check(const hone_answers *a, int64_t values, hone_error *err) {
    for (int64_t i = 0; i < a->n * values; i++) {
        int64_t s = ((const int64_t *)a->target)[i];
        if (s == BLANK)
            return hone_fail(
                err, HONE_INVALID_ARGUMENT,
                "the data has symbol 0, which stands for the blank between symbols; they begin at 1");
        if (a->last > 0 && s >= a->last)
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "the data has symbol %lld, but the model has %lld classes", (long long)s,
                             (long long)a->last);
    }
    for (int64_t i = 0; i < a->n && a->last > 0 && a->size >= 0; i++)
        HONE_TRY(check_room((const int64_t *)a->target + i * values, values, a->size / a->last, err));
    return HONE_OK;
}

/* --- reading --- */

int64_t hone_ctc_read(const float *logits, int64_t places, int64_t classes, int64_t *out) {
    int64_t count = 0, before = BLANK;
    for (int64_t t = 0; t < places; t++) {
        int64_t now = hone_argmax(logits + t * classes, classes);
        if (now != BLANK && now != before) out[count++] = now;
        before = now;
    }
    return count;
}

static int64_t symbols_of(const int64_t *target, int64_t most) {
    int64_t n = 0;
    while (n < most && target[n] >= 0) n++;
    return n;
}

/* Levenshtein's distance; `row` has room for m + 1. */
static int64_t distance(const int64_t *a, int64_t n, const int64_t *b, int64_t m, int64_t *row) {
    for (int64_t j = 0; j <= m; j++) row[j] = j;
    for (int64_t i = 1; i <= n; i++) {
        int64_t corner = row[0];
        row[0] = i;
        for (int64_t j = 1; j <= m; j++) {
            int64_t above = row[j], best = corner + (a[i - 1] != b[j - 1]);
            if (above + 1 < best) best = above + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            corner = above;
            row[j] = best;
        }
    }
    return row[m];
}

/* In place: the hashes of what stands between separators. */
static int64_t to_words(int64_t *x, int64_t n, int64_t separator) {
    int64_t count = 0;
    for (int64_t at = 0, end; at < n; at = end + 1) {
        for (end = at; end < n && x[end] != separator; end++) {
        }
        if (end > at) x[count++] = (int64_t)hone_hash(x + at, (uint64_t)(end - at) * sizeof *x);
    }
    return count;
}

/* Room for one sample. */
typedef struct desk {
    int64_t places, *said, *meant, *row;
} desk;

static bool open_desk(const hone_answers *a, desk *d) {
    d->places = a->last > 0 ? a->size / a->last : 0;
    d->said = hone_alloc((size_t)(d->places + 2 * a->targets + 2) * sizeof *d->said);
    if (!d->said) return false;
    d->meant = d->said + d->places;
    d->row = d->meant + a->targets;
    return true;
}

static void add_distances(const hone_answers *a, int64_t i, const desk *d, hone_tally *t) {
    const int64_t *target = (const int64_t *)a->target + i * a->targets;
    int64_t said = hone_ctc_read(a->output + i * a->size, d->places, a->last, d->said),
            meant = symbols_of(target, a->targets);
    memcpy(d->meant, target, (size_t)meant * sizeof *target);
    t->reached += (double)distance(d->said, said, d->meant, meant, d->row);
    t->weight += (double)meant;
    if (t->separator <= 0) return;
    said = to_words(d->said, said, t->separator);
    meant = to_words(d->meant, meant, t->separator);
    t->word_errors += (double)distance(d->said, said, d->meant, meant, d->row);
    t->words += (double)meant;
}

/* Rates of samples, added up. */
static double error_rates(const hone_answers *a) {
    double sum = 0;
    desk d;
    if (!open_desk(a, &d)) return (double)a->n;
    for (int64_t i = 0; i < a->n; i++) {
        hone_tally one = {0};
        add_distances(a, i, &d, &one);
        sum += one.weight > 0 ? one.reached / one.weight : one.reached > 0;
    }
    hone_free(d.said);
    return sum;
}

/* --- the loss --- as the operator's, without its gradient */

static double add_logs(double a, double b) {
    double high = a > b ? a : b, low = a > b ? b : a;
    return low == -INFINITY ? high : high + log1p(exp(low - high));
}

/* `ways` [2 n + 1]: the logarithm of the sum of all ways to each state (a blank, the first symbol, a blank, …). */
static double loss_of(const float *logits, int64_t places, int64_t classes, const int64_t *symbols, int64_t n,
                      double *ways) {
    const int64_t states = 2 * n + 1;
    for (int64_t s = 0; s < states; s++) ways[s] = -INFINITY;
    for (int64_t t = 0; t < places; t++) {
        const float *x = logits + t * classes;
        double most = (double)x[hone_argmax(x, classes)], sum = 0;
        for (int64_t c = 0; c < classes; c++) sum += exp((double)x[c] - most);
        double all = log(sum) + most;
        for (int64_t s = states - 1; s >= 0; s--) {
            int64_t symbol = s & 1 ? symbols[s / 2] : BLANK;
            if (t == 0) ways[s] = s < 2 ? 0 : -INFINITY;
            if (t > 0 && s > 0) {
                bool skips = s >= 3 && (s & 1) && symbols[s / 2] != symbols[s / 2 - 1];
                ways[s] = add_logs(ways[s], ways[s - 1]);
                if (skips) ways[s] = add_logs(ways[s], ways[s - 2]);
            }
            ways[s] += (double)x[symbol] - all;
        }
    }
    double total = n > 0 ? add_logs(ways[states - 1], ways[states - 2]) : ways[0];
    return -total / (double)(n > 0 ? n : 1);
}

static void add(hone_tally *t, const hone_answers *a) {
    desk d;
    double *ways = hone_alloc((size_t)(2 * a->targets + 1) * sizeof *ways);
    bool good = open_desk(a, &d) && ways;
    if (!good) t->loss = NAN;
    for (int64_t i = 0; i < a->n && good; i++) {
        const int64_t *target = (const int64_t *)a->target + i * a->targets;
        add_distances(a, i, &d, t);
        t->loss +=
            loss_of(a->output + i * a->size, d.places, a->last, target, symbols_of(target, a->targets), ways);
    }
    hone_free(ways);
    hone_free(d.said);
}

static int words(const hone_tally *t, int64_t size, hone_metric *out) {
    (void)size;
    if (t->words == 0) return 0;
    *out = (hone_metric){"word_error_rate", t->word_errors / t->words, false};
    return 1;
}

const hone_objective hone_objective_ctc = {.name = "ctc",
                                           .wants = "logits, float32 [batch, places, classes] of which class "
                                                    "0 is the blank, and symbols from 1 on, negative "
                                                    "numbers behind the last one",
                                           .target = symbols_for,
                                           .emit = emit,
                                           .sequences = true,
                                           .check = check,
                                           .metric = {.name = "character_error_rate"},
                                           .score = error_rates,
                                           .add = add,
                                           .more = words};
