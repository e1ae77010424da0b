/* Fields of a JSON object, which are read or refused by their names. Absent and null are the same: what is read into stays
 * as it was. */
#ifndef HONE_SERVE_OPENAI_FIELDS_H
#define HONE_SERVE_OPENAI_FIELDS_H

#include "serve/openai/fault.h"

#include <jansson.h>

/* NULL: it is not there, or null. */
json_t *hone_member(const json_t *o, const char *name);

/* False: the value is none of those, and `f` says so. */
bool hone_member_number(const json_t *o, const char *name, double least, double most, double *out,
                        hone_fault *f);
bool hone_member_integer(const json_t *o, const char *name, int64_t least, int64_t most, int64_t *out,
                         hone_fault *f);
bool hone_member_truth(const json_t *o, const char *name, bool *out, hone_fault *f);
/* Borrowed from the object, as are the next two. */
bool hone_member_text(const json_t *o, const char *name, const char **out, hone_fault *f);
bool hone_member_object(const json_t *o, const char *name, json_t **out, hone_fault *f);
bool hone_member_array(const json_t *o, const char *name, json_t **out, hone_fault *f);
/* Ids of tokens in a list, to be freed by hone_free(). */
bool hone_member_ids(const json_t *list, const char *name, int32_t **out, size_t *count, hone_fault *f);

#endif
