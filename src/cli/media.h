/* Pictures, sound and text as inputs. */
#ifndef HONE_CLI_MEDIA_H
#define HONE_CLI_MEDIA_H

#include "inputs.h"

/* True if the file is one of them, for such an input. */
bool cli_is_media(const char *file, const hone_value_info *v);
/* Reads it in the shape of the input; numbers may still need another dtype. Gives CLI_OK, or what the command ends with
 * after saying what is wrong. */
int cli_media_load(const char *file, const hone_graph *g, const hone_value_info *v, hone_tensor **out);

#endif
