/* The inputs of a model from files. */
#ifndef HONE_CLI_INPUTS_H
#define HONE_CLI_INPUTS_H

#include "options.h"

/* How files become inputs. */
typedef struct cli_reading {
    const char *resize, *mean, *deviation; /* as given; NULL: not */
    double scale;
    int rate;
    const char *model; /* the file that tells of a tokenizer beside it; NULL: none */
} cli_reading;
extern cli_reading cli_how_to_read;

#define OPT_INPUTS(field, text)                                                                              \
    OPT_LIST("input", "NAME=@FILE", field,                                                                   \
             text                                                                                            \
             ": .npy; .npz (the array of that name; for a sequence all of them); .pb (ONNX's TensorProto, "  \
             "SequenceProto and so on); pictures (PNG, JPEG, WebP, TIFF, JPEG 2000, BMP, PNM); .wav; for "   \
             "strings a text of "                                                                            \
             "one element a line. Also '{\"NAME\": \"FILE\", ...}', or @MAP.json with that in it; without "  \
             "a name @FILE is for a model's only input"),                                                    \
        OPT_TEXT("resize", "SIZE", cli_how_to_read.resize,                                                   \
                 "pictures: N makes the shorter side N and cuts the input's size out of the middle; WxH "    \
                 "stretches; without: stretched to the input's size where that is fixed"),                   \
        OPT_NUMBER("scale", "X", cli_how_to_read.scale, CLI_ABOVE_ZERO, 1e9,                                 \
                   "pictures, for inputs of floats: what bytes are divided by"),                             \
        OPT_TEXT("mean", "M", cli_how_to_read.mean,                                                          \
                 "pictures: what is subtracted then, one number or one each for red, green and blue: "       \
                 "0.485,0.456,0.406"),                                                                       \
        OPT_TEXT("std", "S", cli_how_to_read.deviation, "pictures: what is divided by then, likewise"),      \
        OPT_INT("rate", "N", cli_how_to_read.rate, 0, 1 << 30,                                               \
                "sound: the rate that files must have, in samples a second", .zero = "any")

/* Tensors for the inputs that `texts` name, at their places of `inputs` (one for each of the graph's, NULL where none
 * is named); the caller frees them, on failure, too. Numbers of another dtype become the input's, with a note on
 * stderr, where that loses nothing in kind. What is named and an initializer gets the content. Gives CLI_OK, or what the
 * command ends with after saying what is wrong. */
int cli_inputs_load(const cli_list *texts, const char *model, hone_graph *g, hone_tensor **inputs);

#endif
