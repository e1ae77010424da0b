/* Texts that a step makes: their bytes lie in one block, which lives as long as the run's results. */
#ifndef HONE_OPS_COMMON_TEXTS_H
#define HONE_OPS_COMMON_TEXTS_H

#include "graph/run.h"

typedef struct hone_texts {
    char *at;
} hone_texts;

/* Room for texts of so many bytes in all, each with a zero behind it that counts. */
hone_status hone_texts_open(hone_frame *f, size_t bytes, hone_texts *t, hone_error *err);
/* `size` more bytes, to be filled, and the zero behind them. */
static inline char *hone_texts_room(hone_texts *t, size_t size) {
    char *room = t->at;
    room[size] = 0;
    t->at += size + 1;
    return room;
}
static inline hone_string hone_texts_add(hone_texts *t, const char *text, size_t size) {
    char *room = hone_texts_room(t, size);
    if (size) memcpy(room, text, size);
    return (hone_string){room, size};
}

#endif
