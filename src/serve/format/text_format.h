/* Protocol buffers' text format, to the tree that JSON would give: a message is an object in which every
 * field is an array of its values, in order; scalars are strings as they were written ("12", "true",
 * "LATEST"), those in quotes without quotes and escapes. Knows no schema. */
#ifndef HONE_SERVE_FORMAT_TEXT_FORMAT_H
#define HONE_SERVE_FORMAT_TEXT_FORMAT_H

#include <hone/error.h>

#include <jansson.h>

/* HONE_INVALID_ARGUMENT names line and column. Messages nest at most `max_depth` deep. On success
 * json_decref() when done. */
hone_status hone_text_format_parse(const char *text, size_t size, int max_depth, json_t **out,
                                   hone_error *err);

#endif
