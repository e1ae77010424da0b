/* Continuing a text: tokens one by one, their text as it becomes certain. */
#include "lm/model.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "text/stops.h"

#include <string.h>

/* Text of generated tokens that nobody has seen yet. */
typedef struct stream {
    const hone_generate_options *o;
    hone_detokenizer *detokenizer; /* NULL: nobody asks for text */
    char *held;                    /* text that may become a stop string */
    size_t size, capacity;
    bool stopped, asked;
} stream;

static void give(stream *t, size_t size) {
    if (size && t->o->text && !t->asked) t->asked = !t->o->text(t->o->user, t->held, size);
    if (size < t->size) memmove(t->held, t->held + size, t->size - size);
    t->size -= size;
}

static hone_status hold(stream *t, const char *text, size_t size, hone_error *err) {
    if (!hone_reserve(&t->held, &t->capacity, t->size + size + 1, 1)) return hone_fail_memory(err);
    if (size) memcpy(t->held + t->size, text, size);
    t->size += size;
    return HONE_OK;
}

/* What the text has become by another token, or, `id` < 0, at its end. */
static hone_status pass_on(stream *t, int32_t id, hone_error *err) {
    const char *text;
    size_t size;
    const bool end = id < 0;
    if (!t->detokenizer) return HONE_OK;
    HONE_TRY(end ? hone_detokenizer_finish(t->detokenizer, &text, &size, err)
                 : hone_detokenizer_feed(t->detokenizer, id, &text, &size, err));
    HONE_TRY(hold(t, text, size, err));
    const size_t stop = hone_stops_find(t->o->stops, t->o->stop_count, t->held, t->size);
    t->stopped = stop != SIZE_MAX;
    give(t, t->stopped ? stop
            : end      ? t->size
                       : t->size - hone_stops_begun(t->o->stops, t->o->stop_count, t->held, t->size));
    return HONE_OK;
}

/* --- the loop --- */

static bool ends(const hone_generate_options *o, int32_t id) {
    for (size_t i = 0; i < o->end_count; i++)
        if (o->ends[i] == id) return true;
    return false;
}

static hone_status loop(hone_lm_sequence *s, stream *t, const float *logits, size_t prompt,
                        hone_generate_report *r, hone_error *err) {
    const hone_generate_options *o = t->o;
    hone_lm_draw d = {.how = &o->sampling, .ids = s->ids, .prompt = prompt};
    const double start = hone_seconds_now();
    r->finish = HONE_FINISH_LENGTH;
    while (s->count < (size_t)s->lm->context && (!o->max_tokens || (int64_t)r->tokens < o->max_tokens)) {
        d.count = s->count;
        const int32_t id = hone_lm_sampler_draw(s->sampler, &d, logits);
        if (ends(o, id)) {
            r->finish = HONE_FINISH_END;
            break;
        }
        r->tokens++;
        HONE_TRY(hone_lm_push(s, id, &logits, err));
        HONE_TRY(pass_on(t, id, err));
        if (t->stopped || t->asked) {
            r->finish = t->stopped ? HONE_FINISH_END : HONE_FINISH_ASKED;
            break;
        }
    }
    if (!t->stopped) HONE_TRY(pass_on(t, -1, err));
    r->seconds = hone_seconds_now() - start;
    return HONE_OK;
}

hone_status hone_lm_generate(hone_lm_sequence *s, const hone_tokenizer *tokenizer, const int32_t *prompt,
                             size_t count, const hone_generate_options *options, hone_generate_report *report,
                             hone_error *err) {
    const hone_generate_options usual = HONE_GENERATE_OPTIONS_INIT, *o = options ? options : &usual;
    hone_generate_report ignored, *r = report ? report : &ignored;
    const float *logits = NULL;
    HONE_TRY(hone_check_options_size(o->size, sizeof *o, err));
    HONE_TRY(hone_lm_check_sampling(&o->sampling, err));
    *r = (hone_generate_report){.prompt_tokens = count};
    const double start = hone_seconds_now();
    for (size_t i = 0; i < s->count && i + 1 < count && s->ids[i] == prompt[i]; i++) r->reused_tokens++;
    HONE_TRY(hone_lm_feed(s, prompt, count, &logits, err));
    r->prompt_seconds = hone_seconds_now() - start;
    stream t = {.o = o};
    hone_status status = tokenizer ? hone_detokenizer_new(tokenizer, false, &t.detokenizer, err) : HONE_OK;
    if (status == HONE_OK) status = loop(s, &t, logits, count, r, err);
    hone_detokenizer_free(t.detokenizer);
    hone_free(t.held);
    return status;
}
