#include "train/details.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A sample of two classes: by how much it looks like the second. */
typedef struct scored {
    double score;
    bool second;
} scored;

struct hone_collector {
    int classes, top;
    int64_t samples, among_top;
    int64_t *confusion; /* [classes, classes] */
    scored *scores;     /* of two classes: [samples] */
    size_t room;
    double squares; /* of the errors of numbers */
    int64_t numbers;
};

/* The public struct and what it points at, in one block. */
typedef struct details {
    hone_eval_details all;
    hone_class_score scores[];
} details;

hone_collector *hone_collector_new(int classes, int top) {
    hone_collector *c = hone_calloc(1, sizeof *c);
    if (!c) return NULL;
    c->classes = classes;
    c->top = classes > top ? top : 0;
    c->confusion = hone_calloc((size_t)classes * (size_t)classes + 1, sizeof *c->confusion);
    if (c->confusion) return c;
    hone_free(c);
    return NULL;
}

void hone_collector_free(hone_collector *c) {
    if (!c) return;
    hone_free(c->confusion);
    hone_free(c->scores);
    hone_free(c);
}

/* Fewer than `top` outputs are larger than the label's. */
static bool is_among(const float *output, int64_t size, int64_t label, int top) {
    int larger = 0;
    for (int64_t j = 0; j < size && larger < top; j++)
        larger += output[j] > output[label] || (output[j] == output[label] && j < label);
    return larger < top;
}

static hone_status keep_score(hone_collector *c, double score, bool second, hone_error *err) {
    if (!hone_reserve(&c->scores, &c->room, (size_t)c->samples + 1, sizeof *c->scores))
        return hone_fail_memory(err);
    c->scores[c->samples] = (scored){score, second};
    return HONE_OK;
}

static hone_status add_label(hone_collector *c, const float *output, int64_t size, int64_t label,
                             hone_error *err) {
    int64_t guess = size == 1 && c->classes == 2 ? output[0] > 0 : hone_argmax(output, size);
    if (label >= c->classes || guess >= c->classes) return HONE_OK;
    c->confusion[label * c->classes + guess]++;
    if (c->top) c->among_top += is_among(output, size, label, c->top);
    if (c->classes == 2)
        HONE_TRY(keep_score(c, size == 1 ? output[0] : (double)output[1] - output[0], label == 1, err));
    c->samples++;
    return HONE_OK;
}

hone_status hone_collector_add(hone_collector *c, const hone_answers *a, hone_error *err) {
    const float *numbers = a->target;
    for (int64_t i = 0; i < a->n && c->classes > 0; i++) {
        bool binary = c->classes == 2 && a->size == 1;
        int64_t label = binary ? numbers[i] > 0.5f : ((const int64_t *)a->target)[i];
        if (label >= 0) HONE_TRY(add_label(c, a->output + i * a->size, a->size, label, err));
    }
    for (int64_t i = 0; i < a->n * a->size && c->classes == 0; i++) {
        double error = (double)a->output[i] - numbers[i];
        c->squares += error * error;
        c->numbers++;
    }
    return HONE_OK;
}

static int by_score(const void *a, const void *b) {
    double x = ((const scored *)a)->score, y = ((const scored *)b)->score;
    return (x > y) - (x < y);
}

/* Mann and Whitney's U: pairs in which the sample of the second class scores higher, half of those that are equal. */
static double area(scored *s, int64_t n) {
    double below = 0, pairs = 0, seconds = 0;
    qsort(s, (size_t)n, sizeof *s, by_score);
    for (int64_t i = 0, end; i < n; i = end) {
        double first = 0, second = 0;
        for (end = i; end < n && s[end].score == s[i].score; end++) {
            first += !s[end].second;
            second += s[end].second;
        }
        pairs += second * (below + first / 2);
        below += first;
        seconds += second;
    }
    return below > 0 && seconds > 0 ? pairs / (below * seconds) : NAN;
}

static double ratio(int64_t part, int64_t whole) {
    return whole > 0 ? (double)part / (double)whole : NAN;
}

static void score_class(const hone_collector *c, int k, hone_class_score *out) {
    *out = (hone_class_score){.right = c->confusion[(size_t)k * (size_t)c->classes + (size_t)k]};
    for (int j = 0; j < c->classes; j++) {
        out->samples += c->confusion[(size_t)k * (size_t)c->classes + (size_t)j];
        out->predicted += c->confusion[(size_t)j * (size_t)c->classes + (size_t)k];
    }
    out->recall = ratio(out->right, out->samples);
    out->precision = ratio(out->right, out->predicted);
    int64_t both = out->samples + out->predicted;
    out->f1 = both > 0 ? 2 * (double)out->right / (double)both : NAN;
}

/* Of classes that the samples have. */
static void average(hone_eval_details *d) {
    double f1 = 0, recall = 0;
    int n = 0;
    for (int k = 0; k < d->classes; k++) {
        if (d->scores[k].samples == 0) continue;
        f1 += d->scores[k].f1;
        recall += d->scores[k].recall;
        n++;
    }
    d->macro_f1 = n ? f1 / n : NAN;
    d->balanced_accuracy = n ? recall / n : NAN;
}

hone_status hone_collector_finish(hone_collector *c, hone_eval_details **out, hone_error *err) {
    size_t classes = (size_t)c->classes, cells = classes * classes;
    size_t head = sizeof(details) + classes * sizeof(hone_class_score);
    details *d = hone_calloc(1, head + cells * sizeof(int64_t));
    if (!d) return hone_fail_memory(err);
    int64_t *confusion = (int64_t *)(void *)((char *)d + head);
    memcpy(confusion, c->confusion, cells * sizeof *confusion);
    for (int k = 0; k < c->classes; k++) score_class(c, k, &d->scores[k]);
    d->all = (hone_eval_details){.classes = c->classes,
                                 .confusion = confusion,
                                 .scores = d->scores,
                                 .top = c->top,
                                 .top_accuracy = c->top ? ratio(c->among_top, c->samples) : NAN,
                                 .auc = c->classes == 2 ? area(c->scores, c->samples) : NAN,
                                 .macro_f1 = NAN,
                                 .balanced_accuracy = NAN,
                                 .root_mean_squared_error =
                                     c->numbers ? sqrt(c->squares / (double)c->numbers) : NAN};
    average(&d->all);
    *out = &d->all;
    return HONE_OK;
}

void hone_eval_details_free(hone_eval_details *d) {
    hone_free(d);
}
