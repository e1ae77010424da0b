/* What lies where models are looked for and is not served, though somebody may have meant it to be: what is wrong, and
 * what to do. Each is told once, on standard error, and for as long as it holds to whoever asks. */
#ifndef HONE_SERVE_MODELS_REMARKS_H
#define HONE_SERVE_MODELS_REMARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hone_remark {
    char *name; /* of the thing that it is about */
    char *text;
    uint64_t since;
    bool told;
} hone_remark;

/* A zeroed struct is an empty list. */
typedef struct hone_remarks {
    hone_remark *items;
    size_t count, capacity;
} hone_remarks;

enum { HONE_REMARKS_MOST = 1000 }; /* of one list; the last one then says that there are more */

/* Both texts are copied. One that finds no memory is left out. */
void hone_remarks_add(hone_remarks *l, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void hone_remarks_free(hone_remarks *l); /* what it holds; then it is empty */

/* `l` is what holds at time `now`, `before` what did: what still holds was told, or not, as before. Sorts `l`. */
void hone_remarks_follow(hone_remarks *l, const hone_remarks *before, uint64_t now);
/* Logs those that were not told: with `at_once` all, else those that have held for some seconds, as things that are
 * just being put there look wrong, too. Returns when the next one is due; 0: none. `kind` is what the names are of. */
uint64_t hone_remarks_tell(hone_remarks *l, const char *kind, bool at_once, uint64_t now);

#endif
