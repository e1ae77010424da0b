/* What the files that make a plan share. */
#ifndef HONE_RUNTIME_PLAN_INSIDE_H
#define HONE_RUNTIME_PLAN_INSIDE_H

#include "graph/infer.h"
#include "runtime/model.h"
#include "runtime/plan.h"

/* Bytes that values share: a value lies at an offset inside of its root. Roots are the values of the body and, behind
 * them, scratch. */
typedef struct hone_root {
    hone_location location;
    int first, last; /* steps that touch it; last = steps: lives on behind them */
    size_t bytes;
    bool buffer; /* lies in the workspace */
} hone_root;

typedef struct hone_plan_builder {
    hone_model *model;
    const hone_region *region;
    const hone_body *body;
    const hone_graph *graph;
    hone_plan *plan;
    int threads;
    hone_control_fn *control;
    hone_type *types;          /* by value id */
    const hone_tensor **known; /* by value id: content */
    int *input_of;             /* by value id: which input of the region; -1: none */
    hone_infer_room room;      /* of one node */
    int *step_of;              /* by mark - start: which step the node is; -1: none */
    int *parent;               /* by root: the root that it has become part of, else itself */
    size_t *offset;            /* by root: where it lies in its parent */
    hone_root *roots;
    int root_count, value_count;
    int end;
    hone_error *err;
} hone_plan_builder;

/* Types, contents and where the region ends. */
hone_status hone_plan_find_types(hone_plan_builder *b, const hone_operand *inputs);
/* Where each value lies, but for offsets in the workspace. */
hone_status hone_plan_place_values(hone_plan_builder *b);
/* The steps, prepared. */
hone_status hone_plan_make_steps(hone_plan_builder *b);
/* Exports, outputs, bindings; then offsets, and the table of locations. */
hone_status hone_plan_place_results(hone_plan_builder *b);

/* Fills b->room for a node with what is known of its inputs and outputs. */
void hone_plan_fill_room(hone_plan_builder *b, const hone_node *n, bool outputs);
/* The root that a root has become part of, and where in it. */
int hone_plan_root(hone_plan_builder *b, int root, size_t *offset);
hone_root *hone_plan_root_of(hone_plan_builder *b, const hone_value *v);
/* A buffer of the workspace for one step; -1 for no bytes. */
int hone_plan_add_scratch(hone_plan_builder *b, size_t bytes, int step);

#endif
