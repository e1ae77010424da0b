#include "serve/openai/run.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "serve/openai/answer.h"
#include "serve/openai/body.h"
#include "serve/openai/random_id.h"

#include <math.h>
#include <time.h>

enum { MOST_TEXTS = 256 };

struct hone_making {
    hone_front *front;
    hone_request *request;
    hone_servable *servable; /* NULL: not found yet */
    hone_language *language;
    hone_ask ask;
    hone_fault fault;
    hone_prompts prompts;
    hone_grammar *grammar; /* NULL: texts are free */
    hone_answer_head head;
    char fingerprint[64];
    hone_budget_share share, answers; /* of what the body has become; of what answers may */
    hone_choice *choices;             /* of the first prompt, then of the next one; best_of each */
    int count;
    /* The loop's. */
    bool prepared, paused, told; /* told: something was sent since the last beat */
    hone_beat beat;
    hone_post post;
    pthread_mutex_t lock; /* guards what follows, and the choices while their jobs run */
    hone_buffer out;      /* events to be sent */
    bool posted;
    int live; /* jobs that have not ended */
};
typedef struct hone_making run;

/* --- from the body to prompts --- on a compute thread */

static bool read_body(run *u) {
    json_t *root;
    return hone_body_read(u->front, u->request, &u->share, &root, &u->fault) &&
           hone_ask_read(&u->ask, u->request->method == HONE_METHOD_CHAT, root, &u->fault);
}

static bool find_model(run *u) {
    const char *name = u->ask.model;
    if (!hone_body_model(u->front, name, &u->servable, &u->fault)) return false;
    u->language = hone_servable_language(u->servable);
    if (u->language) return true;
    return hone_fault_set(&u->fault, 400, "model", NULL,
                          "The model %s makes no texts: ask it at /v1/models/%s:predict", name, name);
}

/* What the answer is held to. */
static bool make_grammar(run *u) {
    const hone_ask *a = &u->ask;
    hone_error err = {0};
    bool called = a->tool_choice == HONE_TOOLS_REQUIRED || a->tool_choice == HONE_TOOLS_NAMED;
    if (!called && a->form == HONE_ANSWER_TEXT) return true;
    const char *param = called                          ? "tools"
                        : a->form == HONE_ANSWER_SCHEMA ? "response_format.json_schema.schema"
                                                        : "response_format";
    if (!u->language->trie)
        return hone_fault_value(&u->fault, param, "The tokenizer of the model %s can't be held to a form",
                                a->model);
    json_t *made = called ? hone_calls_schema(a) : NULL;
    char *text = called ? json_dumps(made, JSON_COMPACT)
                 : a->form == HONE_ANSWER_SCHEMA
                     ? json_dumps(a->schema, JSON_COMPACT | JSON_ENCODE_ANY)
                     : strdup("{\"type\":\"object\",\"additionalProperties\":true}");
    json_decref(made);
    if (!text) return hone_fault_memory(&u->fault);
    hone_status status = hone_grammar_from_schema(text, strlen(text), &u->grammar, &err);
    free(text);
    /* However much memory there is at another time, a schema that takes too much takes too much. */
    if (status == HONE_RESOURCE_EXHAUSTED) status = HONE_INVALID_ARGUMENT;
    return status == HONE_OK || hone_fault_take(&u->fault, param, status, &err);
}

static bool check_id(run *u, const char *param, int32_t id) {
    int64_t known = hone_lm_engine_vocabulary(u->language->engine);
    return id < known ||
           hone_fault_value(&u->fault, param, "%s has the token %d; the model %s knows %lld, from 0 on",
                            param, id, u->ask.model, (long long)known);
}

/* Of what clients write as ids. */
static bool check_ids(run *u) {
    const hone_ask *a = &u->ask;
    for (size_t i = 0; i < a->bias_count; i++)
        if (!check_id(u, "logit_bias", a->bias[i].id)) return false;
    for (size_t i = 0; i < u->prompts.count; i++)
        for (size_t k = 0; k < u->prompts.items[i].count; k++)
            if (!check_id(u, a->chat ? "messages" : "prompt", u->prompts.items[i].ids[k])) return false;
    return true;
}

static bool open_choices(run *u) {
    const hone_ask *a = &u->ask;
    hone_error err = {0};
    size_t all = u->prompts.count * (size_t)a->best_of;
    if (all > MOST_TEXTS)
        return hone_fault_value(&u->fault, a->best_of > a->n ? "best_of" : "n",
                                "%zu texts at once; the most is %d", all, MOST_TEXTS);
    u->choices = hone_calloc(all, sizeof *u->choices);
    if (!u->choices) return hone_fault_memory(&u->fault);
    while (u->count < (int)all) {
        hone_choice *c = &u->choices[u->count];
        const hone_prompt *p = &u->prompts.items[u->count / a->best_of];
        c->run = u;
        hone_status status = hone_choice_open(c, u->language, a, p, u->count++, &err);
        if (status != HONE_OK) return hone_fault_take(&u->fault, NULL, status, &err);
    }
    return true;
}

/* What is not streamed is kept until all of it is there. */
static bool cover_answers(run *u) {
    hone_budget *budget = u->front->packer.budget;
    size_t bytes = 0, context = (size_t)hone_lm_engine_context(u->language->engine);
    for (int i = 0; i < u->count && !u->ask.stream; i++) {
        size_t room =
            context - (context < u->choices[i].prompt->count ? context : u->choices[i].prompt->count);
        size_t asked = u->ask.max_tokens > 0 ? (size_t)u->ask.max_tokens : u->ask.max_tokens < 0 ? 0 : room;
        bytes += hone_choice_bytes(&u->ask, (asked < room ? asked : room) + u->choices[i].prompt->count);
    }
    if (!budget || hone_budget_take(budget, &u->answers, bytes)) return true;
    if (bytes > budget->limit)
        return hone_fault_set(
            &u->fault, 400, "max_tokens", NULL,
            "The answers may take %zu bytes, and there is room for %zu (--body-budget): ask for fewer, or "
            "a stream",
            bytes, budget->limit);
    return hone_fault_set(
        &u->fault, 429, NULL, NULL,
        "There is no room for the answers at this time: they may take %zu bytes (--body-budget)", bytes);
}

static void prepare(void *arg) {
    run *u = arg;
    hone_request *r = u->request;
    const bool chat = r->method == HONE_METHOD_CHAT;
    u->prepared = read_body(u) && find_model(u) && make_grammar(u) &&
                  hone_prompts_make(u->language, &u->ask, &u->prompts, &u->fault) && check_ids(u) &&
                  open_choices(u) && cover_answers(u);
    if (!u->prepared) return;
    hone_random_id(chat ? "chatcmpl-" : "cmpl-", u->head.id, sizeof u->head.id);
    snprintf(u->fingerprint, sizeof u->fingerprint, "hone-" HONE_VERSION "-v%lld",
             (long long)hone_servable_version(u->servable));
    u->head.created = (int64_t)time(NULL);
    u->head.model = u->ask.model;
    u->head.fingerprint = u->fingerprint;
}

/* --- the end --- on the loop's thread */

static void free_run(run *u) {
    hone_request *r = u->request;
    hone_core_stop_beat(u->front->o.core, u->front->o.worker, &u->beat);
    for (int i = 0; i < u->count; i++) hone_choice_close(&u->choices[i]);
    hone_free(u->choices);
    hone_grammar_free(u->grammar);
    hone_prompts_free(&u->prompts);
    hone_ask_free(&u->ask);
    hone_buffer_free(&u->out);
    hone_budget_release(&u->share);
    hone_budget_release(&u->answers);
    hone_servable_release(u->servable);
    pthread_mutex_destroy(&u->lock);
    r->quit = NULL;
    r->resume = NULL;
    hone_free(u);
    hone_request_release(r);
}

static void tally(const run *u, bool fine) {
    hone_tally *t = hone_model_stats_tally(hone_servable_stats(u->servable));
    hone_tally_add(t, fine ? HONE_TALLY_SUCCESS : HONE_TALLY_FAIL, hone_now() - u->request->received);
}

static void refuse(run *u) {
    hone_request *r = u->request;
    if (r->ended || !r->stream) return;
    if (!r->begun) {
        hone_fault_answer(r, &u->fault);
        return;
    }
    hone_buffer b = {0};
    hone_request_note_error(r, u->fault.message);
    hone_buffer_text(&b, "data: ");
    hone_fault_write(&b, &u->fault);
    hone_buffer_text(&b, "\n\n");
    hone_request_part_of(r, &b);
    hone_buffer_free(&b);
    hone_request_end(r);
}

/* --- answers --- */

static hone_usage usage_of(const run *u) {
    hone_usage all = {0};
    for (int i = 0; i < u->count; i++) {
        const hone_choice *c = &u->choices[i];
        all.generated += c->tokens;
        if (i % u->ask.best_of) continue; /* the prompt was computed once */
        all.prompt += c->prompt_tokens;
        all.cached += c->cached_tokens;
    }
    return all;
}

/* The likeliest a token first, of equals the first one. */
static int by_score(const void *a, const void *b) {
    const hone_choice *x = *(hone_choice *const *)a, *y = *(hone_choice *const *)b;
    double p = x->score / (double)(x->tokens + !x->tokens), q = y->score / (double)(y->tokens + !y->tokens);
    return p > q ? -1 : p < q ? 1 : x->index - y->index;
}

static int by_index(const void *a, const void *b) {
    return (*(hone_choice *const *)a)->index - (*(hone_choice *const *)b)->index;
}

/* The n best of each prompt. */
static int choose(run *u, hone_choice **out) {
    int n = u->ask.n, best = u->ask.best_of, count = 0;
    for (int i = 0; i < u->count; i += best) {
        hone_choice **from = out + count;
        for (int k = 0; k < best; k++) from[k] = &u->choices[i + k];
        if (best > n) qsort(from, (size_t)best, sizeof *from, by_score);
        qsort(from, (size_t)n, sizeof *from, by_index);
        count += n;
    }
    return count;
}

static void answer_whole(run *u) {
    hone_choice **chosen = hone_calloc((size_t)(u->count + u->ask.best_of), sizeof *chosen);
    hone_usage usage = usage_of(u);
    hone_buffer b = {0};
    if (chosen) hone_answer_whole(&b, &u->head, &u->ask, chosen, choose(u, chosen), &usage);
    bool fine = chosen && !b.failed;
    hone_free(chosen);
    if (fine) {
        hone_front_answer(u->front, u->request, 200, "application/json", &b);
    } else {
        hone_fault_memory(&u->fault);
        refuse(u);
    }
    hone_buffer_free(&b);
}

static void begin_stream(run *u) {
    hone_request *r = u->request;
    if (r->begun) return;
    hone_request_field(r, "cache-control", "no-cache");
    hone_request_field(r, "x-accel-buffering", "no"); /* proxies of that kind keep answers back otherwise */
    hone_request_begin(r, 200, "text/event-stream; charset=utf-8", -1);
}

/* Nothing was said for a while. */
static void keep_alive(hone_beat *beat) {
    static const char comment[] = ": still at work\n\n";
    run *u = (run *)((char *)beat - offsetof(run, beat));
    hone_request *r = u->request;
    bool silent = !u->told && !u->paused && !r->ended && r->stream;
    u->told = false;
    if (!silent) return;
    begin_stream(u);
    hone_request_part(r, comment, sizeof comment - 1);
}

static void pause_all(run *u, bool paused) {
    u->paused = paused;
    for (int i = 0; i < u->count; i++)
        if (u->choices[i].job) hone_lm_job_pause(u->choices[i].job, paused);
}

static void go_on(hone_request *r, void *producer) {
    (void)r;
    pause_all(producer, false);
}

static void cancel_all(run *u) {
    for (int i = 0; i < u->count; i++)
        if (u->choices[i].job) hone_lm_job_cancel(u->choices[i].job);
}

static void send(run *u, hone_buffer *events) {
    hone_request *r = u->request;
    if (events->size == 0 || r->ended || !r->stream) return;
    begin_stream(u);
    u->told = true;
    /* What limits a text's time from its first token on is its length. */
    hone_deadlines_remove(r);
    r->deadline = 0;
    if (hone_request_part_of(r, events) || u->paused || r->ended || !r->stream) return;
    pause_all(u, true);
    r->resume = go_on;
    r->producer = u;
}

static void end_stream(run *u) {
    hone_request *r = u->request;
    hone_buffer b = {0};
    hone_usage usage = usage_of(u);
    if (r->ended || !r->stream) return;
    hone_answer_last_events(&b, &u->head, &u->ask, &usage);
    begin_stream(u);
    hone_request_part_of(r, &b);
    hone_buffer_free(&b);
    hone_request_end(r);
}

/* The first failure is the answer's. */
static bool has_failed(run *u) {
    for (int i = 0; i < u->count && !u->fault.status; i++) {
        const hone_choice *c = &u->choices[i];
        if (c->status == HONE_OK) continue;
        hone_error err = c->err;
        if (c->status == HONE_CANCELLED || !err.message[0]) hone_request_explain(c->status, &err);
        hone_fault_take(&u->fault, NULL, c->status, &err);
    }
    return u->fault.status != 0;
}

/* All texts are there, or will not come. */
static void finish(run *u) {
    hone_core *core = u->front->o.core;
    hone_request *r = u->request;
    bool failed = has_failed(u);
    for (int i = 0; i < u->count; i++) {
        const hone_choice *c = &u->choices[i];
        if (c->begun > c->queued) r->stages[HONE_STAGE_QUEUE] += c->begun - c->queued;
        if (c->begun) r->stages[HONE_STAGE_COMPUTE] += c->over - c->begun;
    }
    tally(u, !failed);
    if (failed)
        refuse(u);
    else if (u->ask.stream)
        end_stream(u);
    else if (!r->ended && r->stream)
        answer_whole(u);
    free_run(u);
    hone_core_expect(core, -1);
}

static void on_post(hone_post *post) {
    run *u = (run *)((char *)post - offsetof(run, post));
    hone_buffer events;
    pthread_mutex_lock(&u->lock);
    u->posted = false;
    events = u->out;
    u->out = (hone_buffer){0};
    bool over = u->live == 0;
    pthread_mutex_unlock(&u->lock);
    send(u, &events);
    hone_buffer_free(&events);
    if (over) finish(u);
}

/* --- news --- on the engine's thread */

static void count_token(const run *u, hone_choice *c) {
    const hone_text_stats *s = &u->servable->texts;
    uint64_t now = hone_now();
    hone_series_add(s->tokens[HONE_TEXT_GENERATED], 1);
    hone_series_observe(c->last ? s->between : s->first,
                        (double)(now - (c->last ? c->last : u->request->received)) * 1e-9);
    c->last = now;
}

static hone_text_end end_of(const hone_choice *c) {
    if (c->status != HONE_OK) return c->status == HONE_CANCELLED ? HONE_TEXT_CANCELLED : HONE_TEXT_FAILED;
    return c->finish == HONE_FINISH_LENGTH ? HONE_TEXT_LENGTH
           : c->calls.count                ? HONE_TEXT_TOOL_CALLS
                                           : HONE_TEXT_STOP;
}

static void count_end(const run *u, const hone_choice *c) {
    const hone_text_stats *s = &u->servable->texts;
    uint64_t waited = (c->begun ? c->begun : c->over) - c->queued;
    hone_series_observe(s->queue, (double)waited * 1e-9);
    hone_series_add(s->finished[end_of(c)], 1);
    if (!c->begun) return;
    hone_series_add(s->tokens[HONE_TEXT_PROMPT], (double)(c->prompt_tokens - c->cached_tokens));
    hone_series_add(s->tokens[HONE_TEXT_CACHED], (double)c->cached_tokens);
}

static bool hear(void *user, const hone_lm_news *news) {
    hone_choice *c = user;
    run *u = c->run;
    bool ended = news->kind == HONE_LM_ENDED, post;
    pthread_mutex_lock(&u->lock);
    bool more = hone_choice_hear(c, news);
    if (ended)
        count_end(u, c);
    else if (news->tokens)
        count_token(u, c);
    if (u->ask.stream) hone_answer_events(&u->out, &u->head, c);
    if (u->out.failed && c->status == HONE_OK) c->status = HONE_OUT_OF_MEMORY;
    u->live -= ended;
    post = !u->posted && (u->out.size > 0 || u->live == 0);
    u->posted |= post;
    pthread_mutex_unlock(&u->lock);
    if (post) hone_core_post(u->front->o.core, u->front->o.worker, &u->post);
    return more;
}

/* --- jobs --- on the loop's thread */

/* Whom it is for: who shows the same secret, else who comes by the same connection. */
static uint64_t client_of(const hone_request *r) {
    hone_slice secret = hone_head_field(&r->head, "authorization");
    if (!secret.size) secret = hone_head_field(&r->head, "x-api-key");
    uint64_t stream = (uint64_t)(uintptr_t)r->stream;
    return secret.size ? hone_hash(secret.data, secret.size) : hone_hash(&stream, sizeof stream);
}

static hone_status submit_one(run *u, hone_choice *c, hone_error *err) {
    const hone_ask *a = &u->ask;
    const hone_language *l = u->language;
    hone_lm_job_options o = HONE_LM_JOB_OPTIONS_INIT;
    int32_t *ends = hone_calloc(l->end_count + a->stop_id_count + 1, sizeof *ends);
    if (!ends) return hone_fail_memory(err);
    if (!a->ignore_ends) memcpy(ends, l->ends, l->end_count * sizeof *ends);
    o.end_count = a->ignore_ends ? 0 : l->end_count;
    if (a->stop_id_count) memcpy(ends + o.end_count, a->stop_ids, a->stop_id_count * sizeof *ends);
    o.end_count += a->stop_id_count;
    o.ends = ends;
    o.ids = c->prompt->ids;
    o.count = c->prompt->count;
    o.sampling = a->sampling;
    o.choice = (uint64_t)(c->index % a->best_of);
    o.bias = a->bias;
    o.bias_count = a->bias_count;
    o.max_tokens = a->max_tokens;
    o.min_tokens = a->min_tokens;
    o.likely = a->likely < 0 && a->best_of > a->n ? 0 : a->likely;
    o.echo_scores = a->echo && a->likely >= 0;
    o.client = client_of(u->request);
    o.news = hear;
    o.user = c;
    hone_status status = u->grammar ? hone_constraint_new(u->grammar, l->trie, &o.constraint, err) : HONE_OK;
    if (status == HONE_OK) status = hone_lm_submit(l->engine, &o, &c->job, err);
    if (status != HONE_OK) hone_constraint_free(o.constraint);
    hone_free(ends);
    return status;
}

static int seconds_until_room(const run *u) {
    hone_lm_engine_state s;
    hone_lm_engine_look(u->language->engine, &s);
    double wait = ceil(s.seconds_until_room);
    return wait >= 1 && wait <= 600 ? (int)wait : 1;
}

static void quit(hone_request *r) {
    run *u = r->work;
    hone_error err;
    cancel_all(u);
    if (!r->begun || r->ended || !r->stream) return;
    /* Its time was over when only comments had been sent. */
    hone_status status = hone_request_stopped(r, &err);
    hone_fault_take(&u->fault, NULL, status, &err);
    refuse(u);
}

static void submit(run *u) {
    hone_error err = {0};
    hone_request *r = u->request;
    hone_status status = HONE_OK;
    int i = 0;
    int64_t timeout = u->servable->settings.timeout_ms;
    if (timeout) hone_request_bring_forward(r, hone_now() + (uint64_t)timeout * HONE_MILLISECOND);
    r->quit = quit;
    r->work = u;
    u->post.call = on_post;
    u->beat.call = keep_alive;
    if (u->ask.stream) hone_core_start_beat(u->front->o.core, u->front->o.worker, &u->beat);
    u->live = u->count;
    hone_core_expect(u->front->o.core, 1);
    while (i < u->count && (status = submit_one(u, &u->choices[i], &err)) == HONE_OK) i++;
    if (status == HONE_OK) return;
    hone_fault_take(&u->fault, status == HONE_OUT_OF_RANGE ? u->ask.chat ? "messages" : "prompt" : NULL,
                    status, &err);
    if (status == HONE_RESOURCE_EXHAUSTED) {
        u->fault.retry = seconds_until_room(u);
        hone_model_stats_dropped(hone_servable_stats(u->servable), status);
    }
    cancel_all(u);
    pthread_mutex_lock(&u->lock);
    u->live -= u->count - i;
    bool over = u->live == 0 && !u->posted;
    pthread_mutex_unlock(&u->lock);
    if (over) finish(u);
}

static void prepared(void *arg) {
    run *u = arg;
    hone_request *r = u->request;
    bool wanted = !r->ended && r->stream && !hone_request_is_cancelled(r);
    if (u->servable) hone_request_set_model(r, hone_servable_stats(u->servable));
    hone_buffer_clear(&r->body, HONE_BUDGET_FREE); /* all of it is in the tree, and that is small */
    hone_budget_reduce(&r->share, r->body.size);
    if (wanted && u->prepared) {
        submit(u);
        return;
    }
    if (wanted) refuse(u);
    if (u->servable) tally(u, false);
    free_run(u);
}

void hone_openai_make(hone_front *f, hone_request *r, bool chat) {
    run *u = hone_calloc(1, sizeof *u);
    r->method = chat ? HONE_METHOD_CHAT : HONE_METHOD_COMPLETE;
    if (!u) {
        hone_request_fail(r, 503, "Out of memory");
        return;
    }
    u->front = f;
    u->request = hone_request_retain(r);
    pthread_mutex_init(&u->lock, NULL);
    hone_front_offload(f, r, prepare, prepared, u);
}
