#include "train/class_weights.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>

/* samples / (classes × samples of the class), so that all of them together count as before. */
static hone_status balance(hone_train_options *o, int64_t outputs, const hone_dataset *data,
                           const hone_feed *target, float **made, hone_error *err) {
    int64_t n = hone_dataset_count(data), *labels = hone_alloc((size_t)n * sizeof *labels);
    int classes = outputs > 0 ? (int)outputs : hone_dataset_classes(data, target->reading.column);
    float *weights = *made = hone_calloc((size_t)classes + 1, sizeof *weights);
    hone_status status = labels && weights ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_dataset_read(data, &target->reading, NULL, 0, n, labels, err);
    for (int64_t i = 0; i < n && status == HONE_OK; i++)
        if (labels[i] >= 0 && labels[i] < classes) weights[labels[i]]++;
    for (int c = 0; c < classes && status == HONE_OK; c++)
        weights[c] = weights[c] > 0 ? (float)((double)n / classes / weights[c]) : 1;
    hone_free(labels);
    o->class_weights = weights;
    o->class_weight_count = classes;
    return status;
}

hone_status hone_class_weights(hone_train_options *o, const hone_graph *g, const hone_objective *objective,
                               const hone_dataset *data, const hone_feed *target, float **made,
                               hone_error *err) {
    const hone_type *y = &g->outputs[0]->type;
    if (!o->balance && !o->class_weights) return HONE_OK;
    if (!objective->smoothes || y->rank != 2)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "weights of classes need the objective cross-entropy, not %s", objective->name);
    if (!o->class_weights) return balance(o, y->dims[1], data, target, made, err);
    for (int i = 0; i < o->class_weight_count; i++)
        if (!(o->class_weights[i] >= 0) || !isfinite(o->class_weights[i]))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the weight of class %d is %g", i,
                             o->class_weights[i]);
    if (y->dims[1] < 0 || y->dims[1] == o->class_weight_count) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, "%d weights of classes, but the model has %lld",
                     o->class_weight_count, (long long)y->dims[1]);
}
