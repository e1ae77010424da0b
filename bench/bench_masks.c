/* Masks of tokens that a JSON schema lets come next, in microseconds: a text drawn at random, its masks one after the other.
 *
 *     bench_masks TOKENIZER.json SCHEMA.json [TEXTS] */
#include <hone/text.h>

#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static unsigned long long state = 1;
static unsigned draw(unsigned below) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)((state >> 33) % below);
}

/* One of the tokens; -1: none. */
static int32_t choose(const uint32_t *mask, int32_t size) {
    unsigned count = 0;
    for (int32_t i = 0; i < size; i++) count += mask[i / 32] >> i % 32 & 1;
    if (count == 0) return -1;
    unsigned left = draw(count);
    for (int32_t i = 0; i < size; i++)
        if (mask[i / 32] >> i % 32 & 1 && left-- == 0) return i;
    return -1;
}

int main(int argc, char **argv) {
    hone_error err = {0};
    hone_blob schema;
    hone_tokenizer *t;
    hone_grammar *g;
    hone_token_trie *trie;
    enum { MOST = 200000, LONGEST = 400 };
    double *times = malloc(MOST * sizeof *times), start;
    size_t count = 0;
    if (argc < 3 || hone_tokenizer_load(argv[1], &t, &err) != HONE_OK ||
        hone_file_read(argv[2], 1 << 24, &schema, &err) != HONE_OK) {
        fprintf(stderr, "bench_masks TOKENIZER.json SCHEMA.json [TEXTS]: %s\n", err.message);
        return 2;
    }
    start = now();
    if (hone_token_trie_new(t, &trie, &err) != HONE_OK) return 2;
    printf("trie of %d tokens: %.0f us\n", hone_tokenizer_size(t), now() - start);
    start = now();
    if (hone_grammar_from_schema((const char *)schema.data, schema.size, &g, &err) != HONE_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 2;
    }
    printf("grammar: %.0f us\n", now() - start);
    for (int text = argc > 3 ? atoi(argv[3]) : 20; text > 0; text--) {
        hone_constraint *c;
        bool may_end = false;
        if (hone_constraint_new(g, trie, &c, &err) != HONE_OK) return 2;
        for (int i = 0; i < LONGEST && count < MOST; i++) {
            const uint32_t *mask;
            start = now();
            if (hone_constraint_mask(c, &mask, &may_end, &err) != HONE_OK) return 2;
            times[count++] = now() - start;
            int32_t id = choose(mask, hone_tokenizer_size(t));
            if (id < 0) break;
            if (hone_constraint_accept(c, id, &err) != HONE_OK) return 2;
        }
        hone_constraint_free(c);
    }
    qsort(times, count, sizeof *times, by_size);
    if (count)
        printf("%zu masks, us: p50 %.1f, p90 %.1f, p99 %.1f, max %.1f\n", count, times[count / 2],
               times[count * 9 / 10], times[count * 99 / 100], times[count - 1]);
    return 0;
}
