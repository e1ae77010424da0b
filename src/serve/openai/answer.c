#include "serve/openai/answer.h"

#include "serve/format/json_write.h"
#include "serve/openai/scores.h"

static void put_string(hone_buffer *out, const char *text) {
    hone_json_write_string(out, text, strlen(text));
}

/* {"id": …, …, "choices": [ */
static void begin(hone_buffer *out, const hone_answer_head *h, const char *object) {
    hone_buffer_printf(out, "{\"id\": \"%s\", \"object\": \"%s\", \"created\": %lld, \"model\": ", h->id,
                       object, (long long)h->created);
    put_string(out, h->model);
    hone_buffer_text(out, ", \"system_fingerprint\": ");
    put_string(out, h->fingerprint);
    hone_buffer_text(out, ", \"choices\": [");
}

static void put_usage(hone_buffer *out, const hone_usage *u) {
    hone_buffer_printf(
        out,
        "\"usage\": {\"prompt_tokens\": %zu, \"completion_tokens\": %zu, \"total_tokens\": %zu, "
        "\"prompt_tokens_details\": {\"cached_tokens\": %zu}}",
        u->prompt, u->generated, u->prompt + u->generated, u->cached);
}

/* --- streams --- */

static void begin_event(hone_buffer *out, const hone_answer_head *h, const hone_choice *c) {
    hone_buffer_text(out, "data: ");
    begin(out, h, c->ask->chat ? "chat.completion.chunk" : "text_completion");
    hone_buffer_printf(out, "{\"index\": %d, ", c->index);
}

/* `count` scored tokens are shown by it. */
static void end_event(hone_buffer *out, hone_choice *c, size_t count, bool last) {
    hone_buffer_text(out, ", \"logprobs\": ");
    if (count || !c->ask->chat)
        hone_scores_write(out, c, count);
    else
        hone_buffer_text(out, "null");
    if (!c->ask->chat) c->before += hone_scores_width(c, count);
    hone_choice_drop_scored(c, count);
    if (last)
        hone_buffer_printf(out, ", \"finish_reason\": \"%s\"}]", hone_choice_reason(c));
    else
        hone_buffer_text(out, ", \"finish_reason\": null}]");
    hone_buffer_text(out, c->ask->usage ? ", \"usage\": null}\n\n" : "}\n\n");
}

static void put_text_event(hone_buffer *out, const hone_answer_head *h, hone_choice *c) {
    size_t scored = hone_choice_scored(c);
    if (c->text.size == 0 && scored == 0) return;
    begin_event(out, h, c);
    hone_buffer_text(out, c->ask->chat ? "\"delta\": {\"content\": " : "\"text\": ");
    hone_json_write_string(out, c->text.data ? c->text.data : "", c->text.size);
    if (c->ask->chat) hone_buffer_byte(out, '}');
    c->text.size = 0;
    end_event(out, c, scored, false);
}

/* Clients put the parts of a call together by its index: what they have had once must not come again. */
static void put_call_events(hone_buffer *out, const hone_answer_head *h, hone_choice *c) {
    for (size_t i = 0; i < c->calls.count; i++) {
        hone_called *k = &c->calls.items[i];
        if (!k->shown) {
            begin_event(out, h, c);
            hone_buffer_printf(out,
                               "\"delta\": {\"tool_calls\": [{\"index\": %zu, \"id\": \"%s\", \"type\": "
                               "\"function\", \"function\": {\"name\": ",
                               i, k->id);
            put_string(out, k->name);
            hone_buffer_text(out, ", \"arguments\": \"\"}}]}");
            end_event(out, c, 0, false);
            k->shown = true;
        }
        if (k->shown_size == k->arguments.size) continue;
        begin_event(out, h, c);
        hone_buffer_printf(out,
                           "\"delta\": {\"tool_calls\": [{\"index\": %zu, \"function\": {\"arguments\": ", i);
        hone_json_write_string(out, k->arguments.data + k->shown_size, k->arguments.size - k->shown_size);
        hone_buffer_text(out, "}}]}");
        end_event(out, c, 0, false);
        k->shown_size = k->arguments.size;
    }
}

void hone_answer_events(hone_buffer *out, const hone_answer_head *h, hone_choice *c) {
    if (!c->shown && c->ask->chat) {
        begin_event(out, h, c);
        hone_buffer_text(out, "\"delta\": {\"role\": \"assistant\", \"content\": \"\"}");
        end_event(out, c, 0, false);
    }
    c->shown = true;
    put_text_event(out, h, c);
    put_call_events(out, h, c);
    if (!c->ended || c->status != HONE_OK) return;
    begin_event(out, h, c);
    hone_buffer_text(out, c->ask->chat ? "\"delta\": {}" : "\"text\": \"\"");
    end_event(out, c, 0, true);
}

void hone_answer_last_events(hone_buffer *out, const hone_answer_head *h, const hone_ask *a,
                             const hone_usage *u) {
    if (a->usage) {
        hone_buffer_text(out, "data: ");
        begin(out, h, a->chat ? "chat.completion.chunk" : "text_completion");
        hone_buffer_text(out, "], ");
        put_usage(out, u);
        hone_buffer_text(out, "}\n\n");
    }
    hone_buffer_text(out, "data: [DONE]\n\n");
}

/* --- whole answers --- */

static void put_calls(hone_buffer *out, const hone_calls *c) {
    hone_buffer_text(out, ", \"tool_calls\": [");
    for (size_t i = 0; i < c->count; i++) {
        const hone_called *k = &c->items[i];
        hone_buffer_printf(out, "%s{\"id\": \"%s\", \"type\": \"function\", \"function\": {\"name\": ",
                           i ? ", " : "", k->id);
        put_string(out, k->name);
        hone_buffer_text(out, ", \"arguments\": ");
        hone_json_write_string(out, k->arguments.data ? k->arguments.data : "", k->arguments.size);
        hone_buffer_text(out, "}}");
    }
    hone_buffer_byte(out, ']');
}

static void put_choice(hone_buffer *out, const hone_choice *c, int index) {
    hone_buffer_printf(out, "{\"index\": %d, ", index);
    hone_buffer_text(out,
                     c->ask->chat ? "\"message\": {\"role\": \"assistant\", \"content\": " : "\"text\": ");
    if (c->calls.count && c->text.size == 0)
        hone_buffer_text(out, "null");
    else
        hone_json_write_string(out, c->text.data ? c->text.data : "", c->text.size);
    if (c->ask->chat) hone_buffer_text(out, ", \"refusal\": null");
    if (c->calls.count) put_calls(out, &c->calls);
    if (c->ask->chat) hone_buffer_byte(out, '}');
    hone_buffer_text(out, ", \"logprobs\": ");
    hone_scores_write(out, c, c->scored_count);
    hone_buffer_printf(out, ", \"finish_reason\": \"%s\"}", hone_choice_reason(c));
}

void hone_answer_whole(hone_buffer *out, const hone_answer_head *h, const hone_ask *a,
                       hone_choice *const *choices, int count, const hone_usage *u) {
    begin(out, h, a->chat ? "chat.completion" : "text_completion");
    for (int i = 0; i < count; i++) {
        if (i) hone_buffer_text(out, ", ");
        put_choice(out, choices[i], i);
    }
    hone_buffer_text(out, "], ");
    put_usage(out, u);
    hone_buffer_text(out, "}\n");
}
