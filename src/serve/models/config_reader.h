/* Reading configurations as trees of JSON, to which the text format of protocol buffers is brought as well:
 * every value may stand alone or in an array. What does not fit is HONE_INVALID_ARGUMENT, which names the
 * field. */
#ifndef HONE_SERVE_MODELS_CONFIG_READER_H
#define HONE_SERVE_MODELS_CONFIG_READER_H

#include <hone/error.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct hone_config_reader {
    bool text; /* it came from the text format: all fields are arrays, maps are lists of key and value */
    hone_error *err;
} hone_config_reader;

typedef struct hone_config_field {
    const char *name;
    json_t *value; /* result; NULL: it is not there */
} hone_config_field;

hone_status hone_config_json(const char *text, size_t size, json_t **out, hone_error *err);
size_t hone_config_count(const json_t *v);
json_t *hone_config_at(json_t *v, size_t i);
/* Fills the fields (up to one without a name) from a message; anything else in it is an error. */
hone_status hone_config_fields(hone_config_reader *r, json_t *message, const char *where,
                               hone_config_field *fields);
/* The only value of a field that does not repeat. */
hone_status hone_config_only(hone_config_reader *r, const hone_config_field *f, json_t **out);
hone_status hone_config_text(hone_config_reader *r, const hone_config_field *f, const char **out);
/* A number, or a text that is one. */
hone_status hone_config_int_of(hone_config_reader *r, const char *name, const json_t *v, int64_t least,
                               int64_t most, int64_t *out);
/* The same of a field: what is not there leaves `*out` as it was. */
hone_status hone_config_int(hone_config_reader *r, const hone_config_field *f, int64_t least, int64_t most,
                            int64_t *out);
hone_status hone_config_int32(hone_config_reader *r, const hone_config_field *f, int least, int most,
                              int *out);

#endif
