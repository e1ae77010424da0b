#include "serve/openai/choice.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>

hone_status hone_choice_open(hone_choice *c, const hone_language *l, const hone_ask *a, const hone_prompt *p,
                             int index, hone_error *err) {
    bool tools = a->tool_choice != HONE_TOOLS_NONE;
    c->ask = a;
    c->language = l;
    c->prompt = p;
    c->index = index;
    if (tools) hone_calls_open(&c->calls, l, a);
    if (a->echo) hone_buffer_put(&c->text, p->text, p->size);
    return hone_speech_open(&c->speech, l, a, tools, err);
}

void hone_choice_close(hone_choice *c) {
    hone_lm_job_release(c->job);
    hone_speech_close(&c->speech);
    if (c->calls.ask) hone_calls_close(&c->calls);
    hone_buffer_free(&c->text);
    hone_free(c->scored);
    hone_free(c->likely);
}

/* --- scores --- */

static size_t echoed(const hone_choice *c) {
    return c->ask->echo ? c->prompt->size : 0;
}

static size_t stride(const hone_ask *a) {
    return a->likely > 0 ? (size_t)a->likely : 0;
}

const hone_lm_likely *hone_choice_likely(const hone_choice *c, size_t index) {
    return c->likely + index * stride(c->ask);
}

size_t hone_choice_bytes(const hone_ask *a, size_t tokens) {
    enum { TEXT = 8 /* bytes of a token */ };
    size_t scores = a->likely < 0 ? 0 : sizeof(hone_scored) + stride(a) * sizeof(hone_lm_likely);
    return tokens * (TEXT + scores);
}

static hone_status note_score(hone_choice *c, const hone_lm_news *n, size_t offset) {
    size_t each = stride(c->ask), at = c->scored_count;
    if (!hone_reserve(&c->scored, &c->scored_capacity, at + 1, sizeof *c->scored) ||
        (each && !hone_reserve(&c->likely, &c->likely_capacity, (at + 1) * each, sizeof *c->likely)))
        return HONE_OUT_OF_MEMORY;
    int count = n->likely_count < (int)each ? n->likely_count : (int)each;
    c->scored[c->scored_count++] = (hone_scored){
        .id = n->id, .log_probability = n->log_probability, .offset = offset, .likely_count = count};
    if (count) memcpy(c->likely + at * each, n->likely, (size_t)count * sizeof *c->likely);
    return HONE_OK;
}

size_t hone_choice_scored(const hone_choice *c) {
    size_t said = echoed(c) + c->speech.total - (c->speech.held.size - c->speech.given), n = 0;
    if (c->ended) return c->scored_count;
    while (n < c->scored_count && c->scored[n].offset < said) n++;
    return n;
}

void hone_choice_drop_scored(hone_choice *c, size_t count) {
    size_t each = stride(c->ask);
    c->scored_count -= count;
    if (count == 0 || c->scored_count == 0) return;
    memmove(c->scored, c->scored + count, c->scored_count * sizeof *c->scored);
    if (each) memmove(c->likely, c->likely + count * each, c->scored_count * each * sizeof *c->likely);
}

/* Tokens whose text was cut off are none of the answer's. */
static void cut_scores(hone_choice *c) {
    size_t end = echoed(c) + c->speech.total;
    while (c->scored_count && c->scored[c->scored_count - 1].offset >= end) c->scored_count--;
}

/* --- news --- */

static void pass_on(hone_choice *c, hone_slice said) {
    if (c->calls.ask)
        hone_calls_feed(&c->calls, said.data, said.size, &c->text);
    else
        hone_buffer_put(&c->text, said.data, said.size);
}

static hone_status take_token(hone_choice *c, const hone_lm_news *n, hone_error *err) {
    hone_slice said;
    size_t offset = echoed(c) + c->speech.total;
    if (n->tokens == 0) /* one of the prompt's, whose text is there already */
        return c->ask->echo ? note_score(c, n, 0) : HONE_OK;
    if (c->ask->likely >= 0) HONE_TRY(note_score(c, n, offset));
    if (!isnan(n->log_probability)) c->score += (double)n->log_probability;
    HONE_TRY(hone_speech_feed(&c->speech, n->id, &said, err));
    pass_on(c, said);
    if (c->speech.stopped) cut_scores(c);
    if (c->text.failed || c->calls.failed) return hone_fail_memory(err);
    return HONE_OK;
}

static hone_status finish(hone_choice *c, const hone_lm_news *n) {
    hone_slice said;
    c->finish = n->finish;
    c->prompt_tokens = n->prompt_tokens;
    c->cached_tokens = n->cached_tokens;
    c->tokens = n->tokens;
    c->queued = n->queued;
    c->begun = n->begun;
    c->first = n->first;
    c->over = n->ended;
    if (n->status != HONE_OK) {
        if (n->error) c->err = *n->error;
        return n->status;
    }
    HONE_TRY(hone_speech_finish(&c->speech, &said, &c->err));
    pass_on(c, said);
    if (c->calls.ask) hone_calls_finish(&c->calls, &c->text);
    return c->text.failed || c->calls.failed ? hone_fail_memory(&c->err) : HONE_OK;
}

bool hone_choice_hear(hone_choice *c, const hone_lm_news *n) {
    if (n->kind == HONE_LM_ENDED) {
        hone_status status = finish(c, n);
        if (c->status == HONE_OK) c->status = status;
        c->ended = true;
        return false;
    }
    c->status = take_token(c, n, &c->err);
    return c->status == HONE_OK && !c->speech.stopped && !c->calls.enough;
}

const char *hone_choice_reason(const hone_choice *c) {
    if (c->finish == HONE_FINISH_LENGTH) return "length";
    return c->calls.count ? "tool_calls" : "stop";
}
