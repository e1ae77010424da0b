/* Patterns: what a piece of a graph looks like, said as text, and the matching of them. Rewrites are made of them
 * (graph/rewrite.h).
 *
 *   Mul(n, g) where n = Div(d, Sqrt(Add(ReduceMean(Pow(d, 2), axes), eps))), d = Sub(x, ReduceMean(x, axes))
 *
 *   pattern    term [where name = term, name = term, …]
 *   term       one | other | …       any of them, tried in this order
 *   one of
 *     Op(term, …; attributes)        output 0 of a node of that operator; domain.Op where it is not ONNX's own
 *     <view>(term), <move>(term)     of any operator whose output 0 is a view of all of its first input; of any that moves
 *                                    elements without looking at them (HONE_QUANTIZE_BITS); whatever its other inputs
 *                                    and its attributes are
 *     name                           any value. The same name stands for the same value all over the pattern, constants
 *                                    of equal content being the same; a name that `where` defines stands for its term
 *     const name                     any constant
 *     name?                          likewise, but the input may be left out
 *     0.5                            a constant of one element, equal up to the rounding of its type
 *     [-1]                           a constant list of integers
 *     (term)
 *   attributes   name=0.5, name=[0, 1], name='text', …
 *
 * Inputs that the pattern does not list must be left out, and attributes that it does not list must have their default
 * values, unless the list of attributes ends in `...`. Operators that commute (hone_op.commutes) match in both orders.
 *
 * What is matched is private to the match: all nodes but the last must have no other readers and give no output of the
 * graph, for they go. A call with a ~ before it (~Transpose(w)) may have other readers, and stays for them.
 *
 * The pattern that replaces a match is a term of the same language without alternatives. Its names are those of the match,
 * its calls become nodes. `name?` is left out where the match left it out. A name as the value of an attribute
 * (epsilon=eps) is the number of that constant: in the patterns that it belongs to such a name matches constants of one
 * element only. Numbers become scalars of the dtype of what is replaced. */
#ifndef HONE_GRAPH_PATTERN_H
#define HONE_GRAPH_PATTERN_H

#include "graph/op.h"

/* The patterns of one rewrite: several forms that are looked for, and the one that replaces them. They share names. */
typedef struct hone_patterns hone_patterns;

#define HONE_MATCH_NAMES 32
#define HONE_MATCH_NODES 32
#define HONE_MATCH_INPUTS 16 /* of one node */

/* A match while it is looked for, and when it is found. */
typedef struct hone_match {
    hone_graph *graph;
    hone_node *root; /* the last node: its output 0 is what gets replaced */
    const hone_patterns *patterns;
    uint32_t bound;                      /* names that have a value, a bit each */
    hone_value *value[HONE_MATCH_NAMES]; /* NULL: left out */
    hone_node *node[HONE_MATCH_NODES];   /* matched by calls; the root first */
    bool shared[HONE_MATCH_NODES];       /* by a call with ~ */
    int node_count;
} hone_match;

/* Says yes to a match that has the right form: types, shapes, contents. Tried for each way to match until one is right,
 * so it must change nothing. */
typedef bool hone_match_check(const hone_match *m);

/* Parses the texts of a rewrite, forms[0 … form_count-1] and `replace` (NULL: the caller builds). HONE_INTERNAL says what
 * is wrong and where. The result lives in the arena. */
hone_status hone_patterns_parse(hone_arena *arena, const char *const *forms, int form_count,
                                const char *replace, hone_patterns **out, hone_error *err);
/* Can the last node of form `form` be of operator `op`? */
bool hone_pattern_starts(const hone_patterns *p, int form, const hone_op *op);
/* Matches form `form` with `root` as its last node; `check` may be NULL. Types of the graph are inferred as far as they
 * can be. True: *m is filled. */
bool hone_pattern_match(const hone_patterns *p, int form, hone_graph *g, hone_node *root,
                        hone_match_check *check, hone_match *m);
/* Emits the replacing pattern before g->insert_before; gives its value, NULL when memory is out (remembered). */
hone_value *hone_pattern_replace(hone_match *m);

/* --- for checks and builders --- */

/* The value of a name; NULL if it was left out, or belongs to an alternative that was not taken. */
hone_value *hone_match_value(const hone_match *m, const char *name);
/* The node that makes it; NULL if there is none. */
hone_node *hone_match_maker(const hone_match *m, const char *name);
/* The content of a constant of one element; NaN if it is none. */
double hone_match_number(const hone_match *m, const char *name);
/* As the content of any value. */
double hone_constant_number(const hone_value *v);

/* --- for tests --- */

/* Gives a name its value, for hone_pattern_emit; false if no pattern has that name. */
bool hone_match_set(hone_match *m, const char *name, hone_value *v);
/* Emits form `form` itself as nodes of m->graph, which then stand in m->node. Names have the values that were set;
 * others that no `where` defines are left out. Numbers become scalars of `dtype`. Bit i of `choices` picks the second
 * term of the i-th |; *seen becomes the set of those that were reached. `swapped`: operators that commute get their
 * operands the other way round. */
hone_value *hone_pattern_emit(hone_match *m, int form, hone_dtype dtype, uint32_t choices, bool swapped,
                              uint32_t *seen);
/* How many | a form has. */
int hone_pattern_choices(const hone_patterns *p, int form);

#endif
