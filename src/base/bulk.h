/* One block for many tensors of a file: all of it by huge pages, where each for itself had its own small ones, and one
 * mapping in place of hundreds. Parts go one by one, and their pages with them; the block goes with the last. */
#ifndef HONE_BASE_BULK_H
#define HONE_BASE_BULK_H

#include <stdbool.h>
#include <stddef.h>

typedef struct hone_bulk hone_bulk;
typedef struct hone_bulk_part hone_bulk_part;

/* Room for `count` parts of `bytes` in all. NULL without memory, and where a sanitizer watches each block. */
hone_bulk *hone_bulk_new(size_t bytes, size_t count);
/* The maker's hold on it; parts stay. NULL is fine. */
void hone_bulk_free(hone_bulk *s);
/* Zero-filled bytes, aligned to 64; NULL: no room is left, or `s` is NULL. For one thread at a time. */
void *hone_bulk_take(hone_bulk *s, size_t bytes, hone_bulk_part **part);
void hone_bulk_part_free(void *part); /* a hone_bulk_part */
/* From now on pages of the whole bulk are no more put together (hone_scatter). */
void hone_bulk_part_scatter(hone_bulk_part *part);

#endif
