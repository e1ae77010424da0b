/* NonMaxSuppression: of boxes that overlap, those of the highest scores. How many stay is known only when it has run. */
#include "graph/infer.h"
#include "kernels/boxes.h"
#include "kernels/order.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#include <string.h>

enum { BOXES, SCORES, MOST, OVERLAP, SCORE };
enum { NUMBERS = 4, COLUMNS = 3 }; /* of a box; of a row of the result: sample, class, box */

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *boxes = ctx->in[BOXES], *scores = ctx->in[SCORES];
    int64_t same;
    for (int i = MOST; i <= SCORE; i++) HONE_TRY(hone_infer_one_element(ctx, i, err));
    ctx->out[0].rank = 2;
    ctx->out[0].dims[0] = HONE_DIM_ANY;
    ctx->out[0].dims[1] = COLUMNS;
    if (boxes->rank < 0 || scores->rank < 0) return HONE_OK;
    if (boxes->rank != 3 || scores->rank != 3)
        return hone_infer_fail(ctx, err, "boxes and scores have %d and %d dimensions where 3 are needed",
                               boxes->rank, scores->rank);
    HONE_TRY(hone_infer_same_dim(ctx, boxes->dims[2], NUMBERS, &same, err));
    HONE_TRY(hone_infer_same_dim(ctx, boxes->dims[0], scores->dims[0], &same, err));
    return hone_infer_same_dim(ctx, boxes->dims[1], scores->dims[2], &same, err);
}

typedef struct params {
    bool centered;
    int64_t samples, classes, boxes;
    hone_cut cut; /* of samples x classes */
} params;

/* What a class needs while it is looked at. */
typedef struct room {
    hone_ranked *best; /* [boxes] */
    hone_box *kept;    /* [boxes] */
} room;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const float *boxes, *scores;
    int64_t most;
    float overlap, score;
    bool has_score;
    int64_t *kept, *count; /* of each class: its boxes, in the order of their scores, and how many */
} job;

static bool is_suppressed(const job *j, const room *r, int64_t kept, const hone_box *box) {
    for (int64_t k = 0; k < kept; k++)
        if (hone_boxes_overlap(box, &r->kept[k], j->overlap)) return true;
    return false;
}

static int64_t keep_boxes(const job *j, const room *r, const float *boxes, const float *scores,
                          int64_t *kept) {
    const params *p = j->p;
    int64_t candidates = 0, count = 0;
    for (int64_t i = 0; i < p->boxes; i++) {
        uint64_t key;
        if (j->has_score && !(scores[i] > j->score)) continue;
        hone_order_keys(HONE_FLOAT32, &scores[i], 1, 1, &key);
        r->best[candidates++] = (hone_ranked){key, i};
    }
    hone_heap_make(r->best, candidates);
    while (candidates > 0 && count < j->most) {
        int64_t next = hone_heap_take(r->best, candidates--).index;
        hone_box box = hone_box_read(boxes + next * NUMBERS, p->centered);
        if (is_suppressed(j, r, count, &box)) continue;
        r->kept[count] = box;
        kept[count++] = next;
    }
    return count;
}

static void keep_classes(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    room r = {.best = hone_step_worker_scratch(j->step, j->frame, worker)};
    r.kept = (hone_box *)(r.best + p->boxes);
    for (int64_t i = begin; i < end; i++)
        j->count[i] = keep_boxes(j, &r, j->boxes + i / p->classes * p->boxes * NUMBERS,
                                 j->scores + i * p->boxes, j->kept + i * p->boxes);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    const int64_t *most = hone_step_in(step, frame, MOST);
    const float *overlap = hone_step_in(step, frame, OVERLAP), *score = hone_step_in(step, frame, SCORE);
    job j = {p,
             step,
             frame,
             hone_step_in(step, frame, BOXES),
             hone_step_in(step, frame, SCORES),
             most ? *most : 0,
             overlap ? *overlap : 0,
             score ? *score : 0,
             score != NULL,
             hone_step_scratch(step, frame)};
    int64_t found = 0, *row;
    void *y;
    j.count = j.kept + p->cut.count * p->boxes;
    hone_cut_run(&p->cut, frame, keep_classes, &j);
    for (int64_t i = 0; i < p->cut.count; i++) found += j.count[i];
    HONE_TRY(frame->output(frame, step, 0, 2, (int64_t[]){found, COLUMNS}, &y, err));
    row = y;
    for (int64_t i = 0; i < p->cut.count; i++)
        for (int64_t k = 0; k < j.count[i]; k++, row += COLUMNS) {
            row[0] = i / p->classes;
            row[1] = i % p->classes;
            row[2] = j.kept[i * p->boxes + k];
        }
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *scores = p->in[SCORES];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){.centered = hone_node_int(p->node, "center_point_box") != 0,
                  .samples = scores->dims[0],
                  .classes = scores->dims[1],
                  .boxes = scores->dims[2]};
    q->cut = hone_cut_make(q->samples * q->classes, 10 + 20 * (double)q->boxes, 1);
    p->scratch = (size_t)(q->cut.count * (q->boxes + 1)) * sizeof(int64_t) + 64;
    p->worker_scratch = (size_t)(q->boxes + 1) * (sizeof(hone_ranked) + sizeof(hone_box));
    p->params = q;
    p->run = run;
    p->kernel = "non-max suppression";
    return HONE_OK;
}

#define FLOAT HONE_TYPE(HONE_FLOAT32)

const hone_op hone_op_non_max_suppression = {
    .name = "NonMaxSuppression",
    .since = 11,
    .oldest = 10,
    .inputs = HONE_SLOTS({"boxes", 0, FLOAT, 0}, {"scores", 0, FLOAT, 0},
                         {"max_output_boxes_per_class", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL},
                         {"iou_threshold", 0, FLOAT, HONE_SLOT_OPTIONAL},
                         {"score_threshold", 0, FLOAT, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"selected_indices", 0, HONE_TYPE(HONE_INT64), 0}),
    .attrs = HONE_ATTRS({"center_point_box", HONE_ATTR_INT}),
    .infer = infer,
    .run_shapes = 1,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "of boxes that overlap, those of the highest scores: rows of sample, class and box"};
