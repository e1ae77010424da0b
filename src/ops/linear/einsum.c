/* Einsum: sums of products, said by letters: "bij,bjk->bik". It is a function of other operators. Operands are taken one
 * after the other; of two, a and b,
 *
 *   batch        letters of both that are needed later        a [batch, left, sum]
 *   left, right  letters of one of them                       b [batch, sum, right]
 *   sum          letters of both that nobody needs            MatMul: [batch, left, right]
 *
 * and where there is nothing to sum, a product of elements. An ellipsis is letters of its own, from the last one on. */
#include "graph/infer.h"
#include "ops/common/reshape.h"

#include <string.h>

/* The letters of an operand's axes: 'a' …, 'A' …; those of an ellipsis are numbers, 1 the last. */
typedef struct letters {
    int count;
    unsigned char at[HONE_MAX_RANK];
} letters;

static int find(const letters *l, unsigned char letter) {
    for (int i = 0; i < l->count; i++)
        if (l->at[i] == letter) return i;
    return -1;
}

static bool has(const letters *l, unsigned char letter) {
    return find(l, letter) >= 0;
}

static void add(letters *l, unsigned char letter) {
    if (l->count < HONE_MAX_RANK) l->at[l->count++] = letter;
}

/* --- the equation --- */

typedef struct equation {
    int operands;
    letters *operand; /* of each; the caller's */
    letters output;
    int dots; /* axes that the ellipsis stands for */
} equation;

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* One term, up to `end`, into `l`, the ellipsis being `dots` axes (-1: whatever is left of `rank`); *seen: that it has one. */
static hone_status read_term(const hone_infer *ctx, const char *text, const char *end, int rank, int dots,
                             letters *l, bool *seen, hone_error *err) {
    int count = 0;
    *l = (letters){0};
    *seen = false;
    for (const char *c = text; c < end; c++) count += is_letter(*c);
    for (const char *c = text; c < end; c++) {
        if (*c == ' ') continue;
        if (is_letter(*c)) {
            if (l->count == HONE_MAX_RANK)
                return hone_infer_fail(ctx, err, "the equation has a term of too many letters");
            l->at[l->count++] = (unsigned char)*c;
        } else if (end - c >= 3 && memcmp(c, "...", 3) == 0 && !*seen) {
            int axes = dots < 0 ? rank - count : dots;
            *seen = true;
            c += 2;
            if (axes < 0 || l->count + axes > HONE_MAX_RANK)
                return hone_infer_fail(ctx, err,
                                       "the equation has more letters than an operand has dimensions");
            for (int i = axes; i > 0; i--) l->at[l->count++] = (unsigned char)i;
        } else
            return hone_infer_fail(ctx, err, "the equation has a \"%.1s\" that means nothing", c);
    }
    return HONE_OK;
}

/* What is not said: the ellipsis, then all letters that stand once, in alphabetical order. */
static void imply_output(equation *e) {
    e->output = (letters){0};
    for (int i = e->dots; i > 0; i--) add(&e->output, (unsigned char)i);
    for (int c = 'A'; c <= 'z'; c++) {
        int times = 0;
        for (int k = 0; k < e->operands; k++)
            for (int i = 0; i < e->operand[k].count; i++) times += e->operand[k].at[i] == c;
        if (times == 1 && is_letter((char)c)) add(&e->output, (unsigned char)c);
    }
}

static hone_status check_output(const hone_infer *ctx, const equation *e, hone_error *err) {
    for (int i = 0; i < e->output.count; i++) {
        bool known = false;
        for (int k = 0; k < e->operands; k++) known |= has(&e->operand[k], e->output.at[i]);
        if (!known || find(&e->output, e->output.at[i]) != i)
            return hone_infer_fail(ctx, err, "the equation's output has a letter %s",
                                   known ? "twice" : "of no operand");
    }
    return HONE_OK;
}

/* Reads the node's equation for operands of known ranks; e->operand has room for all of them. */
static hone_status read_equation(const hone_infer *ctx, equation *e, hone_error *err) {
    const char *text = hone_node_string(ctx->node, "equation"), *arrow = strstr(text, "->");
    const char *end = arrow ? arrow : text + strlen(text);
    bool dots = false;
    e->operands = ctx->input_count;
    e->dots = 0;
    for (int k = 0; k < e->operands; k++) {
        const char *comma = memchr(text, ',', (size_t)(end - text)), *stop = comma ? comma : end;
        int rank = ctx->in[k]->rank;
        bool seen;
        if (!comma != (k + 1 == e->operands))
            return hone_infer_fail(ctx, err, "the equation is not one of %d operands", e->operands);
        HONE_TRY(read_term(ctx, text, stop, rank, -1, &e->operand[k], &seen, err));
        if (e->operand[k].count != rank)
            return hone_infer_fail(ctx, err, "the equation's term %d has %d letters for %d dimensions", k,
                                   e->operand[k].count, rank);
        for (int i = 0; i < rank; i++)
            if (e->operand[k].at[i] <= HONE_MAX_RANK && e->operand[k].at[i] > e->dots)
                e->dots = e->operand[k].at[i];
        text = stop + 1;
    }
    if (!arrow) {
        imply_output(e);
        return HONE_OK;
    }
    HONE_TRY(read_term(ctx, arrow + 2, arrow + strlen(arrow), 0, e->dots, &e->output, &dots, err));
    return check_output(ctx, e, err);
}

/* The longer of two lengths of a letter, of which one may be 1. */
static hone_status meet(const hone_infer *ctx, int64_t a, int64_t b, int64_t *out, hone_error *err) {
    if (a == 1 || b == 1) {
        *out = a == 1 ? b : a;
        return HONE_OK;
    }
    return hone_infer_same_dim(ctx, a, b, out, err);
}

/* How long each letter is: dims[letter], 0 for those that are not there. */
static hone_status find_lengths(const hone_infer *ctx, const equation *e, int64_t *dims, hone_error *err) {
    bool seen[128] = {false};
    for (int k = 0; k < e->operands; k++)
        for (int i = 0; i < e->operand[k].count; i++) {
            unsigned char l = e->operand[k].at[i];
            int64_t d = ctx->in[k]->dims[i];
            if (seen[l]) HONE_TRY(meet(ctx, dims[l], d, &d, err));
            seen[l] = true;
            dims[l] = d;
        }
    return HONE_OK;
}

static bool ranks_known(const hone_infer *ctx) {
    for (int k = 0; k < ctx->input_count; k++)
        if (ctx->in[k]->rank < 0) return false;
    return true;
}

static hone_status infer_read(hone_infer *ctx, equation *e, hone_error *err) {
    int64_t dims[128] = {0};
    HONE_TRY(read_equation(ctx, e, err));
    HONE_TRY(find_lengths(ctx, e, dims, err));
    ctx->out[0].rank = e->output.count;
    for (int i = 0; i < e->output.count; i++) ctx->out[0].dims[i] = dims[e->output.at[i]];
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    if (!ranks_known(ctx)) return HONE_OK;
    equation e = {.operand = hone_calloc((size_t)ctx->input_count + 1, sizeof(letters))};
    if (!e.operand) return hone_fail_memory(err);
    hone_status status = infer_read(ctx, &e, err);
    hone_free(e.operand);
    return status;
}

/* --- the function --- */

/* A value and what its axes are. */
typedef struct term {
    hone_value *v;
    letters l;
    int64_t dims[HONE_MAX_RANK];
} term;

static hone_value *emit_ints(hone_graph *g, const char *op, hone_value *v, const int64_t *x, int count) {
    return count ? HONE_EMIT(g, "", op, v, hone_graph_ints(g, x, count)) : v;
}

/* Without axis i. */
static void drop_axis(term *t, int i) {
    t->l.count--;
    for (; i < t->l.count; i++) {
        t->l.at[i] = t->l.at[i + 1];
        t->dims[i] = t->dims[i + 1];
    }
}

/* A letter that stands twice is a diagonal. */
static void take_diagonals(hone_graph *g, term *t) {
    for (int i = 0; i < t->l.count; i++)
        for (int k = i + 1; k < t->l.count;) {
            if (t->l.at[k] != t->l.at[i]) {
                k++;
                continue;
            }
            t->v = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "Diagonal", t->v);
            if (!t->v) return;
            hone_node_set_int(g, t->v->producer, "first", i);
            hone_node_set_int(g, t->v->producer, "second", k);
            drop_axis(t, k);
        }
}

/* Axes of one element are no matter where others have more; and letters that nobody needs are summed over. */
static void reduce(hone_graph *g, term *t, const int64_t *dims, const letters *needed) {
    int64_t ones[HONE_MAX_RANK], sums[HONE_MAX_RANK];
    int one_count = 0, sum_count = 0;
    for (int i = 0; i < t->l.count; i++)
        if (t->dims[i] == 1 && dims[t->l.at[i]] != 1) ones[one_count++] = i;
    t->v = emit_ints(g, "Squeeze", t->v, ones, one_count);
    for (int i = one_count - 1; i >= 0; i--) drop_axis(t, (int)ones[i]);
    for (int i = 0; i < t->l.count; i++)
        if (!has(needed, t->l.at[i])) sums[sum_count++] = i;
    t->v = emit_ints(g, "ReduceSum", t->v, sums, sum_count);
    if (sum_count && t->v) hone_node_set_int(g, t->v->producer, "keepdims", 0);
    for (int i = sum_count - 1; i >= 0; i--) drop_axis(t, (int)sums[i]);
}

/* Its axes in the order of `order`, which has the same letters. */
static void put_in_order(hone_graph *g, term *t, const letters *order) {
    int64_t perm[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    bool same = true;
    for (int i = 0; i < order->count; i++) {
        perm[i] = find(&t->l, order->at[i]);
        dims[i] = t->dims[perm[i]];
        same &= perm[i] == i;
    }
    if (!same) {
        t->v = HONE_EMIT(g, "", "Transpose", t->v);
        if (t->v) hone_node_set_ints(g, t->v->producer, "perm", perm, (size_t)order->count);
    }
    t->l = *order;
    memcpy(t->dims, dims, sizeof dims);
}

/* The product of dims [from, to) of a term as int64[1]. */
static hone_value *length_of(hone_graph *g, const term *t, int from, int to) {
    int64_t known = 1;
    hone_value *y = NULL;
    for (int i = from; i < to; i++) {
        if (t->dims[i] >= 0) {
            known *= t->dims[i];
            continue;
        }
        hone_value *d = HONE_EMIT(g, "", "Shape", t->v);
        if (!d) return NULL;
        hone_node_set_int(g, d->producer, "start", i);
        hone_node_set_int(g, d->producer, "end", i + 1);
        y = y ? HONE_EMIT(g, "", "Mul", y, d) : d;
    }
    hone_value *number = hone_graph_ints(g, &known, 1);
    return !y ? number : known == 1 ? y : HONE_EMIT(g, "", "Mul", y, number);
}

/* `v` in the shape of lengths[0 … count-1], each an int64[1]. */
static hone_value *reshape(hone_graph *g, hone_value *v, hone_value *const *lengths, int count) {
    hone_value *shape = count == 0   ? hone_graph_ints(g, NULL, 0)
                        : count == 1 ? lengths[0]
                                     : hone_graph_emit(g, "", "Concat", lengths, count);
    if (count > 1 && shape) hone_node_set_int(g, shape->producer, "axis", 0);
    hone_value *y = HONE_EMIT(g, "", "Reshape", v, shape);
    if (y) hone_node_set_int(g, y->producer, "allowzero", 1);
    return y;
}

/* The term with axes [from, middle) and [middle, end) as one each. */
static hone_value *as_matrices(hone_graph *g, const term *t, int from, int middle) {
    hone_value *lengths[HONE_MAX_RANK + 2];
    if (middle == from + 1 && t->l.count == middle + 1) return t->v;
    for (int i = 0; i < from; i++) lengths[i] = length_of(g, t, i, i + 1);
    lengths[from] = length_of(g, t, from, middle);
    lengths[from + 1] = length_of(g, t, middle, t->l.count);
    return reshape(g, t->v, lengths, from + 2);
}

static hone_value *cast_to(hone_graph *g, hone_value *v, hone_dtype dtype) {
    hone_value *y = HONE_EMIT(g, "", "Cast", v);
    if (y) hone_node_set_int(g, y->producer, "to", dtype);
    return y;
}

/* Axes of one element for letters [from, to) of `all`. */
static void make_room(hone_graph *g, term *t, int from, int to) {
    int64_t axes[HONE_MAX_RANK];
    for (int i = from; i < to; i++) axes[i - from] = i;
    t->v = emit_ints(g, "Unsqueeze", t->v, axes, to - from);
}

/* The letters of a that b has, or has not; and of them those that are needed, or not. */
static letters select_letters(const letters *a, const letters *b, bool in_b, const letters *needed,
                              bool is_needed) {
    letters l = {0};
    for (int i = 0; i < a->count; i++)
        if (has(b, a->at[i]) == in_b && has(needed, a->at[i]) == is_needed) add(&l, a->at[i]);
    return l;
}

/* False: they are too many. */
static bool append(letters *l, const letters *more) {
    if (l->count + more->count > HONE_MAX_RANK) return false;
    for (int i = 0; i < more->count; i++) l->at[l->count++] = more->at[i];
    return true;
}

typedef struct parts {
    letters batch, left, right, sum, result; /* result: batch, left, right */
} parts;

/* Elements times elements: nothing to sum, or numbers that no matrix product takes. */
static hone_value *multiply(hone_graph *g, const parts *p, term *a, term *b) {
    int batch = p->batch.count, left = p->left.count, all = p->result.count;
    make_room(g, a, batch + left, all);
    make_room(g, b, batch, batch + left);
    hone_value *y = HONE_EMIT(g, "", "Mul", a->v, b->v);
    int64_t sums[HONE_MAX_RANK];
    for (int i = 0; i < p->sum.count; i++) sums[i] = all + i;
    y = emit_ints(g, "ReduceSum", y, sums, p->sum.count);
    if (p->sum.count && y) hone_node_set_int(g, y->producer, "keepdims", 0);
    return y;
}

/* a [batch, left, sum], b [batch, sum, right]; `dims` are the result's, where known. */
static hone_value *multiply_matrices(hone_graph *g, const parts *p, const term *a, const term *b,
                                     const int64_t *dims, hone_dtype dtype) {
    int batch = p->batch.count, left = p->left.count, right = p->right.count;
    bool narrow = HONE_TYPES_HALF & HONE_TYPE(dtype);
    hone_value *ma = as_matrices(g, a, batch, batch + left),
               *mb = as_matrices(g, b, batch, batch + p->sum.count);
    if (narrow) {
        ma = cast_to(g, ma, HONE_FLOAT32);
        mb = cast_to(g, mb, HONE_FLOAT32);
    }
    hone_value *y = HONE_EMIT(g, "", "MatMul", ma, mb), *lengths[HONE_MAX_RANK];
    if (narrow) y = cast_to(g, y, dtype);
    if (left == 1 && right == 1) return y;
    term product = {.v = y}; /* its batch may be longer than that of each of them */
    memcpy(product.dims, dims, (size_t)batch * sizeof *dims);
    for (int i = 0; i < batch; i++) lengths[i] = length_of(g, &product, i, i + 1);
    for (int i = 0; i < left; i++) lengths[batch + i] = length_of(g, a, batch + i, batch + i + 1);
    for (int i = 0; i < right; i++)
        lengths[batch + left + i] = length_of(g, b, b->l.count - right + i, b->l.count - right + i + 1);
    return reshape(g, y, lengths, batch + left + right);
}

/* Makes *a the product of both, summed over what is not needed. False: it would have too many axes. */
static bool contract(hone_graph *g, term *a, term *b, const letters *needed, hone_dtype dtype) {
    parts p = {.batch = select_letters(&a->l, &b->l, true, needed, true),
               .left = select_letters(&a->l, &b->l, false, needed, true),
               .right = select_letters(&b->l, &a->l, false, needed, true),
               .sum = select_letters(&a->l, &b->l, true, needed, false)};
    p.result = p.batch;
    if (!append(&p.result, &p.left) || !append(&p.result, &p.right)) return false;
    uint32_t taken = hone_op_input(hone_op_find("", "MatMul"), 0)->types | HONE_TYPES_HALF;
    bool matrices = p.sum.count > 0 && taken & HONE_TYPE(dtype);
    if (!matrices && p.result.count + p.sum.count > HONE_MAX_RANK) return false;
    letters order_a = p.batch, order_b = p.batch;
    append(&order_a, &p.left);
    append(&order_a, &p.sum);
    append(&order_b, matrices ? &p.sum : &p.right);
    append(&order_b, matrices ? &p.right : &p.sum);
    put_in_order(g, a, &order_a);
    put_in_order(g, b, &order_b);
    int64_t dims[HONE_MAX_RANK];
    for (int i = 0; i < p.result.count; i++) {
        int in_a = find(&a->l, p.result.at[i]), in_b = find(&b->l, p.result.at[i]);
        int64_t da = in_a < 0 ? 1 : a->dims[in_a], db = in_b < 0 ? 1 : b->dims[in_b];
        dims[i] = da == 1 ? db : db == 1 || da >= 0 ? da : db;
    }
    a->v = matrices ? multiply_matrices(g, &p, a, b, dims, dtype) : multiply(g, &p, a, b);
    a->l = p.result;
    memcpy(a->dims, dims, sizeof dims);
    return true;
}

/* What the output and the operands from `from` on need. */
static letters needed_from(const equation *e, int from) {
    letters l = e->output;
    for (int k = from; k < e->operands; k++)
        for (int i = 0; i < e->operand[k].count; i++)
            if (!has(&l, e->operand[k].at[i])) add(&l, e->operand[k].at[i]);
    return l;
}

/* Integers of 8 and 16 bits are summed in 32, of which the lowest bits are the same. */
static hone_dtype computed_in(hone_dtype dtype) {
    return hone_dtype_is_int(dtype) && hone_dtype_size(dtype) < 4 ? HONE_INT32 : dtype;
}

static term term_of(hone_graph *g, const hone_infer *ctx, const equation *e, int k, const int64_t *dims,
                    const letters *needed) {
    term t = {.v = ctx->node->inputs[k], .l = e->operand[k]};
    hone_dtype dtype = ctx->out[0].dtype, wide = computed_in(dtype);
    if (wide != dtype) t.v = cast_to(g, t.v, wide);
    memcpy(t.dims, ctx->in[k]->dims, sizeof t.dims);
    take_diagonals(g, &t);
    reduce(g, &t, dims, needed);
    return t;
}

static hone_status build(hone_graph *g, const hone_infer *ctx, equation *e, hone_error *err) {
    int64_t dims[128] = {0};
    HONE_TRY(read_equation(ctx, e, err));
    HONE_TRY(find_lengths(ctx, e, dims, err));
    letters needed = needed_from(e, 1);
    term all = term_of(g, ctx, e, 0, dims, &needed);
    for (int k = 1; k < e->operands; k++) {
        needed = needed_from(e, k + 1);
        for (int i = 0; i < all.l.count; i++)
            if (!has(&needed, all.l.at[i])) add(&needed, all.l.at[i]);
        term next = term_of(g, ctx, e, k, dims, &needed);
        needed = needed_from(e, k + 1);
        if (!g->failed && !contract(g, &all, &next, &needed, computed_in(ctx->out[0].dtype)))
            return hone_fail_node(err, HONE_UNSUPPORTED, ctx->node->name, hone_node_op_name(ctx->node),
                                  "operands have more than %d letters together", HONE_MAX_RANK);
        if (g->failed) return hone_graph_check(g, err);
    }
    put_in_order(g, &all, &e->output);
    if (computed_in(ctx->out[0].dtype) != ctx->out[0].dtype) all.v = cast_to(g, all.v, ctx->out[0].dtype);
    if (all.v) hone_graph_replace(g, ctx->node->outputs[0], all.v);
    return HONE_OK;
}

static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    size_t count = (size_t)n->input_count;
    const hone_type **in = hone_calloc(count + 1, sizeof *in);
    equation e = {.operand = hone_calloc(count + 1, sizeof(letters))};
    hone_infer ctx = {.node = n, .input_count = n->input_count, .in = in, .out = &n->outputs[0]->type};
    hone_status status = in && e.operand ? HONE_OK : hone_fail_memory(err);
    for (size_t i = 0; i < count && in; i++) in[i] = &n->inputs[i]->type;
    if (status == HONE_OK && !ranks_known(&ctx))
        status = hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                                "an operand's rank is not known");
    if (status == HONE_OK) status = build(g, &ctx, &e, err);
    hone_free(in);
    hone_free(e.operand);
    return status;
}

#define NUMBERS (HONE_TYPES_NUMBER | HONE_TYPES_HALF)

const hone_op hone_op_einsum = {.name = "Einsum",
                                .since = 12,
                                .oldest = 12,
                                .inputs = HONE_SLOTS({"Inputs", 'T', NUMBERS, HONE_SLOT_VARIADIC}),
                                .outputs = HONE_SLOTS({"Output", 'T', NUMBERS, 0}),
                                .attrs = HONE_ATTRS({"equation", HONE_ATTR_STRING, .required = true}),
                                .infer = infer,
                                .expand = expand,
                                .doc = "sums of products of operands, said by letters for their axes"};
