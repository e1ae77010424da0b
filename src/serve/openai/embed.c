#include "serve/openai/embed.h"

#include "base/clock.h"
#include "base/memory.h"
#include "serve/openai/body.h"
#include "serve/openai/fields.h"
#include "serve/openai/vectors.h"

enum { MOST_TEXTS = 2048, MOST_INPUTS = 3 };

typedef struct embedding embedding;

/* One of the texts. */
typedef struct part {
    embedding *of;
    hone_prediction prediction;
    hone_tensor *inputs[MOST_INPUTS];
    size_t tokens;
    float *vector;
    int64_t width;
    hone_error err;
} part;

struct embedding {
    hone_front *front;
    hone_request *request;
    hone_servable *servable; /* NULL: not found yet */
    json_t *root;
    const char *model;
    bool base64, prepared;
    part *parts;
    size_t count;
    hone_budget_share share; /* of what the body has become */
    hone_fault fault;
    /* The loop's. */
    size_t left; /* parts that are not done */
    uint64_t queued, computed;
};

/* --- from the body to tensors --- on a compute thread */

/* What an input is for, by its name. */
static bool fill(const hone_value_info *v, const int32_t *ids, size_t count, hone_tensor **out,
                 hone_fault *f) {
    hone_error err = {0};
    const int64_t dims[] = {1, (int64_t)count};
    hone_status status = hone_tensor_new(v->dtype, 2, dims, out, &err);
    if (status != HONE_OK) return hone_fault_take(f, NULL, status, &err);
    bool is_ids = strcmp(v->name, "input_ids") == 0;
    int64_t other = strcmp(v->name, "attention_mask") == 0;
    void *data = hone_tensor_data(*out);
    for (size_t i = 0; i < count; i++) {
        int64_t x = is_ids ? ids[i] : other;
        if (v->dtype == HONE_INT64)
            ((int64_t *)data)[i] = x;
        else
            ((int32_t *)data)[i] = (int32_t)x;
    }
    return true;
}

static bool take_ids(embedding *e, part *p, const int32_t *ids, size_t count) {
    const hone_servable *s = e->servable;
    if (count == 0) return hone_fault_value(&e->fault, "input", "input has an empty text");
    p->tokens = count;
    for (int i = 0; i < hone_servable_input_count(s); i++)
        if (!fill(hone_servable_input(s, i), ids, count, &p->inputs[i], &e->fault)) return false;
    return true;
}

static bool take_text(embedding *e, part *p, hone_encoder *encoder, const json_t *v) {
    hone_error err = {0};
    const int32_t *ids;
    int32_t *given = NULL;
    size_t count;
    if (json_is_string(v)) {
        hone_status status =
            hone_encoder_encode(encoder, json_string_value(v), json_string_length(v),
                                HONE_ENCODE_TEMPLATE | HONE_ENCODE_PLAIN, &ids, &count, &err);
        return status == HONE_OK ? take_ids(e, p, ids, count)
                                 : hone_fault_take(&e->fault, "input", status, &err);
    }
    if (!json_is_array(v))
        return hone_fault_value(&e->fault, "input", "input must be texts, or ids of tokens");
    bool fine = hone_member_ids(v, "input", &given, &count, &e->fault) && take_ids(e, p, given, count);
    hone_free(given);
    return fine;
}

static bool read_texts(embedding *e, hone_encoder *encoder) {
    const json_t *input = hone_member(e->root, "input"), *first = json_array_get(input, 0);
    bool one = json_is_string(input) || json_is_number(first);
    size_t count = one ? 1 : json_array_size(input);
    if (count == 0 || count > MOST_TEXTS)
        return hone_fault_value(&e->fault, "input", "input must have from 1 to %d texts", MOST_TEXTS);
    e->parts = hone_calloc(count, sizeof *e->parts);
    if (!e->parts) return hone_fault_memory(&e->fault);
    while (e->count < count) {
        part *p = &e->parts[e->count];
        p->of = e;
        if (!take_text(e, p, encoder, one ? input : json_array_get(input, e->count++))) return false;
        if (one) e->count++;
    }
    return true;
}

static bool read_form(embedding *e) {
    const char *form = "float";
    int64_t width = 0;
    if (!hone_member_text(e->root, "model", &e->model, &e->fault) ||
        !hone_member_text(e->root, "encoding_format", &form, &e->fault) ||
        !hone_member_integer(e->root, "dimensions", 1, INT32_MAX, &width, &e->fault))
        return false;
    if (!e->model) return hone_fault_value(&e->fault, "model", "model must name a model");
    e->base64 = strcmp(form, "base64") == 0;
    if (!e->base64 && strcmp(form, "float") != 0)
        return hone_fault_value(&e->fault, "encoding_format", "encoding_format must be float or base64");
    if (width)
        return hone_fault_value(&e->fault, "dimensions",
                                "dimensions is not supported: vectors are as long as the model makes them");
    return true;
}

static bool find_model(embedding *e) {
    if (!hone_body_model(e->front, e->model, &e->servable, &e->fault)) return false;
    if (hone_servable_language(e->servable))
        return hone_fault_set(&e->fault, 400, "model", NULL,
                              "The model %s makes texts, and no embeddings: its states are no outputs",
                              e->model);
    if (hone_servable_tokenizer(e->servable)) return true;
    return hone_fault_set(
        &e->fault, 400, "model", NULL,
        "The model %s makes no embeddings: that takes a tokenizer.json beside it, inputs input_ids, "
        "attention_mask and token_type_ids, and vectors of float32 as its first output",
        e->model);
}

static void prepare(void *arg) {
    embedding *e = arg;
    hone_error err = {0};
    hone_encoder *encoder = NULL;
    if (!hone_body_read(e->front, e->request, &e->share, &e->root, &e->fault) || !read_form(e) ||
        !find_model(e))
        return;
    hone_status status = hone_encoder_new(hone_servable_tokenizer(e->servable), &encoder, &err);
    e->prepared = status == HONE_OK ? read_texts(e, encoder) : hone_fault_take(&e->fault, NULL, status, &err);
    hone_encoder_free(encoder);
}

/* --- the answer --- on the loop's thread */

static void free_embedding(embedding *e) {
    hone_request *r = e->request;
    for (size_t i = 0; i < e->count; i++) {
        for (int k = 0; k < MOST_INPUTS; k++) hone_tensor_free(e->parts[i].inputs[k]);
        hone_free(e->parts[i].vector);
    }
    hone_free(e->parts);
    json_decref(e->root);
    hone_budget_release(&e->share);
    hone_servable_release(e->servable);
    r->quit = NULL;
    hone_free(e);
    hone_request_release(r);
}

static void answer(embedding *e) {
    hone_buffer b = {0};
    size_t tokens = 0;
    hone_buffer_text(&b, "{\"object\": \"list\", \"data\": [");
    for (size_t i = 0; i < e->count; i++) {
        const part *p = &e->parts[i];
        hone_buffer_printf(&b, "%s{\"object\": \"embedding\", \"index\": %zu, \"embedding\": ", i ? ", " : "",
                           i);
        hone_vector_write(&b, p->vector, p->width, e->base64);
        hone_buffer_byte(&b, '}');
        tokens += p->tokens;
    }
    hone_buffer_text(&b, "], \"model\": ");
    hone_json_write_string(&b, e->model, strlen(e->model));
    hone_buffer_printf(&b, ", \"usage\": {\"prompt_tokens\": %zu, \"total_tokens\": %zu}}\n", tokens, tokens);
    if (b.failed) {
        hone_fault_memory(&e->fault);
        hone_fault_answer(e->request, &e->fault);
    } else {
        hone_front_answer(e->front, e->request, 200, "application/json", &b);
    }
    hone_buffer_free(&b);
}

static void finish(embedding *e) {
    hone_request *r = e->request;
    bool fine = e->fault.status == 0;
    if (e->servable)
        hone_tally_add(hone_model_stats_tally(hone_servable_stats(e->servable)),
                       fine ? HONE_TALLY_SUCCESS : HONE_TALLY_FAIL, hone_now() - r->received);
    r->stages[HONE_STAGE_QUEUE] = e->queued;
    r->stages[HONE_STAGE_COMPUTE] = e->computed;
    if (!r->ended && r->stream && fine)
        answer(e);
    else if (!r->ended && r->stream)
        hone_fault_answer(r, &e->fault);
    free_embedding(e);
}

/* --- runs --- */

static hone_status take(hone_prediction *p, const hone_tensor *const *outputs, hone_error *err) {
    part *own = p->user;
    return hone_vector_take(outputs[0], &own->vector, &own->width, err);
}

static void drop_one(embedding *e) {
    if (--e->left == 0) finish(e);
}

static void done(hone_prediction *p, hone_status status) {
    part *own = p->user;
    embedding *e = own->of;
    e->queued += p->queue_time;
    e->computed += p->compute_time;
    if (status != HONE_OK && !e->fault.status) {
        if (!own->err.message[0]) hone_request_explain(status, &own->err);
        /* A text that is too long for the model fails in it. */
        hone_fault_take(&e->fault, "input", status, &own->err);
    }
    drop_one(e);
}

static void quit(hone_request *r) {
    embedding *e = r->work;
    e->left++; /* until all were told */
    for (size_t i = 0; i < e->count; i++) hone_core_withdraw(e->front->o.core, &e->parts[i].prediction);
    drop_one(e);
}

static void submit(embedding *e) {
    hone_request *r = e->request;
    e->left = e->count + 1;
    for (size_t i = 0; i < e->count; i++) {
        part *p = &e->parts[i];
        p->prediction = (hone_prediction){.servable = e->servable,
                                          .request = r,
                                          .inputs = (const hone_tensor *const *)p->inputs,
                                          .worker = e->front->o.worker,
                                          .take = take,
                                          .done = done,
                                          .err = &p->err,
                                          .user = p};
    }
    r->quit = quit;
    r->work = e;
    for (size_t i = 0; i < e->count; i++) hone_core_submit(e->front->o.core, &e->parts[i].prediction);
    drop_one(e);
}

static void prepared(void *arg) {
    embedding *e = arg;
    hone_request *r = e->request;
    bool wanted = !r->ended && r->stream && !hone_request_is_cancelled(r);
    if (e->servable) hone_request_set_model(r, hone_servable_stats(e->servable));
    hone_buffer_clear(&r->body, HONE_BUDGET_FREE);
    hone_budget_reduce(&r->share, r->body.size);
    if (!wanted && !e->fault.status) hone_fault_set(&e->fault, 499, NULL, NULL, "The request was cancelled");
    if (wanted && e->prepared)
        submit(e);
    else
        finish(e);
}

void hone_openai_embed(hone_front *f, hone_request *r) {
    embedding *e = hone_calloc(1, sizeof *e);
    r->method = HONE_METHOD_EMBED;
    if (!e) {
        hone_request_fail(r, 503, "Out of memory");
        return;
    }
    e->front = f;
    e->request = hone_request_retain(r);
    hone_front_offload(f, r, prepare, prepared, e);
}
