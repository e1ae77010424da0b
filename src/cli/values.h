/* What a model gave: for people, as JSON, and into files. Tensors are shown by their first elements. */
#ifndef HONE_CLI_VALUES_H
#define HONE_CLI_VALUES_H

#include "json.h"

#include <hone/tensor.h>
#include <jansson.h>

/* Lines. Strings are in quotation marks, with escapes as C has them, and cut where they are long. */
void cli_print_output(const char *name, const hone_tensor *t);
/* {"name", "dtype", "shape", "first"} of a tensor; else {"name", "kind", …}: "count" and "first" of a sequence (a list)
 * and of a map (an object), "value" of an optional value. Strings are text, or {"b64": "…"} if they are none. */
json_t *cli_json_output(const char *name, const hone_tensor *t);
/* Writes all of it: .npy, or .npz if the file is named so; a sequence as .npz with arrays arr_0, arr_1, …; what has maps
 * in it as JSON. Gives CLI_OK, or what the command ends with after saying why. */
int cli_save_value(const char *file, const char *name, const hone_tensor *t);

#endif
