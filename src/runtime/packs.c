#include "runtime/packs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* One packed form of a constant. */
typedef struct pack_entry {
    hone_packing packing;
    hone_value *constant;
    void *data;         /* NULL: not begun */
    bool late;          /* packed when a plan first asks: the constant is mapped */
    bool alone;         /* a block of its own, else in the one for all */
    int next;           /* the next form of the same constant; -1: none */
    int64_t first_part; /* among the parts of all entries */
} pack_entry;

struct hone_packs {
    hone_arena *arena; /* of the packings' arguments */
    pack_entry *entries;
    size_t count, capacity;
    int *form;  /* by value id: the first packed form; -1: none */
    char *room; /* of forms that are not alone */
    int threads;
    hone_precision precision;
    pthread_mutex_t lock; /* guards the data of what is packed late */
};

/* What is known of a constant while it is packed. */
typedef struct constant {
    hone_tensor *shell;    /* takes the place of one that all readers have packed */
    size_t readers;        /* that have it packed */
    _Atomic int64_t parts; /* still to come, of all its forms */
    int forms;
} constant;

struct hone_packer {
    hone_packs *packs;
    const hone_node *node;
    constant *constants; /* by value id */
    int64_t parts;
    pthread_mutex_t lock; /* guards allocation */
    atomic_bool failed;
};

/* --- asking --- */

hone_precision hone_packer_precision(const hone_packer *p) {
    return p->packs->precision;
}

static pack_entry *find(const hone_packs *s, int value, const char *format) {
    for (int i = s->form[value]; i >= 0; i = s->entries[i].next)
        if (strcmp(s->entries[i].packing.format, format) == 0) return &s->entries[i];
    return NULL;
}

static int64_t parts_of(const pack_entry *e) {
    size_t bytes = e->constant->data->bytes, part = e->packing.part_bytes;
    return bytes > part && part > 0 ? (int64_t)((bytes - 1) / part + 1) : 1;
}

hone_status hone_pack_constant(hone_packer *p, int input, const hone_packing *packing, hone_error *err) {
    hone_packs *s = p->packs;
    hone_value *v = input < p->node->input_count ? p->node->inputs[input] : NULL;
    if (!hone_value_constant(v) || (v->data->mapped && packing->direct)) return HONE_OK;
    constant *c = &p->constants[v->id];
    c->readers++;
    if (find(s, v->id, packing->format)) return HONE_OK;
    void *arg = hone_arena_alloc(s->arena, packing->arg_size + 1);
    const char *format = hone_arena_strdup(s->arena, packing->format);
    if (!arg || !format || !hone_reserve(&s->entries, &s->capacity, s->count + 1, sizeof *s->entries))
        return hone_fail_memory(err);
    if (packing->arg_size) memcpy(arg, packing->arg, packing->arg_size);
    pack_entry *e = &s->entries[s->count];
    *e = (pack_entry){.packing = *packing,
                      .constant = v,
                      .late = v->data->mapped,
                      .next = s->form[v->id],
                      .first_part = p->parts};
    e->packing.arg = arg;
    e->packing.format = format;
    s->form[v->id] = (int)s->count++;
    if (e->late) return HONE_OK;
    p->parts += parts_of(e);
    c->parts += parts_of(e);
    c->forms++;
    return HONE_OK;
}

static hone_status ask(hone_packer *p, const hone_graph *g, hone_error *err) {
    for (const hone_node *n = g->first; n; n = n->next) {
        p->node = n;
        if (n->op->pack) HONE_TRY(n->op->pack(p, n, err));
    }
    for (size_t i = 0; i < p->packs->count; i++) {
        const hone_value *v = p->packs->entries[i].constant;
        constant *c = &p->constants[v->id];
        if (c->shell || v->data->mapped || c->readers < v->use_count || hone_graph_is_output(g, v)) continue;
        HONE_TRY(hone_tensor_shell(v->data->dtype, v->data->rank, v->data->dims, &c->shell, err));
    }
    return HONE_OK;
}

/* Of all that is packed, or will be at once. */
static size_t bytes_now(const hone_packs *s) {
    size_t bytes = 0;
    for (size_t i = 0; i < s->count; i++)
        if (!s->entries[i].late || s->entries[i].data) bytes += s->entries[i].packing.bytes;
    return bytes;
}

/* --- packing --- */

static pack_entry *entry_of(const hone_packs *s, int64_t part) {
    size_t low = 0, high = s->count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        *(s->entries[middle].first_part <= part ? &low : &high) = middle;
    }
    return &s->entries[low];
}

/* A large form that is much of all takes memory as it is filled only, or it would be there whole while the constant still
 * is. The others lie in one block, in the order in which they are filled: huge pages are for large blocks. */
#define LARGE ((size_t)2 << 20)
#define MUCH 12

static size_t in_room(const pack_entry *e) {
    return (e->packing.bytes + 63) / 64 * 64;
}

static bool make_room(hone_packs *s, size_t all) {
    size_t bytes = 0;
    for (size_t i = 0; i < s->count; i++) {
        pack_entry *e = &s->entries[i];
        e->alone =
            e->late || e->packing.bytes == 0 || (e->packing.bytes > all / MUCH && e->packing.bytes > LARGE);
        if (!e->alone) bytes += in_room(e);
    }
    if (bytes == 0) return true;
    char *at = s->room = hone_calloc(bytes, 1);
    if (!at) return false;
    for (size_t i = 0; i < s->count; i++) {
        pack_entry *e = &s->entries[i];
        if (e->alone) continue;
        e->data = at;
        at += in_room(e);
    }
    return true;
}

/* Room for the packed form, with its first part only. */
static bool begin(hone_packer *p, pack_entry *e) {
    pthread_mutex_lock(&p->lock);
    if (!e->data && !p->failed) e->data = hone_alloc_scattered(e->packing.bytes);
    if (!e->data) p->failed = true;
    pthread_mutex_unlock(&p->lock);
    return e->data != NULL;
}

static void finish(hone_packer *p, hone_value *v) {
    constant *c = &p->constants[v->id];
    if (c->shell) {
        hone_tensor_free(v->data);
        v->data = c->shell;
        c->shell = NULL;
    }
    for (int i = p->packs->form[v->id]; i >= 0; i = p->packs->entries[i].next)
        if (p->packs->entries[i].alone) hone_settle(p->packs->entries[i].data);
}

static void pack_part(void *arg, int64_t task, int worker) {
    (void)worker;
    hone_packer *p = arg;
    pack_entry *e = entry_of(p->packs, task);
    hone_value *v = e->constant;
    constant *c = &p->constants[v->id];
    if (!begin(p, e)) return;
    int64_t part = task - e->first_part;
    size_t bytes = e->packing.part_bytes;
    e->packing.pack(v->data->data, e->packing.arg, part, e->data);
    if (c->shell && c->forms == 1) hone_tensor_discard(v->data, (size_t)part * bytes, bytes);
    if (atomic_fetch_sub(&c->parts, 1) == 1) finish(p, v);
}

/* A thread more is worth starting for so many parts; and no more than some hundredths are in both forms at once. */
#define PARTS_EACH 4

/* `bytes` in all, in parts of at most `part`. */
static hone_status run_parts(int threads, size_t bytes, size_t part, int64_t parts, hone_task_fn *fn,
                             void *arg, hone_error *err) {
    hone_pool *pool = NULL;
    size_t most = bytes / (PARTS_EACH * (part > HONE_PACK_PART ? part : HONE_PACK_PART)) + 1;
    if (most > 1) {
        if (!threads) threads = hone_cpu_count();
        HONE_TRY(hone_pool_new((size_t)threads < most ? threads : (int)most, &pool, err));
    }
    hone_pool_run(pool, parts, fn, arg);
    hone_pool_free(pool);
    return HONE_OK;
}

static hone_status pack_all(hone_packer *p, int threads, hone_error *err) {
    size_t largest = 0;
    for (size_t i = 0; i < p->packs->count; i++)
        if (p->packs->entries[i].packing.part_bytes > largest)
            largest = p->packs->entries[i].packing.part_bytes;
    size_t bytes = bytes_now(p->packs);
    if (!make_room(p->packs, bytes)) return hone_fail_memory(err);
    HONE_TRY(run_parts(threads, bytes, largest, p->parts, pack_part, p, err));
    return p->failed ? hone_fail_memory(err) : HONE_OK;
}

/* Constants went as their packed forms came: small ones left holes that nobody fills. */
#define TRIMMED ((size_t)16 << 20)

static hone_status start(hone_packer *p, const hone_graph *g, int threads, hone_error *err) {
    p->packs = hone_calloc(1, sizeof *p->packs);
    if (p->packs) pthread_mutex_init(&p->packs->lock, NULL);
    p->constants = hone_calloc(g->value_count + 1, sizeof *p->constants);
    if (!p->packs || !p->constants) return hone_fail_memory(err);
    p->packs->arena = hone_arena_new();
    p->packs->form = hone_alloc((g->value_count + 1) * sizeof(int));
    if (!p->packs->arena || !p->packs->form) return hone_fail_memory(err);
    for (size_t i = 0; i < g->value_count; i++) p->packs->form[i] = -1;
    p->packs->threads = threads;
    return HONE_OK;
}

hone_status hone_packs_make(hone_graph *g, int threads, hone_precision precision, hone_packs **out,
                            hone_error *err) {
    hone_packer p = {0};
    pthread_mutex_init(&p.lock, NULL);
    hone_status status = start(&p, g, threads, err);
    if (status == HONE_OK) p.packs->precision = precision;
    if (status == HONE_OK) status = ask(&p, g, err);
    if (status == HONE_OK) status = pack_all(&p, threads, err);
    if (status == HONE_OK && bytes_now(p.packs) > TRIMMED) hone_trim();
    for (size_t i = 0; p.constants && i < g->value_count; i++) hone_tensor_free(p.constants[i].shell);
    hone_free(p.constants);
    pthread_mutex_destroy(&p.lock);
    if (status == HONE_OK)
        *out = p.packs;
    else
        hone_packs_free(p.packs);
    return status;
}

/* --- afterwards --- */

void hone_packs_free(hone_packs *s) {
    if (!s) return;
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].alone) hone_free(s->entries[i].data);
    hone_free(s->room);
    hone_free(s->entries);
    hone_free(s->form);
    hone_arena_free(s->arena);
    pthread_mutex_destroy(&s->lock);
    hone_free(s);
}

size_t hone_packs_bytes(hone_packs *s) {
    pthread_mutex_lock(&s->lock);
    size_t bytes = bytes_now(s);
    pthread_mutex_unlock(&s->lock);
    return bytes;
}

/* --- late --- */

static void pack_late_part(void *arg, int64_t task, int worker) {
    (void)worker;
    const pack_entry *e = arg;
    size_t bytes = e->packing.part_bytes;
    e->packing.pack(e->constant->data->data, e->packing.arg, task, e->data);
    hone_tensor_discard(e->constant->data, (size_t)task * bytes, bytes);
}

/* Without memory the plan does without: it reads the constant as it lies, or packs it at each run. */
static void pack_late(const hone_packs *s, pack_entry *e) {
    e->data = hone_alloc_scattered(e->packing.bytes);
    if (!e->data) return;
    if (run_parts(s->threads, e->packing.bytes, e->packing.part_bytes, parts_of(e), pack_late_part, e,
                  NULL) == HONE_OK) {
        hone_settle(e->data);
        return;
    }
    hone_free(e->data);
    e->data = NULL;
}

const void *hone_prepare_packed(const hone_prepare *p, int input, const char *format) {
    if (!p->packs) return NULL; /* a node on its own */
    const hone_value *v = input < p->node->input_count ? p->node->inputs[input] : NULL;
    pack_entry *e = v ? find(p->packs, v->id, format) : NULL;
    if (!e || !e->late) return e ? e->data : NULL;
    pthread_mutex_lock(&p->packs->lock);
    if (!e->data) pack_late(p->packs, e);
    const void *data = e->data;
    pthread_mutex_unlock(&p->packs->lock);
    return data;
}
