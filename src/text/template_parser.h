/* What reads templates: tokens (template_tokens.c), expressions (template_expression.c), statements (template_parse.c). */
#ifndef HONE_TEXT_TEMPLATE_PARSER_H
#define HONE_TEXT_TEMPLATE_PARSER_H

#include "text/template.h"

typedef enum tpl_token_kind {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_INT,
    TOKEN_FLOAT,
    TOKEN_SIGN
} tpl_token_kind;

typedef struct tpl_token {
    tpl_token_kind kind;
    const char *text; /* NAME, SIGN: as it stands there; STRING: without escapes */
    size_t size;
    tpl_value value; /* INT, FLOAT */
} tpl_token;

typedef struct tpl_parser {
    hone_arena *arena;
    const char *at, *end;
    const char *close; /* of the tag that is read: "}}" or "%}" */
    int line, depth, braces;
    bool line_starting, failed;
    hone_status status;
    tpl_token now;
    const char *tag; /* of the block that ended a body */
    size_t tag_size;
    int loops;
    hone_error *err;
} tpl_parser;

typedef struct tpl_nodes {
    tpl_node **items;
    const char **keywords;
    size_t count, capacity;
} tpl_nodes;

/* Remembers the first error; NULL. */
void *hone_tpl_bad(tpl_parser *p, const char *what, const char *text, size_t size);
void *hone_tpl_bad_plain(tpl_parser *p, const char *what);
void *hone_tpl_no_memory(tpl_parser *p);
tpl_node *hone_tpl_node(tpl_parser *p, tpl_op op);
/* The next token of the tag is p->now; END: the tag is over, and p->at behind it. */
void hone_tpl_advance(tpl_parser *p);
/* The name that stands there. */
const char *hone_tpl_take_name(tpl_parser *p, size_t *size);
bool hone_tpl_is(const tpl_parser *p, tpl_token_kind kind, const char *text);
bool hone_tpl_take(tpl_parser *p, tpl_token_kind kind, const char *text);
void hone_tpl_expect(tpl_parser *p, const char *sign);
void hone_tpl_skip(tpl_parser *p, size_t n);

bool hone_tpl_add(tpl_parser *p, tpl_nodes *to, tpl_node *n, const char *keyword);
tpl_node *hone_tpl_with_args(tpl_node *n, const tpl_nodes *args);
tpl_node *hone_tpl_text_node(tpl_parser *p, tpl_op op, const char *text, size_t size);
/* "(" was taken. */
tpl_nodes hone_tpl_arguments(tpl_parser *p);
tpl_node *hone_tpl_expression(tpl_parser *p);
/* a, b, … is a tuple; a alone is itself. It ends before the word `extra`, too. */
tpl_node *hone_tpl_tuple(tpl_parser *p, bool with_choice, const char *extra, bool in_parentheses);
tpl_node *hone_tpl_postfix(tpl_parser *p, tpl_node *n);
tpl_node *hone_tpl_primary(tpl_parser *p);
/* Those behind `n`: |a(…)|b; `n` NULL: the first one stands there without its "|". */
tpl_node *hone_tpl_filters(tpl_parser *p, tpl_node *n);

static inline bool hone_tpl_sign(const tpl_parser *p, const char *text) {
    return hone_tpl_is(p, TOKEN_SIGN, text);
}
static inline bool hone_tpl_word(const tpl_parser *p, const char *text) {
    return hone_tpl_is(p, TOKEN_NAME, text);
}
static inline bool hone_tpl_take_sign(tpl_parser *p, const char *text) {
    return hone_tpl_take(p, TOKEN_SIGN, text);
}
static inline bool hone_tpl_take_word(tpl_parser *p, const char *text) {
    return hone_tpl_take(p, TOKEN_NAME, text);
}
static inline bool hone_tpl_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

#endif
