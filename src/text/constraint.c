/* Which tokens a grammar lets come next. The tokens' bytes are a trie; a set's mask is one walk of it, and is kept. Tokens of
 * whole characters that JSON does not escape are apart: inside of a free text all of them may come. */
#include "text/grammar.h"
#include "text/tokenizer.h"
#include "text/tokens.h"

#include <string.h>

typedef struct trie_node {
    int32_t child, sibling; /* -1: none */
    int32_t token;          /* the first that ends here, of a list by `same`; -1: none */
    uint8_t byte;
} trie_node;

typedef struct trie {
    trie_node *nodes; /* nodes[0]: the root */
    size_t count, capacity;
} trie;

struct hone_token_trie {
    trie plain, other;
    int32_t *same; /* the next token of the same bytes */
    hone_piece *bytes;
    hone_arena *arena;
    size_t token_count, words; /* of 32 bits in a mask */
    uint32_t *plain_mask;
};

static bool is_plain(const hone_piece *p) {
    for (const char *at = p->text, *end = at + p->size; at < end;) {
        uint32_t c = hone_utf8_decode(&at, end);
        if (c < 32 || c == '"' || c == '\\' || c >= HONE_UNICODE_END || (c >= 0xD800 && c < 0xE000))
            return false;
    }
    return true;
}

/* --- tries --- */

static int32_t add_node(trie *t, uint8_t byte) {
    if (t->count == t->capacity && !hone_reserve(&t->nodes, &t->capacity, t->count + 1, sizeof *t->nodes))
        return -1;
    t->nodes[t->count] = (trie_node){-1, -1, -1, byte};
    return (int32_t)t->count++;
}

static bool add_token(hone_token_trie *all, trie *t, int32_t id, const hone_piece *p) {
    int32_t at = 0;
    if (t->count == 0 && add_node(t, 0) < 0) return false;
    for (size_t i = 0; i < p->size; i++) {
        uint8_t byte = (uint8_t)p->text[i];
        int32_t child = t->nodes[at].child;
        while (child >= 0 && t->nodes[child].byte != byte) child = t->nodes[child].sibling;
        if (child < 0) {
            if ((child = add_node(t, byte)) < 0) return false;
            t->nodes[child].sibling = t->nodes[at].child;
            t->nodes[at].child = child;
        }
        at = child;
    }
    all->same[id] = t->nodes[at].token;
    t->nodes[at].token = id;
    return true;
}

static hone_status fill(hone_token_trie *all, const hone_tokenizer *t, hone_error *err) {
    bool good = true;
    hone_bytes text = {NULL, 0, 0};
    if (!hone_token_decodes(t, HONE_DECODE_BYTES) && !hone_token_decodes(t, HONE_DECODE_REPLACE) &&
        !hone_token_decodes(t, HONE_DECODE_METASPACE))
        return hone_fail(err, HONE_UNSUPPORTED, "the tokenizer's pieces can't say every text");
    for (size_t id = 0; id < all->token_count && good; id++) {
        good = hone_token_bytes(t, (int32_t)id, &text);
        if (!good || text.size == 0) continue;
        char *copy = hone_arena_strndup(all->arena, text.data, text.size);
        if (!(good = copy != NULL)) continue;
        memcpy(copy, text.data, text.size);
        all->bytes[id] = (hone_piece){copy, text.size};
        bool plain = is_plain(&all->bytes[id]);
        if (plain) all->plain_mask[id / 32] |= 1u << id % 32;
        good = add_token(all, plain ? &all->plain : &all->other, (int32_t)id, &all->bytes[id]);
    }
    hone_bytes_free(&text);
    return good ? HONE_OK : hone_fail_memory(err);
}

hone_status hone_token_trie_new(const hone_tokenizer *t, hone_token_trie **out, hone_error *err) {
    hone_token_trie *all = hone_calloc(1, sizeof *all);
    if (!all) return hone_fail_memory(err);
    all->token_count = (size_t)hone_tokenizer_size(t);
    all->words = (all->token_count + 31) / 32;
    all->arena = hone_arena_new();
    all->same = hone_calloc(all->token_count + 1, sizeof *all->same);
    all->bytes = hone_calloc(all->token_count + 1, sizeof *all->bytes);
    all->plain_mask = hone_calloc(all->words + 1, sizeof *all->plain_mask);
    hone_status status =
        all->arena && all->same && all->bytes && all->plain_mask ? fill(all, t, err) : hone_fail_memory(err);
    if (status == HONE_OK)
        *out = all;
    else
        hone_token_trie_free(all);
    return status;
}

void hone_token_trie_free(hone_token_trie *t) {
    if (!t) return;
    hone_free(t->plain.nodes);
    hone_free(t->other.nodes);
    hone_free(t->same);
    hone_free(t->bytes);
    hone_free(t->plain_mask);
    hone_arena_free(t->arena);
    hone_free(t);
}

/* --- one text --- */

enum { MOST_SETS = 20000, MOST_MASKS = 32 << 20 /* bytes */ }; /* that are kept */

struct hone_constraint {
    const hone_grammar *grammar;
    const hone_token_trie *trie;
    grammar_sets sets;
    int32_t set;
    size_t masks;    /* that were made */
    hone_bytes said; /* since the sets were made anew */
    struct frame {
        int32_t node, set;
    } * frames;
    size_t frame_capacity;
};

hone_status hone_constraint_new(const hone_grammar *g, const hone_token_trie *t, hone_constraint **out,
                                hone_error *err) {
    hone_constraint *c = hone_calloc(1, sizeof *c);
    if (!c) return hone_fail_memory(err);
    c->grammar = g;
    c->trie = t;
    hone_status status = hone_grammar_sets_init(&c->sets, g, &c->set, err);
    if (status == HONE_OK)
        *out = c;
    else
        hone_constraint_free(c);
    return status;
}

void hone_constraint_free(hone_constraint *c) {
    if (!c) return;
    hone_grammar_sets_free(&c->sets);
    hone_bytes_free(&c->said);
    hone_free(c->frames);
    hone_free(c);
}

static hone_status walk(hone_constraint *c, const trie *t, int32_t from, uint32_t *mask, hone_error *err) {
    size_t depth = 0;
    if (t->count == 0 || t->nodes[0].child < 0) return HONE_OK;
    if (c->frame_capacity == 0 && !hone_reserve(&c->frames, &c->frame_capacity, 64, sizeof *c->frames))
        return hone_fail_memory(err);
    c->frames[depth++] = (struct frame){t->nodes[0].child, from};
    while (depth) {
        struct frame *f = &c->frames[depth - 1];
        if (f->node < 0) {
            depth--;
            continue;
        }
        const trie_node *n = &t->nodes[f->node];
        int32_t to;
        f->node = n->sibling;
        HONE_TRY(hone_grammar_step(&c->sets, f->set, n->byte, &to, err));
        if (to == 0) continue;
        for (int32_t id = n->token; id >= 0; id = c->trie->same[id]) mask[id / 32] |= 1u << id % 32;
        if (n->child < 0) continue;
        if (depth == c->frame_capacity &&
            !hone_reserve(&c->frames, &c->frame_capacity, depth + 1, sizeof *c->frames))
            return hone_fail_memory(err);
        c->frames[depth++] = (struct frame){n->child, to};
    }
    return HONE_OK;
}

int64_t hone_constraint_size(const hone_constraint *c) {
    return (int64_t)c->trie->token_count;
}

hone_status hone_constraint_mask(hone_constraint *c, const uint32_t **mask, bool *may_end, hone_error *err) {
    const hone_token_trie *t = c->trie;
    if (c->sets.set_count == 0) return hone_fail_memory(err); /* an allocation failed before */
    *may_end = c->sets.sets[c->set].accepts;
    if (!c->sets.sets[c->set].mask) {
        uint32_t *fresh = hone_arena_array(c->sets.arena, t->words + 1, sizeof *fresh);
        if (!fresh) return hone_fail_memory(err);
        if (c->sets.sets[c->set].text)
            memcpy(fresh, t->plain_mask, t->words * sizeof *fresh);
        else
            HONE_TRY(walk(c, &t->plain, c->set, fresh, err));
        HONE_TRY(walk(c, &t->other, c->set, fresh, err));
        c->sets.sets[c->set].mask = fresh;
        c->masks++;
    }
    *mask = c->sets.sets[c->set].mask;
    return HONE_OK;
}

static hone_status step_all(hone_constraint *c, const char *text, size_t size, int32_t *set,
                            hone_error *err) {
    for (size_t i = 0; i < size && *set != 0; i++)
        HONE_TRY(hone_grammar_step(&c->sets, *set, (uint8_t)text[i], set, err));
    return HONE_OK;
}

/* Forgets what was kept, when it is too much. */
static hone_status start_anew(hone_constraint *c, hone_error *err) {
    hone_grammar_sets_free(&c->sets);
    c->masks = 0;
    HONE_TRY(hone_grammar_sets_init(&c->sets, c->grammar, &c->set, err));
    return step_all(c, c->said.data, c->said.size, &c->set, err);
}

hone_status hone_constraint_accept(hone_constraint *c, int32_t id, hone_error *err) {
    if (id < 0 || (size_t)id >= c->trie->token_count || !c->trie->bytes[id].text)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "token %d has no text", id);
    const hone_piece *p = &c->trie->bytes[id];
    int32_t to = c->set;
    if (c->sets.set_count == 0) return hone_fail_memory(err);
    if (c->sets.set_count > MOST_SETS || c->masks * c->trie->words * sizeof(uint32_t) > MOST_MASKS) {
        HONE_TRY(start_anew(c, err));
        to = c->set;
    }
    HONE_TRY(step_all(c, p->text, p->size, &to, err));
    if (to == 0) return hone_fail(err, HONE_INVALID_ARGUMENT, "token %d may not come here", id);
    if (!hone_bytes_add(&c->said, p->text, p->size)) return hone_fail_memory(err);
    c->set = to;
    return HONE_OK;
}
