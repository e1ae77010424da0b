#include "graph/content.h"

static bool is_carried(const hone_tensor *t) {
    return (t->dtype == HONE_INT32 || t->dtype == HONE_INT64) && t->count <= HONE_CONTENT_MAX && t->data;
}

bool hone_content_of(const hone_tensor *t, hone_content *out) {
    if (!is_carried(t)) return false;
    out->count = (int)t->count;
    for (int i = 0; i < out->count; i++) out->item[i] = (hone_item){HONE_ITEM_NUMBER, hone_tensor_int(t, i)};
    return true;
}

hone_item hone_item_of_dim(int64_t dim) {
    if (dim >= 0) return (hone_item){HONE_ITEM_NUMBER, dim};
    if (dim == HONE_DIM_ANY) return (hone_item){HONE_ITEM_UNKNOWN, 0};
    return (hone_item){HONE_ITEM_SYMBOL, dim};
}

int64_t hone_dim_of_item(hone_item item) {
    return item.kind == HONE_ITEM_UNKNOWN ? HONE_DIM_ANY : item.value;
}

bool hone_content_is_known(const hone_content *c) {
    for (int i = 0; i < c->count; i++)
        if (c->item[i].kind != HONE_ITEM_NUMBER) return false;
    return true;
}

hone_status hone_content_tensor(const hone_content *c, const hone_type *type, hone_tensor **out,
                                hone_error *err) {
    hone_tensor *t = NULL;
    HONE_TRY(hone_tensor_new(type->dtype, type->rank, type->dims, &t, err));
    if (t->count != c->count) {
        hone_tensor_free(t);
        return hone_fail(err, HONE_INTERNAL, "content of %d elements for %lld", c->count,
                         (long long)t->count);
    }
    for (int i = 0; i < c->count; i++) {
        if (t->dtype == HONE_INT64)
            ((int64_t *)t->data)[i] = c->item[i].value;
        else
            ((int32_t *)t->data)[i] = (int32_t)c->item[i].value;
    }
    *out = t;
    return HONE_OK;
}
