#include "serve/openai/prompt.h"

#include "base/memory.h"
#include "serve/openai/fields.h"
#include "serve/openai/messages.h"

/* --- ids --- */

/* Behind the id that the model's texts begin with. */
static bool take_ids(const hone_language *l, const int32_t *ids, size_t count, hone_prompt *out,
                     hone_fault *f) {
    bool begins = l->begin >= 0 && (count == 0 || ids[0] != l->begin);
    out->ids = hone_calloc(count + 2, sizeof *ids);
    if (!out->ids) return hone_fault_memory(f);
    if (begins) out->ids[out->count++] = l->begin;
    if (count) memcpy(out->ids + out->count, ids, count * sizeof *ids);
    out->count += count;
    return true;
}

static bool check_count(const hone_prompt *p, const char *param, hone_fault *f) {
    return p->count > 0 || hone_fault_value(f, param, "%s is empty", param);
}

/* --- conversations --- */

static bool encode_rendered(hone_language *l, const hone_rendered *r, hone_prompt *out, hone_fault *f) {
    hone_error err = {0};
    size_t pieces, count;
    const int32_t *ids;
    const hone_text_piece *p = hone_rendered_pieces(r, &pieces);
    hone_encoder *e = hone_language_encoder(l, &err);
    hone_status status =
        e ? hone_encoder_encode_pieces(e, p, pieces, 0, &ids, &count, &err) : HONE_OUT_OF_MEMORY;
    bool fine =
        status == HONE_OK ? take_ids(l, ids, count, out, f) : hone_fault_take(f, "messages", status, &err);
    if (e) hone_language_give(l, e);
    return fine && check_count(out, "messages", f);
}

static bool render(hone_language *l, const hone_ask *a, hone_prompt *out, hone_fault *f) {
    hone_error err = {0};
    hone_rendered *r = NULL;
    if (!l->chat)
        return hone_fault_set(f, 400, "model", NULL,
                              "The model %s has no chat template: ask it at /v1/completions", a->model);
    json_t *variables = hone_messages_variables(l, a, f);
    if (!variables) return false;
    char *text = json_dumps(variables, JSON_COMPACT);
    json_decref(variables);
    if (!text) return hone_fault_memory(f);
    hone_status status = hone_template_render(l->chat, text, strlen(text), 0, &r, &err);
    free(text);
    /* What a template takes too long for is the conversation. */
    if (status == HONE_RESOURCE_EXHAUSTED) status = HONE_INVALID_ARGUMENT;
    bool fine =
        status == HONE_OK ? encode_rendered(l, r, out, f) : hone_fault_take(f, "messages", status, &err);
    hone_rendered_free(r);
    return fine;
}

/* --- texts to continue --- */

static bool keep_text(hone_prompt *p, const char *text, size_t size, hone_fault *f) {
    p->text = hone_alloc(size + 1);
    if (!p->text) return hone_fault_memory(f);
    memcpy(p->text, text, size);
    p->text[size] = 0;
    p->size = size;
    return true;
}

static bool take_text(hone_language *l, hone_encoder *e, const json_t *v, bool echo, hone_prompt *out,
                      hone_fault *f) {
    hone_error err = {0};
    const int32_t *ids;
    size_t count, size = json_string_length(v);
    const char *text = json_string_value(v);
    hone_status status = hone_encoder_encode(e, text, size, HONE_ENCODE_PLAIN, &ids, &count, &err);
    if (status != HONE_OK) return hone_fault_take(f, "prompt", status, &err);
    return take_ids(l, ids, count, out, f) && (!echo || keep_text(out, text, size, f));
}

/* Ids that the client has: they are taken as they are. */
static bool take_list(hone_encoder *e, const json_t *list, bool echo, hone_prompt *out, hone_fault *f) {
    hone_error err = {0};
    const char *text;
    size_t size;
    if (!hone_member_ids(list, "prompt", &out->ids, &out->count, f)) return false;
    if (!echo) return true;
    hone_status status = hone_encoder_decode(e, out->ids, out->count, false, &text, &size, &err);
    return status == HONE_OK ? keep_text(out, text, size, f) : hone_fault_take(f, "prompt", status, &err);
}

static bool read_prompts(hone_language *l, hone_encoder *e, const hone_ask *a, hone_prompts *out,
                         hone_fault *f) {
    const json_t *p = a->prompt, *first = json_array_get(p, 0);
    bool one = json_is_string(p) || json_is_number(first);
    size_t count = one ? 1 : json_array_size(p);
    if (!one && !json_is_array(p))
        return hone_fault_value(f, "prompt", "prompt must be a string or an array");
    if (count == 0 || count > HONE_ASK_PROMPTS)
        return hone_fault_value(f, "prompt", "prompt must have from 1 to %d texts", HONE_ASK_PROMPTS);
    out->items = hone_calloc(count, sizeof *out->items);
    if (!out->items) return hone_fault_memory(f);
    while (out->count < count) {
        const json_t *v = one ? p : json_array_get(p, out->count);
        hone_prompt *to = &out->items[out->count++];
        bool fine = json_is_string(v) ? take_text(l, e, v, a->echo, to, f)
                    : json_is_array(v)
                        ? take_list(e, v, a->echo, to, f)
                        : hone_fault_value(f, "prompt", "prompt must be texts, or ids of tokens");
        if (!fine || !check_count(to, "prompt", f)) return false;
    }
    return true;
}

bool hone_prompts_make(hone_language *l, const hone_ask *a, hone_prompts *out, hone_fault *f) {
    hone_error err = {0};
    *out = (hone_prompts){0};
    if (a->chat) {
        out->items = hone_calloc(1, sizeof *out->items);
        if (!out->items) return hone_fault_memory(f);
        out->count = 1;
        return render(l, a, out->items, f);
    }
    hone_encoder *e = hone_language_encoder(l, &err);
    if (!e) return hone_fault_take(f, NULL, err.code, &err);
    bool fine = read_prompts(l, e, a, out, f);
    hone_language_give(l, e);
    return fine;
}

void hone_prompts_free(hone_prompts *p) {
    for (size_t i = 0; i < p->count; i++) {
        hone_free(p->items[i].ids);
        hone_free(p->items[i].text);
    }
    hone_free(p->items);
    *p = (hone_prompts){0};
}
