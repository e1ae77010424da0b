/* The rows of rewrites.c: each pattern is built as a graph, in all of its alternatives and with its operands in both
 * orders; it must match, must not when somebody else reads what is inside, and must compute the same afterwards.
 * docs/rewrites.md is made of the rows: compared here, and written when called with --write. */
#include "graph/rewrite.h"

#include "base/file.h"
#include "graph/autodiff.h"
#include "ops/example.h"

#include <ctype.h>

#define DOCUMENT HONE_SOURCE_DIR "/docs/rewrites.md"

/* All names but that of row `row`. */
static const char *all_but(int row, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; hone_rewrite_at(i); i++)
        if (i != row)
            used +=
                (size_t)snprintf(text + used, size - used, "%s%s", used ? "," : "", hone_rewrite_at(i)->name);
    assert_true(used < size);
    return text;
}

/* --- one graph --- */

typedef struct variant {
    int row, form;
    uint32_t choices;
    bool swapped;
} variant;

static const hone_patterns *patterns_of(int row) {
    const hone_patterns *p = NULL;
    hone_error err;
    check_ok(hone_rewrite_patterns(row, &p, &err));
    return p;
}

/* Builds it; false if these alternatives make no sense with this example (`must` fails the test then), or are those of
 * another variant: a choice that is never reached. */
static bool build(const variant *v, const char *text, bool must, example *e) {
    uint32_t seen;
    hone_error err = {0};
    *e = (example){.g = hone_graph_new("example")};
    e->match = (hone_match){.graph = e->g, .patterns = patterns_of(v->row)};
    example_read(e, text);
    e->end = hone_pattern_emit(&e->match, v->form, e->real, v->choices, v->swapped, &seen);
    bool other = (v->choices & ~seen) != 0;
    if (!other) {
        hone_graph_add_output(e->g, e->end);
        if (hone_graph_check(e->g, &err) == HONE_OK && hone_graph_infer(e->g, &err) == HONE_OK) return true;
        if (must)
            fail_msg("%s, form %d, choices %x, \"%s\": %s: %s", hone_rewrite_at(v->row)->name, v->form,
                     v->choices, text, err.node, err.message);
    }
    example_free(e);
    return false;
}

static bool matches(const variant *v, example *e) {
    hone_match m;
    return hone_pattern_match(e->match.patterns, v->form, e->g, e->end->producer,
                              hone_rewrite_at(v->row)->check, &m);
}

static void fail_variant(const variant *v, const char *text, const char *what) {
    fail_msg("%s, form %d, choices %x, %s, \"%s\": %s", hone_rewrite_at(v->row)->name, v->form, v->choices,
             v->swapped ? "swapped" : "as written", text, what);
}

/* Every inner node is private to the match unless its call has a ~. */
static void check_privacy(const variant *v, const char *text, example *e) {
    for (int i = 0; i < e->match.node_count; i++) {
        hone_node *n = e->match.node[i];
        if (n == e->end->producer || e->match.shared[i]) continue;
        hone_graph_add_output(e->g, n->outputs[0]);
        if (matches(v, e)) fail_variant(v, text, "matches over an output of the graph");
        e->g->output_count--;
        hone_value *in[] = {n->outputs[0]};
        hone_node *reader = hone_graph_add_node(e->g, e->match.node[0]->op, "reader", 1, in, 1);
        if (matches(v, e)) fail_variant(v, text, "matches although others read what is inside");
        hone_graph_remove_node(e->g, reader);
        assert_true(matches(v, e));
    }
}

/* The row alone does something, and nothing else. */
static void check_rewriting(const variant *v, const char *text, const example *e) {
    char disabled[4000];
    hone_graph *copy = NULL;
    hone_error err;
    check_ok(hone_graph_copy(e->g, &copy, &err));
    hone_graph_rename(copy, copy->outputs[0], "the output");
    hone_node *root = copy->outputs[0]->producer;
    check_ok(hone_graph_rewrite(copy, all_but(v->row, disabled, sizeof disabled), &err));
    for (const hone_node *n = copy->first; n; n = n->next)
        if (n == root) fail_variant(v, text, "matches, but nothing is replaced");
    assert_ptr_equal(hone_graph_find(copy, "the output"), copy->outputs[0]);
    hone_graph_free(copy);
}

static double largest_difference(const hone_tensor *a, const hone_tensor *b) {
    double most = 0;
    assert_true(same_shape(a, b));
    for (int64_t i = 0; i < a->count; i++) {
        double x = tensor_at(a, i), y = tensor_at(b, i), d = fabs(x - y) / (1 + fabs(y));
        if (!(d <= most)) most = d;
    }
    return most;
}

static void check_result(const variant *v, const char *text, const example *e) {
    char disabled[4000], what[80];
    double bound = hone_rewrite_at(v->row)->tolerance > 0 ? (double)hone_rewrite_at(v->row)->tolerance : 1e-5;
    hone_tensor *plain, *fused;
    graph_run(e->g, "all", e->data, &plain, 1);
    for (int all = 0; all < 2; all++) {
        graph_run(e->g, all ? NULL : all_but(v->row, disabled, sizeof disabled), e->data, &fused, 1);
        double d = largest_difference(fused, plain);
        snprintf(what, sizeof what, "differs by %.3g%s", d, all ? " with all other rewrites" : "");
        if (!(d <= bound)) fail_variant(v, text, what);
        hone_tensor_free(fused);
    }
    hone_tensor_free(plain);
}

/* The gradients of half the sum of squares to all inputs, of the graph rewritten by this row, or as it is. */
static int run_gradients(const variant *v, const example *e, bool rewritten, hone_tensor **out) {
    char disabled[4000];
    hone_graph *g = NULL;
    hone_error err;
    hone_value *wanted[EXAMPLE_INPUTS], *gradients[EXAMPLE_INPUTS];
    int count = 0;
    check_ok(hone_graph_copy(e->g, &g, &err));
    check_ok(hone_graph_infer(g, &err));
    if (rewritten) check_ok(hone_graph_rewrite(g, all_but(v->row, disabled, sizeof disabled), &err));
    for (size_t i = 0; i < g->input_count; i++)
        if (g->inputs[i]->use_count) wanted[count++] = g->inputs[i];
    check_ok(hone_graph_differentiate(g, 1, &g->outputs[0], &g->outputs[0], count, wanted, gradients, &err));
    g->output_count = 0;
    for (int i = 0; i < count; i++) hone_graph_add_output(g, gradients[i]);
    graph_run(g, "all", e->data, out, count);
    hone_graph_free(g);
    return count;
}

/* Training starts from canonical forms: they have gradients, and those of what they replace. */
static void check_gradients(const variant *v, const char *text, const example *e) {
    hone_tensor *plain[EXAMPLE_INPUTS], *canonical[EXAMPLE_INPUTS];
    char what[80];
    int count = run_gradients(v, e, false, plain);
    assert_int_equal(run_gradients(v, e, true, canonical), count);
    for (int i = 0; i < count; i++) {
        double d = largest_difference(canonical[i], plain[i]);
        snprintf(what, sizeof what, "gradient %d differs by %.3g", i, d);
        if (!(d <= 1e-4)) fail_variant(v, text, what);
        hone_tensor_free(plain[i]);
        hone_tensor_free(canonical[i]);
    }
    if (!count) fail_variant(v, text, "no gradient");
}

/* --- all of them --- */

/* Calls `visit` for each form, combination of alternatives and order of operands; gives how often. */
static int each_variant(int row, const char *text, int (*visit)(const variant *v, const char *text)) {
    const hone_rewrite *r = hone_rewrite_at(row);
    int count = 0;
    for (int form = 0; form < HONE_REWRITE_FORMS && r->match[form]; form++)
        for (uint32_t choices = 0; choices < 1u << hone_pattern_choices(patterns_of(row), form); choices++)
            for (int swapped = 0; swapped < 2; swapped++)
                count += visit(&(variant){row, form, choices, swapped}, text);
    return count;
}

static int check_example(const variant *v, const char *text) {
    example e;
    if (!build(v, text, true, &e)) return 0;
    if (!matches(v, &e)) fail_variant(v, text, "does not match");
    check_privacy(v, text, &e);
    check_rewriting(v, text, &e);
    check_result(v, text, &e);
    if (hone_rewrite_at(v->row)->stage == HONE_STAGE_CANONICAL) check_gradients(v, text, &e);
    example_free(&e);
    return 1;
}

static int check_counterexample(const variant *v, const char *text) {
    example e;
    if (!build(v, text, false, &e)) return 0;
    bool reads_all = true;
    for (size_t i = 0; i < e.named_count; i++) reads_all &= e.named[i]->use_count > 0;
    if (reads_all && matches(v, &e)) fail_variant(v, text, "should not match");
    example_free(&e);
    return reads_all;
}

static void test_examples(void **state) {
    (void)state;
    for (int row = 0; hone_rewrite_at(row); row++) {
        const hone_rewrite *r = hone_rewrite_at(row);
        if (r->run) continue;
        if (!r->example[0]) fail_msg("%s has no example", r->name);
        for (int i = 0; i < HONE_REWRITE_EXAMPLES && r->example[i]; i++) {
            int graphs = each_variant(row, r->example[i], check_example);
            if (!graphs) fail_msg("%s: no graph of \"%s\"", r->name, r->example[i]);
            print_message("%s: %d graphs\n", r->name, graphs);
        }
    }
}

static void test_counterexamples(void **state) {
    (void)state;
    for (int row = 0; hone_rewrite_at(row); row++) {
        const hone_rewrite *r = hone_rewrite_at(row);
        if (r->check && !r->counterexample[0]) fail_msg("%s has a check, but no counterexample", r->name);
        for (int i = 0; i < HONE_REWRITE_EXAMPLES && r->counterexample[i]; i++)
            if (!each_variant(row, r->counterexample[i], check_counterexample))
                fail_msg("%s: no graph of \"%s\"", r->name, r->counterexample[i]);
    }
}

static void test_rows(void **state) {
    (void)state;
    int stage = 0;
    for (int row = 0; hone_rewrite_at(row); row++) {
        const hone_rewrite *r = hone_rewrite_at(row);
        if ((int)r->stage < stage) fail_msg("%s stands behind a later stage", r->name);
        stage = (int)r->stage;
        if (!r->doc) fail_msg("%s says nothing of itself", r->name);
        if (r->match[0] ? r->run || !r->replace == !r->build : !r->run || r->replace || r->build || r->check)
            fail_msg("%s: patterns and what replaces them, or a function", r->name);
    }
}

/* --- the document --- */

/* Each definition on a line of its own. */
static void print_pattern(FILE *f, const char *pattern) {
    const char *where = strstr(pattern, " where ");
    int depth = 0;
    if (!where) where = pattern + strlen(pattern);
    fprintf(f, "%.*s", (int)(where - pattern), pattern);
    if (*where) fprintf(f, "\n  where ");
    for (const char *c = *where ? where + strlen(" where ") : where; *c; c++) {
        depth += (*c == '(') - (*c == ')');
        if (*c == ',' && depth == 0 && c[1] == ' ')
            fprintf(f, ",\n       ");
        else
            fputc(*c, f);
    }
    fputc('\n', f);
}

static void print_row(FILE *f, const hone_rewrite *r) {
    fprintf(f, "\n### %s\n\n%c%s%s\n", r->name, toupper((unsigned char)r->doc[0]), r->doc + 1,
            r->match[0] ? ":" : ".");
    if (!r->match[0]) return;
    fprintf(f, "\n```\n");
    for (int i = 0; i < HONE_REWRITE_FORMS && r->match[i]; i++) print_pattern(f, r->match[i]);
    if (r->replace) fprintf(f, "  ⇒  %s\n", r->replace);
    fprintf(f, "```\n");
}

static char *generate(void) {
    static const char *const titles[HONE_STAGE_COUNT] = {
        "Canonical forms\n\nOne operator for what exporters write as several. Training starts from here.",
        "Lowering\n\nForms for running.",
        "Weights\n\nConstants go into weights. Quantizing starts from here.", "Layout",
        "Fusion\n\nSeveral nodes as one step."};
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    fprintf(
        f, "# Rewrites\n\nMade of the rows of `src/ops/rewrites/rewrites.c` by `ops_test_rewrites --write`; "
           "a test "
           "compares. The stages run in this order; each rewrite can be switched off by its name "
           "(`hone_model_options.disable_rewrites`). The language of the patterns: `src/graph/pattern.h`.\n");
    for (int stage = 0; stage < HONE_STAGE_COUNT; stage++) {
        bool any = false;
        for (int i = 0; hone_rewrite_at(i); i++) {
            if ((int)hone_rewrite_at(i)->stage != stage) continue;
            if (!any) fprintf(f, "\n## %s\n", titles[stage]);
            any = true;
            print_row(f, hone_rewrite_at(i));
        }
    }
    fclose(f);
    return text;
}

static void test_document(void **state) {
    (void)state;
    hone_blob blob;
    char *text = generate();
    assert_int_equal(hone_file_read(DOCUMENT, 0, &blob, NULL), HONE_OK);
    assert_int_equal(blob.size, strlen(text));
    assert_memory_equal(blob.data, text, blob.size);
    hone_blob_free(&blob);
    free(text);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--write") == 0) {
        char *text = generate();
        bool ok = hone_file_replace(DOCUMENT, text, strlen(text), NULL) == HONE_OK;
        free(text);
        return ok ? 0 : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_counterexamples),
        cmocka_unit_test(test_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
