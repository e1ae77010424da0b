#include "serve/observe/text_stats.h"

#include "base/error.h"

static const double bounds[] = {1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25,
                                0.5,  1,      2.5,  5,     10,    30,    60,  120};

static const char *const token_names[HONE_TEXT_TOKENS] = {"prompt", "cached", "generated"};
static const char *const state_names[HONE_TEXT_STATES] = {"running", "waiting", "paused"};
static const char *const page_names[HONE_TEXT_PAGES] = {"used", "cached", "free"};
static const char *const end_names[HONE_TEXT_ENDS] = {"stop", "length", "tool_calls", "cancelled", "failed"};

static hone_status add(hone_metrics *all, hone_metric_type type, const char *name, const char *help,
                       const char *label, hone_metric **out, hone_error *err) {
    hone_metric_options o = HONE_METRIC_OPTIONS_INIT;
    o.type = type;
    o.name = name;
    o.help = help;
    o.labels = (const char *const[]){"model", label, NULL};
    o.max_series = 10000;
    if (type == HONE_METRIC_HISTOGRAM) {
        o.buckets = bounds;
        o.bucket_count = sizeof bounds / sizeof *bounds;
    }
    return hone_metrics_add(all, &o, out, err);
}

hone_status hone_text_metrics_add(hone_metrics *all, hone_text_metrics *m, hone_error *err) {
    HONE_TRY(add(all, HONE_METRIC_HISTOGRAM, "hone_lm_time_to_first_token_seconds",
                 "Time from a request's last byte to the first token of an answer.", NULL, &m->first, err));
    HONE_TRY(add(all, HONE_METRIC_HISTOGRAM, "hone_lm_inter_token_seconds",
                 "Time between two tokens of a text.", NULL, &m->between, err));
    HONE_TRY(add(all, HONE_METRIC_HISTOGRAM, "hone_lm_queue_seconds", "Time that texts wait to begin.", NULL,
                 &m->queue, err));
    HONE_TRY(add(all, HONE_METRIC_HISTOGRAM, "hone_lm_step_seconds",
                 "Time of a step, in which each text that answers goes on by a token, and prompts by some.",
                 NULL, &m->step, err));
    HONE_TRY(add(all, HONE_METRIC_COUNTER, "hone_lm_tokens_total",
                 "Tokens of prompts that were computed, or cached, and tokens that were generated.", "kind",
                 &m->tokens, err));
    HONE_TRY(add(all, HONE_METRIC_GAUGE, "hone_lm_sequences",
                 "Texts that wait, that are worked on, and of these those that are paused since their client "
                 "does not read.",
                 "state", &m->sequences, err));
    HONE_TRY(add(all, HONE_METRIC_GAUGE, "hone_lm_pages",
                 "Pages of keys and values: used by texts, kept for texts that begin likewise, and free.",
                 "state", &m->pages, err));
    HONE_TRY(add(all, HONE_METRIC_COUNTER, "hone_lm_finished_total", "Texts that have ended.", "reason",
                 &m->finished, err));
    return add(all, HONE_METRIC_COUNTER, "hone_lm_preempted_total",
               "Texts whose pages were taken for others, and computed again later.", NULL, &m->preempted,
               err);
}

static hone_status open_named(hone_metric *m, const char *model, const char *const *names, int count,
                              hone_series **out, hone_error *err) {
    for (int i = 0; i < count; i++)
        HONE_TRY(hone_metric_series(m, (const char *const[]){model, names[i]}, &out[i], err));
    return HONE_OK;
}

hone_status hone_text_stats_open(const hone_text_metrics *m, const char *model, hone_text_stats *s,
                                 hone_error *err) {
    *s = (hone_text_stats){0};
    HONE_TRY(hone_metric_series(m->first, &model, &s->first, err));
    HONE_TRY(hone_metric_series(m->between, &model, &s->between, err));
    HONE_TRY(hone_metric_series(m->queue, &model, &s->queue, err));
    HONE_TRY(hone_metric_series(m->step, &model, &s->step, err));
    HONE_TRY(hone_metric_series(m->preempted, &model, &s->preempted, err));
    HONE_TRY(open_named(m->tokens, model, token_names, HONE_TEXT_TOKENS, s->tokens, err));
    HONE_TRY(open_named(m->sequences, model, state_names, HONE_TEXT_STATES, s->sequences, err));
    HONE_TRY(open_named(m->pages, model, page_names, HONE_TEXT_PAGES, s->pages, err));
    return open_named(m->finished, model, end_names, HONE_TEXT_ENDS, s->finished, err);
}

void hone_text_stats_close(hone_text_stats *s) {
    hone_series_drop(s->first);
    hone_series_drop(s->between);
    hone_series_drop(s->queue);
    hone_series_drop(s->step);
    hone_series_drop(s->preempted);
    for (int i = 0; i < HONE_TEXT_TOKENS; i++) hone_series_drop(s->tokens[i]);
    for (int i = 0; i < HONE_TEXT_STATES; i++) hone_series_drop(s->sequences[i]);
    for (int i = 0; i < HONE_TEXT_PAGES; i++) hone_series_drop(s->pages[i]);
    for (int i = 0; i < HONE_TEXT_ENDS; i++) hone_series_drop(s->finished[i]);
    *s = (hone_text_stats){0};
}
