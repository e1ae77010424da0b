/* A small language model in a directory, for a server to load. Its tokens are characters, and behind each comes the next
 * one of ASCII: "a" is continued by "bcd" and so on up to "~", where the text ends. */
#ifndef HONE_TESTS_SERVE_LANGUAGES_H
#define HONE_TESTS_SERVE_LANGUAGES_H

#include <cmocka.h>

#include "graph/infer.h"
#include "import/import.h"
#include "lm/small.h"

enum { LANGUAGE_END, LANGUAGE_USER, LANGUAGE_FIRST }; /* the last one is ' ' */

/* Turns of a conversation, each behind its special token; what the client wrote is all that is continued. */
#define LANGUAGE_TEMPLATE                                                                                    \
    "{% if tools %}+{% endif %}{% for m in messages %}{{ '<|user|>' if m.role == 'user' else '<|end|>' "     \
    "}}{{ m.content }}{% endfor %}"

static hone_tokenizer *language_tokenizer(void) {
    char json[8192];
    hone_tokenizer *t = NULL;
    hone_error err;
    int n = snprintf(
        json, sizeof json,
        "{\"version\": \"1.0\", \"added_tokens\": ["
        "{\"id\": 0, \"content\": \"<|end|>\", \"special\": true, \"single_word\": false, \"lstrip\": "
        "false, \"rstrip\": false, \"normalized\": false},"
        "{\"id\": 1, \"content\": \"<|user|>\", \"special\": true, \"single_word\": false, \"lstrip\": "
        "false, \"rstrip\": false, \"normalized\": false}], \"normalizer\": null, \"pre_tokenizer\": "
        "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": "
        "false}, \"post_processor\": null, \"decoder\": {\"type\": \"ByteLevel\", "
        "\"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true}, \"model\": {\"type\": "
        "\"BPE\", \"merges\": [], \"vocab\": {\"<|end|>\": 0, \"<|user|>\": 1, \"\\u0120\": 2");
    for (int c = '!'; c <= '~'; c++)
        n += snprintf(json + n, sizeof json - (size_t)n, ", \"%s%c\": %d", c == '"' || c == '\\' ? "\\" : "",
                      c, c - ' ' + LANGUAGE_FIRST);
    n += snprintf(json + n, sizeof json - (size_t)n, "}}}");
    check_ok(hone_tokenizer_parse(json, (size_t)n, &t, &err));
    return t;
}

/* `chat` NULL: without a template. */
static void language_save(const char *directory, const char *chat) {
    hone_error err;
    hone_import m = {.graph = small_graph(true),
                     .tokenizer = language_tokenizer(),
                     .chat_template = (char *)chat,
                     .begin = -1,
                     .ends = {LANGUAGE_END},
                     .end_count = 1};
    check_ok(hone_import_save(&m, directory, &err));
    hone_graph_free(m.graph);
    hone_tokenizer_free(m.tokenizer);
}

/* A model beside the same tokenizer that gives [1, id] for each token; `name` is of its input. */
static void embedding_save(const char *directory, const char *name) {
    hone_error err;
    float table[VOCABULARY][2];
    hone_tensor *t = NULL;
    for (int i = 0; i < VOCABULARY; i++) table[i][0] = 1, table[i][1] = (float)i;
    check_ok(hone_tensor_copy_of(HONE_FLOAT32, 2, (int64_t[]){VOCABULARY, 2}, table, &t, &err));
    hone_graph *g = hone_graph_new("embedding");
    hone_type type = {
        HONE_KIND_TENSOR, HONE_INT64, 2, {hone_graph_symbol(g, "batch"), hone_graph_symbol(g, "sequence")}};
    hone_value *ids = hone_graph_add_input(g, name, &type);
    hone_value *y = HONE_EMIT(g, "", "Gather", hone_graph_add_constant(g, "table", t), ids);
    hone_tensor_free(t);
    hone_graph_rename(g, y, "last_hidden_state");
    hone_graph_add_output(g, y);
    check_ok(hone_graph_infer(g, &err));
    hone_import m = {.graph = g, .tokenizer = language_tokenizer(), .begin = -1};
    check_ok(hone_import_save(&m, directory, &err));
    hone_graph_free(g);
    hone_tokenizer_free(m.tokenizer);
}

#endif
