/* The list of operators, made of ops.def: lookup by name and by index. */
#include "ops/ops.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const hone_op *const rows[] = {
#define X(id) &hone_op_##id,
#include "ops/ops.def"
#undef X
};

#define ROWS (int)(sizeof rows / sizeof *rows)

const hone_op *hone_op_at(int index) {
    return index >= 0 && index < ROWS ? rows[index] : NULL;
}

typedef struct key {
    const char *domain, *name;
} key;

static const hone_op *sorted[ROWS];

static int compare(const char *domain, const char *name, const hone_op *op) {
    int order = strcmp(name, op->name);
    return order ? order : strcmp(domain, hone_op_domain(op));
}

static int compare_key(const void *k, const void *row) {
    const key *wanted = k;
    return compare(wanted->domain, wanted->name, *(const hone_op *const *)row);
}

static int compare_rows(const void *a, const void *b) {
    const hone_op *x = *(const hone_op *const *)a;
    return compare(hone_op_domain(x), x->name, *(const hone_op *const *)b);
}

static void sort_rows(void) {
    memcpy(sorted, rows, sizeof sorted);
    qsort(sorted, (size_t)ROWS, sizeof *sorted, compare_rows);
}

const hone_op *hone_op_find(const char *domain, const char *name) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, sort_rows);
    const key wanted = {!domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain, name};
    const hone_op *const *row = bsearch(&wanted, sorted, (size_t)ROWS, sizeof *sorted, compare_key);
    return row ? *row : NULL;
}
