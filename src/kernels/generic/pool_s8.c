#define POOL_TYPE int8_t
#define POOL_LEAST INT8_MIN
#include "kernels/pool_plain.inc.h"

void hone_pool_s8(const hone_pool *p, const int8_t *x, int8_t *y, int64_t line0, int64_t line1,
                  int8_t *room) {
    pool_lines(p, HONE_POOL_MAX, x, y, line0, line1, room);
}
