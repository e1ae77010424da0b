/* The part of a model's settings that is about shapes:
 *
 *      "dims": {"sequence": [16, 64, 128], "height": 224},        sizes of free dimensions
 *      "shapes": {"ids": ["batch", "sequence"], "image": [null, 3, 224, 224]},    what dimensions are called
 *      "pad": {"dims": ["sequence"], "values": {"ids": 1}, "tolerance": 0.001}
 *
 * "pad" may also be true: all dimensions that have a name. */
#ifndef HONE_SERVE_MODELS_SHAPE_SETTINGS_H
#define HONE_SERVE_MODELS_SHAPE_SETTINGS_H

#include "serve/models/config_reader.h"
#include "serve/servable/settings.h"

/* What is not there leaves `out` as it is. HONE_INVALID_ARGUMENT names the key. */
hone_status hone_shape_settings_read(hone_config_reader *r, const hone_config_field *dims,
                                     const hone_config_field *shapes, const hone_config_field *pad,
                                     hone_servable_settings *out);

#endif
