#include "data/sound_file.h"

#include "base/memory.h"
#include "graph/tensor.h"

#include <sndfile.h>
#include <string.h>

enum { CHANNELS = 8, FRAMES = 4096 /* at a time */ };
#define MOST ((size_t)1 << 26) /* samples */

bool hone_sound_begins(const void *data, size_t size) {
    return size >= 4 && (memcmp(data, "fLaC", 4) == 0 || memcmp(data, "OggS", 4) == 0);
}

/* --- bytes in memory, as libsndfile reads files --- */

typedef struct bytes {
    const char *data;
    sf_count_t size, at;
} bytes;

static sf_count_t size_of(void *user) {
    return ((const bytes *)user)->size;
}

static sf_count_t seek_to(sf_count_t offset, int whence, void *user) {
    bytes *b = user;
    sf_count_t to = offset + (whence == SEEK_CUR ? b->at : whence == SEEK_END ? b->size : 0);
    if (to < 0 || to > b->size) return -1;
    return b->at = to;
}

static sf_count_t read_some(void *to, sf_count_t count, void *user) {
    bytes *b = user;
    if (count > b->size - b->at) count = b->size - b->at;
    if (count > 0) memcpy(to, b->data + b->at, (size_t)count);
    b->at += count;
    return count;
}

static sf_count_t write_nothing(const void *data, sf_count_t count, void *user) {
    (void)data, (void)count, (void)user;
    return 0;
}

static sf_count_t tell(void *user) {
    return ((const bytes *)user)->at;
}

/* --- samples --- */

typedef struct samples {
    float *x;
    size_t count, capacity;
} samples;

/* Several channels become their mean. */
static hone_status keep(samples *s, const double *frames, size_t count, int channels, hone_error *err) {
    if (s->count + count > MOST)
        return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "more than %zu samples", MOST);
    if (!hone_reserve(&s->x, &s->capacity, s->count + count, sizeof *s->x)) return hone_fail_memory(err);
    for (size_t i = 0; i < count; i++, frames += channels) {
        double sum = 0;
        for (int c = 0; c < channels; c++) sum += frames[c];
        s->x[s->count++] = (float)(sum / channels);
    }
    return HONE_OK;
}

static hone_status read_all(SNDFILE *file, const SF_INFO *info, samples *s, hone_error *err) {
    static _Thread_local double frames[FRAMES * CHANNELS];
    for (sf_count_t n; (n = sf_readf_double(file, frames, FRAMES)) > 0;)
        HONE_TRY(keep(s, frames, (size_t)n, info->channels, err));
    if (sf_error(file) != SF_ERR_NO_ERROR)
        return hone_fail(err, HONE_CORRUPT, "damaged sound: %s", sf_strerror(file));
    if ((sf_count_t)s->count != info->frames)
        return hone_fail(err, HONE_CORRUPT, "damaged sound: %zu samples where the file says %lld", s->count,
                         (long long)info->frames);
    return HONE_OK;
}

hone_status hone_sound_parse(const void *data, size_t size, hone_tensor **out, int *rate, hone_error *err) {
    SF_VIRTUAL_IO io = {size_of, seek_to, read_some, write_nothing, tell};
    bytes b = {data, (sf_count_t)size, 0};
    SF_INFO info = {0};
    samples s = {NULL};
    if (!hone_sound_begins(data, size))
        return hone_fail(err, HONE_CORRUPT, "it begins neither as FLAC nor as Ogg does");
    SNDFILE *file = sf_open_virtual(&io, SFM_READ, &info, &b);
    if (!file) return hone_fail(err, HONE_CORRUPT, "damaged sound: %s", sf_strerror(NULL));
    hone_status status = HONE_OK;
    if (info.channels < 1 || info.channels > CHANNELS || info.samplerate < 1)
        status = hone_fail(err, HONE_UNSUPPORTED, "sound of %d channels at %d samples a second",
                           info.channels, info.samplerate);
    if (status == HONE_OK) status = read_all(file, &info, &s, err);
    if (status == HONE_OK)
        status = hone_tensor_copy_of(HONE_FLOAT32, 1, (int64_t[]){(int64_t)s.count}, s.x, out, err);
    *rate = info.samplerate;
    sf_close(file);
    hone_free(s.x);
    return status;
}
