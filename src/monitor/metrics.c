#include "monitor/metrics.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "monitor/text.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static const double default_buckets[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                         0.25,  0.5,    1,     2.5,  5,     10};

/* --- names --- */

static bool name_is_valid(const char *name, bool colon) {
    if (!name || !*name || isdigit((unsigned char)*name)) return false;
    for (const char *p = name; *p; p++) {
        bool letter =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' || (colon && *p == ':');
        if (!letter && !(*p >= '0' && *p <= '9')) return false;
    }
    return true;
}

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static hone_status check_name(const hone_metric_options *o, hone_error *err) {
    if (!name_is_valid(o->name, true))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "'%s' is no name for a metric", o->name ? o->name : "");
    if (!o->help || !*o->help)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "'%s' needs a help text", o->name);
    if (o->foreign) return HONE_OK;
    if (ends_in(o->name, "_total") != (o->type == HONE_METRIC_COUNTER))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "'%s': counters end in _total, and only they", o->name);
    static const char *const taken[] = {"_bucket", "_count", "_sum"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (ends_in(o->name, taken[i]))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "'%s': %s belongs to histograms", o->name, taken[i]);
    return HONE_OK;
}

static hone_status check_labels(const hone_metric_options *o, int *count, hone_error *err) {
    int n = 0;
    for (; o->labels && o->labels[n]; n++) {
        const char *label = o->labels[n];
        if (n == HONE_METRIC_MAX_LABELS)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "'%s' has more than %d labels", o->name,
                             HONE_METRIC_MAX_LABELS);
        bool reserved =
            strcmp(label, "le") == 0 || strcmp(label, "quantile") == 0 || strncmp(label, "__", 2) == 0;
        bool twice = false;
        for (int i = 0; i < n; i++) twice |= strcmp(o->labels[i], label) == 0;
        if (!name_is_valid(label, false) || reserved || twice)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "'%s' cannot have the label '%s'", o->name, label);
    }
    *count = n;
    return HONE_OK;
}

static hone_status check_buckets(const hone_metric_options *o, hone_error *err) {
    if (o->type != HONE_METRIC_HISTOGRAM || !o->buckets) return HONE_OK;
    bool fine = o->bucket_count > 0 && o->bucket_count <= HONE_METRIC_MAX_BUCKETS;
    for (int i = 0; fine && i < o->bucket_count; i++)
        fine = isfinite(o->buckets[i]) && (i == 0 || o->buckets[i] > o->buckets[i - 1]);
    return fine ? HONE_OK
                : hone_fail(err, HONE_INVALID_ARGUMENT,
                            "'%s': the buckets' bounds must be 1 to %d finite, increasing numbers", o->name,
                            HONE_METRIC_MAX_BUCKETS);
}

/* --- the registry --- */

hone_status hone_metrics_new(hone_metrics **out, hone_error *err) {
    hone_metrics *m = hone_calloc(1, sizeof *m);
    if (!m) return hone_fail_memory(err);
    pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return HONE_OK;
}

static void free_series(hone_series *s) {
    if (!s) return;
    hone_free(s->labels);
    hone_free(s->cells);
    hone_free(s);
}

static void free_metric(hone_metric *f) {
    if (!f) return;
    for (size_t i = 0; i < f->series_count; i++) free_series(f->series[i]);
    for (int i = 0; i < f->label_count; i++) hone_free(f->labels[i]);
    hone_free(f->series);
    hone_free(f->name);
    hone_free(f->help);
    hone_free(f);
}

void hone_metrics_free(hone_metrics *m) {
    if (!m) return;
    for (size_t i = 0; i < m->metric_count; i++) free_metric(m->metrics[i]);
    hone_free(m->metrics);
    hone_free(m->hooks);
    hone_metrics_free_process(m->process);
    pthread_mutex_destroy(&m->lock);
    hone_free(m);
}

static hone_metric *make_metric(hone_metrics *m, const hone_metric_options *o, int label_count) {
    hone_metric *f = hone_calloc(1, sizeof *f);
    if (!f) return NULL;
    f->owner = m;
    f->type = o->type;
    f->max_series = o->max_series > 0 ? (size_t)o->max_series : 0;
    f->name = hone_strdup(o->name);
    f->help = hone_strdup(o->help);
    bool fine = f->name && f->help;
    for (; fine && f->label_count < label_count; f->label_count++)
        fine = (f->labels[f->label_count] = hone_strdup(o->labels[f->label_count])) != NULL;
    if (f->type == HONE_METRIC_HISTOGRAM) {
        f->bucket_count =
            o->buckets ? o->bucket_count : (int)(sizeof default_buckets / sizeof *default_buckets);
        memcpy(f->buckets, o->buckets ? o->buckets : default_buckets,
               (size_t)f->bucket_count * sizeof *f->buckets);
    }
    if (fine) return f;
    free_metric(f);
    return NULL;
}

static hone_status insert_metric(hone_metrics *m, hone_metric *f, hone_error *err) {
    for (size_t i = 0; i < m->metric_count; i++)
        if (strcmp(m->metrics[i]->name, f->name) == 0)
            return hone_fail(err, HONE_ALREADY_EXISTS, "there is a metric '%s' already", f->name);
    if (!hone_reserve(&m->metrics, &m->metric_capacity, m->metric_count + 1, sizeof *m->metrics))
        return hone_fail_memory(err);
    m->metrics[m->metric_count++] = f;
    return HONE_OK;
}

hone_status hone_metrics_add(hone_metrics *m, const hone_metric_options *options, hone_metric **out,
                             hone_error *err) {
    int label_count = 0;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    HONE_TRY(check_name(options, err));
    HONE_TRY(check_labels(options, &label_count, err));
    HONE_TRY(check_buckets(options, err));
    hone_metric *f = make_metric(m, options, label_count);
    if (!f) return hone_fail_memory(err);
    pthread_mutex_lock(&m->lock);
    hone_status status = insert_metric(m, f, err);
    pthread_mutex_unlock(&m->lock);
    if (status == HONE_OK)
        *out = f;
    else
        free_metric(f);
    return status;
}

hone_status hone_metrics_on_write(hone_metrics *m, hone_metrics_fn *fn, void *user, hone_error *err) {
    pthread_mutex_lock(&m->lock);
    bool room = hone_reserve(&m->hooks, &m->hook_capacity, m->hook_count + 1, sizeof *m->hooks);
    if (room) m->hooks[m->hook_count++] = (hone_metrics_hook){fn, user};
    pthread_mutex_unlock(&m->lock);
    return room ? HONE_OK : hone_fail_memory(err);
}

/* --- series --- */

static unsigned shard_count(void) {
    unsigned shards = 1;
    while (shards < 64 && shards < (unsigned)hone_cpu_count()) shards *= 2;
    return shards;
}

/* Takes over `labels`. */
static hone_series *make_series(hone_metric *f, char *labels) {
    hone_series *s = hone_calloc(1, sizeof *s);
    if (!s) {
        hone_free(labels);
        return NULL;
    }
    size_t line = 64 / sizeof *s->cells,
           cells = f->type == HONE_METRIC_HISTOGRAM ? (size_t)f->bucket_count + 2 : 1;
    s->metric = f;
    s->labels = labels;
    s->shards = f->type == HONE_METRIC_GAUGE ? 1 : shard_count();
    s->stride = (cells + line - 1) / line * line;
    s->cells = hone_calloc(s->stride * s->shards, sizeof *s->cells); /* all zero bits: 0 and 0.0 */
    if (s->cells) return s;
    free_series(s);
    return NULL;
}

static hone_status find_or_make(hone_metric *f, char *labels, hone_series **out, hone_error *err) {
    for (size_t i = 0; i < f->series_count; i++)
        if (strcmp(f->series[i]->labels, labels) == 0) {
            hone_free(labels);
            f->series[i]->references++;
            *out = f->series[i];
            return HONE_OK;
        }
    if (f->series_count >= f->max_series) {
        hone_free(labels);
        return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "'%s' has %zu series already", f->name,
                         f->series_count);
    }
    hone_series *s = make_series(f, labels);
    if (!s) return hone_fail_memory(err);
    if (!hone_reserve(&f->series, &f->series_capacity, f->series_count + 1, sizeof *f->series)) {
        free_series(s);
        return hone_fail_memory(err);
    }
    s->references = 1;
    *out = f->series[f->series_count++] = s;
    return HONE_OK;
}

hone_status hone_metric_series(hone_metric *metric, const char *const *values, hone_series **out,
                               hone_error *err) {
    hone_text t = {0};
    for (int i = 0; i < metric->label_count; i++) {
        if (i) hone_text_add(&t, ",", 1);
        hone_text_add(&t, metric->labels[i], strlen(metric->labels[i]));
        hone_text_add(&t, "=\"", 2);
        hone_text_escape(&t, values[i], true);
        hone_text_add(&t, "\"", 1);
    }
    hone_text_add(&t, "", 1);
    if (t.failed) {
        hone_free(t.data);
        return hone_fail_memory(err);
    }
    pthread_mutex_lock(&metric->owner->lock);
    hone_status status = find_or_make(metric, t.data, out, err);
    pthread_mutex_unlock(&metric->owner->lock);
    return status;
}

void hone_series_drop(hone_series *s) {
    if (!s) return;
    hone_metric *f = s->metric;
    pthread_mutex_lock(&f->owner->lock);
    bool gone = --s->references == 0;
    for (size_t i = 0; gone && i < f->series_count; i++)
        if (f->series[i] == s) {
            f->series_count--;
            memmove(f->series + i, f->series + i + 1, (f->series_count - i) * sizeof *f->series);
            break;
        }
    pthread_mutex_unlock(&f->owner->lock);
    if (gone) free_series(s);
}

/* --- counting --- */

static double as_double(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t as_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static void add_double(hone_cell *cell, double x) {
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(cell, &old, as_bits(as_double(old) + x),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* Threads are numbered as they come, so that the first few have a shard each. */
static hone_cell *own_cells(hone_series *s) {
    static atomic_uint threads;
    static _Thread_local unsigned number;
    if (number == 0) number = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % 1024;
    return s->cells + s->stride * (number & (s->shards - 1));
}

void hone_series_add(hone_series *s, double x) {
    if (s->metric->type == HONE_METRIC_GAUGE)
        add_double(s->cells, x);
    else if (s->metric->type == HONE_METRIC_COUNTER && x >= 0)
        add_double(own_cells(s), x);
}

void hone_series_set(hone_series *s, double x) {
    if (s->metric->type == HONE_METRIC_HISTOGRAM) return;
    atomic_store_explicit(s->cells, as_bits(x), memory_order_relaxed);
}

void hone_series_observe(hone_series *s, double x) {
    const hone_metric *f = s->metric;
    if (f->type != HONE_METRIC_HISTOGRAM || isnan(x)) return;
    int low = 0, high = f->bucket_count; /* the first bucket whose bound is not below x */
    while (low < high) {
        int middle = (low + high) / 2;
        if (x <= f->buckets[middle])
            high = middle;
        else
            low = middle + 1;
    }
    hone_cell *cells = own_cells(s);
    add_double(cells, x);
    atomic_fetch_add_explicit(cells + 1 + low, 1, memory_order_relaxed);
}

uint64_t hone_series_bucket(const hone_series *s, int i) {
    uint64_t n = 0;
    for (unsigned k = 0; k < s->shards; k++)
        n += atomic_load_explicit(s->cells + s->stride * k + 1 + (size_t)i, memory_order_relaxed);
    return n;
}

double hone_series_sum(const hone_series *s) {
    double sum = 0;
    for (unsigned k = 0; k < s->shards; k++)
        sum += as_double(atomic_load_explicit(s->cells + s->stride * k, memory_order_relaxed));
    return sum;
}

double hone_series_value(const hone_series *s) {
    if (s->metric->type != HONE_METRIC_HISTOGRAM) return hone_series_sum(s);
    uint64_t n = 0;
    for (int i = 0; i <= s->metric->bucket_count; i++) n += hone_series_bucket(s, i);
    return (double)n;
}
