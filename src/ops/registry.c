/* The list of operators, made of ops.def: lookup by name and by index. */
#include "graph/op.h"

#include <string.h>

#define X(id) extern const hone_op hone_op_##id;
#include "ops/ops.def"
#undef X

static const hone_op *const rows[] = {
#define X(id) &hone_op_##id,
#include "ops/ops.def"
#undef X
};

#define ROWS (int)(sizeof rows / sizeof *rows)

const hone_op *hone_op_at(int index) {
    return index >= 0 && index < ROWS ? rows[index] : NULL;
}

const hone_op *hone_op_find(const char *domain, const char *name) {
    if (!domain || strcmp(domain, "ai.onnx") == 0) domain = "";
    for (int i = 0; i < ROWS; i++)
        if (strcmp(rows[i]->name, name) == 0 && strcmp(hone_op_domain(rows[i]), domain) == 0) return rows[i];
    return NULL;
}
