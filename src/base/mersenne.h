/* The Mersenne Twister MT19937 (Matsumoto and Nishimura, "Mersenne Twister: a 623-dimensionally
 * equidistributed uniform pseudo-random number generator", ACM TOMACS 8, 1998; seeded as in their revision of
 * 2002): the numbers that NumPy's RandomState and C++'s std::mt19937 draw for a seed. Whatever need not
 * repeat theirs takes base/random.h. */
#ifndef HONE_BASE_MERSENNE_H
#define HONE_BASE_MERSENNE_H

#include <stdint.h>

#define HONE_MERSENNE_WORDS 624

typedef struct hone_mersenne {
    uint32_t word[HONE_MERSENNE_WORDS];
    int next; /* which word comes next; HONE_MERSENNE_WORDS: none before others are made */
} hone_mersenne;

void hone_mersenne_seed(hone_mersenne *m, uint32_t seed);
uint32_t hone_mersenne_u32(hone_mersenne *m);
/* In [0, 1), of 53 bits: two words, the upper 27 bits of the first above the upper 26 of the second. */
double hone_mersenne_uniform(hone_mersenne *m);

#endif
