#include "lm/schedule.h"

#include "base/error.h"
#include "base/memory.h"
#include "lm/form.h"

#include <string.h>

enum { QUANTUM = 16 }; /* tokens that a client's prompts get before the next one's */

hone_status hone_lm_schedule_init(hone_lm_schedule *s, int64_t most_waiting, int64_t most_running,
                                  hone_lm_pages *pages, int64_t *tables, int64_t columns, hone_error *err) {
    *s = (hone_lm_schedule){
        .pages = pages, .most_running = most_running, .tables = tables, .columns = columns};
    s->waiting = hone_calloc((size_t)(most_waiting + most_running), sizeof(hone_lm_job *));
    s->running = hone_calloc((size_t)most_running, sizeof(hone_lm_job *));
    s->slots = hone_calloc((size_t)most_running, sizeof *s->slots);
    if (!s->waiting || !s->running || !s->slots) return hone_fail_memory(err);
    while (s->slot_count < most_running) {
        s->slots[s->slot_count] = most_running - 1 - s->slot_count;
        s->slot_count++;
    }
    return HONE_OK;
}

void hone_lm_schedule_clear(hone_lm_schedule *s) {
    hone_free(s->waiting);
    hone_free(s->running);
    hone_free(s->slots);
}

/* --- lists, by number --- */

static void insert(hone_lm_job **list, int64_t *count, hone_lm_job *j) {
    int64_t at = (*count)++;
    for (; at > 0 && list[at - 1]->number > j->number; at--) list[at] = list[at - 1];
    list[at] = j;
}

static void take_out(hone_lm_job **list, int64_t *count, const hone_lm_job *j) {
    int64_t at = 0;
    while (list[at] != j) at++;
    for ((*count)--; at < *count; at++) list[at] = list[at + 1];
}

void hone_lm_schedule_add(hone_lm_schedule *s, hone_lm_job *j) {
    j->number = ++s->numbers;
    insert(s->waiting, &s->waiting_count, j);
}

/* --- pages --- */

static size_t pages_for(size_t tokens) {
    return (tokens + HONE_LM_PAGE - 1) / HONE_LM_PAGE;
}

/* Pages that it lacks for all of its tokens and one more. */
static int64_t lacking(const hone_lm_job *j) {
    const size_t needed = pages_for(j->count + (j->count < j->most));
    return needed > j->held ? (int64_t)(needed - j->held) : 0;
}

/* Pages that nobody holds, nor, of those that run, is going to take next. */
static int64_t free_pages(const hone_lm_schedule *s) {
    int64_t n = hone_lm_pages_count(s->pages) - hone_lm_pages_held(s->pages);
    for (int64_t i = 0; i < s->running_count; i++) n -= lacking(s->running[i]);
    return n;
}

static void give_back(hone_lm_schedule *s, hone_lm_job *j) {
    while (j->held > 0) hone_lm_pages_release(s->pages, j->pages[--j->held]);
    j->done = j->published = j->turn = 0;
}

static void stop(hone_lm_schedule *s, hone_lm_job *j) {
    give_back(s, j);
    s->slots[s->slot_count++] = j->slot;
    j->slot = -1;
    take_out(s->running, &s->running_count, j);
}

void hone_lm_schedule_remove(hone_lm_schedule *s, hone_lm_job *j) {
    if (j->slot >= 0)
        stop(s, j);
    else
        take_out(s->waiting, &s->waiting_count, j);
}

static void preempt(hone_lm_schedule *s, hone_lm_job *j) {
    stop(s, j);
    insert(s->waiting, &s->waiting_count, j);
    s->preempted++;
}

/* Who has to give its pages back first; NULL: nobody, or nobody who is paused. */
static hone_lm_job *victim(const hone_lm_schedule *s, bool paused_only) {
    for (int64_t i = s->running_count; i-- > 0;)
        if (s->running[i]->paused) return s->running[i];
    return paused_only || !s->running_count ? NULL : s->running[s->running_count - 1];
}

/* Takes pages of texts that begin likewise in place of computing them. A token is left to run, for its logits; a text whose echo
 * asks for all of them shares nothing. */
static void share_pages(hone_lm_schedule *s, hone_lm_job *j) {
    const bool echoes = j->o.echo_scores && j->told < j->o.count;
    const size_t most = s->no_cache || echoes ? 0 : (j->count - 1) / HONE_LM_PAGE;
    while (j->held < most && j->done == j->held * HONE_LM_PAGE) {
        const int64_t before = j->held ? j->pages[j->held - 1] : -1,
                      page = hone_lm_pages_find(s->pages, before, j->ids + j->held * HONE_LM_PAGE);
        if (page < 0) break;
        j->pages[j->held++] = page;
        j->published = j->held;
        j->done += HONE_LM_PAGE;
        if (j->done <= j->known) continue; /* it had computed them itself */
        j->known = j->done;
        j->news.cached_tokens += HONE_LM_PAGE;
        s->cached += HONE_LM_PAGE;
    }
}

/* Are there pages for it? Paused texts make room. */
static bool has_room(hone_lm_schedule *s, const hone_lm_job *j) {
    while (free_pages(s) < lacking(j)) {
        hone_lm_job *other = victim(s, true);
        if (!other) return false;
        preempt(s, other);
    }
    return true;
}

/* --- beginning --- */

static int64_t running_of(const hone_lm_schedule *s, uint64_t client) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->running_count; i++) n += s->running[i]->o.client == client;
    return n;
}

static hone_lm_job *next_waiting(const hone_lm_schedule *s) {
    hone_lm_job *best = NULL;
    int64_t least = 0;
    for (int64_t i = 0; i < s->waiting_count && !(best && !least); i++) {
        hone_lm_job *j = s->waiting[i];
        const int64_t n = j->paused ? -1 : running_of(s, j->o.client);
        if (n < 0 || (best && n >= least)) continue;
        best = j;
        least = n;
    }
    return best;
}

hone_lm_job *hone_lm_schedule_begin(hone_lm_schedule *s) {
    hone_lm_job *j = next_waiting(s), *other = s->slot_count > 0 ? NULL : victim(s, true);
    if (j && other) preempt(s, other);
    if (!j || s->slot_count == 0) return NULL;
    take_out(s->waiting, &s->waiting_count, j);
    j->slot = s->slots[--s->slot_count];
    j->pages = s->tables + j->slot * s->columns;
    share_pages(s, j);
    if (!has_room(s, j)) {
        give_back(s, j);
        s->slots[s->slot_count++] = j->slot;
        j->slot = -1;
        insert(s->waiting, &s->waiting_count, j);
        return NULL;
    }
    insert(s->running, &s->running_count, j);
    j->begun = true;
    return j;
}

/* --- a step --- */

int64_t hone_lm_schedule_answers(const hone_lm_schedule *s) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->running_count; i++)
        n += !s->running[i]->paused && hone_lm_job_answers(s->running[i]);
    return n;
}

static bool wants_more(const hone_lm_job *j) {
    return !j->paused && j->turn < hone_lm_job_left(j);
}

/* The next client behind the one that had its turn, in the order of their numbers, which go round; the oldest of its texts
 * that wants tokens. NULL: nobody does. */
static hone_lm_job *next_prompt(const hone_lm_schedule *s, uint64_t behind) {
    hone_lm_job *best = NULL;
    for (int64_t i = 0; i < s->running_count; i++) {
        hone_lm_job *j = s->running[i];
        if (wants_more(j) && (!best || j->o.client - behind - 1 < best->o.client - behind - 1)) best = j;
    }
    return best;
}

static void deal(hone_lm_schedule *s, int64_t tokens) {
    hone_lm_job *j;
    while (tokens > 0 && (j = next_prompt(s, s->client))) {
        s->client = j->o.client;
        for (int64_t quantum = QUANTUM; quantum > 0 && tokens > 0 && j && j->o.client == s->client;
             j = next_prompt(s, s->client - 1)) {
            const int64_t wanted = (int64_t)(hone_lm_job_left(j) - j->turn),
                          most = quantum < tokens ? quantum : tokens, n = wanted < most ? wanted : most;
            j->turn += (size_t)n;
            quantum -= n;
            tokens -= n;
        }
    }
}

/* Pages for its turn; false: there are too few. */
static bool take_pages(hone_lm_schedule *s, hone_lm_job *j) {
    while (j->held < pages_for(j->done + j->turn)) {
        const int64_t page = hone_lm_pages_take(s->pages);
        if (page < 0) return false;
        j->pages[j->held++] = page;
    }
    return true;
}

int64_t hone_lm_schedule_turn(hone_lm_schedule *s, int64_t budget, int64_t least) {
    int64_t answers = 0, total = 0;
    for (int64_t i = 0; i < s->running_count; i++) {
        hone_lm_job *j = s->running[i];
        if (!j->paused) share_pages(s, j); /* others may have got there meanwhile */
        j->turn = !j->paused && hone_lm_job_answers(j);
        answers += (int64_t)j->turn;
    }
    deal(s, budget - answers > least ? budget - answers : least);
    for (int64_t i = 0; i < s->running_count;) { /* the oldest has its pages first */
        if (take_pages(s, s->running[i])) {
            i++;
        } else {
            preempt(s, victim(s, false));
            i = 0;
        }
    }
    for (int64_t i = 0; i < s->running_count; i++) total += (int64_t)s->running[i]->turn;
    return total;
}

void hone_lm_schedule_advance(hone_lm_schedule *s, hone_lm_job *j) {
    j->done += j->turn;
    j->turn = 0;
    if (j->known < j->done) j->known = j->done;
    for (; !s->no_cache && (j->published + 1) * HONE_LM_PAGE <= j->done; j->published++) {
        int64_t *page = &j->pages[j->published];
        *page = hone_lm_pages_publish(s->pages, *page, j->published ? page[-1] : -1,
                                      j->ids + j->published * HONE_LM_PAGE);
    }
}
