#include "serve/openai/ask.h"

#include "base/memory.h"
#include "base/random.h"
#include "serve/openai/body.h"
#include "serve/openai/fields.h"

enum { USUAL_COMPLETION = 16 }; /* tokens, as OpenAI's has it */

/* --- how tokens are drawn, and when a text ends --- */

static bool read_sampling(hone_ask *a, hone_fault *f) {
    hone_sampling *s = &a->sampling;
    int64_t top_k = 0, seed;
    *s = (hone_sampling)HONE_SAMPLING_INIT;
    s->temperature = 1;
    s->seed = hone_random_seed();
    if (!hone_member_number(a->root, "temperature", 0, 2, &s->temperature, f) ||
        !hone_member_number(a->root, "top_p", 0, 1, &s->top_p, f) ||
        !hone_member_number(a->root, "min_p", 0, 1, &s->min_p, f) ||
        !hone_member_integer(a->root, "top_k", -1, INT32_MAX, &top_k, f) ||
        !hone_member_number(a->root, "presence_penalty", -2, 2, &s->presence_penalty, f) ||
        !hone_member_number(a->root, "frequency_penalty", -2, 2, &s->frequency_penalty, f) ||
        !hone_member_number(a->root, "repetition_penalty", 0.01, 100, &s->repetition_penalty, f))
        return false;
    s->top_k = top_k > 0 ? (int)top_k : 0;
    if (s->top_p == 0) s->top_k = 1, s->top_p = 1; /* the fewest tokens are one */
    if (hone_member(a->root, "seed")) {
        if (!hone_member_integer(a->root, "seed", INT64_MIN, INT64_MAX, &seed, f)) return false;
        s->seed = (uint64_t)seed;
    }
    return true;
}

/* {"50256": -100} */
static bool read_bias(hone_ask *a, hone_fault *f) {
    json_t *map = NULL, *v;
    const char *key;
    if (!hone_member_object(a->root, "logit_bias", &map, f) || !map || json_object_size(map) == 0)
        return !f->status;
    a->bias = hone_calloc(json_object_size(map), sizeof *a->bias);
    if (!a->bias) return hone_fault_memory(f);
    json_object_foreach(map, key, v) {
        char *end;
        long id = strtol(key, &end, 10);
        double x = json_number_value(v);
        if (*end || end == key || id < 0 || id > INT32_MAX || !json_is_number(v) || !(x >= -100 && x <= 100))
            return hone_fault_value(f, "logit_bias",
                                    "logit_bias must map ids of tokens to numbers from -100 to 100");
        a->bias[a->bias_count++] = (hone_lm_bias){(int32_t)id, (float)x};
    }
    return true;
}

static bool read_stops(hone_ask *a, hone_fault *f) {
    const json_t *v = hone_member(a->root, "stop");
    size_t count = json_is_array(v) ? json_array_size(v) : v ? 1 : 0;
    if (count > HONE_ASK_STOPS)
        return hone_fault_value(f, "stop", "stop must have at most %d strings", HONE_ASK_STOPS);
    for (size_t i = 0; i < count; i++) {
        const json_t *s = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_string(s))
            return hone_fault_value(f, "stop", "stop must be a string or an array of strings");
        if (json_string_length(s)) a->stops[a->stop_count++] = json_string_value(s);
    }
    return true;
}

static bool read_ends(hone_ask *a, hone_fault *f) {
    json_t *list = NULL;
    if (!read_stops(a, f) || !hone_member_truth(a->root, "ignore_eos", &a->ignore_ends, f) ||
        !hone_member_integer(a->root, "min_tokens", 0, INT32_MAX, &a->min_tokens, f) ||
        !hone_member_array(a->root, "stop_token_ids", &list, f))
        return false;
    return !list || hone_member_ids(list, "stop_token_ids", &a->stop_ids, &a->stop_id_count, f);
}

static bool read_most(hone_ask *a, hone_fault *f) {
    int64_t most = -1;
    if (!hone_member_integer(a->root, "max_tokens", a->chat, INT32_MAX, &most, f)) return false;
    if (a->chat && !hone_member_integer(a->root, "max_completion_tokens", 1, INT32_MAX, &most, f))
        return false;
    a->max_tokens = most > 0 ? most : most == 0 ? -1 : a->chat ? 0 : USUAL_COMPLETION;
    return true;
}

/* --- what the answer shows --- */

static bool read_likely(hone_ask *a, hone_fault *f) {
    int64_t top = 0, legacy = -1;
    bool asked = false;
    a->likely = -1;
    if (!a->chat) {
        if (!hone_member_integer(a->root, "logprobs", 0, HONE_ASK_LIKELY, &legacy, f)) return false;
        a->likely = (int)legacy;
        return true;
    }
    if (!hone_member_truth(a->root, "logprobs", &asked, f) ||
        !hone_member_integer(a->root, "top_logprobs", 0, HONE_ASK_LIKELY, &top, f))
        return false;
    if (top > 0 && !asked)
        return hone_fault_value(f, "top_logprobs", "top_logprobs needs \"logprobs\": true");
    if (asked) a->likely = (int)top;
    return true;
}

static bool read_stream(hone_ask *a, hone_fault *f) {
    json_t *options = NULL;
    if (!hone_member_truth(a->root, "stream", &a->stream, f) ||
        !hone_member_object(a->root, "stream_options", &options, f))
        return false;
    if (!options) return true;
    if (!a->stream)
        return hone_fault_value(f, "stream_options", "stream_options is only for \"stream\": true");
    return hone_member_truth(options, "include_usage", &a->usage, f);
}

static bool read_count(hone_ask *a, hone_fault *f) {
    int64_t n = 1, best;
    if (!hone_member_integer(a->root, "n", 1, HONE_ASK_CHOICES, &n, f)) return false;
    best = n;
    if (!a->chat && !hone_member_integer(a->root, "best_of", 1, HONE_ASK_CHOICES, &best, f)) return false;
    if (best < n) return hone_fault_value(f, "best_of", "best_of must be at least n");
    if (best > n && a->stream) return hone_fault_value(f, "best_of", "best_of can't be streamed");
    a->n = (int)n;
    a->best_of = (int)best;
    return true;
}

/* --- what it has to be --- */

static bool read_form(hone_ask *a, hone_fault *f) {
    json_t *form = NULL, *schema = NULL;
    const char *type = NULL;
    if (!hone_member_object(a->root, "response_format", &form, f) || !form) return !f->status;
    if (!hone_member_text(form, "type", &type, f)) return false;
    if (type && strcmp(type, "text") == 0) return true;
    if (type && strcmp(type, "json_object") == 0) {
        a->form = HONE_ANSWER_OBJECT;
        return true;
    }
    if (!type || strcmp(type, "json_schema") != 0)
        return hone_fault_value(f, "response_format.type",
                                "response_format.type must be text, json_object or json_schema");
    if (!hone_member_object(form, "json_schema", &schema, f)) return false;
    a->schema = schema ? hone_member(schema, "schema") : NULL;
    if (!json_is_object(a->schema) && !json_is_boolean(a->schema))
        return hone_fault_value(f, "response_format.json_schema.schema",
                                "response_format.json_schema.schema must be a JSON schema");
    a->form = HONE_ANSWER_SCHEMA;
    return true;
}

const json_t *hone_ask_tool(const hone_ask *a, const char *name) {
    size_t i;
    json_t *tool;
    json_array_foreach(a->tools, i, tool) {
        const char *own = json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
        if (own && strcmp(own, name) == 0) return json_object_get(tool, "function");
    }
    return NULL;
}

static bool check_tools(const hone_ask *a, hone_fault *f) {
    size_t i;
    json_t *tool;
    json_array_foreach(a->tools, i, tool) {
        const json_t *function = json_object_get(tool, "function"),
                     *of = json_object_get(function, "parameters");
        const char *type = json_string_value(json_object_get(tool, "type"));
        char param[64];
        snprintf(param, sizeof param, "tools[%zu]", i);
        if (!type || strcmp(type, "function") != 0)
            return hone_fault_value(f, param, "%s.type must be function", param);
        if (!json_is_string(json_object_get(function, "name")))
            return hone_fault_value(f, param, "%s.function.name must be a string", param);
        if (of && !json_is_null(of) && !json_is_object(of))
            return hone_fault_value(f, param, "%s.function.parameters must be a JSON schema", param);
        const json_t *of_type = hone_member(of, "type");
        if (of_type && (!json_is_string(of_type) || strcmp(json_string_value(of_type), "object") != 0))
            return hone_fault_value(f, param, "%s.function.parameters.type must be object", param);
    }
    return true;
}

static bool read_tool_choice(hone_ask *a, hone_fault *f) {
    const json_t *v = hone_member(a->root, "tool_choice");
    const char *word = json_string_value(v);
    bool none = json_array_size(a->tools) == 0;
    a->tool_choice = none ? HONE_TOOLS_NONE : HONE_TOOLS_AUTO;
    if (!v) return true;
    if (word && strcmp(word, "none") == 0)
        a->tool_choice = HONE_TOOLS_NONE;
    else if (word && strcmp(word, "required") == 0)
        a->tool_choice = HONE_TOOLS_REQUIRED;
    else if (json_is_object(v))
        a->tool_choice = HONE_TOOLS_NAMED;
    else if (!word || strcmp(word, "auto") != 0)
        return hone_fault_value(f, "tool_choice", "tool_choice must be none, auto, required or a function");
    if (none && a->tool_choice > HONE_TOOLS_AUTO)
        return hone_fault_value(f, "tool_choice", "tool_choice needs tools");
    if (a->tool_choice != HONE_TOOLS_NAMED) return true;
    const char *type = NULL;
    if (!hone_member_text(v, "type", &type, f) || (type && strcmp(type, "function") != 0))
        return hone_fault_value(f, "tool_choice", "tool_choice.type must be function");
    a->tool = json_string_value(json_object_get(json_object_get(v, "function"), "name"));
    if (!a->tool || !hone_ask_tool(a, a->tool))
        return hone_fault_value(f, "tool_choice", "tool_choice names no function of tools");
    return true;
}

static bool read_tools(hone_ask *a, hone_fault *f) {
    a->several_calls = true;
    if (!hone_member_array(a->root, "tools", &a->tools, f) || !check_tools(a, f) || !read_tool_choice(a, f) ||
        !hone_member_truth(a->root, "parallel_tool_calls", &a->several_calls, f))
        return false;
    if (a->tool_choice != HONE_TOOLS_NONE && a->form != HONE_ANSWER_TEXT)
        return hone_fault_value(
            f, "response_format",
            "response_format leaves no room for calls of tools: it needs \"tool_choice\": \"none\"");
    return true;
}

/* --- what it is about --- */

/* Templates trust variables that are called tokens: those come with the model, and from nowhere else. */
static bool check_variables(const json_t *variables, hone_fault *f) {
    static const char tail[] = "_token";
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)variables, name, v) {
        size_t n = strlen(name), k = sizeof tail - 1;
        bool token = n >= k && strcmp(name + n - k, tail) == 0;
        if (token || strcmp(name, "messages") == 0 || strcmp(name, "tools") == 0)
            return hone_fault_value(f, "chat_template_kwargs", "chat_template_kwargs can't set %s",
                                    token ? "what is called a token" : name);
    }
    return true;
}

static bool read_chat(hone_ask *a, hone_fault *f) {
    if (!hone_member_array(a->root, "messages", &a->messages, f) || !read_tools(a, f) ||
        !hone_member_object(a->root, "chat_template_kwargs", &a->template_variables, f) ||
        !check_variables(a->template_variables, f))
        return false;
    if (json_array_size(a->messages) == 0)
        return hone_fault_value(f, "messages", "messages must be an array with a message in it");
    return true;
}

static bool read_completion(hone_ask *a, hone_fault *f) {
    const json_t *suffix = hone_member(a->root, "suffix");
    a->prompt = hone_member(a->root, "prompt");
    if (!a->prompt) return hone_fault_value(f, "prompt", "prompt must be a string or an array");
    if (suffix && (!json_is_string(suffix) || json_string_length(suffix) > 0))
        return hone_fault_value(f, "suffix",
                                "suffix is not supported: models here continue texts, and fill no gaps");
    return hone_member_truth(a->root, "echo", &a->echo, f);
}

bool hone_ask_read(hone_ask *a, bool chat, json_t *root, hone_fault *f) {
    *a = (hone_ask){.root = root, .chat = chat};
    if (!hone_member_text(a->root, "model", &a->model, f)) return false;
    if (!a->model) return hone_fault_value(f, "model", "model must name a model");
    return read_sampling(a, f) && read_bias(a, f) && read_ends(a, f) && read_most(a, f) &&
           read_likely(a, f) && read_stream(a, f) && read_count(a, f) && read_form(a, f) &&
           (chat ? read_chat(a, f) : read_completion(a, f));
}

void hone_ask_free(hone_ask *a) {
    json_decref(a->root);
    hone_free(a->stop_ids);
    hone_free(a->bias);
    *a = (hone_ask){0};
}
