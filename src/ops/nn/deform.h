/* What DeformConv shares with the patches that it is a product of. */
#ifndef HONE_OPS_NN_DEFORM_H
#define HONE_OPS_NN_DEFORM_H

#include "ops/engine/window.h"

/* Do offsets and mask (may be NULL) fit an input of that type (its rank known) and the window: one for each
 * tap of each group at each position? HONE_INVALID_ARGUMENT, naming ctx's node. `positions` gets their
 * dimensions, as far as they are known. */
hone_status hone_deform_check(const hone_infer *ctx, const hone_window *w, const hone_type *x,
                              const hone_type *offset, const hone_type *mask, int64_t *positions,
                              hone_error *err);

#define HONE_DEFORM_ATTRS                                                                                    \
    {"dilations", HONE_ATTR_INTS}, {"group", HONE_ATTR_INT, .i = 1}, {"kernel_shape", HONE_ATTR_INTS},       \
        {"offset_group", HONE_ATTR_INT, .i = 1}, {"pads", HONE_ATTR_INTS}, {                                 \
        "strides", HONE_ATTR_INTS                                                                            \
    }

#endif
