/* audio:DIR and audio:FILE: clips of sound with labels, or with what is said in them. */
#include "data/recordings.h"
#include "data/resample.h"
#include "data/sources.h"
#include "data/symbols.h"
#include "graph/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL_RATE = 16000, MOST_SECONDS = 10 };

typedef struct clip {
    float *x;
    int64_t count;
    int label, source; /* < 0: not known */
    const char *text;
} clip;

/* Different texts, in order of their bytes. */
typedef struct texts {
    const char **at;
    size_t count, capacity;
} texts;

typedef struct recordings {
    const hone_data_options *options;
    hone_recording_list files;
    clip *clips;
    size_t count;
    int rate, resampler_from;
    hone_resampler *resampler; /* from the last rate that was seen */
    texts labels, sources;
    char *symbols; /* the names of the characters of texts; they are labels, too */
    bool sourced;  /* each file names its source */
    int64_t bad;
    char why[256];
} recordings;

static void free_recordings(recordings *r) {
    for (size_t i = 0; i < r->count; i++) hone_free(r->clips[i].x);
    hone_free(r->clips);
    hone_free(r->labels.at);
    hone_free(r->symbols);
    hone_free(r->sources.at);
    hone_resampler_free(r->resampler);
    hone_recording_list_free(&r->files);
}

/* --- names --- */

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool add(texts *t, const char *text) {
    if (t->count == t->capacity && !hone_reserve(&t->at, &t->capacity, t->count + 1, sizeof *t->at))
        return false;
    t->at[t->count++] = text;
    return true;
}

static void sort(texts *t) {
    size_t kept = 0;
    if (t->count) qsort(t->at, t->count, sizeof *t->at, by_bytes);
    for (size_t i = 0; i < t->count; i++)
        if (i == 0 || strcmp(t->at[i], t->at[kept - 1]) != 0) t->at[kept++] = t->at[i];
    t->count = kept;
}

static int find(const texts *t, const char *text) {
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->at[i], text) == 0) return (int)i;
    return -1;
}

/* The names of labels that a model knows, in its order; else those that are there. */
static hone_status find_labels(recordings *r, hone_error *err) {
    hone_recording_list *c = &r->files;
    bool good = true;
    if (c->texts) return HONE_OK;
    for (const char *at = r->options->classes; at && *at && good;) {
        size_t n = strcspn(at, "\n");
        const char *name = hone_arena_strndup(c->arena, at, n);
        good = name && add(&r->labels, name);
        at += n + (at[n] == '\n');
    }
    if (r->labels.count || !good) return good ? HONE_OK : hone_fail_memory(err);
    for (size_t i = 0; i < c->count && good; i++)
        if (c->items[i].label) good = add(&r->labels, c->items[i].label);
    sort(&r->labels);
    return good ? HONE_OK : hone_fail_memory(err);
}

static hone_status find_sources(recordings *r, hone_error *err) {
    const hone_recording_list *c = &r->files;
    r->sourced = c->count > 0;
    for (size_t i = 0; i < c->count; i++) {
        const char *source = c->items[i].source;
        if (source && !add(&r->sources, source)) return hone_fail_memory(err);
        r->sourced = r->sourced && source;
    }
    sort(&r->sources);
    r->sourced = r->sourced && r->sources.count > 1;
    return HONE_OK;
}

/* --- clips --- */

static hone_status to_rate(recordings *r, const hone_tensor *t, int rate, clip *out, hone_error *err) {
    if (!r->resampler || r->resampler_from != rate) {
        hone_resampler_free(r->resampler);
        r->resampler = NULL;
        HONE_TRY(hone_resampler_new(rate, r->rate, &r->resampler, err));
        r->resampler_from = rate;
    }
    out->count = hone_resampler_count(r->resampler, t->count);
    out->x = hone_alloc((size_t)(out->count + 1) * sizeof *out->x);
    if (!out->x) return hone_fail_memory(err);
    hone_resample(r->resampler, t->data, t->count, out->x);
    return HONE_OK;
}

static hone_status read_clip(recordings *r, const hone_recording *d, clip *out, hone_error *err) {
    hone_tensor *t = NULL;
    int rate;
    *out = (clip){.label = d->label ? find(&r->labels, d->label) : -1,
                  .source = r->sourced && d->source ? find(&r->sources, d->source) : -1,
                  .text = d->text};
    if (d->label && out->label < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the label '%.80s' is no class of the model", d->label);
    HONE_TRY(hone_wav_load(d->path, &t, &rate, err));
    hone_status status =
        t->count ? to_rate(r, t, rate, out, err) : hone_fail(err, HONE_CORRUPT, "no samples");
    hone_tensor_free(t);
    return hone_error_in_file(err, status, d->path);
}

/* A file that can't be read is left out, unless none can. */
static hone_status read_clips(recordings *r, hone_error *err) {
    const hone_recording_list *c = &r->files;
    r->clips = hone_calloc(c->count + 1, sizeof *r->clips);
    if (!r->clips) return hone_fail_memory(err);
    for (size_t i = 0; i < c->count; i++) {
        hone_error why = {0};
        hone_status status = read_clip(r, &c->items[i], &r->clips[r->count], &why);
        if (status == HONE_OK) {
            r->count++;
        } else if (status == HONE_OUT_OF_MEMORY || status == HONE_INVALID_ARGUMENT) {
            if (err) *err = why;
            return status;
        } else if (r->bad++ == 0) {
            snprintf(r->why, sizeof r->why, "%.150s: %.90s", c->items[i].path, why.message);
        }
    }
    if (r->count) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, r->bad ? "no sound that can be read; %s" : "no sound here%s",
                     r->why);
}

static int by_size(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* What 95 % of the clips have no more of (with texts: all of them), in tenths of a second. */
static hone_status usual_size(const recordings *r, int64_t *out, hone_error *err) {
    int64_t *sizes = hone_alloc(r->count * sizeof *sizes), step = r->rate / 10 ? r->rate / 10 : 1;
    if (!sizes) return hone_fail_memory(err);
    for (size_t i = 0; i < r->count; i++) sizes[i] = r->clips[i].count;
    qsort(sizes, r->count, sizeof *sizes, by_size);
    size_t usual = r->files.texts ? r->count - 1 : r->count * 95 / 100; /* what is said is said to the end */
    int64_t n = (sizes[usual] + step - 1) / step * step, most = (int64_t)MOST_SECONDS * r->rate;
    *out = n < most ? n : most;
    hone_free(sizes);
    return HONE_OK;
}

/* --- columns --- */

/* In the middle, with silence around it; a longer one loses its ends. */
static void place(const clip *c, int64_t size, float *to) {
    int64_t shift = (size - c->count) / 2;
    for (int64_t i = 0; i < size; i++) {
        int64_t at = i - shift;
        to[i] = at >= 0 && at < c->count ? c->x[at] : 0;
    }
}

/* The texts of the clips as symbols, [clips, longest]. */
static hone_status spell(recordings *r, hone_tensor **out, hone_error *err) {
    const char **all = hone_alloc(r->count * sizeof *all), *known = r->options->classes;
    if (!all) return hone_fail_memory(err);
    for (size_t i = 0; i < r->count; i++) all[i] = r->clips[i].text;
    hone_status status =
        hone_symbols_make(all, r->count, known && *known ? known : NULL, out, &r->symbols, err);
    hone_free(all);
    for (char *at = r->symbols; at && status == HONE_OK; at = strchr(at, '\n')) {
        if (*at == '\n') *at++ = 0;
        if (!add(&r->labels, at)) status = hone_fail_memory(err);
    }
    return status;
}

static hone_status make_columns(recordings *r, int64_t size, hone_tensor **to, hone_dataset **out,
                                hone_error *err) {
    int64_t dims[] = {(int64_t)r->count, size};
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, dims, &to[0], err));
    HONE_TRY(hone_tensor_new(HONE_INT32, 1, dims, &to[1], err));
    HONE_TRY(hone_tensor_new(HONE_INT32, 1, dims, &to[2], err));
    if (r->files.texts) HONE_TRY(spell(r, &to[3], err));
    for (size_t i = 0; i < r->count; i++) {
        clip *c = &r->clips[i];
        place(c, size, (float *)to[0]->data + (int64_t)i * size);
        ((int32_t *)to[1]->data)[i] = c->label;
        ((int32_t *)to[2]->data)[i] = c->source;
        hone_free(c->x);
        c->x = NULL;
    }
    hone_named_tensor columns[3] = {{"audio", to[0]}};
    int n = 1;
    if (r->files.texts) columns[n++] = (hone_named_tensor){"y", to[3]};
    if (r->labels.count && !r->files.texts) columns[n++] = (hone_named_tensor){"y", to[1]};
    if (r->sourced) columns[n++] = (hone_named_tensor){"source", to[2]};
    return hone_dataset_make(columns, n, "audio", out, err);
}

static hone_status name_classes(hone_dataset *d, const texts *labels, hone_error *err) {
    hone_string *names = hone_calloc(labels->count + 1, sizeof *names);
    if (!names) return hone_fail_memory(err);
    for (size_t i = 0; i < labels->count; i++)
        names[i] = (hone_string){(char *)(uintptr_t)labels->at[i], strlen(labels->at[i])};
    hone_status status = hone_dataset_name_classes(d, names, (int)labels->count, err);
    hone_free(names);
    return status;
}

static void tell(hone_dataset *d, const recordings *r, int64_t size) {
    if (r->bad)
        hone_dataset_note_down(d, "%" PRId64 " %s left out; the first: %s", r->bad,
                               r->bad == 1 ? "file is" : "files are", r->why);
    hone_dataset_note_down(d, "%zu clips of %.2f s at %d samples a second, %zu sources", r->count,
                           (double)size / r->rate, r->rate, r->sources.count);
    if (d->whole && !r->sourced)
        hone_dataset_note_down(
            d, "warning: files that are not named SOURCE__NAME.wav are drawn at random: one voice may come "
               "to be in two parts, and what is measured then is too good");
}

static hone_status make(recordings *r, const char *path, hone_split split, hone_dataset **out,
                        hone_error *err) {
    static const char *const parts[] = {"train", "test", "val"};
    hone_tensor *to[4] = {NULL};
    hone_dataset *d = NULL;
    int64_t size = r->options->clip;
    char name[192];
    hone_status status = size > 0 ? HONE_OK : usual_size(r, &size, err);
    if (status == HONE_OK) status = make_columns(r, size, to, &d, err);
    for (int i = 0; i < 4; i++) hone_tensor_free(to[i]);
    if (status == HONE_OK && r->labels.count) status = name_classes(d, &r->labels, err);
    if (status != HONE_OK) {
        hone_dataset_free(d);
        return status;
    }
    snprintf(name, sizeof name, "audio:%.170s", path);
    hone_dataset_label(d, name, r->files.split ? parts[split] : "all");
    d->whole = !r->files.split;
    d->rate = r->rate;
    if (r->sourced) snprintf(d->group, sizeof d->group, "source");
    tell(d, r, size);
    *out = d;
    return HONE_OK;
}

hone_status hone_open_audio(const char *path, hone_split split, const hone_data_options *options,
                            hone_dataset **out, hone_error *err) {
    recordings r = {.options = options, .rate = options->rate > 0 ? options->rate : USUAL_RATE};
    hone_status status = hone_recordings_find(path, split, &r.files, err);
    if (status == HONE_OK) status = find_labels(&r, err);
    if (status == HONE_OK) status = find_sources(&r, err);
    if (status == HONE_OK) status = read_clips(&r, err);
    if (status == HONE_OK) status = make(&r, path, split, out, err);
    free_recordings(&r);
    return hone_error_in_file(err, status, path);
}

static hone_status load_clip(const hone_tensor *t, int from, int rate, int64_t samples, hone_tensor **out,
                             hone_error *err) {
    recordings r = {.rate = rate};
    clip c = {.x = NULL};
    hone_tensor *made = NULL;
    hone_status status = to_rate(&r, t, from, &c, err);
    int64_t size = samples > 0 ? samples : c.count;
    if (status == HONE_OK) status = hone_tensor_new(HONE_FLOAT32, 1, &size, &made, err);
    if (status == HONE_OK) {
        place(&c, size, made->data);
        *out = made;
    }
    hone_free(c.x);
    free_recordings(&r);
    return status;
}

hone_status hone_clip_load(const char *path, int rate, int64_t samples, hone_tensor **out, hone_error *err) {
    hone_tensor *t = NULL;
    int from;
    HONE_TRY(hone_wav_load(path, &t, &from, err));
    hone_status status = load_clip(t, from, rate, samples, out, err);
    hone_tensor_free(t);
    return hone_error_in_file(err, status, path);
}
