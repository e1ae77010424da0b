/* Data sets, files of arrays, pictures and sound, conversions of numbers. */
#ifndef HONE_DATA_H
#define HONE_DATA_H

#include <hone/arrays.h>
#include <hone/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A table of samples: named columns of as many samples each, kept as stored (bytes stay bytes) and read-only: any
 * number of threads may read it. */
typedef struct hone_dataset hone_dataset;

typedef enum hone_split { HONE_SPLIT_TRAIN, HONE_SPLIT_TEST, HONE_SPLIT_VALIDATION } hone_split;

typedef struct hone_column {
    const char *name; /* unique in the data set */
    hone_dtype dtype; /* as stored */
    int rank;         /* of one sample: 0 for a number, 3 for images */
    const int64_t *dims;
} hone_column;

/* What of a column of targets is to be learned: as it looks, or as asked for. */
typedef enum hone_target_kind { HONE_TARGET_ANY, HONE_TARGET_CLASSES, HONE_TARGET_NUMBERS } hone_target_kind;

/* What is known of data before they are read: wishes, and what a model says that is to read them. */
typedef struct hone_data_options {
    size_t size;
    const char *
        target; /* the column to be learned; NULL: y, label, labels, target, targets or class, else the last one */
    hone_target_kind kind; /* any: texts and few integers are classes */
    bool unlabeled;        /* the target may be missing */
    const char *
        classes; /* the names of the target's classes in order, one a line (a model's metadata "hone.classes"):
                              others are refused. NULL: those that are there, sorted */
    const char *group; /* a column that is no input: hone_draw_options */
    const char *const *numbers,
        *const *texts, *const *ignored; /* columns that are read so whatever they look like, or not */
    int number_count, text_count, ignored_count;
    /* Texts: the tokenizer that a model reads them with, or one to be made of the texts, or read: "bpe:4096", FILE.json
     * (hone/text.h). NULL: words:60000 of text, bpe:4096 of lm */
    const struct hone_tokenizer *reads;
    const char *tokenizer;
    int64_t tokens; /* of a sample; 0: of text as many as 95 % of the texts have, at most 512; of lm 128 */
    int height, width, channels; /* of pictures, as they are read; 0: hone_dataset_open_with() */
    bool channels_last;          /* their samples are [height, width, channels] */
    int rate;                    /* of sound: samples a second that clips are brought to; 0: 16000 */
    int64_t clip;                /* samples of a clip; 0: as many as 95 % of them have, at most ten seconds */
    int header;                  /* a table's first line: 0: as it looks, 1: names, -1: values */
} hone_data_options;
#define HONE_DATA_OPTIONS_INIT                                                                               \
    { .size = sizeof(hone_data_options) }

/* Opens one split of `spec`:
 *   fashion-mnist   where Debian's package dataset-fashion-mnist puts it: columns x and y
 *   idx:DIR         MNIST's four files, gzipped or not: likewise
 *   npz:FILE        one column for each array, whose first axis is the samples. NAME_train, NAME_test and NAME_val are the
 *                   column NAME of the splits; without such arrays all others stand for all splits
 *   csv:FILE        a table of text, gzipped or not: RFC 4180, also with tabs, semicolons or bars between the fields, with
 *                   or without a line of names. A column is of numbers (missing ones NaN), or of texts; dates become
 *                   days since 1970-01-01. The target is classes or numbers; rows without one are left out. A column
 *                   "split" of the words train, test and val tells the splits; else the rows stand for all
 *   audio:DIR       sound (WAV), a folder for each label, or such folders in train, validation and test. Columns audio, float32
 *                   [samples] in [-1, 1), brought to one rate and length, y, and, where files are named
 *                   SOURCE__NAME.wav, source: what stays together when samples are drawn (a voice, a microphone)
 *   text:PATH       texts with labels: FILE.tsv (label, tab, text), FILE.jsonl (objects with "text" and "label"), FILE.csv
 *                   with such columns, a folder for each label with a file for each text; or a folder with such as
 *                   train, test and validation. Columns input_ids [tokens] (short texts are filled up), attention_mask,
 *                   token_type_ids, and y
 *   lm:PATH         the same without labels, or files that are documents, for language models. A sample is a window of
 *                   a document: input_ids [tokens], y the next token at each place (-100: none), text_bytes
 *   images:DIR      pictures (as hone_image_load() reads them), a folder for each class, or such folders in train/, val/
 *                   and test/: columns x, uint8 [channels, height, width], and y. They are stretched to the size asked
 *                   for, else to 64 x 64 unless all are of one size, and gray if none has a colour. Pixels stay in
 *                   memory up to 256 MB, and are read from the files beyond. Damaged files are left out, and noted
 *   images:FILE     the same of a table: columns path (from the table's folder on), label and maybe split
 *   PATH            what it is likely to be, by its name or content
 *
 * Bytes [n, height, width] are images of one channel: [1, height, width]. Arrays that are no column (of another number
 * of samples than most, of one value, of texts) are left out. `options` NULL: the defaults.
 * HONE_NOT_FOUND says which package, file or split is missing. On success `*out` belongs to the caller. */
HONE_API hone_status hone_dataset_open_with(const char *spec, hone_split split,
                                            const hone_data_options *options, hone_dataset **out,
                                            hone_error *err);
HONE_API hone_status hone_dataset_open(const char *spec, hone_split split, hone_dataset **out,
                                       hone_error *err);
/* Of sound: samples a second; else 0. */
HONE_API int hone_dataset_rate(const hone_dataset *d);
/* The tokenizer that its texts were read with; NULL: it has none. Borrowed. */
HONE_API const struct hone_tokenizer *hone_dataset_tokenizer(const hone_dataset *d);
/* What was found when it was opened, for people, one line each: index 0, 1, … until NULL. Borrowed. */
HONE_API const char *hone_dataset_note(const hone_dataset *d, int index);
typedef struct hone_named_tensor {
    const char *name;
    hone_tensor *tensor;
} hone_named_tensor;
/* A data set of tensors [samples, …] in memory; references of its own are taken, names copied. `describe` is what
 * hone_dataset_describe() says. */
HONE_API hone_status hone_dataset_make(const hone_named_tensor *columns, int count, const char *describe,
                                       hone_dataset **out, hone_error *err);
/* A data set of the given samples of another, which shares its data. */
HONE_API hone_status hone_dataset_subset(const hone_dataset *d, const uint32_t *indices, int64_t n,
                                         hone_dataset **out, hone_error *err);

/* Which samples are drawn from a data set. */
typedef struct hone_draw_options {
    size_t size;
    double share; /* below 1 of the samples, else so many */
    bool
        in_order; /* the last ones; else drawn by the seed, of each class of the target as large a share as of all */
    uint64_t seed;
    const char *target; /* a column; NULL: the data set's, or one of a usual name, if any */
    const char
        *group; /* a column whose equal values stay together: whole groups are drawn, as many samples as come
                           nearest. NULL: the data set's, if any; "": none */
} hone_draw_options;
#define HONE_DRAW_OPTIONS_INIT                                                                               \
    { .size = sizeof(hone_draw_options), .share = 0.1, .seed = 1 }
/* Two data sets that share the data of `d`: the samples drawn, and the others (`rest` may be NULL), both in the order of
 * `d`. They depend on the options alone. HONE_INVALID_ARGUMENT: nothing would be left, or a column is missing. */
HONE_API hone_status hone_dataset_draw(const hone_dataset *d, const hone_draw_options *options,
                                       hone_dataset **drawn, hone_dataset **rest, hone_error *err);
HONE_API void hone_dataset_free(hone_dataset *d);

/* False for an npz:FILE whose arrays stand for both splits: the test samples are the training samples. */
HONE_API bool hone_dataset_is_split(const hone_dataset *d);
HONE_API int64_t hone_dataset_count(const hone_dataset *d);
HONE_API int hone_dataset_column_count(const hone_dataset *d);
/* What it is; false if there is no column `index`. Borrowed. */
HONE_API bool hone_dataset_column(const hone_dataset *d, int index, hone_column *out);
/* The index of the column of that name; -1 if there is none. */
HONE_API int hone_dataset_find(const hone_dataset *d, const char *name);
/* Of a column of one integer a sample: 1 + the largest, if none is negative; so of whole numbers that are stored as floats, if
 * there are at most 20; of rows with a single 1, else 0: their length. Else 0: its values are no classes. */
HONE_API int hone_dataset_classes(const hone_dataset *d, int column);
/* The samples of each class, [hone_dataset_classes()]. */
HONE_API hone_status hone_dataset_class_counts(const hone_dataset *d, int column, int64_t *counts,
                                               hone_error *err);
/* The column `target`, if that is not NULL; else the one that the data set is about, or one that is named y, label, labels,
 * target or targets. -1 if there is none. */
HONE_API int hone_dataset_usual_target(const hone_dataset *d, const char *target);
/* "T-shirt/top", …; NULL where the set has no names. Borrowed. */
HONE_API const char *hone_dataset_class_name(const hone_dataset *d, int label);
/* "fashion-mnist (train, 60000 samples)" */
HONE_API const char *hone_dataset_describe(const hone_dataset *d);

/* How the values of a column are read. */
typedef struct hone_reading {
    int column;
    hone_dtype dtype; /* what they become */
    bool unit;   /* bytes become value/255 as floats, as models see images; else numbers stay what they are */
    bool labels; /* one number a sample: of a column of rows with a single 1, else 0, where that stands */
} hone_reading;

/* Copies samples indices[0 … n-1] (NULL: first … first+n-1) of one column to `out`: [n, sample shape] of the dtype
 * asked for. Allocates nothing. HONE_OUT_OF_RANGE names a bad index, or a number that the dtype can't
 * hold; HONE_INVALID_ARGUMENT a fraction that is to be an integer. */
HONE_API hone_status hone_dataset_read(const hone_dataset *d, const hone_reading *reading,
                                       const uint32_t *indices, int64_t first, int64_t n, void *out,
                                       hone_error *err);
/* Mean and standard deviation over all values of a column in the first `samples` samples (0: all), as a model sees
 * them: float32, bytes scaled to value/255. */
HONE_API void hone_dataset_moments(const hone_dataset *d, int column, int64_t samples, double *mean,
                                   double *deviation);

/* HONE_INVALID_ARGUMENT if `text` is no list of what can be done to images and sound to augment them:
 *   flip        left and right are swapped in half of the images
 *   crop:N      moved by up to N pixels each way, zeros come in
 *   erase:P     in a share P of the images a rectangle of 2 to 25 % of it becomes noise (arXiv 1708.04896)
 *   color:S     brightness, contrast and saturation are changed by factors in 1 ± S
 *   trivial     one change, as strong as it comes: turned, sheared, moved, brightness, contrast, saturation, solarized,
 *               posterized, values stretched, or none (TrivialAugment, arXiv 2103.10158)
 *   speed:S     sound is up to 1 + S times as fast, or as slow
 *   throat:S    its frequencies are up to 1 + S times as high, or as low, in the same time
 *   shift:S     it is moved by up to a share S of its length
 *   gain:DB     it is up to so many decibels louder, or softer
 *   noise:S     white noise is added, up to S times as loud as the clip
 *   tilt:A      highs over lows, or lows over highs: x[i] - a x[i-1] with a in ±A
 *   echo:P      a share P of the clips gets three echoes
 *   holes:P     in a share P up to an eighth falls silent, in a share P a band of frequencies (arXiv 1904.08779) */
HONE_API hone_status hone_augment_check(const char *text, hone_error *err);

/* Reads array `name` (without .npy) of an .npz file. HONE_NOT_FOUND lists the names that are there. */
HONE_API hone_status hone_npz_load(const char *path, const char *name, hone_tensor **out, hone_error *err);
/* All arrays of one as a sequence of that dtype, each converted as hone_tensor_convert() does, in the order of their
 * names, where numbers count as such: arr_2 before arr_10. */
HONE_API hone_status hone_npz_load_sequence(const char *path, hone_dtype dtype, hone_tensor **out,
                                            hone_error *err);
/* Writes one of `count` arrays, not compressed; it appears whole or not at all, and the same arrays give the same bytes.
 * HONE_UNSUPPORTED as for hone_npy_save(). */
HONE_API hone_status hone_npz_save(const char *path, const hone_named_tensor *arrays, int count,
                                   hone_error *err);

/* How a picture becomes a tensor. */
typedef struct hone_image_options {
    size_t size;
    int rank;           /* 4: a batch of one; 3; 2: rows and columns of gray */
    bool channels_last; /* [height, width, channels], else [channels, height, width] */
    int channels;       /* 3: red, green, blue; 1: gray (ITU-R BT.601) */
    int height, width;  /* what the picture becomes; 0: as it is */
    int shorter_side; /* first its shorter side becomes this, then height x width are cut out of the middle; 0: it is
                           stretched */
    bool
        bytes; /* uint8, the pixels as they are; else float32, (pixel / scale - mean) / deviation by channel */
    double scale, mean[3], deviation[3];
} hone_image_options;
#define HONE_IMAGE_OPTIONS_INIT                                                                              \
    {                                                                                                        \
        .size = sizeof(hone_image_options), .rank = 4, .channels = 3, .scale = 255, .deviation = { 1, 1, 1 } \
    }
/* Reads a picture: PNG, JPEG, WebP, TIFF, JPEG 2000, BMP or PNM (PBM, PGM, PPM), told by its content. Alpha is
 * dropped; a JPEG file's rotation (EXIF) is done. It is resized as Pillow's bilinear filter does, without aliasing. `options`
 * NULL: the defaults.
 * HONE_RESOURCE_EXHAUSTED: more than 2^26 pixels. On success `*out` belongs to the caller. */
HONE_API hone_status hone_image_load(const char *path, const hone_image_options *options, hone_tensor **out,
                                     hone_error *err);
/* Reads sound, a RIFF WAVE file of PCM (8, 16, 24 or 32 bits) or floats, FLAC, or Vorbis or Opus in Ogg, as float32 [samples] in
 * [-1, 1); several channels become their mean. `*rate`: samples a second. On success `*out` belongs to the caller. */
HONE_API hone_status hone_wav_load(const char *path, hone_tensor **out, int *rate, hone_error *err);

/* The same as a clip of audio:DIR: brought to `rate` samples a second, and to `samples` of them, in the middle of silence or
 * without its ends (0: as many as there are). */
HONE_API hone_status hone_clip_load(const char *path, int rate, int64_t samples, hone_tensor **out,
                                    hone_error *err);

#ifdef __cplusplus
}
#endif
#endif
