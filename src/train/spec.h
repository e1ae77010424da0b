/* Specs of networks, "cnn:16-32s2-48-p-64-56": each family of them writes the same network as ONNX text, in which what is
 * declared and made by no node is a parameter. */
#ifndef HONE_TRAIN_SPEC_H
#define HONE_TRAIN_SPEC_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HONE_SPEC_RANK 4
#define HONE_SPEC_LAYERS 128

/* What a network is for, from the data. */
typedef struct hone_spec_site {
    int rank; /* of a sample */
    int64_t dims[HONE_SPEC_RANK];
    int64_t outputs;         /* values of the output in a sample */
    int64_t vocabulary, pad; /* 1 + the largest id where the input is ids, and the id that fills up; else 0 */
    bool places;             /* each place of a sequence has outputs of its own: [batch, places, outputs] */
    double dropout;          /* share of the values before the last layer that training leaves out */
} hone_spec_site;

/* One layer of a list "32k5s2-p-48x3". */
typedef struct hone_spec_layer {
    char word[8];         /* "p", "gap"; "": a number */
    int64_t width;        /* the number, or the one behind the word; 0: none */
    bool both;            /* b: forward and backward */
    int kernel, stride;   /* k5, s2; 0: not said */
    int64_t repeat, more; /* x3; h4 or t4; 0: not said */
} hone_spec_layer;

/* A network as it is being written. */
typedef struct hone_spec {
    const hone_spec_site *site;
    const char *text; /* behind the family's name, for errors */
    const char *family;
    hone_spec_layer layers[HONE_SPEC_LAYERS];
    int layer_count;
    FILE *parameters, *nodes;
    const char *input_type; /* "float" or "int64" */
    char value[32];         /* the name of what the next node reads */
    int made;               /* values named so far */
    int rank;               /* of it, without the batch */
    int64_t dims[HONE_SPEC_RANK];
} hone_spec;

/* A family of networks. */
typedef struct hone_family {
    const char *name, *form, *about; /* "cnn", "16-32s2-48-p-64", what it is */
    const char *letters;             /* that may stand behind a number: "ks" */
    const char *words;               /* " p gap " */
    const char *input;               /* element type of the input */
    bool places;                     /* it knows site->places */
    /* Writes the nodes from s->value, a sample of site->dims, to the output. */
    hone_status (*write)(hone_spec *s, hone_error *err);
} hone_family;

/* In order, until NULL. */
const hone_family *hone_family_at(int index);
/* Is there a family of that spec? */
bool hone_is_spec(const char *text);
/* The network as ONNX text: input "input" [batch, sample], output "logits" [batch, outputs]. free() it.
 * HONE_INVALID_ARGUMENT says what of the spec is wrong. */
hone_status hone_spec_write(const char *text, const hone_spec_site *site, char **out, hone_error *err);

/* --- for families --- */

/* Fails: "model "cnn:16-x": " and the message. */
hone_status hone_spec_fail(const hone_spec *s, hone_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Declares a parameter of `rank` dims, unless it is declared already. */
void hone_spec_parameter(hone_spec *s, const char *name, int rank, const int64_t *dims);
/* A node that makes the next value of s->value and of what `more` says: `, "a.weight"`. It becomes s->value. */
void hone_spec_node(hone_spec *s, const char *op, const char *attributes, const char *more, ...)
    __attribute__((format(printf, 4, 5)));
/* A fully connected layer NAME.weight [in, out], NAME.bias on values of the last axis. */
void hone_spec_dense(hone_spec *s, const char *name, int64_t width);
void hone_spec_dropout(hone_spec *s, double ratio);
/* [channels, height, width] to one axis. */
void hone_spec_flatten(hone_spec *s);

extern const hone_family hone_family_mlp, hone_family_cnn, hone_family_resnet, hone_family_mobilenet,
    hone_family_dscnn, hone_family_gru, hone_family_lstm, hone_family_bag, hone_family_encoder,
    hone_family_lm;

#endif
