/* Files of sound and what is known of them. */
#ifndef HONE_DATA_RECORDINGS_H
#define HONE_DATA_RECORDINGS_H

#include "base/error.h"
#include "base/memory.h"

#include <hone/data.h>

/* What is not known is NULL. */
typedef struct hone_recording {
    const char *path, *label, *text, *source;
} hone_recording;

typedef struct hone_recording_list {
    hone_arena *arena;
    hone_recording *items;
    size_t count, capacity;
    bool split; /* the path has a part for each split, or this is one of them */
    bool texts; /* each has a text in place of a label */
} hone_recording_list;

/* Those of a split in a folder, as hone_corpus_list() finds them, of files named SOURCE__NAME.wav; or of a table with a line
 * of names: "path" (from the table's folder on), "text" or "label", and maybe "source" and "split". Zeros at first;
 * hone_recording_list_free() when done, also after a failure. HONE_NOT_FOUND: there is no such split. */
hone_status hone_recordings_find(const char *path, hone_split split, hone_recording_list *out, hone_error *err);
void hone_recording_list_free(hone_recording_list *l);

#endif
