/* Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) as a part of the graph: beside each product with a weight of two axes
 * runs a branch through `rank` numbers.
 *
 *            ┌── MatMul W ───────────────────────────────┐
 *       x ───┤                                          Add ── y        NAME.lora_A.weight [rank, in]
 *            └── MatMul Aᵀ ── Mul alpha/rank ── MatMul Bᵀ ┘              NAME.lora_B.weight [out, rank]
 *
 * NAME is that of the weight's constant without ".weight". W itself may be computed of constants, in whatever way: codes,
 * scales and offsets stay as they are. The branch is found again by these names, so a file that was written with it is a model
 * with an adapter. */
#ifndef HONE_GRAPH_ADAPTER_H
#define HONE_GRAPH_ADAPTER_H

#include "graph/graph.h"

/* The trained matrices, as patterns of the shell. */
#define HONE_ADAPTER_PATTERNS "*.lora_A.weight,*.lora_B.weight"

/* A product that an adapter can stand beside: MatMul, or Gemm without factors, whose second operand has two axes, is made of
 * constants alone, and is no table of rows. */
typedef struct hone_adapter_site {
    hone_node *node;
    hone_value *weight; /* the constant that the operand is made of */
    int64_t in, out;
} hone_adapter_site;

/* Is the node one? Types are inferred. */
bool hone_adapter_site_of(hone_node *n, hone_adapter_site *out);
/* Length of the weight's name without ".weight". */
int hone_adapter_name(const hone_adapter_site *s);

/* Puts a branch beside the product; a and b are NAME.lora_A.weight and NAME.lora_B.weight, or new constants of that name, of
 * which references are taken. Failures are remembered by the graph. */
void hone_adapter_put(hone_graph *g, const hone_adapter_site *s, hone_tensor *a, hone_tensor *b, float scale);

/* Whether this weight gets a branch. */
typedef bool hone_adapter_fn(const void *arg, const char *weight);
/* Puts a branch beside each product that `wants` (NULL: each): A uniform in ±1/sqrt(in), drawn by `seed` and the name, B zero,
 * so that the model computes what it did. `*count`: branches. */
hone_status hone_graph_add_adapter(hone_graph *g, int rank, float alpha, uint64_t seed,
                                   hone_adapter_fn *wants, const void *arg, int *count, hone_error *err);

/* A branch that is there. */
typedef struct hone_adapter_branch {
    hone_adapter_site site;
    hone_node *add;
    hone_value *a, *b;
    float scale;
} hone_adapter_branch;
/* Does the node add a branch? */
bool hone_adapter_branch_of(hone_node *add, hone_adapter_branch *out);

/* Adds scale · B A to the weights that are float32 constants, read as they lie or transposed, and takes their branches out;
 * those of other weights stay. `*left` (may be NULL): branches that stay. */
hone_status hone_graph_merge_adapter(hone_graph *g, int *left, hone_error *err);

#endif
