/* A small language model in a directory, for a server to load. Its tokens are characters, and behind each comes the next
 * one of ASCII: "a" is continued by "bcd" and so on up to "~", where the text ends. */
#ifndef HONE_TESTS_SERVE_LANGUAGES_H
#define HONE_TESTS_SERVE_LANGUAGES_H

#include <cmocka.h>

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

#endif
