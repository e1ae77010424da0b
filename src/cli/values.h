/* The first elements of tensors, for people and as JSON. */
#ifndef HONE_CLI_VALUES_H
#define HONE_CLI_VALUES_H

#include <hone/tensor.h>
#include <jansson.h>

/* A line. Strings are in quotation marks, with escapes as C has them, and cut where they are long. */
void cli_print_values(const hone_tensor *t);
/* A list. Strings are text, or {"b64": "…"} if they are none. */
json_t *cli_json_values(const hone_tensor *t);

#endif
