/* The registry as text: https://prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4. */
#include "base/error.h"
#include "base/memory.h"
#include "monitor/metrics.h"
#include "monitor/text.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_text(hone_text *t, const char *text) {
    hone_text_add(t, text, strlen(text));
}

/* The shortest text that reads back as x. */
static void add_number(hone_text *t, double x) {
    char text[32];
    if (isnan(x)) {
        add_text(t, "NaN");
    } else if (isinf(x)) {
        add_text(t, x > 0 ? "+Inf" : "-Inf");
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, x);
            if (strtod(text, NULL) == x) break;
        }
        add_text(t, text);
    }
}

/* NAME SUFFIX { LABELS , le="BOUND" } */
static void add_name(hone_text *t, const hone_series *s, const char *suffix, const double *bound) {
    add_text(t, s->metric->name);
    add_text(t, suffix);
    if (s->labels[0] || bound) add_text(t, "{");
    add_text(t, s->labels);
    if (bound) {
        add_text(t, s->labels[0] ? ",le=\"" : "le=\"");
        add_number(t, *bound);
        add_text(t, "\"");
    }
    add_text(t, s->labels[0] || bound ? "} " : " ");
}

static void add_count(hone_text *t, uint64_t n) {
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64 "\n", n);
    add_text(t, text);
}

/* Each cell is read once, so that _count is always the +Inf bucket. */
static void add_histogram(hone_text *t, const hone_series *s) {
    const hone_metric *f = s->metric;
    const double infinity = INFINITY;
    uint64_t n = 0;
    for (int i = 0; i <= f->bucket_count; i++) {
        n += hone_series_bucket(s, i);
        add_name(t, s, "_bucket", i < f->bucket_count ? &f->buckets[i] : &infinity);
        add_count(t, n);
    }
    add_name(t, s, "_sum", NULL);
    add_number(t, hone_series_sum(s));
    add_text(t, "\n");
    add_name(t, s, "_count", NULL);
    add_count(t, n);
}

static void add_metric(hone_text *t, const hone_metric *f) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    if (f->series_count == 0) return;
    add_text(t, "# HELP ");
    add_text(t, f->name);
    add_text(t, " ");
    hone_text_escape(t, f->help, false);
    add_text(t, "\n# TYPE ");
    add_text(t, f->name);
    add_text(t, " ");
    add_text(t, types[f->type]);
    add_text(t, "\n");
    for (size_t i = 0; i < f->series_count; i++) {
        const hone_series *s = f->series[i];
        if (f->type == HONE_METRIC_HISTOGRAM) {
            add_histogram(t, s);
            continue;
        }
        add_name(t, s, "", NULL);
        add_number(t, hone_series_value(s));
        add_text(t, "\n");
    }
}

hone_status hone_metrics_write(hone_metrics *m, char **text, size_t *size, hone_error *err) {
    hone_text t = {0};
    /* The program's locale may have a decimal comma. */
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0),
             before = plain ? uselocale(plain) : (locale_t)0;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->hook_count; i++) m->hooks[i].fn(m->hooks[i].user);
    for (size_t i = 0; i < m->metric_count; i++) add_metric(&t, m->metrics[i]);
    pthread_mutex_unlock(&m->lock);
    if (plain) {
        uselocale(before);
        freelocale(plain);
    }
    hone_text_add(&t, "", 1);
    if (t.failed) {
        hone_free(t.data);
        return hone_fail_memory(err);
    }
    if (size) *size = t.size - 1;
    *text = t.data;
    return HONE_OK;
}

void hone_metrics_free_text(char *text) {
    hone_free(text);
}
