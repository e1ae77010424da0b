/* Pages of a language model's keys and values: who holds which, and which are found again by what they hold.
 *
 *   free ──take──► held ──release──► free, or, if it was published, cached ──take (the oldest)──► held
 *                    ▲                                                 │
 *                    └───────────────────── find ──────────────────────┘
 *
 * A page that is full may be published: whoever has a text that begins likewise finds it by its tokens and the page before it,
 * which are compared, not only their hash. So a page's content follows from its chain alone. For one thread. */
#ifndef HONE_LM_PAGES_H
#define HONE_LM_PAGES_H

#include <hone/error.h>

#include <stdbool.h>
#include <stdint.h>

typedef struct hone_lm_pages hone_lm_pages;

/* `size`: tokens of a page. */
hone_status hone_lm_pages_new(int64_t count, int64_t size, hone_lm_pages **out, hone_error *err);
void hone_lm_pages_free(hone_lm_pages *p); /* NULL is fine */

/* A page that the caller holds, whose content is nobody's; -1: all are held. */
int64_t hone_lm_pages_take(hone_lm_pages *p);
/* Gives a hold back. Of a text's pages the last comes first: those that begin it are wanted longest. */
void hone_lm_pages_release(hone_lm_pages *p, int64_t page);
/* The published page of these tokens behind page `before` (-1: at the beginning), which the caller then holds; -1: none. */
int64_t hone_lm_pages_find(hone_lm_pages *p, int64_t before, const int32_t *ids);
/* Publishes a full page that the caller holds. Where such a page is there already, the caller's hold goes to that one, which it
 * returns; else `page`. `before` must be published, or nothing is done. */
int64_t hone_lm_pages_publish(hone_lm_pages *p, int64_t page, int64_t before, const int32_t *ids);

int64_t hone_lm_pages_count(const hone_lm_pages *p);
int64_t hone_lm_pages_held(const hone_lm_pages *p);
int64_t hone_lm_pages_cached(const hone_lm_pages *p); /* published and held by nobody */

#endif
