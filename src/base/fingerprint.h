/* What tells one content of a file from another without reading it. */
#ifndef HONE_BASE_FINGERPRINT_H
#define HONE_BASE_FINGERPRINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* All zero: there is no file. */
typedef struct hone_fingerprint {
    uint64_t device, inode, size;
    int64_t modified,
        changed; /* nanoseconds since 1970: the content; the content, the name or the permissions */
} hone_fingerprint;

static inline hone_fingerprint hone_fingerprint_of(const struct stat *is) {
    return (hone_fingerprint){.device = (uint64_t)is->st_dev,
                              .inode = (uint64_t)is->st_ino,
                              .size = (uint64_t)is->st_size,
                              .modified = (int64_t)is->st_mtim.tv_sec * 1000000000 + is->st_mtim.tv_nsec,
                              .changed = (int64_t)is->st_ctim.tv_sec * 1000000000 + is->st_ctim.tv_nsec};
}

static inline bool hone_fingerprint_equal(const hone_fingerprint *a, const hone_fingerprint *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified == b->modified && a->changed == b->changed;
}

/* The same content, as far as can be told; the name or the permissions may have changed. */
static inline bool hone_fingerprint_same_content(const hone_fingerprint *a, const hone_fingerprint *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->modified == b->modified;
}

#endif
