/* Coupled groups: the axes of values that must be cut together, found from the descriptors' axis links.
 *
 *   a group starts at an axis of a weight and spreads along links:
 *
 *       W1 [784, 128] ──SAME──► y [batch, 128] ──SAME──► relu ──CONTRACTED── W2 [128, 10]
 *       b1 [128] ───────SAME──────┘
 *
 *   member    (value, axis, inner): position p of the group is those of the axis with index / inner % size == p
 *   blocked   the group reaches an input or output of the graph, or an axis that an operator needs whole */
#ifndef HONE_COMPRESS_GROUPS_H
#define HONE_COMPRESS_GROUPS_H

#include "graph/op.h"

#define HONE_GROUP_MAX_MEMBERS 4096

typedef struct hone_group_member {
    hone_value *value;
    int axis;
    int64_t inner;
} hone_group_member;

typedef struct hone_group {
    int64_t size; /* positions: hidden units, channels */
    hone_group_member *members;
    int count, capacity;
    const hone_node *blocker; /* the node that blocks it; NULL with blocked: the graph's edge */
    bool blocked;
} hone_group;

/* The group of axis `axis` of the constant `seed`. The graph's types are inferred. hone_group_free() when
 * done. */
hone_status hone_group_find(hone_graph *g, hone_value *seed, int axis, hone_group *out, hone_error *err);
void hone_group_free(hone_group *group);

/* Removes the positions whose keep[p] is false from all constants of the group. The graph must be inferred
 * anew. */
hone_status hone_group_cut(hone_graph *g, const hone_group *group, const bool *keep, hone_error *err);

#endif
