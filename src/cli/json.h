/* JSON for machines. */
#ifndef HONE_CLI_JSON_H
#define HONE_CLI_JSON_H

#include <hone/graph.h>
#include <jansson.h>

/* Prints one line and gives the object's reference back. */
void cli_print_json(json_t *object);
/* A number; null if it is not finite. */
json_t *cli_json_number(double x);
/* A path or a text that may be cut: what is not UTF-8 becomes U+FFFD. */
json_t *cli_json_text(const char *text);
/* [1, 28, 28]; symbols of `g` (may be NULL) as strings, unknown dimensions null. */
json_t *cli_json_shape(const hone_graph *g, const int64_t *dims, int rank);

#endif
