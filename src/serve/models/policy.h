/* Which versions of a model are served, out of those that are there. */
#ifndef HONE_SERVE_MODELS_POLICY_H
#define HONE_SERVE_MODELS_POLICY_H

#include <hone/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum hone_version_policy {
    HONE_POLICY_LATEST, /* the greatest numbers */
    HONE_POLICY_ALL,
    HONE_POLICY_SPECIFIC /* the listed ones */
} hone_version_policy;

/* A zeroed struct serves the latest version. */
typedef struct hone_policy {
    hone_version_policy kind;
    int64_t latest;    /* LATEST: how many; 0 counts as 1 */
    int64_t *versions; /* SPECIFIC */
    size_t version_count, version_capacity;
} hone_policy;

/* Adds one to the listed versions; one that is there already is no error. False when memory is out. */
bool hone_policy_add(hone_policy *p, int64_t version);
/* On failure `to` is empty. */
bool hone_policy_copy(hone_policy *to, const hone_policy *from);
void hone_policy_free(hone_policy *p); /* what it holds */

/* Chooses from `there`, which is sorted ascending without repeats: sets wanted[i] for each of `count`. */
void hone_policy_choose(const hone_policy *p, const int64_t *there, size_t count, bool *wanted);

/* "12" as a version: digits only, no sign, at most INT64_MAX. False if it is none. */
bool hone_version_parse(const char *text, size_t size, int64_t *out);

#endif
