#define POOL_TYPE uint8_t
#define POOL_LEAST 0
#include "kernels/pool_plain.inc.h"

void hone_pool_u8(const hone_pool *p, const uint8_t *x, uint8_t *y, int64_t line0, int64_t line1,
                  uint8_t *room) {
    pool_lines(p, HONE_POOL_MAX, x, y, line0, line1, room);
}
