/* What makes grammars of JSON schemas: the pieces that JSON is of (schema_pieces.c), and what schemas say (schema.c). */
#ifndef HONE_TEXT_SCHEMA_H
#define HONE_TEXT_SCHEMA_H

#include "text/bytes.h"
#include "text/grammar.h"

#include <jansson.h>

typedef struct known_rule {
    const json_t *schema; /* NULL: any value */
    int32_t start;
} known_rule;

typedef struct schema_compiler {
    hone_grammar *g;
    const json_t *root;
    hone_bytes path; /* JSON pointer of what is read */
    known_rule *rules;
    size_t rule_count, rule_capacity;
    int32_t space, text, whole, number, any; /* rules */
    int depth;
    bool failed;
    hone_status status;
    hone_error *err;
} schema_compiler;

/* Remembers the first error, at the place that is read; 0. */
int32_t hone_schema_fail(schema_compiler *c, hone_status status, const char *what);
int32_t hone_schema_unsupported(schema_compiler *c, const char *key);
size_t hone_schema_enter(schema_compiler *c, const char *name);
size_t hone_schema_enter_index(schema_compiler *c, size_t i);
void hone_schema_leave(schema_compiler *c, size_t before);
int32_t hone_schema_state(schema_compiler *c);
int32_t hone_schema_literal(schema_compiler *c, int32_t from, const char *text);
int32_t hone_schema_call(schema_compiler *c, int32_t from, int32_t rule);
void hone_schema_ends(schema_compiler *c, int32_t at);
void hone_schema_character(schema_compiler *c, int32_t from, int32_t to, bool escapes);
void hone_schema_free_text(schema_compiler *c, int32_t at);
int32_t hone_schema_digits(schema_compiler *c, int32_t from, int low, int high);
int32_t hone_schema_any_item(schema_compiler *c, int32_t from);
/* "minimum" and its like. */
int32_t hone_schema_whole(schema_compiler *c, int32_t from, const json_t *json);
void hone_schema_make_rules(schema_compiler *c);

#endif
