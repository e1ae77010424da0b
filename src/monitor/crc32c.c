#include "monitor/crc32c.h"

#include <pthread.h>
#include <string.h>

/* table[k][b]: the CRC of byte b followed by k zero bytes. Eight lookups then take eight bytes at once. */
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void) {
    const uint32_t polynomial = 0x82f63b78; /* bits reversed */
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int i = 0; i < 8; i++) crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
        table[0][b] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (int b = 0; b < 256; b++) table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
}

static uint32_t load_little(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t hone_crc32c(uint32_t crc, const void *data, size_t size) {
    pthread_once(&table_once, make_table);
    const uint8_t *p = data;
    crc = ~crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint32_t a = load_little(p) ^ crc, b = load_little(p + 4);
        crc = table[7][a & 0xff] ^ table[6][a >> 8 & 0xff] ^ table[5][a >> 16 & 0xff] ^ table[4][a >> 24] ^
              table[3][b & 0xff] ^ table[2][b >> 8 & 0xff] ^ table[1][b >> 16 & 0xff] ^ table[0][b >> 24];
    }
    for (; size > 0; size--) crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
    return ~crc;
}

uint32_t hone_crc32c_masked(const void *data, size_t size) {
    uint32_t crc = hone_crc32c(0, data, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}
