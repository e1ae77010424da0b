#include "base/random.h"

#include "base/clock.h"

#include <sys/random.h>

static uint64_t multiply(uint32_t a, uint32_t b) {
    return (uint64_t)a * b;
}

void hone_philox(uint64_t key, uint64_t counter_high, uint64_t counter_low, uint32_t out[4]) {
    uint32_t c0 = (uint32_t)counter_low, c1 = (uint32_t)(counter_low >> 32);
    uint32_t c2 = (uint32_t)counter_high, c3 = (uint32_t)(counter_high >> 32);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = multiply(0xD2511F53u, c0), p1 = multiply(0xCD9E8D57u, c2);
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint64_t hone_random_seed(void) {
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == sizeof seed) return seed;
    seed = hone_now() ^ (uint64_t)(uintptr_t)&seed; /* before the system has any */
    return hone_hash(&seed, sizeof seed);
}

hone_rng hone_rng_make(uint64_t key, uint64_t stream) {
    return (hone_rng){.key = key, .stream = stream};
}

uint32_t hone_rng_u32(hone_rng *r) {
    uint32_t four[4];
    hone_philox(r->key, r->stream, r->position / 4, four);
    return four[r->position++ % 4];
}

/* Lemire, "Fast random integer generation in an interval", TOMACS 2019. */
uint32_t hone_rng_below(hone_rng *r, uint32_t bound) {
    uint64_t product = multiply(hone_rng_u32(r), bound);
    if ((uint32_t)product < bound) {
        uint32_t threshold = -bound % bound;
        while ((uint32_t)product < threshold) product = multiply(hone_rng_u32(r), bound);
    }
    return (uint32_t)(product >> 32);
}

float hone_rng_uniform(hone_rng *r) {
    return (float)(hone_rng_u32(r) >> 8) * 0x1p-24f;
}

uint64_t hone_hash(const void *data, uint64_t size) {
    const uint8_t *bytes = data;
    uint64_t hash = 0xCBF29CE484222325u;
    for (uint64_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * 0x100000001B3u;
    return hash;
}

void hone_rng_permutation(uint64_t key, uint64_t stream, uint32_t *out, uint32_t n) {
    hone_rng r = hone_rng_make(key, stream);
    for (uint32_t i = 0; i < n; i++) out[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = hone_rng_below(&r, i), last = out[i - 1];
        out[i - 1] = out[j];
        out[j] = last;
    }
}
