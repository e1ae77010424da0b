/* Linear attention of one head of keys and values: a state S [depth, columns] goes through steps, each
 * of which
 *
 *     S = diag(e) S,  u = v,  or with beta: u = beta (v - S^T k),  S = S + k u^T,  y = scale S^T q
 *
 * with e = exp(decay). Columns of S, v and y are independent of each other: a call may have some of them. */
#ifndef HONE_KERNELS_LINEAR_ATTENTION_H
#define HONE_KERNELS_LINEAR_ATTENTION_H

#include <stdbool.h>
#include <stdint.h>

/* Elements are float or double; strides count them. */
typedef struct hone_linear_attention {
    int64_t steps, depth, columns;
    int64_t group; /* heads of q that read the state */
    double scale;
    const void *q, *k, *v; /* of the first step: [group, depth], [depth], [columns] */
    const void *decay;     /* [depth], or one for all rows of S; NULL: 0 */
    const void *beta;      /* [1]; NULL: see above */
    bool each;             /* a decay for each row */
    int64_t q_step, k_step, v_step, decay_step, beta_step, y_step; /* from a step to the next */
    int64_t y_head;                                                /* from a head of y to the next */
    int64_t state_row;                                             /* from a row of S to the next */
    const void *from;                                              /* S before the first step; NULL: 0 */
    void *to;                                                      /* S behind the last one; may be `from` */
    void *y;                                                       /* [group, columns] of the first step */
    void *room;                                                    /* 2 depth + columns elements */
} hone_linear_attention;

void hone_linear_attention_f64(const hone_linear_attention *a);

/* Its gradient: of all columns, S lying row after row. Results may be NULL; their strides are those of
 * what they are the gradients of. */
typedef struct hone_linear_attention_grad {
    hone_linear_attention forward; /* `to`, `y` and `room` are not used */
    const void *dy, *dto;          /* of y and of the last state; NULL: 0 */
    void *dq, *dk, *dv, *ddecay, *dfrom;
    void *dbeta; /* is added to */
    void *room;  /* hone_linear_attention_grad_room elements */
} hone_linear_attention_grad;

/* States are kept for a square root of the steps, and those between them computed again; -1: too many
 * elements. */
int64_t hone_linear_attention_grad_room(int64_t steps, int64_t depth, int64_t columns);
void hone_linear_attention_grad_f32(const hone_linear_attention_grad *a);
void hone_linear_attention_grad_f64(const hone_linear_attention_grad *a);

#endif
