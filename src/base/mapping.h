/* Mappings of files. */
#ifndef HONE_BASE_MAPPING_H
#define HONE_BASE_MAPPING_H

#include <hone/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A read-only, private mapping of `size` bytes from `offset` on, which must be there; `*data` is their
 * address. Pages come when they are read; a file that is cut short meanwhile is a SIGBUS, unless
 * hone_mapping_guard() was called. hone_mapping_free() when done. */
typedef struct hone_mapping hone_mapping;
hone_status hone_file_map(int fd, const char *path, uint64_t offset, size_t size, hone_mapping **out,
                          void **data, hone_error *err);
void hone_mapping_free(void *mapping); /* a hone_mapping */

/* From now on, in the whole process: who reads a page that a mapped file has lost finds zeros from there
 * to the mapping's end, and the mapping is cut. Of a page that is lost in part the system itself shows
 * zeros, which nobody is told. Handles SIGBUS; those that are no mapping's go to who handled it before. */
void hone_mapping_guard(void);
/* How often that has happened. */
unsigned hone_mapping_cuts(void);
bool hone_mapping_is_cut(const hone_mapping *m);

#endif
