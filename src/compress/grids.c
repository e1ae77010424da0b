#include "compress/grids.h"

/* Marks of a value. */
enum {
    INTEGER = 1, /* its maker multiplies in integers */
    ON_GRID = 2, /* one of the values */
    READS = 4,   /* its maker reads grids */
    IMAGE = 8,   /* on a grid that everybody reads: bytes cost more than arithmetic */
    SEEN = 16    /* its maker has been looked at, or waits for that */
};

typedef struct search {
    hone_grids *grids;
    const hone_graph *g;
    hone_value **waiting; /* their makers are looked at: each value once */
    int waiting_count;
} search;

static uint8_t *mark_of(const search *s, const hone_value *v) {
    return &s->grids->marks[v->id];
}

static bool is_float(const hone_value *v) {
    return v && !v->type.element && v->type.dtype == HONE_FLOAT32 && v->storage != HONE_STORAGE_CONSTANT;
}

static bool is_image(const hone_value *v) {
    return v->type.rank > 3;
}

static bool is_elementwise(const hone_node *n) {
    return hone_node_is_elementwise(n) && n->output_count == 1 && is_float(n->outputs[0]);
}

/* Concat, Pad: what is quantized behind them can as well be before. */
static bool joins(const hone_node *n) {
    return n->op->moves && n->op->quantize != HONE_QUANTIZE_BITS;
}

/* Does n only hold what an integer node gives, and nobody else reads, within limits? The grid does that, too. */
static bool limits_integer(const search *s, const hone_node *n) {
    double low, high;
    const hone_value *x = n->op->limits ? n->inputs[0] : NULL;
    return x && n->op->limits(n, &low, &high) && x->use_count == 1 && *mark_of(s, x) & INTEGER &&
           !hone_graph_is_output(s->g, x);
}

static bool gives_integers(const search *s, const hone_value *v) {
    return *mark_of(s, v) & INTEGER || (v->producer && limits_integer(s, v->producer));
}

/* Do only integer nodes and moves read v? Those of images all read codes. */
static bool only_moves_on(const search *s, const hone_value *v) {
    if (hone_graph_is_output(s->g, v)) return false;
    for (size_t i = 0; i < v->use_count && !is_image(v); i++) {
        const hone_node *n = v->uses[i].node;
        if (v->uses[i].index != 0 || !n->outputs[0]) return false;
        if (!(*mark_of(s, n->outputs[0]) & INTEGER) && n->op->quantize != HONE_QUANTIZE_BITS) return false;
    }
    return true;
}

/* Where v's grid stands: before what moves it. */
static hone_value *anchor(const search *s, hone_value *v) {
    while (v->producer && v->producer->op->quantize == HONE_QUANTIZE_BITS && v->output_index == 0 &&
           is_float(v->producer->inputs[0]) && only_moves_on(s, v)) {
        *mark_of(s, v) |= READS;
        v = v->producer->inputs[0];
    }
    return v;
}

static void wait(search *s, hone_value *v) {
    if (*mark_of(s, v) & SEEN) return;
    *mark_of(s, v) |= SEEN;
    s->waiting[s->waiting_count++] = v;
}

static void add(search *s, hone_value *v, bool image) {
    uint8_t *mark = mark_of(s, v);
    if (!(*mark & ON_GRID)) s->grids->values[s->grids->count++] = v;
    *mark |= ON_GRID;
    if (!image) return;
    *mark |= IMAGE;
    wait(s, v);
}

static bool others_read(const hone_value *v) {
    for (size_t i = 0; i < v->use_count; i++)
        if (!is_elementwise(v->uses[i].node)) return true;
    return false;
}

/* An operand of elementwise arithmetic that computes on codes, as far as it can. */
static void consider(search *s, hone_value *v) {
    if (!is_float(v)) return;
    v = anchor(s, v);
    const hone_node *maker = v->producer;
    if (!maker || v->output_index != 0) return;
    bool shared = v->use_count > 1 && others_read(v);
    if (gives_integers(s, v) || (is_elementwise(maker) && shared))
        add(s, v, true);
    else if (is_elementwise(maker) || joins(maker))
        wait(s, v);
}

/* What v, which gets quantized, is made of. */
static void look(search *s, const hone_value *v) {
    hone_node *n = v->producer;
    if (!n || gives_integers(s, v)) return;
    if (is_elementwise(n)) {
        *mark_of(s, n->outputs[0]) |= READS;
        for (int i = 0; i < n->input_count; i++)
            if (n->inputs[i]) consider(s, n->inputs[i]);
    } else if (joins(n)) {
        for (int i = 0; i < n->input_count; i++)
            if (is_float(n->inputs[i]) && !gives_integers(s, n->inputs[i])) wait(s, n->inputs[i]);
    }
}

hone_status hone_grids_find(const hone_quantize_job *j, hone_grids *out, hone_error *err) {
    const size_t room = j->g->value_count + 1;
    *out = (hone_grids){hone_calloc(room, sizeof *out->values), 0, hone_calloc(room, 1)};
    search s = {.grids = out, .g = j->g, .waiting = hone_calloc(room, sizeof *s.waiting)};
    if (!out->values || !out->marks || !s.waiting) {
        hone_free(s.waiting);
        hone_grids_free(out);
        return hone_fail_memory(err);
    }
    for (int i = 0; i < j->count; i++) *mark_of(&s, j->nodes[i].node->outputs[0]) |= INTEGER;
    for (int i = 0; i < j->count; i++) {
        const hone_quantized_node *n = &j->nodes[i];
        hone_value *v = anchor(&s, n->node->inputs[0]);
        add(&s, v, is_image(v) || n->output_axis != n->node->outputs[0]->type.rank - 1);
    }
    while (s.waiting_count > 0) look(&s, s.waiting[--s.waiting_count]);
    hone_free(s.waiting);
    return HONE_OK;
}

void hone_grids_free(hone_grids *g) {
    hone_free(g->values);
    hone_free(g->marks);
    *g = (hone_grids){NULL, 0, NULL};
}

bool hone_grids_are_read(const hone_grids *g, const hone_value *v, const hone_use *use) {
    const hone_node *n = use->node;
    if (use->index >= n->capture_first) return false;
    if (g->marks[v->id] & IMAGE) return true;
    const hone_value *y = n->outputs[0];
    const uint8_t mark = y ? g->marks[y->id] : 0;
    return mark & READS || (mark & INTEGER && use->index == 0);
}
