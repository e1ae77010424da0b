/* Parsed patterns: what graph/pattern_parse.c makes and graph/pattern.c matches and emits. */
#ifndef HONE_GRAPH_PATTERN_INSIDE_H
#define HONE_GRAPH_PATTERN_INSIDE_H

#include "graph/pattern.h"

typedef enum hone_term_kind {
    HONE_TERM_NAME,
    HONE_TERM_NUMBER,
    HONE_TERM_INTS,
    HONE_TERM_CALL,
    HONE_TERM_EITHER
} hone_term_kind;

typedef enum hone_term_class { HONE_CLASS_NONE, HONE_CLASS_VIEW, HONE_CLASS_MOVE } hone_term_class;

typedef struct hone_term_attr {
    const hone_attr_def *def; /* of the operator's table */
    double number;
    const char *text; /* NULL: none */
    int64_t *ints;    /* NULL: no list */
    int count;
    int name; /* the number is the content of this name; -1: no */
} hone_term_attr;

typedef struct hone_term hone_term;
struct hone_term {
    hone_term_kind kind;
    int name; /* NAME */
    bool constant, optional;
    double number; /* NUMBER */
    int64_t *ints; /* INTS */
    int count;
    const hone_op *op;     /* CALL; NULL: any of the class */
    hone_term_class class; /* CALL */
    bool shared, any_attrs;
    hone_term **args;
    int arg_count;
    hone_term_attr *attrs;
    int attr_count;
    int choice; /* EITHER: its number in the form */
    hone_term *first, *second;
};

typedef struct hone_pattern {
    hone_term *term;
    hone_term *definition[HONE_MATCH_NAMES]; /* of names that `where` defines */
    int choices;
} hone_pattern;

struct hone_patterns {
    const char *names[HONE_MATCH_NAMES];
    int name_count;
    uint32_t scalars; /* names whose content becomes an attribute */
    hone_pattern *forms;
    int form_count;
    hone_pattern *replace; /* NULL: none */
};

#endif
