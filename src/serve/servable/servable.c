#include "serve/servable/servable.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/graph.h"
#include "serve/servable/shapes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { OPEN_PLANS = 256 }; /* of requests whose sizes differ */

/* --- making --- */

static hone_status describe(hone_servable *s, hone_error *err) {
    const hone_graph *g = hone_model_signature(s->model);
    s->input_count = hone_graph_input_count(g);
    s->output_count = hone_graph_output_count(g);
    s->inputs = hone_calloc((size_t)s->input_count + 1, sizeof *s->inputs);
    s->outputs = hone_calloc((size_t)s->output_count + 1, sizeof *s->outputs);
    if (!s->inputs || !s->outputs) return hone_fail_memory(err);
    for (int i = 0; i < s->input_count; i++) hone_graph_input(g, i, &s->inputs[i]);
    for (int i = 0; i < s->output_count; i++) hone_graph_output(g, i, &s->outputs[i]);
    for (int i = 0; i < s->input_count + s->output_count; i++) {
        const hone_value_info *v = i < s->input_count ? &s->inputs[i] : &s->outputs[i - s->input_count];
        if (v->kind != HONE_KIND_TENSOR)
            return hone_fail(err, HONE_UNSUPPORTED,
                             "\"%s\" is neither a tensor nor maps for rows; nothing else is served", v->name);
    }
    return HONE_OK;
}

static hone_status make_instance(hone_servable *s, hone_instance *instance, hone_error *err) {
    size_t in = (size_t)s->input_count + 1, out = (size_t)s->output_count + 1;
    instance->in = hone_calloc(in, sizeof *instance->in);
    instance->in_list = hone_calloc(in, sizeof *instance->in_list);
    instance->results = hone_calloc(out, sizeof *instance->results);
    instance->outputs = hone_calloc(out, sizeof *instance->outputs);
    instance->out = hone_calloc(out, sizeof *instance->out);
    instance->out_list = hone_calloc(out, sizeof *instance->out_list);
    if (!instance->in || !instance->in_list || !instance->results || !instance->outputs || !instance->out ||
        !instance->out_list)
        return hone_fail_memory(err);
    for (int i = 0; i < s->input_count; i++) instance->in_list[i] = &instance->in[i];
    for (int i = 0; i < s->output_count; i++) instance->out_list[i] = &instance->out[i];
    return hone_context_create(s->session, &instance->context, err);
}

static void free_instance(hone_instance *instance) {
    hone_context_free(instance->context);
    hone_free(instance->in);
    hone_free(instance->in_list);
    hone_free(instance->results);
    hone_free(instance->out);
    hone_free(instance->out_list);
    hone_free(instance->outputs);
    hone_free(instance->inputs.data);
    hone_free(instance->pieces.data);
    hone_free(instance->cuts.data);
}

static hone_status make_instances(hone_servable *s, const hone_servable_options *o, hone_error *err) {
    s->workers = o->workers;
    s->instances = hone_calloc((size_t)(o->workers + o->compute_threads), sizeof *s->instances);
    if (!s->instances) return hone_fail_memory(err);
    while (s->instance_count < o->workers + o->compute_threads)
        HONE_TRY(make_instance(s, &s->instances[s->instance_count++], err));
    return HONE_OK;
}

int hone_servable_threads(const hone_servable_options *o) {
    return o->settings && o->settings->threads ? o->settings->threads : o->model_threads;
}

static hone_status begin(hone_servable *s, const hone_servable_options *o, hone_error *err) {
    static const hone_servable_settings defaults = HONE_SERVABLE_SETTINGS_INIT;
    atomic_init(&s->references, 1);
    s->version = o->version;
    s->created = (int64_t)time(NULL);
    s->settings = o->settings ? *o->settings : defaults;
    s->max_queue = s->settings.max_queue ? s->settings.max_queue : o->max_queue;
    s->name = hone_strdup(o->name);
    return s->name ? HONE_OK : hone_fail_memory(err);
}

static hone_status fill(hone_servable *s, const hone_servable_options *o, hone_error *err) {
    hone_session_options session = HONE_SESSION_OPTIONS_INIT;
    HONE_TRY(begin(s, o, err));
    HONE_TRY(describe(s, err));
    HONE_TRY(hone_shapes_settle(s, err));
    session.threads = s->threads = hone_servable_threads(o);
    session.max_plans = HONE_MAX_SIZES * s->bucket_count + (s->padded ? OPEN_PLANS : 16);
    HONE_TRY(hone_session_create(s->model, &session, &s->session, err));
    HONE_TRY(make_instances(s, o, err));
    return hone_model_stats_new(o->stats, s->name, s->version, (double)hone_model_bytes(s->model), &s->stats,
                                err);
}

hone_status hone_servable_remake(const hone_servable_options *o, hone_model *model, hone_servable **out,
                                 hone_error *err) {
    hone_servable *s = hone_calloc(1, sizeof *s);
    if (!s) return hone_fail_memory(err);
    s->model = hone_model_retain(model);
    hone_status status = fill(s, o, err);
    if (status == HONE_OK)
        *out = s;
    else
        hone_servable_destroy(s);
    return status;
}

static void count_step(void *series, double seconds) {
    hone_series_observe(series, seconds);
}

hone_status hone_servable_speak(const hone_servable_options *o, hone_language *language, size_t bytes,
                                hone_servable **out, hone_error *err) {
    hone_servable *s = hone_calloc(1, sizeof *s);
    if (!s) return hone_fail_memory(err);
    hone_status status = begin(s, o, err);
    if (status == HONE_OK)
        status = hone_model_stats_new(o->stats, s->name, s->version, (double)bytes, &s->stats, err);
    if (status == HONE_OK) status = hone_stats_texts(o->stats, s->name, &s->texts, err);
    if (status != HONE_OK) {
        hone_servable_destroy(s);
        return status;
    }
    s->bytes = bytes;
    s->language = language;
    hone_language_watch(language, count_step, s->texts.step);
    s->warm = true;
    *out = s;
    return HONE_OK;
}

hone_status hone_servable_new(const hone_servable_options *o, const hone_graph *graph, hone_servable **out,
                              hone_error *err) {
    hone_model *model = NULL;
    hone_graph *copy = NULL;
    HONE_TRY(hone_graph_copy(graph, &copy, err));
    hone_status status = hone_graph_open_maps(copy, err);
    if (status == HONE_OK) status = hone_model_compile(copy, NULL, &model, err);
    if (status == HONE_OK) status = hone_servable_remake(o, model, out, err);
    hone_model_free(model);
    hone_graph_free(copy);
    return status;
}

void hone_servable_destroy(hone_servable *s) {
    hone_language_free(s->language);
    hone_tokenizer_free(s->tokenizer);
    if (s->texts.first) hone_text_stats_close(&s->texts);
    for (int i = 0; i < s->instance_count; i++) free_instance(&s->instances[i]);
    if (s->session) hone_session_free(s->session);
    hone_model_free(s->model);
    hone_model_stats_release(s->stats);
    hone_free(s->instances);
    hone_free(s->inputs);
    hone_free(s->outputs);
    hone_free(s->in_axes);
    hone_free(s->out_axes);
    hone_free(s->pad_elements);
    hone_free(s->buckets);
    hone_free(s->name);
    hone_free(s);
}

hone_servable *hone_servable_retain(hone_servable *s) {
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

void hone_servable_release(hone_servable *s) {
    if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1) return;
    if (s->retire)
        s->retire(s->retire_user, s);
    else
        hone_servable_destroy(s);
}

/* --- telling --- */

const char *hone_servable_name(const hone_servable *s) {
    return s->name;
}
int64_t hone_servable_version(const hone_servable *s) {
    return s->version;
}
hone_model_stats *hone_servable_stats(hone_servable *s) {
    return s->stats;
}
const hone_graph *hone_servable_signature(const hone_servable *s) {
    return s->model ? hone_model_signature(s->model) : NULL;
}
hone_language *hone_servable_language(const hone_servable *s) {
    return s->language;
}

static bool is_text_input(const hone_value_info *v) {
    static const char *const names[] = {"input_ids", "attention_mask", "token_type_ids"};
    bool known = false;
    for (int i = 0; i < 3; i++) known |= strcmp(v->name, names[i]) == 0;
    return known && v->rank == 2 && (v->dtype == HONE_INT64 || v->dtype == HONE_INT32);
}

void hone_servable_read_texts(hone_servable *s, const hone_tokenizer *tokenizer) {
    bool ids = false, fits = tokenizer && s->output_count > 0;
    for (int i = 0; i < s->input_count; i++) {
        fits = fits && is_text_input(&s->inputs[i]);
        ids |= strcmp(s->inputs[i].name, "input_ids") == 0;
    }
    fits = fits && ids && s->outputs[0].dtype == HONE_FLOAT32 &&
           (s->outputs[0].rank == 2 || s->outputs[0].rank == 3);
    if (fits) s->tokenizer = hone_tokenizer_retain(tokenizer);
}

const hone_tokenizer *hone_servable_tokenizer(const hone_servable *s) {
    return s->tokenizer;
}
bool hone_servable_is_openai(const hone_servable *s) {
    return s->language || s->tokenizer;
}
int64_t hone_servable_created(const hone_servable *s) {
    return s->created;
}

void hone_servable_look_at_texts(const hone_servable *s) {
    hone_lm_engine_state e;
    hone_lm_engine_look(s->language->engine, &e);
    hone_series_set(s->texts.preempted, (double)e.preempted);
    hone_series_set(s->texts.sequences[HONE_TEXT_RUNNING], (double)e.running);
    hone_series_set(s->texts.sequences[HONE_TEXT_WAITING], (double)e.waiting);
    hone_series_set(s->texts.sequences[HONE_TEXT_PAUSED], (double)e.paused);
    hone_series_set(s->texts.pages[HONE_TEXT_PAGE_USED], (double)e.pages_used);
    hone_series_set(s->texts.pages[HONE_TEXT_PAGE_CACHED], (double)e.pages_cached);
    hone_series_set(s->texts.pages[HONE_TEXT_PAGE_FREE], (double)(e.pages - e.pages_used - e.pages_cached));
}

int hone_servable_input_count(const hone_servable *s) {
    return s->input_count;
}
int hone_servable_output_count(const hone_servable *s) {
    return s->output_count;
}
const hone_value_info *hone_servable_input(const hone_servable *s, int index) {
    return &s->inputs[index];
}
const hone_value_info *hone_servable_output(const hone_servable *s, int index) {
    return &s->outputs[index];
}

const hone_tensor *hone_servable_output_keys(const hone_servable *s, int index) {
    return hone_model_signature(s->model)->outputs[index]->keys;
}

int hone_servable_find_output(const hone_servable *s, hone_slice name) {
    for (int i = 0; i < s->output_count; i++)
        if (hone_slice_equal(name, s->outputs[i].name)) return i;
    return -1;
}

/* "[batch, 1, 28, 28]" */
static void format_wanted(const hone_servable *s, const hone_value_info *v, char *text, size_t size) {
    const hone_graph *g = hone_model_signature(s->model);
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < v->rank && used < size; i++) {
        const char *name = v->dims[i] < 0 ? hone_graph_dim_name(g, v->dims[i]) : NULL, *comma = i ? ", " : "";
        if (v->dims[i] >= 0)
            used += (size_t)snprintf(text + used, size - used, "%s%lld", comma, (long long)v->dims[i]);
        else
            used += (size_t)snprintf(text + used, size - used, "%s%s", comma, name ? name : "?");
    }
    if (used < size) snprintf(text + used, size - used, "]");
}

static bool shape_fits(const hone_value_info *v, const hone_tensor *t) {
    if (v->rank < 0) return true;
    if (t->rank != v->rank) return false;
    for (int i = 0; i < t->rank; i++)
        if (v->dims[i] >= 0 && v->dims[i] != t->dims[i]) return false;
    return true;
}

static hone_status check_input(const hone_servable *s, int index, const hone_tensor *t, hone_error *err) {
    const hone_value_info *v = &s->inputs[index];
    char wanted[160], given[160];
    if (!t) return hone_fail(err, HONE_INVALID_ARGUMENT, "input \"%s\" is missing", v->name);
    if (t->dtype != v->dtype)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "input \"%s\" is %s, but the model takes %s", v->name,
                         hone_dtype_name(t->dtype), hone_dtype_name(v->dtype));
    if (shape_fits(v, t)) return HONE_OK;
    format_wanted(s, v, wanted, sizeof wanted);
    size_t used = (size_t)snprintf(given, sizeof given, "[");
    for (int i = 0; i < t->rank && used < sizeof given; i++)
        used += (size_t)snprintf(given + used, sizeof given - used, "%s%lld", i ? ", " : "",
                                 (long long)t->dims[i]);
    return hone_fail(err, HONE_INVALID_ARGUMENT, "input \"%s\" has the shape %s], but the model takes %s",
                     v->name, given, wanted);
}

hone_status hone_servable_check(const hone_servable *s, const hone_tensor *const *inputs, hone_error *err) {
    for (int i = 0; i < s->input_count; i++) HONE_TRY(check_input(s, i, inputs[i], err));
    return HONE_OK;
}

static bool same_value(const hone_value_info *a, const hone_value_info *b) {
    if (strcmp(a->name, b->name) != 0 || a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i] && (a->dims[i] >= 0 || b->dims[i] >= 0)) return false;
    return true;
}

/* The order of inputs means nothing: clients name them. */
static bool same_values(const hone_value_info *a, int a_count, const hone_value_info *b, int b_count,
                        const char *what, char *why, size_t size) {
    for (int i = 0; i < a_count; i++) {
        int k = 0;
        while (k < b_count && !same_value(&a[i], &b[k])) k++;
        if (k < b_count) continue;
        snprintf(why, size, "its %s \"%s\" is missing or has another type", what, a[i].name);
        return false;
    }
    if (a_count == b_count) return true;
    snprintf(why, size, "it has %d %ss instead of %d", b_count, what, a_count);
    return false;
}

bool hone_servable_same_signature(const hone_servable *a, const hone_servable *b, char *why, size_t size) {
    if (!a->language != !b->language) {
        snprintf(why, size, "only one of them is a language model");
        return false;
    }
    return same_values(a->inputs, a->input_count, b->inputs, b->input_count, "input", why, size) &&
           same_values(a->outputs, a->output_count, b->outputs, b->output_count, "output", why, size);
}
