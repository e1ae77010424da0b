/* What is counted of language models. */
#ifndef HONE_SERVE_OBSERVE_TEXT_STATS_H
#define HONE_SERVE_OBSERVE_TEXT_STATS_H

#include <hone/monitor.h>

#include <stdint.h>

typedef enum hone_text_token {
    HONE_TEXT_PROMPT, /* computed */
    HONE_TEXT_CACHED, /* of prompts, and not computed again */
    HONE_TEXT_GENERATED,
    HONE_TEXT_TOKENS
} hone_text_token;

typedef enum hone_text_state {
    HONE_TEXT_RUNNING,
    HONE_TEXT_WAITING,
    HONE_TEXT_PAUSED,
    HONE_TEXT_STATES
} hone_text_state;
typedef enum hone_text_page {
    HONE_TEXT_PAGE_USED,
    HONE_TEXT_PAGE_CACHED,
    HONE_TEXT_PAGE_FREE,
    HONE_TEXT_PAGES
} hone_text_page;

typedef enum hone_text_end {
    HONE_TEXT_STOP,
    HONE_TEXT_LENGTH,
    HONE_TEXT_TOOL_CALLS,
    HONE_TEXT_CANCELLED,
    HONE_TEXT_FAILED,
    HONE_TEXT_ENDS
} hone_text_end;

/* The metrics, one of all models. */
typedef struct hone_text_metrics {
    hone_metric *first, *between, *queue, *step, *tokens, *sequences, *pages, *finished, *preempted;
} hone_text_metrics;
hone_status hone_text_metrics_add(hone_metrics *all, hone_text_metrics *out, hone_error *err);

/* The series of one model. Any thread counts in them. */
typedef struct hone_text_stats {
    hone_series *first, *between, *queue, *step, *preempted; /* seconds but for the last */
    hone_series *tokens[HONE_TEXT_TOKENS], *sequences[HONE_TEXT_STATES], *pages[HONE_TEXT_PAGES],
        *finished[HONE_TEXT_ENDS];
} hone_text_stats;
/* On failure, too, hone_text_stats_close() when done. */
hone_status hone_text_stats_open(const hone_text_metrics *m, const char *model, hone_text_stats *out,
                                 hone_error *err);
void hone_text_stats_close(hone_text_stats *s);

#endif
