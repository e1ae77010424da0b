#include "kernels/portable.h"

#include <string.h>

void hone_equal_strings(const hone_string *a, int64_t a_step, const hone_string *b, int64_t b_step, bool *y,
                        int64_t n) {
    for (int64_t i = 0; i < n; i++, a += a_step, b += b_step)
        y[i] = a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}
