/* The files that something was read from. */
#ifndef HONE_BASE_FILE_LIST_H
#define HONE_BASE_FILE_LIST_H

#include "base/fingerprint.h"

#include <stddef.h>

typedef struct hone_listed_file {
    char *path;
    hone_fingerprint is; /* when it was read; all zero: it was not there */
} hone_listed_file;

/* A zeroed struct is an empty list. */
typedef struct hone_file_list {
    hone_listed_file *items;
    size_t count, capacity;
} hone_file_list;

/* Adds a look at a file. The path is copied; the same look twice in a row is one. False when memory is out. */
bool hone_file_list_add(hone_file_list *l, const char *path, const hone_fingerprint *is);
/* Sorts by path, and makes one item of all looks at a file. Returns a file whose content did not look the same each
 * time; NULL: there is none. */
const char *hone_file_list_unite(hone_file_list *l);
/* On failure `to` is empty. */
bool hone_file_list_copy(hone_file_list *to, const hone_file_list *from);
void hone_file_list_free(hone_file_list *l); /* what it holds; then it is empty */

/* What tells one content of several files from another. All zero: of none. */
typedef struct hone_print {
    uint64_t content; /* a hash of what their contents are told by */
    uint64_t changed; /* of when their contents, names or permissions changed */
    int64_t newest;   /* when a content changed last: nanoseconds since 1970 */
} hone_print;

void hone_print_add(hone_print *p, const char *path, const hone_fingerprint *is);
hone_print hone_file_list_print(const hone_file_list *l);

static inline bool hone_print_equal(const hone_print *a, const hone_print *b) {
    return a->content == b->content && a->changed == b->changed;
}

#endif
