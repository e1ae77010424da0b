/* Who is asked before memory grows that a client makes the server keep. */
#ifndef HONE_SERVE_FORMAT_ROOM_H
#define HONE_SERVE_FORMAT_ROOM_H

#include <stdbool.h>
#include <stddef.h>

typedef struct hone_room hone_room;
struct hone_room {
    /* May it be so many bytes more? False: there is no room for them. */
    bool (*take)(hone_room *room, size_t more);
};

/* `room` NULL: nobody is asked. */
static inline bool hone_room_take(hone_room *room, size_t more) {
    return !room || more == 0 || room->take(room, more);
}

/* What a buffer of `capacity` items grows to when it needs `need`, more than that: at least to twice as many. */
static inline size_t hone_room_growth(size_t capacity, size_t need) {
    return capacity > (size_t)-1 / 2 || capacity * 2 < need ? need : capacity * 2;
}

#endif
