/* For tests: what is in a graph, as text.
 *
 *      n: Relu x -> y
 *      c: If flag | w -> z      behind the bar what is captured
 *        then_branch:           its nodes, then what it gives
 *          m: Add w, w -> s
 *          gives s */
#ifndef TESTS_ONNX_TELL_H
#define TESTS_ONNX_TELL_H

#include "graph/op.h"

#include <stdio.h>
#include <string.h>

typedef struct tale {
    char text[1 << 14];
    size_t used;
} tale;

static inline void tell_text(tale *t, const char *format, const char *a, const char *b) {
    t->used += (size_t)snprintf(t->text + t->used, sizeof t->text - t->used, format, a, b);
}

static inline void tell_values(tale *t, hone_value *const *values, int count) {
    for (int i = 0; i < count; i++) tell_text(t, "%s%s", i ? ", " : "", values[i] ? values[i]->name : "–");
}

static inline void tell_graph(tale *t, const hone_graph *g, const char *indent);

static inline void tell_subgraphs(tale *t, const hone_node *n, const char *indent) {
    char deeper[64];
    snprintf(deeper, sizeof deeper, "%s    ", indent);
    for (int i = 0; i < n->attr_count; i++)
        for (size_t k = 0; n->attrs[i].graphs && k < n->attrs[i].count; k++) {
            const hone_graph *sub = n->attrs[i].graphs[k];
            tell_text(t, "%s  %s", indent, n->attrs[i].name);
            if (sub->input_count) tell_text(t, " takes %s", "", "");
            tell_values(t, sub->inputs, (int)sub->input_count);
            tell_text(t, ":\n%s%s", "", "");
            tell_graph(t, sub, deeper);
            tell_text(t, "%sgives %s", deeper, "");
            tell_values(t, sub->outputs, (int)sub->output_count);
            tell_text(t, "\n%s%s", "", "");
        }
}

static inline void tell_graph(tale *t, const hone_graph *g, const char *indent) {
    for (const hone_node *n = g->first; n; n = n->next) {
        tell_text(t, "%s%s: ", indent, n->name);
        tell_text(t, "%s%s", n->op->name, n->capture_first ? " " : "");
        tell_values(t, n->inputs, n->capture_first);
        if (n->capture_first < n->input_count) tell_text(t, " | %s", "", "");
        tell_values(t, n->inputs + n->capture_first, n->input_count - n->capture_first);
        tell_text(t, " -> %s", "", "");
        tell_values(t, n->outputs, n->output_count);
        tell_text(t, "\n%s%s", "", "");
        tell_subgraphs(t, n, indent);
    }
}

/* Until the next call. */
static inline const char *tell(const hone_graph *g) {
    static tale t;
    t.used = 0;
    t.text[0] = 0;
    tell_graph(&t, g, "");
    return t.text;
}

#endif
