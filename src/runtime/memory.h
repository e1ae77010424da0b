/* The memory plan: offsets for buffers with lifetimes, so that those alive together do not overlap. */
#ifndef HONE_RUNTIME_MEMORY_H
#define HONE_RUNTIME_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct hone_buffer {
    size_t size;
    int first, last; /* steps, inclusive */
    size_t offset;   /* result; a multiple of 64 */
} hone_buffer;

/* Greedy by size (largest first, lowest gap that fits). Returns the bytes needed in all; false when out of
 * memory. */
bool hone_memory_plan(hone_buffer *buffers, int count, size_t *total);

#endif
