/* The inside of hone_template: what texts of templates become, and values while one is rendered.
 *
 *   text ──► tokens ──► nodes (template_parse.c)        JSON ──► values ──► nodes run (template_run.c) ──► marked text
 *
 * Every text knows which of its bytes came from outside. All memory of a template, and of a rendering, is an arena's. */
#ifndef HONE_TEXT_TEMPLATE_H
#define HONE_TEXT_TEMPLATE_H

#include "text/bytes.h"

#include "base/error.h"

#include <hone/text.h>

#include <stdint.h>

enum {
    TPL_MAX_SOURCE = 1 << 20,
    TPL_MAX_DEPTH = 80,        /* of nested expressions and blocks */
    TPL_MAX_CALLS = 1200,      /* of what runs inside of each other */
    TPL_MAX_STEPS = 20000000,  /* a node that is run is one, 64 bytes that are copied too */
    TPL_MAX_MEMORY = 256 << 20 /* that a rendering takes */
};

/* --- values --- */

typedef enum tpl_kind {
    TPL_UNDEFINED,
    TPL_NONE,
    TPL_BOOL,
    TPL_INT,
    TPL_FLOAT,
    TPL_STRING,
    TPL_LIST,
    TPL_DICT,
    TPL_NAMESPACE,
    TPL_LOOP,
    TPL_MACRO,
    TPL_METHOD,
    TPL_FUNCTION
} tpl_kind;

typedef struct tpl_string {
    const char *data;
    size_t size;
    const char *marks; /* 1 for each byte from outside; NULL: all are as `user` says */
    bool user;
    bool safe; /* by the filter: what is joined to it by + is escaped */
} tpl_string;

typedef struct tpl_value {
    tpl_kind kind;
    union {
        bool b;
        int64_t i;
        double f;
        const tpl_string *s;
        struct tpl_list *list;
        struct tpl_dict *dict;
        struct tpl_loop *loop;
        struct tpl_macro *macro;
        struct tpl_method *method;
        const struct tpl_function *function;
        const char *name; /* UNDEFINED: what is, for messages */
    };
} tpl_value;

enum tpl_shape { TPL_IS_LIST, TPL_IS_TUPLE, TPL_IS_GENERATOR };
typedef struct tpl_list {
    tpl_value *items;
    size_t count, capacity;
    enum tpl_shape shape;
} tpl_list;

typedef struct tpl_dict { /* in the order of insertion; namespaces too */
    tpl_value *keys, *values;
    size_t count, capacity;
} tpl_dict;

typedef struct tpl_method {
    tpl_value self;
    const char *name;
} tpl_method;

/* --- nodes --- */

typedef enum tpl_op {
    /* expressions */
    TPL_CONST,
    TPL_NAME,
    TPL_MAKE_LIST, /* args */
    TPL_MAKE_TUPLE,
    TPL_MAKE_DICT, /* args: key, value, … */
    TPL_ATTRIBUTE, /* a.name */
    TPL_ITEM,      /* a[b] */
    TPL_SLICE,     /* a[args 0:1:2], NULL where there is none */
    TPL_CALL,      /* a(args) */
    TPL_FILTER,    /* a | name(args); a NULL: of the block around it */
    TPL_TEST,      /* a is name(args) */
    TPL_NEGATIVE,
    TPL_POSITIVE,
    TPL_NOT,
    TPL_AND,
    TPL_OR,
    TPL_BINARY,  /* a sign b: + - * / % f(loor) p(ower) ~ */
    TPL_COMPARE, /* args[0] signs[0] args[1] …: = ! < > l(e) g(e) i(n) n(ot in) */
    TPL_CHOOSE,  /* a if b else c */
    /* statements */
    TPL_TEXT,      /* constant */
    TPL_PRINT,     /* a */
    TPL_IF,        /* if a: body, else: other */
    TPL_FOR,       /* for a in b if c: body, else: other */
    TPL_SET,       /* a = b */
    TPL_SET_BLOCK, /* a = body | b */
    TPL_DEFINE,    /* macro name(params): body */
    TPL_CALL_BLOCK,
    TPL_FILTER_BLOCK, /* body | a */
    TPL_WITH,         /* args: target, value, …: body */
    TPL_SCOPELESS,    /* body */
    TPL_BREAK,
    TPL_CONTINUE
} tpl_op;

typedef struct tpl_node {
    tpl_op op;
    int line;
    bool flag; /* TEST: negated; FOR: recursive */
    char sign;
    const char *name, *signs;
    size_t name_size;
    struct tpl_node *a, *b, *c, *body, *other, *next; /* next: the statement behind it */
    struct tpl_node **args;
    const char **keywords; /* for each of args; NULL: by position */
    size_t arg_count;
    const char **params; /* DEFINE, CALL_BLOCK; args: their defaults, NULL where there is none */
    size_t param_count;
    tpl_value constant;
} tpl_node;

struct hone_template {
    hone_arena *arena;
    tpl_node *body;
};

/* Reads a whole text; its nodes lie in the arena. HONE_INVALID_ARGUMENT: the line and what is wrong there. */
hone_status hone_tpl_parse(hone_arena *arena, const char *text, size_t size, tpl_node **body,
                           hone_error *err);

/* --- a rendering --- */

typedef struct tpl_scope { /* of names; what is set in an inner one hides the outer ones */
    tpl_dict names;
    struct tpl_scope *outer;
} tpl_scope;

typedef struct tpl_output {
    char *data, *marks;
    size_t size, capacity;
} tpl_output;

typedef struct tpl_run {
    hone_arena *arena;
    size_t memory, steps;
    int depth, line;
    int64_t now;
    tpl_scope *scope, *globals;
    tpl_output *out;
    bool failed; /* every function gives up then */
    hone_status status;
    hone_error *err;
} tpl_run;

typedef struct tpl_macro {
    const tpl_node *node;
    tpl_scope *scope;
} tpl_macro;

typedef struct tpl_loop {
    const tpl_list *items;
    size_t index;
    int depth;
    const tpl_node *node;
    tpl_scope *scope; /* around it */
    tpl_value changed;
    bool has_changed;
} tpl_loop;

/* Arguments of a call: first those by position. */
typedef struct tpl_args {
    tpl_value *items;
    const char **names; /* NULL: by position */
    size_t count;
} tpl_args;

typedef tpl_value tpl_function_fn(tpl_run *r, const tpl_args *args);
typedef struct tpl_function {
    const char *name;
    tpl_function_fn *call;
} tpl_function;

#define TPL_NOTHING ((tpl_value){.kind = TPL_NONE})

/* Remembers the first error, with the line that is run; gives undefined. */
tpl_value hone_tpl_fail(tpl_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
tpl_value hone_tpl_fail_as(tpl_run *r, hone_status status, const char *text);
/* Zeros; NULL, and an error, when there is no more. */
void *hone_tpl_alloc(tpl_run *r, size_t size);
bool hone_tpl_step(tpl_run *r, size_t steps);
/* Goes one level deeper, if there is one. */
bool hone_tpl_enter(tpl_run *r);

/* values: template_value.c */
tpl_value hone_tpl_bool(bool b);
tpl_value hone_tpl_int(int64_t i);
tpl_value hone_tpl_text(tpl_run *r, const char *text, size_t size, bool user); /* copied */
tpl_value hone_tpl_part(tpl_run *r, const tpl_string *s, size_t at, size_t size);
tpl_value hone_tpl_safe(tpl_run *r, tpl_value text);
tpl_value hone_tpl_new_list(tpl_run *r, enum tpl_shape shape);
tpl_value hone_tpl_new_dict(tpl_run *r, tpl_kind kind);
bool hone_tpl_append(tpl_run *r, tpl_list *l, tpl_value v);
bool hone_tpl_put(tpl_run *r, tpl_dict *d, tpl_value key, tpl_value v);
bool hone_tpl_put_name(tpl_run *r, tpl_dict *d, const char *name, tpl_value v);
const tpl_value *hone_tpl_get(tpl_run *r, const tpl_dict *d, tpl_value key);
const tpl_value *hone_tpl_get_name(const tpl_dict *d, const char *name, size_t size);
bool hone_tpl_true(const tpl_value *v);
bool hone_tpl_equal(tpl_run *r, const tpl_value *a, const tpl_value *b);
/* < 0, 0, > 0; an error if the two can't be compared. */
int hone_tpl_order(tpl_run *r, const tpl_value *a, const tpl_value *b);
const char *hone_tpl_kind(const tpl_value *v); /* 'str', 'int' … */
bool hone_tpl_is_text(const tpl_value *v, const char *text);
size_t hone_tpl_characters(const tpl_string *s);
/* What a loop over it goes through. */
tpl_list *hone_tpl_items(tpl_run *r, tpl_value v);

/* output: template_value.c */
bool hone_tpl_write(tpl_run *r, tpl_output *out, const char *text, size_t size, bool user);
bool hone_tpl_write_string(tpl_run *r, tpl_output *out, const tpl_string *s);
/* As str() and repr() write it, and json.dumps. */
bool hone_tpl_write_value(tpl_run *r, tpl_output *out, const tpl_value *v);
bool hone_tpl_write_repr(tpl_run *r, tpl_output *out, const tpl_value *v);
typedef struct tpl_json_style {
    int indent; /* < 0: on one line */
    bool ascii, sorted;
    const tpl_string *item, *key; /* separators; NULL: the usual ones */
} tpl_json_style;
bool hone_tpl_write_json(tpl_run *r, tpl_output *out, const tpl_value *v, const tpl_json_style *style);
tpl_value hone_tpl_written(tpl_run *r, const tpl_output *out);
/* str(v) */
const tpl_string *hone_tpl_string(tpl_run *r, const tpl_value *v);
/* From JSON; texts in it are from outside, but for roles, and for `…_token` at the top. */
tpl_value hone_tpl_from_json(tpl_run *r, const char *json, size_t size);

/* what can be called: template_filters.c, template_methods.c */
tpl_value hone_tpl_filter(tpl_run *r, const char *name, tpl_value v, const tpl_args *args);
bool hone_tpl_test(tpl_run *r, const char *name, tpl_value v, const tpl_args *args);
tpl_value hone_tpl_method_of(tpl_run *r, tpl_value self, const char *name, size_t size); /* undefined: none */
tpl_value hone_tpl_call_method(tpl_run *r, const tpl_method *m, const tpl_args *args);
extern const tpl_function hone_tpl_functions[];
/* An argument by place or name; NULL: it is not there. */
const tpl_value *hone_tpl_argument(const tpl_args *args, size_t place, const char *name);
tpl_value hone_tpl_call(tpl_run *r, tpl_value callee, const tpl_args *args);

/* expressions: template_eval.c */
tpl_value hone_tpl_eval(tpl_run *r, const tpl_node *n);
tpl_value hone_tpl_item(tpl_run *r, tpl_value v, tpl_value key);
tpl_value hone_tpl_attribute(tpl_run *r, tpl_value v, const char *name, size_t size);
tpl_value hone_tpl_binary(tpl_run *r, char sign, tpl_value a, tpl_value b);
bool hone_tpl_evaluate_args(tpl_run *r, const tpl_node *n, tpl_args *out);
/* statements: template_run.c */
bool hone_tpl_run_all(tpl_run *r, const tpl_node *body);
tpl_value hone_tpl_call_macro(tpl_run *r, const tpl_macro *m, const tpl_args *args);
tpl_value hone_tpl_call_loop(tpl_run *r, tpl_loop *loop, const tpl_args *args);

#endif
