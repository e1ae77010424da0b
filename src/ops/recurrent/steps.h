/* The time steps of recurrent operators: where rows lie, and in which order sequences of different lengths are taken.
 *
 *   layout 0   X [T, B, …], Y [T, D, B, H], states [D, B, H]
 *   layout 1   X [B, T, …], Y [B, T, D, H], states [B, D, H]
 *
 * Sequences are taken from the longest to the shortest, so that those still running at a step are the first ones. A
 * reversed direction begins at the last element of each. */
#ifndef HONE_OPS_RECURRENT_STEPS_H
#define HONE_OPS_RECURRENT_STEPS_H

#include "graph/run.h"
#include "ops/engine/elementwise.h"
#include "ops/recurrent/cell.h"

#include <string.h>

typedef struct hone_steps {
    int64_t steps, batch, hidden;
    int directions;
    bool batch_first;
    size_t size;           /* of an element */
    const int32_t *order;  /* [batch] which sequence comes i-th; NULL: all are of one length, as they are */
    const int32_t *length; /* [batch] of the i-th */
} hone_steps;

/* From a node's gates [T, B, …] and its recurrent weights [D gates, H, H]. */
hone_steps hone_steps_make(const hone_cell *c, const hone_type *gates, const hone_type *weights);
/* Bytes that hone_steps_sort fills. */
size_t hone_steps_room(const hone_steps *s);
/* Sorts sequences of those lengths (NULL: all are whole). Fails, naming the step, if one is not in [0, steps]. */
hone_status hone_steps_sort(hone_steps *s, const int32_t *lengths, void *room, const hone_step *step,
                            hone_error *err);

static inline int64_t hone_steps_sequence(const hone_steps *s, int64_t i) {
    return s->order ? s->order[i] : i;
}
static inline int64_t hone_steps_length(const hone_steps *s, int64_t i) {
    return s->order ? s->length[i] : s->steps;
}
/* When the i-th sequence is at its `step`-th element. */
static inline int64_t hone_steps_time(const hone_steps *s, int64_t i, int64_t step, bool reverse) {
    return reverse ? hone_steps_length(s, i) - 1 - step : step;
}
/* Rows of X and of what is like it, of Y, of states. */
static inline int64_t hone_steps_x_row(const hone_steps *s, int64_t sequence, int64_t time) {
    return s->batch_first ? sequence * s->steps + time : time * s->batch + sequence;
}
static inline int64_t hone_steps_y_row(const hone_steps *s, int64_t sequence, int64_t time, int direction) {
    return s->batch_first ? (sequence * s->steps + time) * s->directions + direction
                          : (time * s->directions + direction) * s->batch + sequence;
}
static inline int64_t hone_steps_state_row(const hone_steps *s, int64_t sequence, int direction) {
    return s->batch_first ? sequence * s->directions + direction : direction * s->batch + sequence;
}
/* How many of the sequences [begin, end) are still running at a step: end less those that are not. */
static inline int64_t hone_steps_running(const hone_steps *s, int64_t begin, int64_t end, int64_t step) {
    while (end > begin && hone_steps_length(s, end - 1) <= step) end--;
    return end;
}

/* Element 0 of row `row`, of `columns` elements, and from column `at` on; NULL stays. */
static inline char *hone_steps_at(const hone_steps *s, const void *base, int64_t row, int64_t columns,
                                  int64_t at) {
    return base ? (char *)base + (size_t)(row * columns + at) * s->size : NULL;
}
/* y = x, or 0 where x is NULL; nothing where y is. */
static inline void hone_steps_copy(const hone_steps *s, void *y, const void *x, int64_t n) {
    if (y && x) memcpy(y, x, (size_t)n * s->size);
    if (y && !x) memset(y, 0, (size_t)n * s->size);
}

/* Sets what a padded sequence has behind its end, in rows of X's kind, [from, from + n) of `columns`; y may be NULL. */
void hone_steps_pad_x(const hone_steps *s, void *y, int64_t columns, int64_t from, int64_t n);
void hone_steps_pad_y(const hone_steps *s, void *y, int direction);

/* --- stages --- */

typedef struct hone_steps_map {
    hone_cell_stage stage;
    const hone_elementwise *work;
} hone_steps_map;

/* Prepares all stages of all directions, forward or backward, over matrices [batch, hidden], and takes worker scratch. */
hone_status hone_steps_maps(hone_prepare *p, const hone_cell *c, const hone_steps *s, bool backward,
                            bool peepholes, hone_steps_map maps[2][2], hone_error *err);
/* Runs one over rows [m0, m1) of columns [n0, n1); `buffers` has the address of each. */
void hone_steps_run(const hone_steps_map *map, const hone_steps *s, void *const *buffers, int64_t m0,
                    int64_t m1, int64_t n0, int64_t n1, void *scratch);

#endif
