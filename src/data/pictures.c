#include "data/pictures.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/pool.h"
#include "image/image.h"

#include <string.h>

#define LIMIT ((size_t)1 << 28) /* bytes of a file */

/* Of a sample that may be kept. */
enum { ABSENT, BUSY, KEPT };

typedef struct pictures {
    hone_sample_source base;
    char **paths;
    int64_t count;
    int height, width, channels;
    bool channels_last;
    size_t size;      /* bytes of a sample */
    int64_t room;     /* samples that are kept: the first ones */
    uint8_t *kept;    /* [room, size] */
    atomic_uchar *at; /* [room]: ABSENT … */
} pictures;

static hone_status decode(const char *path, hone_image *out, hone_error *err) {
    hone_blob blob;
    HONE_TRY(hone_file_read(path, LIMIT, &blob, err));
    hone_status status = hone_image_read_upright(blob.data, blob.size, out, err);
    hone_blob_free(&blob);
    return hone_error_in_file(err, status, path);
}

/* Pixels to planes, or as they lie; the image may get another size. */
static hone_status spread(hone_image *image, const pictures *p, uint8_t *out, hone_error *err) {
    int height = p->height, width = p->width, channels = p->channels;
    if (image->height != height || image->width != width) {
        hone_image made;
        HONE_TRY(hone_image_resize(image, height, width, &made, err));
        hone_image_free(image);
        *image = made;
    }
    size_t pixels = (size_t)height * (size_t)width;
    for (size_t i = 0; i < pixels && channels == 1; i++) out[i] = hone_image_gray(image->pixels + 3 * i);
    if (channels == 3 && p->channels_last) memcpy(out, image->pixels, 3 * pixels);
    for (int c = 0; c < channels && channels == 3 && !p->channels_last; c++)
        for (size_t i = 0; i < pixels; i++) out[(size_t)c * pixels + i] = image->pixels[3 * i + (size_t)c];
    return HONE_OK;
}

static hone_status read_picture(hone_sample_source *base, int64_t i, void *out, hone_error *err) {
    pictures *p = (pictures *)base;
    bool kept = i < p->room;
    if (kept && atomic_load_explicit(&p->at[i], memory_order_acquire) == KEPT) {
        memcpy(out, p->kept + (size_t)i * p->size, p->size);
        return HONE_OK;
    }
    hone_image image = {0};
    hone_status status = decode(p->paths[i], &image, err);
    if (status == HONE_OK) status = spread(&image, p, out, err);
    hone_image_free(&image);
    unsigned char absent = ABSENT;
    if (status == HONE_OK && kept &&
        atomic_compare_exchange_strong_explicit(&p->at[i], &absent, BUSY, memory_order_acquire,
                                                memory_order_relaxed)) {
        memcpy(p->kept + (size_t)i * p->size, out, p->size);
        atomic_store_explicit(&p->at[i], KEPT, memory_order_release);
    }
    return hone_error_in_file(err, status, p->paths[i]);
}

static void free_pictures(hone_sample_source *base) {
    pictures *p = (pictures *)base;
    for (int64_t i = 0; p->paths && i < p->count; i++) hone_free(p->paths[i]);
    hone_free(p->paths);
    hone_free(p->kept);
    hone_free((void *)p->at);
    hone_free(p);
}

/* --- looking at all of them --- */

typedef struct look {
    int height, width;      /* 0: it is no picture */
    bool coloured, starved; /* memory was out */
} look;

typedef struct survey {
    pictures *p;
    const hone_pictures_options *options;
    look *looks;
} survey;

static bool has_colour(const hone_image *image) {
    size_t pixels = (size_t)image->height * (size_t)image->width;
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *x = image->pixels + 3 * i;
        if (x[0] != x[1] || x[1] != x[2]) return true;
    }
    return false;
}

/* Where size and channels are known already, the sample is kept at once. */
static void look_at(void *arg, int64_t i, int worker) {
    (void)worker;
    const survey *s = arg;
    pictures *p = s->p;
    hone_image image = {0};
    look *l = &s->looks[i];
    hone_status status = decode(p->paths[i], &image, NULL);
    l->starved = status == HONE_OUT_OF_MEMORY;
    if (status == HONE_OK) {
        *l = (look){image.height, image.width, s->options->channels == 0 && has_colour(&image), false};
        if (i < p->room && spread(&image, p, p->kept + (size_t)i * p->size, NULL) == HONE_OK)
            atomic_store_explicit(&p->at[i], KEPT, memory_order_release);
    }
    hone_image_free(&image);
}

static void widen(hone_pictures_report *r, const look *l) {
    int size[2] = {l->height, l->width};
    for (int k = 0; k < 2; k++) {
        if (r->least[k] == 0 || size[k] < r->least[k]) r->least[k] = size[k];
        if (size[k] > r->most[k]) r->most[k] = size[k];
    }
}

/* Room for samples of the size that they have now. */
static hone_status make_room(pictures *p, hone_error *err) {
    hone_free(p->kept);
    hone_free((void *)p->at);
    p->size = (size_t)p->channels * (size_t)p->height * (size_t)p->width;
    size_t most = HONE_PICTURES_ROOM / p->size;
    p->room = most < (size_t)p->count ? (int64_t)most : p->count;
    p->kept = hone_alloc((size_t)p->room * p->size);
    p->at = hone_calloc((size_t)p->room + 1, sizeof *p->at);
    if (p->kept && p->at) return HONE_OK;
    p->room = 0;
    return hone_fail_memory(err);
}

static hone_status take_stock(const survey *s, bool *good, hone_pictures_report *r, hone_error *err) {
    pictures *p = s->p;
    bool coloured = false;
    for (int64_t i = 0; i < p->count; i++) {
        const look *l = &s->looks[i];
        good[i] = l->height > 0;
        coloured = coloured || l->coloured;
        if (good[i]) {
            widen(r, l);
        } else if (l->starved) {
            return hone_fail_memory(err);
        } else if (r->bad++ == 0) {
            hone_image none = {0};
            r->first_bad = i;
            decode(p->paths[i], &none, &r->error); /* once more, for what it says */
            hone_image_free(&none);
        }
    }
    bool same = r->least[0] == r->most[0] && r->least[1] == r->most[1];
    p->height = s->options->height ? s->options->height : same ? r->most[0] : HONE_PICTURES_SIDE;
    p->width = s->options->width ? s->options->width : same ? r->most[1] : HONE_PICTURES_SIDE;
    p->channels = s->options->channels ? s->options->channels : coloured ? 3 : 1;
    return HONE_OK;
}

static hone_status survey_all(pictures *p, const hone_pictures_options *o, bool *good,
                              hone_pictures_report *r, hone_error *err) {
    survey s = {.p = p, .options = o, .looks = hone_calloc((size_t)p->count + 1, sizeof *s.looks)};
    hone_pool *pool = NULL;
    bool known = o->height && o->width && o->channels;
    p->height = o->height;
    p->width = o->width;
    p->channels = o->channels;
    p->channels_last = o->channels_last;
    hone_status status = s.looks ? hone_pool_new(o->threads, &pool, err) : hone_fail_memory(err);
    if (status == HONE_OK && known) status = make_room(p, err);
    if (status == HONE_OK) hone_pool_run(pool, p->count, look_at, &s);
    hone_pool_free(pool);
    if (status == HONE_OK) status = take_stock(&s, good, r, err);
    if (status == HONE_OK && !known && r->bad < p->count) status = make_room(p, err);
    hone_free(s.looks);
    r->height = p->height;
    r->width = p->width;
    r->channels = p->channels;
    return status;
}

hone_status hone_pictures_new(const char *const *paths, int64_t count, const hone_pictures_options *options,
                              bool *good, hone_pictures_report *report, hone_sample_source **out,
                              hone_error *err) {
    pictures *p = hone_calloc(1, sizeof *p);
    if (!p) return hone_fail_memory(err);
    p->base = (hone_sample_source){.read = read_picture, .free = free_pictures};
    atomic_init(&p->base.references, 1);
    p->paths = hone_calloc((size_t)count + 1, sizeof *p->paths);
    hone_status status = p->paths ? HONE_OK : hone_fail_memory(err);
    *report = (hone_pictures_report){.bad = 0};
    for (; status == HONE_OK && p->count < count; p->count++)
        if (!(p->paths[p->count] = hone_strdup(paths[p->count]))) status = hone_fail_memory(err);
    if (status == HONE_OK) status = survey_all(p, options, good, report, err);
    if (status == HONE_OK)
        *out = &p->base;
    else
        free_pictures(&p->base);
    return status;
}
