#include "serve/openai/scores.h"

#include "serve/format/json_write.h"
#include "text/tokens.h"

#include <math.h>

/* Of a token that can't be: JSON has no infinity. */
#define LEAST -9999.0

static void put_score(hone_buffer *out, float x) {
    hone_json_write_double(out, isfinite(x) && (double)x > LEAST ? (double)x : LEAST);
}

/* A special token is shown as it is written. */
static void bytes_of(const hone_language *l, int32_t id, hone_bytes *out) {
    size_t size = 0;
    const char *piece = NULL;
    bool fine = hone_token_bytes(l->tokenizer, id, out);
    if (fine && out->size == 0 && (piece = hone_tokenizer_piece(l->tokenizer, id, &size)))
        hone_bytes_add(out, piece, size);
}

static void put_text(hone_buffer *out, const hone_bytes *bytes) {
    hone_json_write_string(out, bytes->data ? bytes->data : "", bytes->size);
}

/* {"token": "a", "logprob": -1.5, "bytes": [97] */
static void put_token(hone_buffer *out, const hone_language *l, int32_t id, float score, hone_bytes *bytes) {
    bytes_of(l, id, bytes);
    hone_buffer_text(out, "{\"token\": ");
    put_text(out, bytes);
    hone_buffer_text(out, ", \"logprob\": ");
    put_score(out, score);
    hone_buffer_text(out, ", \"bytes\": [");
    for (size_t i = 0; i < bytes->size; i++)
        hone_buffer_printf(out, "%s%u", i ? ", " : "", (unsigned)(unsigned char)bytes->data[i]);
    hone_buffer_byte(out, ']');
}

static void write_chat(hone_buffer *out, const hone_choice *c, size_t count, hone_bytes *bytes) {
    hone_buffer_text(out, "{\"content\": [");
    for (size_t i = 0; i < count; i++) {
        const hone_scored *s = &c->scored[i];
        const hone_lm_likely *likely = hone_choice_likely(c, i);
        if (i) hone_buffer_text(out, ", ");
        put_token(out, c->language, s->id, s->log_probability, bytes);
        hone_buffer_text(out, ", \"top_logprobs\": [");
        for (int k = 0; k < s->likely_count; k++) {
            if (k) hone_buffer_text(out, ", ");
            put_token(out, c->language, likely[k].id, likely[k].log_probability, bytes);
            hone_buffer_byte(out, '}');
        }
        hone_buffer_text(out, "]}");
    }
    hone_buffer_text(out, "], \"refusal\": null}");
}

/* --- completions: lists side by side --- */

static void put_tops(hone_buffer *out, const hone_choice *c, size_t index, hone_bytes *bytes) {
    const hone_scored *s = &c->scored[index];
    const hone_lm_likely *likely = hone_choice_likely(c, index);
    if (s->likely_count == 0 && isnan(s->log_probability)) {
        hone_buffer_text(out, "null");
        return;
    }
    hone_buffer_byte(out, '{');
    for (int k = 0; k < s->likely_count; k++) {
        if (k) hone_buffer_text(out, ", ");
        bytes_of(c->language, likely[k].id, bytes);
        put_text(out, bytes);
        hone_buffer_text(out, ": ");
        put_score(out, likely[k].log_probability);
    }
    hone_buffer_byte(out, '}');
}

static size_t characters(const char *text, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < size; i++) n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

/* Characters that a token adds to the text. */
static size_t width_of(const hone_choice *c, int32_t id, hone_bytes *bytes) {
    return hone_token_bytes(c->language->tokenizer, id, bytes) ? characters(bytes->data, bytes->size) : 0;
}

static void write_lists(hone_buffer *out, const hone_choice *c, size_t count, hone_bytes *bytes) {
    size_t at = c->before;
    for (int list = 0; list < 4; list++) {
        static const char *const names[] = {"{\"tokens\": [", "], \"token_logprobs\": [",
                                            "], \"top_logprobs\": [", "], \"text_offset\": ["};
        hone_buffer_text(out, names[list]);
        for (size_t i = 0; i < count; i++) {
            const hone_scored *s = &c->scored[i];
            if (i) hone_buffer_text(out, ", ");
            if (list == 0) {
                bytes_of(c->language, s->id, bytes);
                put_text(out, bytes);
            } else if (list == 1 && isnan(s->log_probability)) {
                hone_buffer_text(out, "null");
            } else if (list == 1) {
                put_score(out, s->log_probability);
            } else if (list == 2) {
                put_tops(out, c, i, bytes);
            } else {
                hone_json_write_integer(out, (int64_t)at);
                at += width_of(c, s->id, bytes);
            }
        }
    }
    hone_buffer_text(out, "]}");
}

size_t hone_scores_width(const hone_choice *c, size_t count) {
    hone_bytes bytes = {0};
    size_t n = 0;
    for (size_t i = 0; i < count; i++) n += width_of(c, c->scored[i].id, &bytes);
    hone_bytes_free(&bytes);
    return n;
}

void hone_scores_write(hone_buffer *out, const hone_choice *c, size_t count) {
    hone_bytes bytes = {0};
    if (c->ask->likely < 0)
        hone_buffer_text(out, "null");
    else if (c->ask->chat)
        write_chat(out, c, count, &bytes);
    else
        write_lists(out, c, count, &bytes);
    hone_bytes_free(&bytes);
}
