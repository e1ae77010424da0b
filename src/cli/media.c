#include "media.h"

#include "text.h"

#include <hone/data.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

cli_reading cli_how_to_read = {.scale = 255};

typedef enum medium { NONE, PICTURE, SOUND, TEXT, TOKENS } medium;

static bool ends(const char *file, const char *ending) {
    size_t n = strlen(file), m = strlen(ending);
    return n > m && strcasecmp(file + n - m, ending) == 0;
}

static bool ends_as_one(const char *file, const char *const *endings) {
    while (*endings && !ends(file, *endings)) endings++;
    return *endings;
}

/* By content where that is sure, else by name. */
static medium medium_of(const char *file, const hone_value_info *v) {
    static const char *const arrays[] = {".npy", ".npz", ".pb", ".gz", NULL};
    static const char *const pictures[] = {".bmp",  ".pbm", ".pgm",  ".ppm", ".pnm", ".png", ".jpg", ".jpeg",
                                           ".webp", ".tif", ".tiff", ".jp2", ".j2k", ".gif", NULL};
    static const char *const sounds[] = {".wav", ".flac", ".ogg", ".opus", NULL};
    char head[12] = "";
    if (v->kind != HONE_KIND_TENSOR) return NONE;
    if (v->dtype == HONE_STRING) return ends_as_one(file, arrays) ? NONE : TEXT;
    if (v->dtype == HONE_INT64 && v->rank == 2 && v->dims[1] > 0 && ends(file, ".txt")) return TOKENS;
    FILE *f = fopen(file, "rb");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f) fclose(f);
    if (n == sizeof head && memcmp(head, "RIFF", 4) == 0)
        return memcmp(head + 8, "WEBP", 4) == 0 ? PICTURE : SOUND;
    if (memcmp(head, "fLaC", 4) == 0 || memcmp(head, "OggS", 4) == 0) return SOUND;
    if (memcmp(head, "\x89PNG", 4) == 0 || memcmp(head, "\xff\xd8\xff", 3) == 0) return PICTURE;
    return ends_as_one(file, pictures) ? PICTURE : ends_as_one(file, sounds) ? SOUND : NONE;
}

bool cli_is_media(const char *file, const hone_value_info *v) {
    return medium_of(file, v) != NONE;
}

/* --- pictures --- */

/* "0.5" or "0.485,0.456,0.406" */
static int read_numbers(const char *option, const char *text, double low, int channels, double out[3]) {
    int count = 0;
    const char *at = text;
    while (at && *at && count < 3) {
        char *end;
        double x = strtod(at, &end);
        if (end == at || (*end && *end != ',') || !(x >= low) || !(x <= DBL_MAX)) break;
        out[count++] = x;
        at = *end ? end + 1 : NULL;
    }
    if (at || (count != 1 && count != 3))
        return cli_usage_error("--%s needs one number or three, as 0.485,0.456,0.406, not '%s'", option,
                               text);
    if (count > channels)
        return cli_usage_error("--%s has three numbers, but the input has one channel", option);
    if (count == 1) out[1] = out[2] = out[0];
    return CLI_OK;
}

/* "256" or "224x224" */
static int read_size(const char *text, hone_image_options *o) {
    char *end;
    long first = strtol(text, &end, 10), second = 0;
    bool both = *end == 'x';
    if (both) second = strtol(end + 1, &end, 10);
    if (*end || first < 1 || first > 65535 || (both && (second < 1 || second > 65535)))
        return cli_usage_error("--resize needs N or WIDTHxHEIGHT, not '%s'", text);
    if (both) {
        o->width = (int)first;
        o->height = (int)second;
    } else {
        o->shorter_side = (int)first;
    }
    return CLI_OK;
}

static bool is_channels(int64_t dim) {
    return dim == 1 || dim == 3;
}

/* What the input's shape says: where its channels are, its size. */
static bool lay_out(const hone_value_info *v, hone_image_options *o) {
    int64_t height = v->dims[v->rank > 1 ? v->rank - 2 : 0], width = v->dims[v->rank > 0 ? v->rank - 1 : 0];
    if (v->rank < 0) return true;
    if (v->rank < 2 || v->rank > 4 || (v->rank == 4 && v->dims[0] > 1)) return false;
    o->rank = v->rank;
    if (v->rank == 2) {
        o->channels = 1;
    } else {
        const int64_t *d = v->dims + v->rank - 3;
        o->channels_last = !is_channels(d[0]) && is_channels(d[2]);
        int64_t channels = o->channels_last ? d[2] : d[0];
        if (channels >= 0 && !is_channels(channels)) return false;
        if (channels > 0) o->channels = (int)channels;
        height = d[o->channels_last ? 0 : 1];
        width = d[o->channels_last ? 1 : 2];
    }
    if (height > 0 && width > 0 && height <= 65535 && width <= 65535) {
        o->height = (int)height;
        o->width = (int)width;
    }
    return true;
}

static bool is_float(hone_dtype dtype) {
    return dtype == HONE_FLOAT32 || dtype == HONE_FLOAT16 || dtype == HONE_FLOAT64 || dtype == HONE_BFLOAT16;
}

static int load_picture(const char *file, const hone_graph *g, const hone_value_info *v, hone_tensor **out) {
    hone_error err = {0};
    hone_image_options o = HONE_IMAGE_OPTIONS_INIT;
    const cli_reading *how = &cli_how_to_read;
    int status = CLI_OK;
    if (!lay_out(v, &o))
        return cli_error("%s: is a picture, but input '%s' is %s", file, v->name, cli_type_text(g, v));
    o.bytes = !is_float(v->dtype);
    o.scale = how->scale;
    if (how->resize) status = read_size(how->resize, &o);
    if (status == CLI_OK && how->mean) status = read_numbers("mean", how->mean, -DBL_MAX, o.channels, o.mean);
    if (status == CLI_OK && how->deviation)
        status = read_numbers("std", how->deviation, DBL_MIN, o.channels, o.deviation);
    if (status != CLI_OK) return status;
    if (o.bytes && (how->mean || how->deviation))
        return cli_usage_error("--mean and --std are for inputs of floats; input '%s' is %s", v->name,
                               cli_type_text(g, v));
    CLI_TRY(hone_image_load(file, &o, out, &err));
    return CLI_OK;
}

/* --- sound and text --- */

/* The shape of the input with `count` elements: in its last dimension that is not fixed, the others being 1. */
static int shape_of(const char *file, const hone_graph *g, const hone_value_info *v, int64_t count,
                    int64_t *dims) {
    int64_t product = 1;
    int open = -1;
    for (int d = 0; d < v->rank; d++) {
        dims[d] = v->dims[d] < 0 ? 1 : v->dims[d];
        product *= dims[d] < INT32_MAX ? dims[d] : INT32_MAX;
        if (product > INT32_MAX) product = INT32_MAX;
        if (v->dims[d] < 0) open = d;
    }
    if (open >= 0 && product > 0 && count % product == 0) {
        dims[open] = count / product;
        return CLI_OK;
    }
    if (open < 0 && product == count) return CLI_OK;
    return cli_error("%s: has %lld elements, but input '%s' is %s", file, (long long)count, v->name,
                     cli_type_text(g, v));
}

/* As the clips that the model was trained on: metadata "hone.rate". */
static int load_clip(const char *file, int rate, const hone_value_info *v, hone_tensor **out) {
    hone_error err = {0};
    hone_tensor *clip = NULL;
    CLI_TRY(hone_clip_load(file, rate, v->dims[1], &clip, &err));
    int64_t dims[] = {1, v->dims[1]};
    hone_status status = hone_tensor_new(HONE_FLOAT32, 2, dims, out, &err);
    if (status == HONE_OK) memcpy(hone_tensor_data(*out), hone_tensor_data(clip), hone_tensor_bytes(clip));
    hone_tensor_free(clip);
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}

static int load_sound(const char *file, const hone_graph *g, const hone_value_info *v, hone_tensor **out) {
    const char *trained = hone_graph_metadata(g, "hone.rate");
    if (trained && atoi(trained) > 0 && v->rank == 2 && v->dims[1] > 0)
        return load_clip(file, atoi(trained), v, out);
    hone_error err = {0};
    hone_tensor *samples = NULL;
    int64_t dims[HONE_MAX_RANK] = {0};
    int rate, rank = v->rank < 0 ? 1 : v->rank, wanted = cli_how_to_read.rate;
    CLI_TRY(hone_wav_load(file, &samples, &rate, &err));
    int status = CLI_OK;
    if (wanted && rate != wanted)
        status = cli_error("%s: has %d samples a second, not %d", file, rate, wanted);
    else if (v->rank < 0)
        dims[0] = hone_tensor_count(samples);
    else
        status = shape_of(file, g, v, hone_tensor_count(samples), dims);
    if (status == CLI_OK && hone_tensor_new(HONE_FLOAT32, rank, dims, out, &err) != HONE_OK)
        status = cli_fail(&err);
    if (status == CLI_OK)
        memcpy(hone_tensor_data(*out), hone_tensor_data(samples), hone_tensor_bytes(samples));
    hone_tensor_free(samples);
    return status;
}

typedef struct lines {
    char **list;
    size_t *sizes, count, capacity;
} lines;

static void add_line(lines *all, char *text, size_t size) {
    if (all->count == all->capacity) {
        all->capacity = 2 * all->capacity + 16;
        all->list = realloc(all->list, all->capacity * sizeof *all->list);
        all->sizes = realloc(all->sizes, all->capacity * sizeof *all->sizes);
        if (!all->list || !all->sizes) exit(cli_error("out of memory"));
    }
    all->list[all->count] = text;
    all->sizes[all->count++] = size;
}

static int read_lines(const char *file, lines *all) {
    FILE *f = fopen(file, "rb");
    if (!f) return cli_error("%s: cannot open: %s", file, strerror(errno));
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    while ((n = getline(&line, &room, f)) >= 0) {
        if (n > 0 && line[n - 1] == '\n') n--;
        if (n > 0 && line[n - 1] == '\r') n--;
        add_line(all, line, (size_t)n);
        line = NULL;
        room = 0;
    }
    free(line);
    bool failed = ferror(f) != 0;
    int failure = errno;
    fclose(f);
    return failed ? cli_error("%s: %s", file, strerror(failure)) : CLI_OK;
}

static int load_text(const char *file, const hone_graph *g, const hone_value_info *v, hone_tensor **out) {
    hone_error err = {0};
    lines all = {0};
    int64_t dims[HONE_MAX_RANK] = {0};
    int rank = v->rank < 0 ? 1 : v->rank, status = read_lines(file, &all);
    if (status == CLI_OK && v->rank < 0)
        dims[0] = (int64_t)all.count;
    else if (status == CLI_OK)
        status = shape_of(file, g, v, (int64_t)all.count, dims);
    if (status == CLI_OK && hone_tensor_new(HONE_STRING, rank, dims, out, &err) != HONE_OK)
        status = cli_fail(&err);
    for (size_t i = 0; i < all.count && status == CLI_OK; i++)
        if (hone_tensor_set_string(*out, (int64_t)i, all.list[i], all.sizes[i], &err) != HONE_OK)
            status = cli_fail(&err);
    for (size_t i = 0; i < all.count; i++) free(all.list[i]);
    free(all.list);
    free(all.sizes);
    return status;
}

/* --- texts for a model that reads ids --- */

/* A line as its tokenizer sees it, cut or filled up to `tokens` ids. */
static hone_status fill_ids(hone_encoder *e, const hone_tokenizer *t, const char *line, size_t size,
                            int64_t tokens, int64_t *to, hone_error *err) {
    const int32_t *ids;
    size_t count;
    int32_t pad = hone_tokenizer_pad(t), end = hone_tokenizer_end(t);
    hone_status status =
        hone_encoder_encode(e, line, size, HONE_ENCODE_TEMPLATE | HONE_ENCODE_PLAIN, &ids, &count, err);
    if (status != HONE_OK) return status;
    for (int64_t i = 0; i < tokens; i++) to[i] = i < (int64_t)count ? ids[i] : pad < 0 ? 0 : pad;
    if ((int64_t)count > tokens && end >= 0 && ids[count - 1] == end) to[tokens - 1] = end;
    return HONE_OK;
}

static int load_ids(const char *file, const hone_graph *g, const hone_value_info *v, hone_tensor **out) {
    hone_error err = {0};
    lines all = {0};
    hone_tokenizer *t = NULL;
    hone_encoder *e = NULL;
    const char *path = cli_tokenizer_path(g, cli_how_to_read.model ? cli_how_to_read.model : "");
    if (hone_tokenizer_load(path, &t, &err) != HONE_OK) return cli_fail(&err);
    int status = read_lines(file, &all);
    int64_t dims[] = {(int64_t)all.count, v->dims[1]};
    hone_status made = status == CLI_OK ? hone_encoder_new(t, &e, &err) : HONE_OK;
    if (made == HONE_OK && status == CLI_OK) made = hone_tensor_new(HONE_INT64, 2, dims, out, &err);
    for (size_t i = 0; i < all.count && made == HONE_OK && status == CLI_OK; i++)
        made = fill_ids(e, t, all.list[i], all.sizes[i], dims[1],
                        (int64_t *)hone_tensor_data(*out) + (int64_t)i * dims[1], &err);
    if (made != HONE_OK) status = cli_fail(&err);
    for (size_t i = 0; i < all.count; i++) free(all.list[i]);
    free(all.list);
    free(all.sizes);
    hone_encoder_free(e);
    hone_tokenizer_free(t);
    return status;
}

int cli_media_load(const char *file, const hone_graph *g, const hone_value_info *v, hone_tensor **out) {
    switch (medium_of(file, v)) {
    case SOUND: return load_sound(file, g, v, out);
    case TEXT: return load_text(file, g, v, out);
    case TOKENS: return load_ids(file, g, v, out);
    default: return load_picture(file, g, v, out);
    }
}
