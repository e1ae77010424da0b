/* The memory that a context takes for its runs, for those who bound it. */
#ifndef HONE_RUNTIME_GROWTH_H
#define HONE_RUNTIME_GROWTH_H

#include <hone/session.h>
#include <stdbool.h>
#include <stddef.h>

/* Asked before memory grows by so many bytes. False: the run fails with HONE_RESOURCE_EXHAUSTED. */
typedef struct hone_growth {
    bool (*allow)(void *user, size_t bytes); /* NULL: nobody is asked */
    void *user;
} hone_growth;

void hone_context_set_growth(hone_context *c, const hone_growth *g);
/* Bytes of the workspace, and of what outlives a region or a run of a body. */
size_t hone_context_memory(const hone_context *c);
/* Gives all of it back; outputs and steps of the last run are gone. The next run takes what it needs. */
void hone_context_trim(hone_context *c);

#endif
