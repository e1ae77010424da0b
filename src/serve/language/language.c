#include "serve/language/language.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "text/tokens.h"

#include <string.h>

bool hone_language_is(const hone_graph *g) {
    return hone_lm_takes(g);
}

/* --- what texts are made of --- */

static hone_tool_form tool_form_of(const char *text) {
    if (strstr(text, "[TOOL_CALLS]")) return HONE_TOOLS_MISTRAL;
    if (strstr(text, "<tool_call>")) return HONE_TOOLS_TAGGED;
    if (strstr(text, "python_tag") || strstr(text, "ipython")) return HONE_TOOLS_LLAMA;
    return HONE_TOOLS_JSON;
}

/* Those of its marks that are special tokens. */
static void find_marks(hone_language *l) {
    static const char *const marks[][HONE_TOOL_MARKS] = {
        [HONE_TOOLS_JSON] = {NULL, NULL},
        [HONE_TOOLS_TAGGED] = {"<tool_call>", "</tool_call>"},
        [HONE_TOOLS_MISTRAL] = {"[TOOL_CALLS]", "[ARGS]"},
        [HONE_TOOLS_LLAMA] = {"<|python_tag|>", NULL}};
    for (int i = 0; i < HONE_TOOL_MARKS; i++) {
        const char *text = marks[l->tool_form][i];
        int32_t id = text ? hone_tokenizer_find(l->tokenizer, text, strlen(text)) : -1;
        if (id >= 0 && hone_token_is_special(l->tokenizer, id))
            l->marks[l->mark_count++] = (hone_tool_mark){id, text};
    }
}

static hone_status read_template(hone_language *l, const char *text, hone_error *err) {
    if (!text) return HONE_OK;
    l->tool_form = tool_form_of(text);
    l->shows_tools = strstr(text, "tools") != NULL;
    /* A model that is told of its tools by us is told of this form. */
    if (!l->shows_tools) l->tool_form = HONE_TOOLS_TAGGED;
    find_marks(l);
    return hone_template_parse(text, strlen(text), &l->chat, err);
}

static char *piece_of(const hone_language *l, int32_t id) {
    size_t size;
    const char *piece = id >= 0 ? hone_tokenizer_piece(l->tokenizer, id, &size) : NULL;
    return hone_strdup(piece ? piece : "");
}

static hone_status read_texts(hone_language *l, const hone_import *m, hone_error *err) {
    hone_error why;
    const int32_t *ends = hone_import_ends(m, &l->end_count);
    l->tokenizer = hone_tokenizer_retain(hone_import_tokenizer(m));
    l->begin = hone_import_begin(m);
    l->ends = hone_calloc(l->end_count + 1, sizeof *l->ends);
    l->begins = piece_of(l, l->begin);
    l->ends_as = piece_of(l, l->end_count ? ends[0] : -1);
    if (!l->ends || !l->begins || !l->ends_as) return hone_fail_memory(err);
    memcpy(l->ends, ends, l->end_count * sizeof *ends);
    hone_status status = hone_token_trie_new(l->tokenizer, &l->trie, &why);
    if (status != HONE_OK && status != HONE_UNSUPPORTED) {
        if (err) *err = why;
        return status;
    }
    return read_template(l, hone_import_template(m), err);
}

/* --- a first text --- */

typedef struct trial {
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool ended;
    hone_status status;
    hone_error err;
} trial;

static bool hear(void *user, const hone_lm_news *news) {
    trial *t = user;
    if (news->kind != HONE_LM_ENDED) return true;
    pthread_mutex_lock(&t->lock);
    t->ended = true;
    t->status = news->status;
    if (news->status != HONE_OK && news->error) t->err = *news->error;
    pthread_cond_signal(&t->over);
    pthread_mutex_unlock(&t->lock);
    return true;
}

enum { TRIED = 3 }; /* tokens */

/* Plans and weights are made ready by it, too. */
static hone_status try(hone_language *l, hone_error *err) {
    trial t = {.err = {.message = ""}};
    const int32_t id = l->begin >= 0 ? l->begin : 0;
    hone_lm_job *job = NULL;
    hone_lm_job_options o = HONE_LM_JOB_OPTIONS_INIT;
    o.ids = &id;
    o.count = 1;
    o.max_tokens = TRIED - 1;
    o.news = hear;
    o.user = &t;
    pthread_mutex_init(&t.lock, NULL);
    hone_cond_init(&t.over);
    hone_status status = hone_lm_submit(l->engine, &o, &job, err);
    if (status == HONE_OK) {
        pthread_mutex_lock(&t.lock);
        while (!t.ended) pthread_cond_wait(&t.over, &t.lock);
        pthread_mutex_unlock(&t.lock);
        status = t.status;
        if (status != HONE_OK && err) *err = t.err;
    }
    hone_lm_job_release(job);
    pthread_mutex_destroy(&t.lock);
    pthread_cond_destroy(&t.over);
    return status;
}

/* --- the model --- */

static void tell_step(void *user, double seconds) {
    hone_language *l = user;
    pthread_mutex_lock(&l->lock);
    if (l->stepped) l->stepped(l->user, seconds);
    pthread_mutex_unlock(&l->lock);
}

void hone_language_watch(hone_language *l, void (*stepped)(void *user, double seconds), void *user) {
    pthread_mutex_lock(&l->lock);
    l->stepped = stepped;
    l->user = user;
    pthread_mutex_unlock(&l->lock);
}

static hone_status start(hone_language *l, hone_graph *graph, const hone_language_options *o,
                         hone_error *err) {
    static const hone_language_settings usual = {0};
    const hone_language_settings *s = o->settings ? o->settings : &usual;
    hone_lm_options model = HONE_LM_OPTIONS_INIT;
    hone_lm_engine_options engine = HONE_LM_ENGINE_OPTIONS_INIT;
    model.threads = o->threads;
    model.precision = o->precision;
    model.context = s->context;
    engine.kv_bytes = (size_t)s->kv_bytes;
    engine.most_waiting = s->queue;
    engine.most_running = s->running;
    engine.step_seconds = (double)s->step_ms * 1e-3;
    engine.stepped = tell_step;
    engine.user = l;
    HONE_TRY(hone_lm_engine_create(graph, &model, &engine, &l->engine, err));
    const int64_t context = hone_lm_engine_context(l->engine);
    if (context < TRIED)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a context of %lld has no room for an answer",
                         (long long)context);
    return try(l, err);
}

hone_status hone_language_new(hone_import *m, const hone_language_options *o, hone_language **out,
                              hone_error *err) {
    hone_graph *graph = hone_import_take_graph(m);
    hone_language *l = hone_calloc(1, sizeof *l);
    if (!l) {
        hone_graph_free(graph);
        return hone_fail_memory(err);
    }
    pthread_mutex_init(&l->lock, NULL);
    hone_status status = read_texts(l, m, err);
    if (status == HONE_OK)
        status = start(l, graph, o, err);
    else
        hone_graph_free(graph);
    if (status == HONE_OK)
        *out = l;
    else
        hone_language_free(l);
    return status;
}

void hone_language_free(hone_language *l) {
    if (!l) return;
    hone_lm_engine_free(l->engine);
    while (l->spare_count > 0) hone_encoder_free(l->spare[--l->spare_count]);
    hone_token_trie_free(l->trie);
    hone_template_free(l->chat);
    hone_tokenizer_free(l->tokenizer);
    hone_free(l->begins);
    hone_free(l->ends_as);
    hone_free(l->ends);
    pthread_mutex_destroy(&l->lock);
    hone_free(l);
}

/* --- encoders --- */

hone_encoder *hone_language_encoder(hone_language *l, hone_error *err) {
    hone_encoder *e = NULL;
    pthread_mutex_lock(&l->lock);
    if (l->spare_count > 0) e = l->spare[--l->spare_count];
    pthread_mutex_unlock(&l->lock);
    if (!e) hone_encoder_new(l->tokenizer, &e, err);
    return e;
}

void hone_language_give(hone_language *l, hone_encoder *e) {
    pthread_mutex_lock(&l->lock);
    if (l->spare_count < HONE_SPARE_ENCODERS) {
        l->spare[l->spare_count++] = e;
        e = NULL;
    }
    pthread_mutex_unlock(&l->lock);
    hone_encoder_free(e);
}
