/* Configurations that come over gRPC. */
#include "serve/tfs/tfs_admin.h"
#include "serve/tfs/tfs_grpc.h"
#include "serve/tfs_calls.h"

static int setup(void **state) {
    static fixture f;
    fixture_open(&f);
    assert_int_equal(hone_tfs_grpc_register(&f.grpc, &f.front, NULL), HONE_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture_close(*state);
    return 0;
}

static size_t begin_model(hone_buffer *b, const char *name, const char *path) {
    size_t model = hone_wire_begin(b, 1);
    hone_wire_put_text(b, 1, name);
    hone_wire_put_text(b, 2, path);
    return model;
}

static void reads_configurations(void **state) {
    (void)state;
    hone_buffer b = {0};
    size_t list = hone_wire_begin(&b, 1), model = begin_model(&b, "a", "/models/a");
    hone_wire_put_text(&b, 4, "onnx");
    size_t policy = hone_wire_begin(&b, 7), specific = hone_wire_begin(&b, 102);
    hone_wire_put_number(&b, 1, 5);
    size_t packed = hone_wire_begin(&b, 1);
    hone_wire_put_varint(&b, 6);
    hone_wire_put_varint(&b, 700);
    hone_wire_end(&b, packed);
    hone_wire_end(&b, specific);
    hone_wire_end(&b, policy);
    size_t label = hone_wire_begin(&b, 8);
    hone_wire_put_text(&b, 1, "stable");
    hone_wire_put_number(&b, 2, 6);
    hone_wire_end(&b, label);
    hone_wire_end(&b, model);
    model = begin_model(&b, "b", "/models/b");
    policy = hone_wire_begin(&b, 7);
    size_t latest = hone_wire_begin(&b, 100);
    hone_wire_put_number(&b, 1, 2);
    hone_wire_end(&b, latest);
    hone_wire_end(&b, policy);
    hone_wire_end(&b, model);
    model = begin_model(&b, "c", "/models/c");
    policy = hone_wire_begin(&b, 7);
    hone_wire_put_bytes(&b, 101, "", 0);
    hone_wire_end(&b, policy);
    hone_wire_end(&b, model);
    hone_wire_end(&b, list);
    hone_model_set set;
    hone_error err = {0};
    if (hone_tfs_read_config((const uint8_t *)b.data, b.size, &set, &err) != HONE_OK)
        fail_msg("%s", err.message);
    assert_int_equal(set.count, 3);
    const hone_model_source *m = set.entries;
    assert_string_equal(m[0].name, "a");
    assert_string_equal(m[0].base_path, "/models/a");
    assert_int_equal(m[0].policy.kind, HONE_POLICY_SPECIFIC);
    assert_int_equal(m[0].policy.version_count, 3);
    assert_int_equal(m[0].policy.versions[2], 700);
    assert_int_equal(m[0].label_count, 1);
    assert_string_equal(m[0].labels[0].name, "stable");
    assert_int_equal(m[0].labels[0].version, 6);
    assert_int_equal(m[1].policy.kind, HONE_POLICY_LATEST);
    assert_int_equal(m[1].policy.latest, 2);
    assert_int_equal(m[2].policy.kind, HONE_POLICY_ALL);
    hone_model_set_free(&set);
    /* No prefix of it leaks or crashes. */
    for (size_t n = 0; n < b.size; n++) {
        hone_status status = hone_tfs_read_config((const uint8_t *)b.data, n, &set, NULL);
        assert_true(status != HONE_OK);
        hone_model_set_free(&set);
    }
    hone_buffer_free(&b);
}

static void refuses_bad_configurations(void **state) {
    hone_buffer b = {0};
    size_t config = hone_wire_begin(&b, 1), list = hone_wire_begin(&b, 1),
           model = begin_model(&b, "../a", "/x");
    hone_wire_end(&b, model);
    hone_wire_end(&b, list);
    hone_wire_end(&b, config);
    for (int i = 0; i < 2; i++) { /* a bad name, then no list at all */
        answer a = call(*state, MODELS "HandleReloadConfigRequest", &b);
        assert_int_equal(answer_code(&a), 0); /* the error stands in the answer */
        hone_wire_field status = field(hone_wire_of(a.body.data, a.body.size), 1);
        assert_int_equal(field(hone_wire_into(&status), 1).value, 3);
        assert_true(field(hone_wire_into(&status), 2).size > 10);
        answer_free(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_configurations),
                                       cmocka_unit_test(refuses_bad_configurations)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
