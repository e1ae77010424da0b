#include "base/mersenne.h"

enum { N = HONE_MERSENNE_WORDS, M = 397 };

void hone_mersenne_seed(hone_mersenne *m, uint32_t seed) {
    m->word[0] = seed;
    for (uint32_t i = 1; i < N; i++) {
        uint32_t before = m->word[i - 1];
        m->word[i] = 1812433253u * (before ^ before >> 30) + i;
    }
    m->next = N;
}

/* x[i + N] = x[i + M] ^ (upper bit of x[i], lower bits of x[i + 1]) A */
static void twist(hone_mersenne *m) {
    uint32_t *x = m->word;
    for (int i = 0; i < N; i++) {
        uint32_t y = (x[i] & 0x80000000u) | (x[(i + 1) % N] & 0x7fffffffu);
        x[i] = x[(i + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    m->next = 0;
}

uint32_t hone_mersenne_u32(hone_mersenne *m) {
    if (m->next == N) twist(m);
    uint32_t y = m->word[m->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double hone_mersenne_uniform(hone_mersenne *m) {
    uint32_t upper = hone_mersenne_u32(m) >> 5, lower = hone_mersenne_u32(m) >> 6;
    return (upper * 0x1p26 + lower) * 0x1p-53;
}
