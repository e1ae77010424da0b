/* Adapters in files: what is written is read again, numbers of half precision too, and what does not fit is refused by name. */
#include "base/file.h"
#include "graph/adapter.h"
#include "import/safetensors.h"
#include "support/files.h"
#include "support/graphs.h"

#include <hone/adapter.h>

static hone_error err;

enum { IN = 3, OUT = 2, RANK = 2 };

/* y = x W, with a weight called a.b.weight */
static hone_graph *model(void) {
    hone_graph *g = hone_graph_new("model");
    const hone_type type = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){1, IN});
    hone_tensor *w = tensor_make(HONE_FLOAT32, SHAPE(IN, OUT));
    for (int i = 0; i < IN * OUT; i++) ((float *)w->data)[i] = (float)i;
    hone_graph_add_output(g, HONE_EMIT(g, "", "MatMul", hone_graph_add_input(g, "x", &type),
                                       hone_graph_add_constant(g, "a.b.weight", w)));
    hone_tensor_free(w);
    check_ok(hone_graph_check(g, &err));
    return g;
}

static hone_graph *adapted(void) {
    hone_graph *g = model();
    int count;
    check_ok(hone_graph_add_adapter(g, RANK, 6, 1, NULL, NULL, &count, &err));
    hone_tensor *b = hone_graph_find(g, "a.b.lora_B.weight")->data;
    for (int i = 0; i < OUT * RANK; i++) ((float *)b->data)[i] = (float)(i + 1);
    return g;
}

static const float *factor_of(const hone_graph *g, const char *name) {
    return hone_graph_find(g, name)->data->data;
}

static void test_round_trip(void **state) {
    (void)state;
    hone_graph *from = adapted(), *to = model();
    const char *dir = test_path("adapter");
    check_ok(hone_adapter_save(from, dir, "base", &err));
    check_ok(hone_adapter_load(to, dir, &err));
    assert_int_equal(hone_adapter_count(to), 1);
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "a.b.lora_B.weight" : "a.b.lora_A.weight";
        const size_t bytes = (k ? OUT : IN) * RANK * sizeof(float);
        assert_memory_equal(factor_of(to, name), factor_of(from, name), bytes);
    }
    hone_adapter_branch b;
    assert_true(hone_adapter_branch_of(to->outputs[0]->producer, &b));
    assert_true(b.scale == 3); /* alpha / rank */
    hone_graph_free(from);
    hone_graph_free(to);
}

#define A                                                                                                    \
    "\"base_model.model.a.b.lora_A.weight\": {\"dtype\": \"F16\", \"shape\": [1, 3], \"data_offsets\": [0, " \
    "6]}"
#define B                                                                                                    \
    "\"base_model.model.a.b.lora_B.weight\": {\"dtype\": \"BF16\", \"shape\": [2, 1], \"data_offsets\": "    \
    "[6, 10]}"
#define CONFIG "{\"peft_type\": \"LORA\", \"r\": 1, \"lora_alpha\": 4"

/* A directory of that config and that header, with 64 bytes of ones in halves behind it. */
static hone_status load(const char *config, const char *header, hone_graph *g) {
    const char *dir = test_path("given");
    char path[256];
    uint8_t file[2048] = {0};
    const uint64_t n = strlen(header);
    memcpy(file, &n, 8);
    memcpy(file + 8, header, n);
    for (int i = 0; i < 32; i++) memcpy(file + 8 + n + 2 * i, &(uint16_t){0x3c00}, 2);
    check_ok(hone_dir_make(dir, &err));
    hone_path_join(path, sizeof path, dir, "adapter_config.json");
    check_ok(hone_file_replace(path, config, strlen(config), &err));
    hone_path_join(path, sizeof path, dir, "adapter_model.safetensors");
    check_ok(hone_file_replace(path, file, 8 + n + 64, &err));
    return hone_adapter_load(g, dir, &err);
}

static float loaded_scale(const char *config) {
    hone_graph *g = model();
    hone_adapter_branch b;
    check_ok(load(config, "{" A ", " B "}", g));
    assert_true(hone_adapter_branch_of(g->outputs[0]->producer, &b));
    assert_true(((const float *)b.a->data->data)[2] == 1);
    assert_true(((const float *)b.b->data->data)[1] == 0.0078125f); /* 0x3c00 as bfloat16 */
    hone_graph_free(g);
    return b.scale;
}

static void test_halves_and_scales(void **state) {
    (void)state;
    assert_true(loaded_scale(CONFIG "}") == 4);
    assert_true(loaded_scale(CONFIG ", \"use_rslora\": true}") == 4); /* of rank 1 */
    assert_true(loaded_scale(CONFIG ", \"alpha_pattern\": {\"b\": 7, \"x\": 8}}") == 7);
    assert_true(loaded_scale(CONFIG ", \"alpha_pattern\": {\"c.b\": 7}}") == 4);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *config, *header, *message;
        hone_status status;
    } cases[] = {
        {"[]", "{}", "no JSON object", HONE_CORRUPT},
        {"{\"peft_type\": \"LOHA\"}", "{}", "peft_type", HONE_UNSUPPORTED},
        {CONFIG ", \"use_dora\": true}", "{}", "use_dora", HONE_UNSUPPORTED},
        {CONFIG ", \"bias\": \"all\"}", "{}", "bias", HONE_UNSUPPORTED},
        {CONFIG ", \"alpha_pattern\": {\"a.*\": 1}}", "{}", "alpha_pattern: a.*", HONE_UNSUPPORTED},
        {"{\"peft_type\": \"LORA\"}", "{}", "r and lora_alpha", HONE_CORRUPT},
        {CONFIG "}", "{}", "no tensors", HONE_CORRUPT},
        {CONFIG "}", "{" A "}", "a.b has a lora_A and no lora_B", HONE_CORRUPT},
        {CONFIG "}", "{" B "}", "a.b.lora_B.weight is for nothing", HONE_NOT_FOUND},
        {CONFIG "}",
         "{" A ", " B ", \"base_model.model.c.lora_A.weight\": {\"dtype\": \"F32\", \"shape\": [1], "
         "\"data_offsets\": [10, 14]}}",
         "c.lora_A.weight is for nothing", HONE_NOT_FOUND},
        {CONFIG "}",
         "{\"base_model.model.a.b.lora_A.weight\": {\"dtype\": \"F16\", \"shape\": [1, 4], \"data_offsets\": "
         "[0, "
         "8]}}",
         "a.b.lora_A.weight is of another shape", HONE_CORRUPT},
        {CONFIG "}",
         "{\"base_model.model.a.b.lora_A.weight\": {\"dtype\": \"I8\", \"shape\": [1, 3], \"data_offsets\": "
         "[0, "
         "3]}}",
         "a.b.lora_A.weight is not of F32", HONE_UNSUPPORTED},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        hone_graph *g = model();
        assert_int_equal(load(cases[i].config, cases[i].header, g), cases[i].status);
        if (!strstr(err.message, cases[i].message))
            fail_msg("\"%s\", not \"%s\"", err.message, cases[i].message);
        assert_non_null(strstr(err.file, "adapter_"));
        hone_graph_free(g);
    }
    hone_graph *g = model();
    assert_int_equal(hone_adapter_save(g, test_path("none"), NULL, &err), HONE_INVALID_ARGUMENT);
    assert_false(hone_file_exists(test_path("none")));
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_halves_and_scales),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
