/* Pieces of text by number, and numbers by piece. */
#ifndef HONE_TEXT_VOCABULARY_H
#define HONE_TEXT_VOCABULARY_H

#include "base/error.h"
#include "base/memory.h"

#define HONE_NO_ID (-1)
#define HONE_MAX_ID (1 << 22) /* ids are less */

typedef struct hone_piece {
    const char *text; /* NULL: no piece has this id */
    size_t size;
} hone_piece;

typedef struct hone_vocabulary {
    hone_arena *arena; /* of the texts */
    hone_piece *pieces;
    size_t count, capacity; /* one more than the largest id */
    int32_t *slots;         /* HONE_NO_ID: empty */
    size_t slot_count, used;
    size_t longest; /* bytes of the longest piece */
} hone_vocabulary;

/* Adds a piece, copied into the arena. A piece that is there keeps its first id too. HONE_INVALID_ARGUMENT: the id is out
 * of range or another piece's. */
hone_status hone_vocabulary_add(hone_vocabulary *v, int64_t id, const char *text, size_t size,
                                hone_error *err);
/* HONE_NO_ID if there is no such piece. */
int32_t hone_vocabulary_find(const hone_vocabulary *v, const char *text, size_t size);
/* Pieces of which `hidden` holds are found no more by their text; it has one for each id below `count`. */
void hone_vocabulary_hide(hone_vocabulary *v, const bool *hidden, size_t count);
void hone_vocabulary_free(hone_vocabulary *v);

#endif
