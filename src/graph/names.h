/* A hash table from names to pointers, for names inside a graph. Keys are borrowed. */
#ifndef HONE_GRAPH_NAMES_H
#define HONE_GRAPH_NAMES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct hone_names hone_names;

hone_names *hone_names_new(void); /* NULL when out of memory */
void hone_names_free(hone_names *t);
void *hone_names_get(const hone_names *t, const char *key); /* NULL if absent */
/* Sets or replaces; false when out of memory. A NULL value removes. */
bool hone_names_put(hone_names *t, const char *key, void *value);

#endif
