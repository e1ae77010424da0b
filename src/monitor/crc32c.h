/* CRC-32C (Castagnoli): the checksum of event files. */
#ifndef HONE_MONITOR_CRC32C_H
#define HONE_MONITOR_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of `data`, going on from that of what came before it (0 at the beginning). */
uint32_t hone_crc32c(uint32_t crc, const void *data, size_t size);
/* As event files store it: rotated and offset, so that a CRC of data with CRCs in it is not degenerate. */
uint32_t hone_crc32c_masked(const void *data, size_t size);

#endif
