#include "data/source.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct plain_source {
    hone_source base;
    int fd; /* < 0: memory */
    const uint8_t *data;
    size_t size, at;
} plain_source;

static hone_status read_memory(hone_source *s, void *to, size_t size, size_t *got, hone_error *err) {
    (void)err;
    plain_source *p = (plain_source *)s;
    size_t n = p->size - p->at < size ? p->size - p->at : size;
    if (n) memcpy(to, p->data + p->at, n);
    p->at += n;
    *got = n;
    return HONE_OK;
}

static hone_status read_file(hone_source *s, void *to, size_t size, size_t *got, hone_error *err) {
    plain_source *p = (plain_source *)s;
    ssize_t n;
    do n = read(p->fd, to, size < (1u << 30) ? size : (1u << 30));
    while (n < 0 && errno == EINTR);
    if (n < 0) return hone_fail(err, HONE_IO, "cannot read: %s", strerror(errno));
    *got = (size_t)n;
    return HONE_OK;
}

static void close_plain(hone_source *s) {
    plain_source *p = (plain_source *)s;
    if (p->fd >= 0) close(p->fd);
    hone_free(p);
}

#ifdef HONE_PARTS_INFERENCE
hone_status hone_source_gunzip(hone_source *inner, hone_source **out, hone_error *err) {
    (void)out;
    hone_source_close(inner);
    return hone_fail(err, HONE_UNSUPPORTED, "it is gzipped, which this build of Hone does not read");
}
#endif

static bool is_gzip(const uint8_t *magic, size_t size) {
    return size >= 2 && magic[0] == 0x1f && magic[1] == 0x8b;
}

static hone_status open_plain(plain_source init, bool gzipped, hone_source **out, hone_error *err) {
    plain_source *p = hone_alloc(sizeof *p);
    if (!p) {
        if (init.fd >= 0) close(init.fd);
        return hone_fail_memory(err);
    }
    *p = init;
    if (gzipped) return hone_source_gunzip(&p->base, out, err);
    *out = &p->base;
    return HONE_OK;
}

hone_status hone_source_memory(const void *data, size_t size, hone_source **out, hone_error *err) {
    plain_source p = {.base = {read_memory, close_plain, size}, .fd = -1, .data = data, .size = size};
    return open_plain(p, is_gzip(data, size), out, err);
}

hone_status hone_source_open(const char *path, hone_source **out, hone_error *err) {
    /* O_NONBLOCK: a FIFO in the place of a file must not hang. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return hone_fail_errno(err, errno, path, "cannot open");
    struct stat st;
    uint8_t magic[2];
    ssize_t got = -1;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return hone_fail_file(err, HONE_IO, path, "not a regular file");
    }
    got = pread(fd, magic, sizeof magic, 0);
    plain_source p = {.base = {read_file, close_plain, (uint64_t)st.st_size}, .fd = fd};
    return hone_error_in_file(err, open_plain(p, got == 2 && is_gzip(magic, 2), out, err), path);
}

void hone_source_close(hone_source *s) {
    if (s) s->close(s);
}

hone_status hone_source_read(hone_source *s, void *to, size_t size, hone_error *err) {
    for (size_t at = 0; at < size;) {
        size_t got = 0;
        HONE_TRY(s->read(s, (uint8_t *)to + at, size - at, &got, err));
        if (got == 0)
            return hone_fail(err, HONE_CORRUPT, "the file ends too early: %zu bytes are missing", size - at);
        at += got;
    }
    return HONE_OK;
}

hone_status hone_source_end(hone_source *s, hone_error *err) {
    uint8_t byte;
    size_t got = 0;
    HONE_TRY(s->read(s, &byte, 1, &got, err));
    return got ? hone_fail(err, HONE_CORRUPT, "the file has more bytes than its header says") : HONE_OK;
}

void hone_swap_bytes(void *data, size_t count, size_t size) {
    if (size == 2) {
        uint16_t *x = data;
        for (size_t i = 0; i < count; i++) x[i] = __builtin_bswap16(x[i]);
    } else if (size == 4) {
        uint32_t *x = data;
        for (size_t i = 0; i < count; i++) x[i] = __builtin_bswap32(x[i]);
    } else if (size == 8) {
        uint64_t *x = data;
        for (size_t i = 0; i < count; i++) x[i] = __builtin_bswap64(x[i]);
    }
}
