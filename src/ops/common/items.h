/* What operators do with values that hold items. In a run such a value is a `hone_tensor *`, which nobody changes: an
 * operator that adds an item makes another list of the same items. */
#ifndef HONE_OPS_COMMON_ITEMS_H
#define HONE_OPS_COMMON_ITEMS_H

#include "graph/infer.h"
#include "graph/run.h"

static inline const hone_tensor *hone_items_in(const hone_step *s, const hone_frame *f, int i) {
    const hone_tensor *const *handle = hone_step_in(s, f, i);
    return handle ? *handle : NULL;
}

/* A tensor of type `t` over `data`, which stays whose it is. */
hone_tensor hone_items_view(const hone_type *t, void *data);
/* Output o becomes `t`, whose reference is taken. */
hone_status hone_items_give(const hone_step *s, hone_frame *f, int o, hone_tensor *t, hone_error *err);
/* Output o, whose shape inference left open, becomes a copy of `t`. */
hone_status hone_items_give_tensor(const hone_step *s, hone_frame *f, int o, const hone_tensor *t,
                                   hone_error *err);
/* Input `input`, one integer, as an index into `count` items; negative ones count from behind. `end`: the place behind the
 * last one is right, too. */
hone_status hone_items_index(const hone_step *s, const hone_frame *f, int input, hone_dtype dtype,
                             int64_t count, bool end, int64_t *out, hone_error *err);

/* A value of the kind that holds tensors of that dtype. */
hone_type hone_items_type(hone_value_kind kind, hone_dtype dtype);
/* The params of operators that need only know the types of their inputs. */
typedef struct hone_items_params {
    const hone_type *in; /* by input */
    int count;
} hone_items_params;
/* Params as above. */
hone_status hone_items_prepare(hone_prepare *p, hone_run_fn *run, const char *kernel, hone_error *err);

#endif
