/* A language model at work: seconds until it is loaded, tokens a second of a prompt and of what follows it, memory, and the
 * plain read of as many bytes as the file has. lm.py runs it beside a peer.
 *
 *     bench_lm MODEL THREADS PROMPT TOKENS [bfloat16] */
#include <hone/generate.h>
#include <hone/import.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

typedef struct share {
    const uint64_t *words;
    size_t count;
    uint64_t sum;
} share;

static void *read_share(void *arg) {
    share *s = arg;
    uint64_t sum[4] = {0};
    for (size_t i = 0; i + 4 <= s->count; i += 4)
        for (int k = 0; k < 4; k++) sum[k] ^= s->words[i + (size_t)k];
    s->sum = sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
    return NULL;
}

/* Seconds to read `bytes` by so many threads: the least of several times. */
static double read_seconds(size_t bytes, int threads) {
    const size_t each = bytes / 8 / (size_t)threads / 64 * 64;
    uint64_t *memory = aligned_alloc((size_t)2 << 20, ((bytes >> 21) + 1) << 21);
    double best = 1e9;
    if (!memory) return best;
    madvise(memory, bytes, MADV_HUGEPAGE); /* as weights are */
    memset(memory, 1, bytes);
    for (int round = 0; round < 8; round++) {
        pthread_t thread[64];
        share s[64];
        const double start = now();
        for (int i = 0; i < threads; i++) {
            s[i] = (share){memory + each * (size_t)i, each, 0};
            if (i) pthread_create(&thread[i], NULL, read_share, &s[i]);
        }
        read_share(&s[0]);
        for (int i = 1; i < threads; i++) pthread_join(thread[i], NULL);
        if (now() - start < best) best = now() - start;
    }
    free(memory);
    return best;
}

int main(int argc, char **argv) {
    hone_error err = {0};
    hone_import *file;
    hone_lm *lm;
    hone_lm_sequence *s;
    struct stat info;
    if ((argc != 5 && argc != 6) || stat(argv[1], &info) != 0) {
        fprintf(stderr, "bench_lm MODEL THREADS PROMPT TOKENS\n");
        return 2;
    }
    const int threads = atoi(argv[2]), prompt = atoi(argv[3]), tokens = atoi(argv[4]);
    double start = now(), prefill = 1e9, decode = 1e9;
    hone_lm_options o = HONE_LM_OPTIONS_INIT;
    o.threads = threads;
    if (argc > 5 && strcmp(argv[5], "bfloat16") == 0) o.precision = HONE_PRECISION_BFLOAT16;
    o.context = prompt + tokens + 8;
    int32_t *ids = calloc((size_t)o.context, sizeof *ids);
    if (!ids || threads < 1 || threads > 64 || prompt < 1 || tokens < 1) return 2;
    for (int64_t i = 0; i < o.context; i++) ids[i] = (int32_t)(i * 7919 % 40000) + 100;
    if (hone_import_open(argv[1], NULL, &file, &err) != HONE_OK ||
        hone_lm_create(hone_import_take_graph(file), &o, &lm, &err) != HONE_OK ||
        hone_lm_sequence_new(lm, &s, &err) != HONE_OK || hone_lm_feed(s, ids, 1, NULL, &err) != HONE_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const double load = now() - start;
    for (int round = 0; round < 3; round++) {
        ids[0] = round; /* nothing is there already */
        start = now();
        if (hone_lm_feed(s, ids, (size_t)prompt, NULL, &err) != HONE_OK) return 1;
        if (now() - start < prefill) prefill = now() - start;
        start = now();
        for (int i = 1; i <= tokens; i++)
            if (hone_lm_feed(s, ids, (size_t)(prompt + i), NULL, &err) != HONE_OK) return 1;
        if (now() - start < decode) decode = now() - start;
    }
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("{\"load\": %.3f, \"prefill\": %.1f, \"decode\": %.1f, \"megabytes\": %.1f, \"read\": %.1f}\n",
           load, prompt / prefill, tokens / decode, (double)use.ru_maxrss / 1024,
           1 / read_seconds((size_t)info.st_size, threads));
    hone_lm_sequence_free(s);
    hone_lm_free(lm);
    hone_import_free(file);
    free(ids);
    return 0;
}
