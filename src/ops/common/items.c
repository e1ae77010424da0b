#include "ops/common/items.h"

#include <string.h>

hone_tensor hone_items_view(const hone_type *t, void *data) {
    hone_tensor view = {.dtype = t->dtype, .rank = t->rank, .data = data};
    if (t->rank > 0) memcpy(view.dims, t->dims, (size_t)t->rank * sizeof *t->dims);
    view.count = hone_type_count(t);
    view.bytes = hone_type_bytes(t);
    return view;
}

hone_status hone_items_give(const hone_step *s, hone_frame *f, int o, hone_tensor *t, hone_error *err) {
    HONE_TRY(hone_kept_add(f->kept, t, err));
    hone_tensor **out = hone_step_out(s, f, o);
    if (out) *out = t;
    return HONE_OK;
}

hone_status hone_items_give_tensor(const hone_step *s, hone_frame *f, int o, const hone_tensor *t,
                                   hone_error *err) {
    void *to;
    HONE_TRY(f->output(f, s, o, t->rank, t->dims, &to, err));
    if (to && t->bytes) memcpy(to, t->data, t->bytes);
    return HONE_OK;
}

hone_status hone_items_index(const hone_step *s, const hone_frame *f, int input, hone_dtype dtype,
                             int64_t count, bool end, int64_t *out, hone_error *err) {
    const void *at = hone_step_in(s, f, input);
    int64_t index = dtype == HONE_INT32 ? *(const int32_t *)at : *(const int64_t *)at;
    *out = index < 0 ? index + count : index;
    if (*out >= 0 && *out < count + end) return HONE_OK;
    return hone_step_fail(s, err, "position %lld is outside of a sequence of %lld", (long long)index,
                          (long long)count);
}

hone_type hone_items_type(hone_value_kind kind, hone_dtype dtype) {
    return (hone_type){.kind = kind, .dtype = dtype, .rank = HONE_RANK_ANY, .element = hone_type_any(dtype)};
}

hone_status hone_items_prepare(hone_prepare *p, hone_run_fn *run, const char *kernel, hone_error *err) {
    hone_items_params *q = hone_prepare_alloc(p, sizeof *q);
    hone_type *in = hone_prepare_alloc(p, ((size_t)p->in_count + 1) * sizeof *in);
    if (!q || !in) return hone_fail_memory(err);
    for (int i = 0; i < p->in_count; i++)
        if (p->in[i]) in[i] = *p->in[i];
    *q = (hone_items_params){in, p->in_count};
    p->params = q;
    p->run = run;
    p->kernel = kernel;
    return HONE_OK;
}
