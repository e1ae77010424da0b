/* An engine of a language model: how many tokens a second one text and several texts at once get, and how long those who
 * generate wait for a token while others bring a long prompt.
 *
 *     bench_engine MODEL [THREADS [TEXTS [PROMPT]]]
 *
 * Rounds of one text and of TEXTS (8) are interleaved; the best of each counts. Then 4 texts generate beside prompts of PROMPT
 * (4096) tokens. Tokens are any: their number is what takes time. */
#include "base/clock.h"
#include "base/memory.h"
#include "lm/engine.h"

#include <hone/import.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOKENS = 64, ROUNDS = 5, SHORT = 16, STREAMS = 4, MOST_GAPS = 100000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int alive;
static bool prompt_done;
static double gaps[MOST_GAPS];
static size_t gap_count;

typedef struct text {
    double last, first_token, end; /* seconds */
    size_t tokens;
    bool stream; /* goes on until the prompt is done */
} text;

static bool hear(void *user, const hone_lm_news *n) {
    text *t = user;
    const double now = hone_seconds_now();
    bool more = true;
    pthread_mutex_lock(&lock);
    if (n->kind == HONE_LM_ENDED) {
        if (n->status != HONE_OK && n->status != HONE_CANCELLED) fprintf(stderr, "%s\n", n->error->message);
        alive--;
        t->end = now;
        pthread_cond_signal(&changed);
    } else {
        if (t->tokens++ == 0)
            t->first_token = now;
        else if (t->stream && gap_count < MOST_GAPS)
            gaps[gap_count++] = now - t->last;
        t->last = now;
        more = !t->stream || !prompt_done;
        if (!t->stream) prompt_done = true;
    }
    pthread_mutex_unlock(&lock);
    return more;
}

static int fail(const hone_error *err) {
    fprintf(stderr, "bench_engine: %s\n", err->message);
    return 1;
}

static void submit(hone_lm_engine *e, text *t, size_t prompt, int64_t tokens, uint64_t seed) {
    hone_lm_job_options o = HONE_LM_JOB_OPTIONS_INIT;
    hone_error err;
    int32_t *ids = calloc(prompt, sizeof *ids);
    for (size_t i = 0; i < prompt; i++)
        ids[i] = (int32_t)((i * 7919 + seed * 104729) % (uint64_t)hone_lm_engine_vocabulary(e));
    *t = (text){.stream = tokens == 0};
    o.ids = ids;
    o.count = prompt;
    o.max_tokens = tokens;
    o.client = seed;
    o.news = hear;
    o.user = t;
    pthread_mutex_lock(&lock);
    alive++;
    pthread_mutex_unlock(&lock);
    if (hone_lm_submit(e, &o, NULL, &err) != HONE_OK) exit(fail(&err));
    free(ids);
}

static void wait_all(void) {
    pthread_mutex_lock(&lock);
    while (alive > 0) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* Tokens a second of `count` texts at once, from the time all of them have their first. */
static double rate(hone_lm_engine *e, int count, uint64_t seed) {
    static text t[256];
    double begin = 0, end = 0;
    prompt_done = false;
    for (int i = 0; i < count; i++) submit(e, &t[i], SHORT, TOKENS, seed + (uint64_t)i);
    wait_all();
    for (int i = 0; i < count; i++) {
        if (t[i].first_token > begin) begin = t[i].first_token;
        if (t[i].end > end) end = t[i].end;
    }
    return (double)(count * (TOKENS - 1)) / (end - begin);
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure_gaps(hone_lm_engine *e, size_t prompt) {
    text streams[STREAMS], t;
    prompt_done = false;
    for (int i = 0; i < STREAMS; i++) submit(e, &streams[i], SHORT, 0, 900 + (uint64_t)i);
    for (size_t tokens = 0; tokens < 5;) { /* they generate */
        struct timespec wait = {.tv_nsec = 10000000};
        nanosleep(&wait, NULL);
        pthread_mutex_lock(&lock);
        tokens = streams[STREAMS - 1].tokens;
        gap_count = 0;
        pthread_mutex_unlock(&lock);
    }
    const double start = hone_seconds_now();
    submit(e, &t, prompt, 1, 990);
    wait_all();
    qsort(gaps, gap_count, sizeof *gaps, by_size);
    if (!gap_count) return;
    printf("%d streams beside a prompt of %zu: %zu gaps, p50 %.0f, p99 %.0f, most %.0f ms; the prompt took "
           "%.1f s\n",
           STREAMS, prompt, gap_count, 1e3 * gaps[gap_count / 2], 1e3 * gaps[gap_count * 99 / 100],
           1e3 * gaps[gap_count - 1], t.first_token - start);
}

int main(int argc, char **argv) {
    hone_error err;
    hone_import *import;
    hone_lm_engine *e;
    hone_lm_options m = HONE_LM_OPTIONS_INIT;
    hone_lm_engine_options o = HONE_LM_ENGINE_OPTIONS_INIT;
    if (argc < 2) {
        fprintf(stderr, "bench_engine MODEL [THREADS [TEXTS [PROMPT]]]\n");
        return 2;
    }
    const int count = argc > 3 ? atoi(argv[3]) : 8, prompt = argc > 4 ? atoi(argv[4]) : 4096;
    m.threads = argc > 2 ? atoi(argv[2]) : 0;
    m.least = prompt + 256;
    o.kv_bytes = (size_t)1 << 30;
    o.no_prefix_cache = true;
    if (hone_import_open(argv[1], NULL, &import, &err) != HONE_OK) return fail(&err);
    if (hone_lm_engine_create(hone_import_take_graph(import), &m, &o, &e, &err) != HONE_OK) return fail(&err);
    double one = 0, many = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const double a = rate(e, 1, 1), b = rate(e, count, 2);
        printf("1 text: %.1f tokens/s; %d texts: %.1f tokens/s\n", a, count, b);
        if (a > one) one = a;
        if (b > many) many = b;
    }
    printf("best: %.1f and %.1f, %.2f times as many\n", one, many, many / one);
    if (prompt > 0) measure_gaps(e, (size_t)prompt);
    hone_lm_engine_free(e);
    hone_import_free(import);
    return 0;
}
