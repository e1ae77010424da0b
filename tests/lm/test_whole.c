/* A language model for whole texts: the logits of all places are those of the model with its past. */
#include "graph/adapter.h"
#include "lm/small.h"

static hone_error err;

enum { TEXTS = 2, LENGTH = 40 };

static void test_whole_texts(void **state) {
    (void)state;
    hone_graph *g = small_graph(false);
    const hone_tensor *result;
    check_ok(hone_lm_forget_past(g, &err));
    assert_int_equal(g->input_count, 1);
    assert_int_equal(g->output_count, 1);
    assert_string_equal(hone_graph_metadata(g, "hone.objective"), "next-token");
    hone_tensor *ids = tensor_make(HONE_INT64, SHAPE(TEXTS, LENGTH));
    for (int i = 0; i < TEXTS * LENGTH; i++) ((int64_t *)ids->data)[i] = (i * 31 + i * i) % VOCABULARY;
    runner r = runner_make(g, NULL, 1);
    runner_run(&r, &ids, &result);
    hone_lm *m = small_lm(false, LENGTH, 1);
    hone_lm_sequence *s = small_sequence(m);
    for (int t = 0; t < TEXTS; t++)
        for (int n = 1; n <= LENGTH; n++) {
            int32_t text[LENGTH];
            const float *logits, *whole = (const float *)result->data + (t * LENGTH + n - 1) * VOCABULARY;
            for (int i = 0; i < n; i++) text[i] = (int32_t)((const int64_t *)ids->data)[t * LENGTH + i];
            check_ok(hone_lm_feed(s, text, (size_t)n, &logits, &err));
            for (int i = 0; i < VOCABULARY; i++)
                assert_true(fabsf(logits[i] - whole[i]) <= 2e-5f * (1 + fabsf(whole[i])));
        }
    hone_lm_sequence_free(s);
    hone_lm_free(m);
    runner_free(&r);
    hone_tensor_free(ids);
    hone_graph_free(g);
}

/* Without a past and with one again: the same inputs, outputs and logits. */
static void test_there_and_back(void **state) {
    (void)state;
    hone_graph *g = small_graph(false), *was = small_graph(false);
    check_ok(hone_lm_forget_past(g, &err));
    check_ok(hone_lm_recall_past(g, &err));
    assert_int_equal(g->input_count, was->input_count);
    assert_int_equal(g->output_count, was->output_count);
    for (size_t i = 0; i < g->input_count; i++) {
        const hone_value *v = hone_graph_find(was, g->inputs[i]->name);
        assert_true(v && v->storage == HONE_STORAGE_INPUT && v->type.rank == g->inputs[i]->type.rank);
        assert_int_equal(
            v->type.dims[v->type.rank - 1] < 0 ? 0 : v->type.dims[v->type.rank - 1],
            g->inputs[i]->type.dims[v->type.rank - 1] < 0 ? 0 : g->inputs[i]->type.dims[v->type.rank - 1]);
    }
    for (size_t i = 0; i < g->output_count; i++)
        assert_string_equal(g->outputs[i]->name, was->outputs[i]->name);
    hone_graph_free(was);
    hone_lm_options o = HONE_LM_OPTIONS_INIT;
    hone_lm *back = NULL, *m = small_lm(false, LENGTH, 1);
    hone_lm_sequence *s = small_sequence(m), *again;
    const float *a, *b;
    int32_t text[LENGTH];
    for (int i = 0; i < LENGTH; i++) text[i] = i * 7 % VOCABULARY;
    o.context = LENGTH;
    check_ok(hone_lm_create(g, &o, &back, &err));
    again = small_sequence(back);
    for (size_t n = 20; n <= LENGTH; n += 20) {
        check_ok(hone_lm_feed(s, text, n, &a, &err));
        check_ok(hone_lm_feed(again, text, n, &b, &err));
        assert_memory_equal(a, b, VOCABULARY * sizeof *a);
    }
    hone_lm_sequence_free(s);
    hone_lm_sequence_free(again);
    hone_lm_free(m);
    hone_lm_free(back);
}

/* An adapter beside all products, the last one, too: the logits of all places at once are those of each as the last one. */
static void test_adapted(void **state) {
    (void)state;
    hone_graph *g = small_graph(true);
    hone_lm *m = NULL;
    int count;
    hone_lm_options o = HONE_LM_OPTIONS_INIT;
    check_ok(hone_graph_add_adapter(g, 2, 4, 1, NULL, NULL, &count, &err));
    assert_int_equal(count, 7 * LAYERS + 1);
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        for (int64_t k = 0; v && strstr(v->name, "lora_B") && k < v->data->count; k++)
            ((float *)v->data->data)[k] = (float)(k % 7 - 3) / 10;
    }
    hone_graph *form = NULL;
    hone_lm_form about;
    check_ok(hone_graph_copy(g, &form, &err));
    check_ok(hone_lm_form_look(form, &about, &err));
    check_ok(hone_lm_form_make(form, 2, &err));
    check_ok(hone_graph_infer(form, &err)); /* logits of the wanted rows alone */
    assert_int_equal(form->outputs[0]->type.dims[1], form->inputs[HONE_LM_ROWS]->type.dims[0]);
    hone_graph_free(form);
    o.context = LENGTH;
    check_ok(hone_lm_create(g, &o, &m, &err));
    hone_lm_sequence *s = small_sequence(m), *again = small_sequence(m);
    int32_t text[LENGTH];
    double scores[LENGTH];
    for (int i = 0; i < LENGTH; i++) text[i] = i * 7 % VOCABULARY;
    check_ok(hone_lm_score(s, text, LENGTH, 1, scores, &err));
    for (size_t n = 1; n < LENGTH; n++) {
        const float *logits;
        check_ok(hone_lm_feed(again, text, n, &logits, &err));
        assert_true(fabs(hone_lm_log_probability(logits, VOCABULARY, text[n]) - scores[n - 1]) < 1e-4);
    }
    hone_lm_sequence_free(s);
    hone_lm_sequence_free(again);
    hone_lm_free(m);
}

static void refuses(hone_status status, const char *word) {
    assert_int_equal(status, HONE_UNSUPPORTED);
    assert_non_null(strstr(err.message, word));
}

static void test_what_is_refused(void **state) {
    (void)state;
    hone_graph *g = small_graph(false);
    const hone_type mask = hone_type_make(HONE_INT64, 1, (int64_t[]){1});
    hone_graph_add_input(g, "attention_mask", &mask);
    refuses(hone_lm_forget_past(g, &err), "attention_mask");
    hone_graph_free(g);
    g = hone_graph_new("empty");
    refuses(hone_lm_forget_past(g, &err), "no causal language model");
    refuses(hone_lm_recall_past(g, &err), "no language model");
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole_texts),
                                       cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_adapted),
                                       cmocka_unit_test(test_what_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
