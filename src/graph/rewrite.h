/* Rewrites and the driver that runs them. A rewrite is a row: patterns that are looked for and what replaces them, or,
 * where a walk over the whole graph is needed, a function. The list of rows stands in ops/rewrites/rewrites.c, so that
 * the compiler (src/runtime) names no operator; docs/rewrites.md is made of it. */
#ifndef HONE_GRAPH_REWRITE_H
#define HONE_GRAPH_REWRITE_H

#include "graph/pattern.h"

/* In the order in which the compiler runs them. */
typedef enum hone_stage {
    HONE_STAGE_CANONICAL, /* one operator for what exporters write as several. A model stays one that files can say and
                             that can be trained: training starts from here */
    HONE_STAGE_LOWER, /* forms for running: quantized products */
    HONE_STAGE_WEIGHTS, /* constants go into weights. What was a model that files can say stays one: quantizing starts from
                           here */
    HONE_STAGE_LAYOUT, /* how tensors lie in memory */
    HONE_STAGE_FUSE,   /* several nodes as one step */
    HONE_STAGE_COUNT
} hone_stage;

#define HONE_REWRITE_FORMS 8
#define HONE_REWRITE_EXAMPLES 6

typedef struct hone_rewrite {
    const char *name; /* "fuse-elementwise": how it is switched off */
    hone_stage stage;
    const char *match[HONE_REWRITE_FORMS]; /* patterns (graph/pattern.h), tried in this order; none: `run` */
    const char *replace;                   /* the pattern that replaces a match, or */
    /* emits what replaces it, before the match's root, and gives the value that takes over; NULL: nothing is replaced
     * after all. Memory that runs out is remembered by the graph. */
    hone_value *(*build)(hone_match *m);
    hone_match_check *check; /* may be NULL */
    /* Instead of patterns: changes the graph, whose types are inferred; adds the number of changes to *changes. */
    hone_status (*run)(hone_graph *g, int *changes, hone_error *err);

    /* For the generic test, which builds each pattern as a graph, runs it with and without the rewrite, and compares.
     * What the names of the patterns stand for:
     *
     *   x: f32[batch, 3]     an input with random content in [-1, 1) (integers: of the whole range); `batch` is a symbol
     *   v: f32[3] > 0        a positive one
     *   w: const f32[3, 4]   a random constant
     *   s = 0.5              a constant of rank 0, float32 or as in  z = u8 128
     *   axes = [-1]          an int64 list
     *
     * A row with patterns has an example at least, one with a check also a counterexample: what does not match in any
     * alternative that reads all of its names. */
    const char *example[HONE_REWRITE_EXAMPLES], *counterexample[HONE_REWRITE_EXAMPLES];
    float tolerance; /* |fused - unfused| <= tolerance (1 + |unfused|); 0: 1e-5 */
    const char *doc;
} hone_rewrite;

/* A list of rewrites: at(0) … by stage, and in the order in which they run, until NULL. */
typedef const hone_rewrite *hone_rewrite_list(int index);
/* The list of those that the compiler runs. Defined by the operators' room. */
hone_rewrite_list hone_rewrite_at;

/* Runs all rewrites of all stages but those named in `disabled` ("a,b", "all", or NULL). HONE_INVALID_ARGUMENT
 * names a rewrite in `disabled` that does not exist. The graph is sorted, and its types are inferred; so they are
 * afterwards. */
hone_status hone_graph_rewrite(hone_graph *g, const char *disabled, hone_error *err);
/* The rewrites of one stage.
 *
 * Neighbouring rows with patterns are tried together: a sweep visits each node once, from the last to the first, so that
 * larger matches come before those inside of them, and tries the rows whose patterns can end there, in their order. Sweeps
 * follow each other until nothing more matches; types are inferred in between. HONE_INTERNAL: there is no end to it. */
hone_status hone_graph_rewrite_stage(hone_graph *g, hone_stage stage, const char *disabled, hone_error *err);

/* The parsed patterns of row `index` of hone_rewrite_at; NULL for one without. They live as long as the process. */
hone_status hone_rewrite_patterns(int index, const hone_patterns **out, hone_error *err);

/* --- with a list of one's own, as tests do --- */

/* A list with its patterns parsed, and for each operator the rows that can end at it. */
typedef struct hone_rewrites hone_rewrites;
hone_status hone_rewrites_new(hone_rewrite_list *at, hone_rewrites **out, hone_error *err);
void hone_rewrites_free(hone_rewrites *r);
hone_status hone_rewrites_run(const hone_rewrites *r, hone_graph *g, hone_stage stage, const char *disabled,
                              hone_error *err);

#endif
