/* Channels whose size can be chosen: activations x may become x / s, s > 0 a number for each channel, where what makes them is
 * divided by it and what reads them multiplied, and nothing between cares.
 *
 *   W1, b1 ─► product ─► Relu ─► MaxPool ─► product ◄─ W2        rows of W1 and b1 divided by s, columns of W2 times s
 *             └───── members: activations ────┘
 *
 * Found from the descriptors' axis links, and from what they say of scaling. */
#ifndef HONE_COMPRESS_CHANNELS_H
#define HONE_COMPRESS_CHANNELS_H

#include "compress/groups.h"

/* A constant that goes along: channel p is those of the axis with index / inner % channels == p. */
typedef struct hone_channel_tie {
    const hone_node *node; /* that reads it */
    hone_value *value;
    int axis;
    int64_t inner;
    bool gives;  /* it makes the channels, and is divided; else it reads them */
    bool weight; /* of a product: what gets quantized */
} hone_channel_tie;

typedef struct hone_channels {
    int64_t size;
    hone_group_member *members;
    int count;
    size_t capacity;
    hone_channel_tie *ties;
    int tie_count;
    size_t tie_capacity;
    bool fixed; /* something has its say in their size: an input, an output, a sigmoid */
} hone_channels;

/* The channels along axis `axis` of x. Types are inferred. hone_channels_free() when done, whatever it gives. */
hone_status hone_channels_find(const hone_graph *g, hone_value *x, int axis, hone_channels *out,
                               hone_error *err);
void hone_channels_free(hone_channels *c);
bool hone_channels_have(const hone_channels *c, const hone_value *x, int axis);

/* Does n multiply by a constant weight, its input 1? */
bool hone_multiplies(const hone_node *n);
/* The axis of n's weight that is summed over together with axis `axis` of input 0, or, of channels that each go by
 * themselves, runs along it; -1: none. */
hone_status hone_summed_axis(const hone_node *n, int axis, int *out, hone_error *err);

/* largest[p]: the largest magnitude in channel p of the tie's constant, if it is larger than what is there. */
void hone_tie_largest(const hone_channel_tie *t, int64_t size, double *largest);
/* Divides what gives by s[0 … size-1] and multiplies what reads. Other graphs keep their constants. */
hone_status hone_channels_scale(const hone_channels *c, const double *s, hone_error *err);

#endif
