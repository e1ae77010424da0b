/* Mixup and cutmix: what becomes of a batch, and of the loss. */
#include "train/small.h"

#include "train/mix.h"

#include <math.h>

enum { N = 5, C = 2, H = 6, W = 8, SIZE = C * H * W };

static float *values(hone_tensor *t) {
    return t->data;
}

static hone_tensor *numbered(int rank, const int64_t *dims) {
    hone_tensor *t = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, rank, dims, &t, &err));
    for (int64_t i = 0; i < t->count; i++) values(t)[i] = (float)i;
    return t;
}

/* Feeds: x, labels, labels of those mixed in. */
typedef struct batch {
    hone_tensor *tensors[3];
    hone_batch b;
} batch;

static void make_batch(batch *b, int64_t n, int rank, const int64_t *dims, int64_t step) {
    b->tensors[0] = numbered(rank, dims);
    for (int i = 1; i < 3; i++) {
        ok(hone_tensor_new(HONE_INT64, 1, &n, &b->tensors[i], &err));
        for (int64_t k = 0; k < n; k++) ((int64_t *)b->tensors[i]->data)[k] = 10 + k;
    }
    b->b = (hone_batch){.tensors = b->tensors, .n = n, .position = {step / 3, step % 3}};
}

static void free_batch(batch *b) {
    for (int i = 0; i < 3; i++) hone_tensor_free(b->tensors[i]);
}

static void check_labels(const batch *b) {
    const int64_t *own = b->tensors[1]->data, *other = b->tensors[2]->data;
    for (int64_t i = 0; i < b->b.n; i++) assert_true(own[i] == 10 + i && other[i] == 10 + b->b.n - 1 - i);
}

static void test_mixup(void **state) {
    (void)state;
    double sum = 0, squares = 0;
    const int steps = 2000;
    for (int s = 0; s < steps; s++) {
        hone_mixer m = {.mixup = 0.4, .target = 1, .labels = true, .share = 1}, again = m;
        batch a, b;
        make_batch(&a, N, 2, (int64_t[]){N, 3}, s);
        make_batch(&b, N, 2, (int64_t[]){N, 3}, s);
        hone_mixer_mix(&m, 1, &a.b);
        hone_mixer_mix(&again, 1, &b.b);
        assert_true(m.share == again.share && same_tensor(a.tensors[0], b.tensors[0]));
        assert_true(m.share >= 0 && m.share <= 1);
        for (int i = 0; i < N; i++)
            for (int k = 0; k < 3; k++) {
                double wanted = m.share * (3 * i + k) + (1 - m.share) * (3 * (N - 1 - i) + k);
                assert_true(fabs((double)values(a.tensors[0])[3 * i + k] - wanted) < 1e-5);
            }
        check_labels(&a);
        sum += m.share;
        squares += (m.share - 0.5) * (m.share - 0.5);
        free_batch(&a);
        free_batch(&b);
    }
    /* Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2 a + 1)) */
    assert_true(fabs(sum / steps - 0.5) < 0.03);
    assert_true(fabs(squares / steps - 1 / (4 * 1.8)) < 0.01);
}

/* Pixels come from one of two samples, as many from its own as the share says, all channels together. */
static void test_cutmix(void **state) {
    (void)state;
    const int64_t shapes[2][4] = {{N, C, H, W}, {N, H, W, 3}};
    for (int last = 0; last < 2; last++) {
        int channels = last ? 3 : C, cuts = 0, size = channels * H * W;
        for (int s = 0; s < 200; s++) {
            hone_mixer m = {.cutmix = 1, .target = 1, .labels = true, .share = 1};
            batch a;
            make_batch(&a, N, 4, shapes[last], s);
            hone_mixer_mix(&m, 1, &a.b);
            for (int i = 0; i < N; i++) {
                int own = 0;
                for (int k = 0; k < size; k++) {
                    int at = (int)values(a.tensors[0])[i * size + k];
                    assert_true(at == i * size + k || at == (N - 1 - i) * size + k);
                    own += at == i * size + k;
                    bool head = last ? k % 3 == 0 : k < H * W;
                    for (int c = 1; c < channels && head && i != N / 2; c++) {
                        int with = last ? k + c : k + c * H * W;
                        int its = (int)values(a.tensors[0])[i * size + with];
                        assert_true((its == i * size + with) == (at == i * size + k));
                    }
                }
                if (i != N / 2) assert_true(fabs((double)own / size - m.share) < 1e-9);
            }
            check_labels(&a);
            cuts += m.share < 1;
            free_batch(&a);
        }
        assert_in_range(cuts, 180, 200);
    }
}

/* --- the loss --- a step of gradient descent on two samples, against the same in double with soft labels */

enum { F = 4, CLASSES = 3 };

static hone_graph *linear(void) {
    hone_graph *g = hone_graph_new("linear");
    return finished(g, HONE_EMIT(g, "", "MatMul", INPUT(g, F), WEIGHT(g, "w", 5, F, CLASSES)));
}

static void test_loss(void **state) {
    (void)state;
    hone_dataset *data = blobs(2, F, CLASSES, 3);
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.epochs = 1;
    o.batch = 2;
    o.learning_rate = 0.5;
    o.mixup = 1;
    o.threads = 1;
    o.label_smoothing = 0.1;
    hone_graph *g = linear(), *start = linear();
    hone_train_report report;
    ok(hone_train(g, data, &o, &report, &err));
    batch b;
    make_batch(&b, 2, 2, (int64_t[]){2, F}, 0);
    hone_mixer m = {.mixup = 1, .target = 1, .labels = true, .share = 1};
    hone_mixer_mix(&m, o.seed, &b.b); /* the share of the only batch; pairs are the same in any order */
    free_batch(&b);
    float x[2][F];
    int64_t y[2];
    read_x(data, 0, 2, x[0]);
    read_y(data, 0, 2, y);
    const float *w = weight_of(start, "w")->data, *now = weight_of(g, "w")->data;
    double slope[F * CLASSES] = {0}, loss = 0;
    for (int i = 0; i < 2; i++) {
        double z[CLASSES] = {0}, in[F], sum = 0;
        for (int j = 0; j < F; j++) {
            in[j] = m.share * x[i][j] + (1 - m.share) * x[1 - i][j];
            for (int c = 0; c < CLASSES; c++) z[c] += in[j] * w[j * CLASSES + c];
        }
        for (int c = 0; c < CLASSES; c++) sum += exp(z[c]);
        for (int c = 0; c < CLASSES; c++) {
            double soft = m.share * (y[i] == c) + (1 - m.share) * (y[1 - i] == c);
            soft = 0.9 * soft + 0.1 / CLASSES;
            loss -= soft * (z[c] - log(sum)) / 2;
            for (int j = 0; j < F; j++) slope[j * CLASSES + c] += (exp(z[c]) / sum - soft) * in[j] / 2;
        }
    }
    assert_true(fabs(report.loss - loss) < 1e-6);
    for (int k = 0; k < F * CLASSES; k++) assert_true(fabs(now[k] - (w[k] - 0.5 * slope[k])) < 1e-6);
    hone_graph_free(g);
    hone_graph_free(start);
    hone_dataset_free(data);
}

static void test_numbers_are_mixed_as_they_are(void **state) {
    (void)state;
    hone_mixer m = {.mixup = 1, .target = 1, .share = 1};
    hone_tensor *tensors[] = {numbered(2, (int64_t[]){4, 3}), numbered(2, (int64_t[]){4, 1})};
    hone_batch b = {.tensors = tensors, .n = 4};
    hone_mixer_mix(&m, 1, &b);
    for (int i = 0; i < 4; i++)
        assert_true(fabs((double)values(tensors[1])[i] - (m.share * i + (1 - m.share) * (3 - i))) < 1e-6);
    hone_tensor_free(tensors[0]);
    hone_tensor_free(tensors[1]);
}

static bool stops(void *user, const hone_train_progress *p) {
    return p->step != *(const int64_t *)user;
}

/* A run that was stopped goes on to the same bits. */
static void test_resuming(void **state) {
    (void)state;
    hone_dataset *data = blobs(50, F, CLASSES, 3);
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    hone_graph *whole = linear(), *first = linear(), *second = linear(), *plain = linear();
    int64_t at = 5;
    o.epochs = 3;
    o.batch = 16;
    o.threads = 1;
    ok(hone_train(plain, data, &o, NULL, &err));
    o.mixup = 0.4;
    o.even = "y";
    ok(hone_train(whole, data, &o, NULL, &err));
    o.checkpoint_dir = test_path("mixed");
    o.progress = stops;
    o.user = &at;
    ok(hone_train(first, data, &o, NULL, &err));
    o.resume_dir = o.checkpoint_dir;
    o.progress = NULL;
    ok(hone_train(second, data, &o, NULL, &err));
    assert_true(same_weights(whole, second));
    assert_false(same_weights(whole, plain));
    hone_graph_free(whole);
    hone_graph_free(first);
    hone_graph_free(second);
    hone_graph_free(plain);
    hone_dataset_free(data);
}

static void test_refusals(void **state) {
    (void)state;
    hone_dataset *data = blobs(20, F, CLASSES, 3);
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    hone_graph *g = linear();
    o.cutmix = 1;
    refused(hone_train(g, data, &o, NULL, &err), HONE_INVALID_ARGUMENT, "cutmix needs images");
    o.cutmix = -1;
    refused(hone_train(g, data, &o, NULL, &err), HONE_INVALID_ARGUMENT, "cutmix -1");
    o.cutmix = 0;
    o.mixup = 0.2;
    o.teacher = g;
    refused(hone_train(g, data, &o, NULL, &err), HONE_INVALID_ARGUMENT, "a teacher does not go with mixup");
    hone_graph_free(g);
    hone_dataset_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixup),    cmocka_unit_test(test_cutmix),
        cmocka_unit_test(test_loss),     cmocka_unit_test(test_numbers_are_mixed_as_they_are),
        cmocka_unit_test(test_resuming), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
