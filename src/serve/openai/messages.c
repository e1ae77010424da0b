#include "serve/openai/messages.h"

#include "serve/format/buffer.h"

/* --- one message --- templates know texts, and calls whose arguments are objects */

/* A list of parts is one text. NULL: `f` says what is wrong. */
static json_t *text_of(const json_t *parts, size_t number, hone_fault *f) {
    hone_buffer b = {0};
    size_t i;
    json_t *part, *text = NULL;
    json_array_foreach(parts, i, part) {
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *said = json_object_get(part, type && strcmp(type, "refusal") == 0 ? "refusal" : "text");
        if (!json_is_string(said)) {
            char param[64];
            snprintf(param, sizeof param, "messages[%zu].content[%zu]", number, i);
            hone_fault_value(f, param, "%s is no text: the model takes nothing else", param);
            break;
        }
        hone_buffer_put(&b, json_string_value(said), json_string_length(said));
    }
    if (!f->status) text = json_stringn(b.data ? b.data : "", b.size);
    if (!f->status && !text) hone_fault_memory(f);
    hone_buffer_free(&b);
    return text;
}

/* The API has arguments as a text of JSON, templates write them by `tojson`. */
static void open_arguments(json_t *message) {
    size_t i;
    json_t *call;
    json_array_foreach(json_object_get(message, "tool_calls"), i, call) {
        json_t *function = json_object_get(call, "function");
        const json_t *text = json_object_get(function, "arguments");
        json_t *opened = json_is_string(text)
                             ? json_loadb(json_string_value(text), json_string_length(text), 0, NULL)
                             : NULL;
        if (json_is_object(opened))
            json_object_set_new(function, "arguments", opened);
        else
            json_decref(opened);
    }
}

/* One to be told, as the model is told to write it. */
static void say_call(const json_t *function, hone_buffer *out) {
    const json_t *arguments = json_object_get(function, "arguments");
    json_t *call = json_object(), *own = arguments ? json_deep_copy(arguments) : json_object();
    json_object_set(call, "name", json_object_get(function, "name"));
    json_object_set_new(call, "arguments", own);
    char *text = json_dumps(call, JSON_COMPACT);
    json_decref(call);
    if (out->size) hone_buffer_byte(out, '\n');
    hone_buffer_printf(out, "<tool_call>\n%s\n</tool_call>", text ? text : "");
    free(text);
}

/* A template that does not speak of tools knows texts only: calls that were made become one. */
static bool say_calls(json_t *message, hone_fault *f) {
    hone_buffer b = {0};
    size_t i;
    json_t *call;
    const json_t *content = json_object_get(message, "content");
    hone_buffer_put(&b, json_string_length(content) ? json_string_value(content) : "",
                    json_string_length(content));
    json_array_foreach(json_object_get(message, "tool_calls"), i, call)
        say_call(json_object_get(call, "function"), &b);
    json_t *text = b.failed ? NULL : json_stringn(b.data ? b.data : "", b.size);
    hone_buffer_free(&b);
    if (!text) return hone_fault_memory(f);
    json_object_set_new(message, "content", text);
    return true;
}

static bool add_message(json_t *to, const json_t *message, size_t number, bool shows_tools, hone_fault *f) {
    const char *role = json_string_value(json_object_get(message, "role"));
    const json_t *content = json_object_get(message, "content");
    char param[64];
    snprintf(param, sizeof param, "messages[%zu]", number);
    if (!json_is_object(message) || !role)
        return hone_fault_value(f, param, "%s must be an object with a role", param);
    if (content && !json_is_string(content) && !json_is_array(content) && !json_is_null(content))
        return hone_fault_value(f, param, "%s.content must be a string or an array of parts", param);
    if ((!content || json_is_null(content)) && strcmp(role, "assistant") != 0)
        return hone_fault_value(f, param, "%s has no content", param);
    json_t *own = json_deep_copy(message);
    if (!own) return hone_fault_memory(f);
    json_array_append_new(to, own);
    if (strcmp(role, "developer") == 0) json_object_set_new(own, "role", json_string("system"));
    if (!content) json_object_set_new(own, "content", json_null());
    open_arguments(own);
    json_t *text = json_is_array(content) ? text_of(content, number, f) : NULL;
    if (json_is_array(content) && !text) return false;
    if (text) json_object_set_new(own, "content", text);
    return shows_tools || say_calls(own, f);
}

/* --- tools --- */

/* What a model is told whose template does not speak of tools. */
static bool tell_of_tools(json_t *messages, const json_t *tools, hone_fault *f) {
    static const char head[] = "You may call functions. Each line is the JSON schema of one:\n",
                      tail[] =
                          "To call one, answer with its name and its arguments as JSON, between these tags:\n"
                          "<tool_call>\n{\"name\": \"NAME\", \"arguments\": {}}\n</tool_call>";
    hone_buffer b = {0};
    size_t i;
    json_t *tool, *first = json_array_get(messages, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    const json_t *content = json_object_get(first, "content");
    bool system = role && strcmp(role, "system") == 0 && json_is_string(content);
    if (system) hone_buffer_printf(&b, "%s\n\n", json_string_value(content));
    hone_buffer_text(&b, head);
    json_array_foreach(tools, i, tool) {
        char *text = json_dumps(json_object_get(tool, "function"), JSON_COMPACT);
        hone_buffer_text(&b, text ? text : "");
        hone_buffer_byte(&b, '\n');
        free(text);
    }
    hone_buffer_text(&b, tail);
    json_t *said = b.failed ? NULL : json_stringn(b.data, b.size);
    hone_buffer_free(&b);
    if (!said) return hone_fault_memory(f);
    if (system)
        json_object_set_new(first, "content", said);
    else
        json_array_insert_new(messages, 0, json_pack("{s:s, s:o}", "role", "system", "content", said));
    return true;
}

/* --- all of it --- */

json_t *hone_messages_variables(const hone_language *l, const hone_ask *a, hone_fault *f) {
    json_t *messages = json_array(), *message;
    size_t i;
    bool fine = true, tools = a->tool_choice != HONE_TOOLS_NONE;
    json_array_foreach(a->messages, i, message) fine =
        fine && add_message(messages, message, i, l->shows_tools, f);
    if (fine && tools && !l->shows_tools) fine = tell_of_tools(messages, a->tools, f);
    if (!fine) {
        json_decref(messages);
        return NULL;
    }
    json_t *v = json_pack("{s:o, s:b, s:s, s:s}", "messages", messages, "add_generation_prompt", 1,
                          "bos_token", l->begins, "eos_token", l->ends_as);
    if (v && tools && l->shows_tools) json_object_set(v, "tools", a->tools);
    if (v && a->template_variables) json_object_update(v, a->template_variables);
    if (!v) hone_fault_memory(f);
    return v;
}
