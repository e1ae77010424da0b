/* For tests: GGUF files made in memory. */
#ifndef HONE_TESTS_GGUF_FILE_H
#define HONE_TESTS_GGUF_FILE_H

#include "import/gguf.h"
#include "support/graphs.h"

typedef struct bytes {
    uint8_t data[1 << 20];
    size_t size;
} bytes;

static inline void put(bytes *b, const void *x, size_t size) {
    assert_true(b->size + size <= sizeof b->data);
    memcpy(b->data + b->size, x, size);
    b->size += size;
}
static inline void put_u32(bytes *b, uint32_t x) {
    put(b, &x, sizeof x);
}
static inline void put_u64(bytes *b, uint64_t x) {
    put(b, &x, sizeof x);
}
static inline void put_text(bytes *b, const char *x) {
    put_u64(b, strlen(x));
    put(b, x, strlen(x));
}
static inline void put_head(bytes *b, uint64_t tensors, uint64_t keys) {
    b->size = 0;
    put(b, "GGUF", 4);
    put_u32(b, 3);
    put_u64(b, tensors);
    put_u64(b, keys);
}
static inline void put_key_u32(bytes *b, const char *name, uint32_t x) {
    put_text(b, name);
    put_u32(b, HONE_GGUF_U32);
    put_u32(b, x);
}
static inline void put_key_text(bytes *b, const char *name, const char *x) {
    put_text(b, name);
    put_u32(b, HONE_GGUF_STRING);
    put_text(b, x);
}
/* [rows, columns], or [columns] where rows is 0. */
static inline void put_tensor(bytes *b, const char *name, int64_t rows, int64_t columns, uint32_t type,
                              uint64_t offset) {
    put_text(b, name);
    put_u32(b, rows ? 2 : 1);
    put_u64(b, (uint64_t)columns);
    if (rows) put_u64(b, (uint64_t)rows);
    put_u32(b, type);
    put_u64(b, offset);
}
static inline void put_padding(bytes *b) {
    while (b->size % 32) put(b, "", 1);
}

#endif
