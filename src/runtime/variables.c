#include "runtime/variables.h"

#include "graph/infer.h"
#include "graph/names.h"

#include <string.h>

typedef struct entry {
    char *name;
    hone_tensor *tensor;
} entry;

struct hone_variables {
    atomic_int references;
    hone_names *names; /* name → tensor */
    entry *entries;
    size_t count, capacity;
};

hone_variables *hone_variables_new(void) {
    hone_variables *s = hone_calloc(1, sizeof *s);
    hone_names *names = s ? hone_names_new() : NULL;
    if (!names) {
        hone_free(s);
        return NULL;
    }
    atomic_init(&s->references, 1);
    s->names = names;
    return s;
}

hone_variables *hone_variables_retain(hone_variables *s) {
    if (s) atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

void hone_variables_free(hone_variables *s) {
    if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < s->count; i++) {
        hone_free(s->entries[i].name);
        hone_tensor_free(s->entries[i].tensor);
    }
    hone_free(s->entries);
    hone_names_free(s->names);
    hone_free(s);
}

hone_tensor *hone_variables_get(const hone_variables *s, const char *name) {
    return hone_names_get(s->names, name);
}

static bool same_type(const hone_tensor *a, const hone_tensor *b) {
    return a->dtype == b->dtype && a->rank == b->rank && memcmp(a->dims, b->dims, sizeof a->dims) == 0;
}

hone_status hone_variable_mismatch(const char *name, const hone_tensor *there, const hone_tensor *other,
                                   hone_error *err) {
    hone_type a = hone_type_of(there), b = hone_type_of(other);
    char ta[96], tb[96];
    return hone_fail_node(err, HONE_INVALID_ARGUMENT, name, NULL, "the variable is %s, not %s",
                          hone_type_format(NULL, &a, ta, sizeof ta),
                          hone_type_format(NULL, &b, tb, sizeof tb));
}

/* The store's from now on, also on failure. */
static hone_status put(hone_variables *s, const char *name, hone_tensor *t, hone_tensor **out,
                       hone_error *err) {
    char *key = hone_strdup(name);
    if (!key || !hone_reserve(&s->entries, &s->capacity, s->count + 1, sizeof *s->entries) ||
        !hone_names_put(s->names, key, t)) {
        hone_free(key);
        hone_tensor_free(t);
        return hone_fail_memory(err);
    }
    s->entries[s->count++] = (entry){key, t};
    if (out) *out = t;
    return HONE_OK;
}

hone_status hone_variables_add(hone_variables *s, const char *name, const hone_tensor *content,
                               hone_tensor **out, hone_error *err) {
    hone_tensor *there = hone_variables_get(s, name), *copy = NULL;
    if (there && !same_type(there, content)) return hone_variable_mismatch(name, there, content, err);
    if (out) *out = there;
    if (there) return HONE_OK;
    HONE_TRY(hone_tensor_copy_of(content->dtype, content->rank, content->dims, content->data, &copy, err));
    return put(s, name, copy, out, err);
}

hone_status hone_variables_take(hone_variables *s, const char *name, hone_tensor *content, hone_tensor **out,
                                hone_error *err) {
    if (hone_variables_get(s, name) || !hone_tensor_is_own(content))
        return hone_variables_add(s, name, content, out, err);
    return put(s, name, hone_tensor_retain(content), out, err);
}

hone_status hone_variables_copy_of(const hone_model *m, hone_variables **out, hone_error *err) {
    const hone_variables *from = hone_model_variables(m);
    hone_variables *copy = hone_variables_new();
    hone_status status = copy ? HONE_OK : hone_fail_memory(err);
    for (size_t i = 0; i < from->count && status == HONE_OK; i++)
        status = hone_variables_add(copy, from->entries[i].name, from->entries[i].tensor, NULL, err);
    if (status != HONE_OK)
        hone_variables_free(copy);
    else
        *out = copy;
    return status;
}

size_t hone_variables_count(const hone_variables *s) {
    return s->count;
}

const char *hone_variables_at(const hone_variables *s, size_t index, hone_tensor **tensor) {
    if (tensor) *tensor = s->entries[index].tensor;
    return s->entries[index].name;
}
