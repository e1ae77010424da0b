#include "data/wav.h"

#include "data/sound_file.h"

#include "base/error.h"
#include "base/file.h"
#include "graph/tensor.h"

#include <hone/data.h>

#include <string.h>

enum { PCM = 1, FLOATS = 3, EXTENSIBLE = 0xfffe };
#define LIMIT ((size_t)1 << 30)

typedef struct wave {
    unsigned kind, channels, rate, bits;
    const uint8_t *samples;
    size_t bytes;
} wave;

static uint32_t number(const uint8_t *p, int bytes) {
    uint32_t n = 0;
    while (bytes-- > 0) n = n << 8 | p[bytes];
    return n;
}

static hone_status read_format(const uint8_t *p, size_t size, wave *w, hone_error *err) {
    if (size < 16) return hone_fail(err, HONE_CORRUPT, "WAV: a format of %zu bytes", size);
    w->kind = number(p, 2);
    w->channels = number(p + 2, 2);
    w->rate = number(p + 4, 4);
    w->bits = number(p + 14, 2);
    if (w->kind == EXTENSIBLE && size >= 26) w->kind = number(p + 24, 2);
    if (!w->channels || !w->rate || w->rate > INT32_MAX)
        return hone_fail(err, HONE_CORRUPT, "WAV: %u channels, %u samples a second", w->channels, w->rate);
    bool known = w->kind == PCM      ? w->bits == 8 || w->bits == 16 || w->bits == 24 || w->bits == 32
                 : w->kind == FLOATS ? w->bits == 32 || w->bits == 64
                                     : false;
    if (!known) return hone_fail(err, HONE_UNSUPPORTED, "WAV: coding %u with %u bits", w->kind, w->bits);
    return HONE_OK;
}

/* Chunks: a name, a size, as many bytes, and one more if the size is odd. */
static hone_status read_chunks(const uint8_t *data, size_t size, wave *w, hone_error *err) {
    if (size < 12 || memcmp(data, "RIFF", 4) != 0 || memcmp(data + 8, "WAVE", 4) != 0)
        return hone_fail(err, HONE_CORRUPT, "not a WAV file");
    for (size_t at = 12; size - at >= 8;) {
        const uint8_t *chunk = data + at + 8;
        size_t bytes = number(data + at + 4, 4), left = size - at - 8;
        bool samples = memcmp(data + at, "data", 4) == 0;
        if (samples && bytes == UINT32_MAX) bytes = left; /* written to a pipe */
        if (bytes > left) break;
        if (memcmp(data + at, "fmt ", 4) == 0) HONE_TRY(read_format(chunk, bytes, w, err));
        if (samples) {
            w->samples = chunk;
            w->bytes = bytes;
            return w->channels ? HONE_OK : hone_fail(err, HONE_CORRUPT, "WAV: samples before their format");
        }
        at += 8 + bytes;
        if (bytes % 2 && at < size) at++;
    }
    return hone_fail(err, HONE_CORRUPT, "WAV: the file ends before its samples do");
}

static double sample(const wave *w, const uint8_t *p) {
    if (w->kind == FLOATS && w->bits == 32) {
        float x;
        memcpy(&x, p, sizeof x);
        return (double)x;
    }
    if (w->kind == FLOATS) {
        double x;
        memcpy(&x, p, sizeof x);
        return x;
    }
    if (w->bits == 8) return (*p - 128) / 128.0;
    /* the highest bits of 32 */
    return (int32_t)(number(p, (int)w->bits / 8) << (32 - w->bits)) / 0x1p31;
}

hone_status hone_wav_parse(const void *data, size_t size, hone_tensor **out, int *rate, hone_error *err) {
    wave w = {0};
    hone_tensor *t = NULL;
    HONE_TRY(read_chunks(data, size, &w, err));
    size_t one = w.bits / 8, all = one * w.channels;
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 1, (int64_t[]){(int64_t)(w.bytes / all)}, &t, err));
    for (int64_t i = 0; i < t->count; i++) {
        double sum = 0;
        for (unsigned c = 0; c < w.channels; c++) sum += sample(&w, w.samples + (size_t)i * all + c * one);
        ((float *)t->data)[i] = (float)(sum / w.channels);
    }
    *out = t;
    *rate = (int)w.rate;
    return HONE_OK;
}

hone_status hone_wav_load(const char *path, hone_tensor **out, int *rate, hone_error *err) {
    hone_blob blob;
    HONE_TRY(hone_file_read(path, LIMIT, &blob, err));
    hone_status status = hone_sound_begins(blob.data, blob.size)
                             ? hone_sound_parse(blob.data, blob.size, out, rate, err)
                             : hone_wav_parse(blob.data, blob.size, out, rate, err);
    hone_blob_free(&blob);
    return hone_error_in_file(err, status, path);
}
