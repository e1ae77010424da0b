#include "serve/servable/shapes.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "graph/graph.h"
#include "serve/servable/padding.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- names --- */

/* What the settings say of an input's or output's dimension, as hone_tensor_setting.dims. */
static int64_t setting_of(const hone_servable *s, const hone_value_info *v, int d) {
    const hone_tensor_setting *t = hone_settings_find_tensor(&s->settings, v->name);
    return t && t->rank >= 0 && d < t->rank && (v->rank < 0 || v->rank == t->rank) ? t->dims[d] : -1;
}

/* The name of a dimension: by the settings, else by the model. NULL: it has none. */
static const char *name_of(const hone_servable *s, const hone_value_info *v, int d) {
    int64_t setting = setting_of(s, v, d);
    if (setting >= 0) return NULL;
    if (setting < -1) return s->settings.dims[-2 - setting].name;
    return d < v->rank && v->dims[d] < -1 ? hone_graph_dim_name(hone_servable_signature(s), v->dims[d])
                                          : NULL;
}

static bool same_dimension(const hone_servable *s, const hone_value_info *v, int d, const hone_value_info *w,
                           int e) {
    const char *a = name_of(s, v, d), *b = name_of(s, w, e);
    return a && b ? strcmp(a, b) == 0 : !a && !b;
}

/* --- may requests be put together? --- */

static bool shares_bytes(hone_dtype dtype) {
    return hone_dtype_bits(dtype) > 0 && hone_dtype_bits(dtype) < 8;
}

const char *hone_shapes_unfit(const hone_servable *s) {
    if (!s->settings.batching) return "batching is switched off";
    if (s->input_count == 0) return "it has no inputs";
    for (int i = 0; i < s->input_count; i++) {
        const hone_value_info *v = &s->inputs[i];
        if (v->dtype == HONE_STRING) return "an input is text";
        if (shares_bytes(v->dtype)) return "rows of an input share bytes";
        if (v->rank < 1 || v->dims[0] >= 0) return "an input has no free leading dimension";
        if (!same_dimension(s, v, 0, &s->inputs[0], 0)) return "the leading dimensions of the inputs differ";
        for (int d = 1; d < v->rank; d++)
            if (name_of(s, v, 0) && v->dims[d] < 0 && same_dimension(s, v, 0, v, d))
                return "the leading dimension of an input stands elsewhere, too";
    }
    for (int i = 0; i < s->output_count; i++) {
        const hone_value_info *v = &s->outputs[i];
        if (v->dtype == HONE_STRING) return "an output is text";
        if (shares_bytes(v->dtype)) return "rows of an output share bytes";
        if (v->rank == 0 || (v->rank > 0 && v->dims[0] >= 0)) return "an output has no row for each input's";
    }
    return NULL;
}

/* --- settling --- */

void hone_do_not_pad(hone_servable *s, const char *why) {
    s->padded = 0;
    snprintf(s->unpadded, sizeof s->unpadded, "requests are not padded: %s", why);
    hone_log(HONE_LOG_WARNING, "model %s version %lld: %s", s->name, (long long)s->version, s->unpadded);
}

/* From dimension `first` on. */
static void find_axes(const hone_servable *s, const hone_value_info *v, int first, hone_named_axes axes) {
    for (int d = 0; d < HONE_MAX_RANK; d++) {
        const char *name =
            d < first || (v->rank >= 0 && (d >= v->rank || v->dims[d] >= 0)) ? NULL : name_of(s, v, d);
        axes[d] = (int8_t)(name ? hone_settings_find_dim(&s->settings, name) : -1);
    }
}

/* Those that some input has. */
static unsigned used_dims(const hone_servable *s) {
    unsigned used = 0;
    for (int i = 0; i < s->input_count; i++)
        for (int d = 0; d < HONE_MAX_RANK; d++)
            if (s->in_axes[i][d] >= 0) used |= 1u << s->in_axes[i][d];
    return used;
}

/* Where all free dimensions are to be padded: those that have a name, but for that of the rows. */
static void pad_all(hone_servable *s) {
    hone_servable_settings *o = &s->settings;
    for (int i = 0; i < s->input_count; i++) {
        const hone_value_info *v = &s->inputs[i];
        for (int d = 1; d < v->rank; d++) {
            const char *name = v->dims[d] < 0 ? name_of(s, v, d) : NULL;
            if (!name || strlen(name) > HONE_MAX_SETTING_NAME) continue;
            int at = hone_settings_find_dim(o, name);
            if (at < 0 && o->dim_count == HONE_MAX_DIM_SETTINGS) continue;
            if (at < 0) {
                at = o->dim_count++;
                o->dims[at] = (hone_dim_setting){0};
                snprintf(o->dims[at].name, sizeof o->dims[at].name, "%s", name);
            }
            o->dims[at].pad = true;
        }
    }
}

static double volume(const hone_bucket *b) {
    double v = 1;
    for (int j = 0; j < HONE_MAX_DIM_SETTINGS; j++)
        if (b->dims[j] > 0) v *= (double)b->dims[j];
    return v;
}

/* Every combination of the listed sizes. */
static hone_status make_buckets(hone_servable *s, unsigned used, hone_error *err) {
    const hone_servable_settings *o = &s->settings;
    int count = 1;
    for (int j = 0; j < o->dim_count; j++)
        if (used >> j & 1 && o->dims[j].size_count > 0) count *= o->dims[j].size_count;
    s->buckets = hone_calloc((size_t)count, sizeof *s->buckets);
    if (!s->buckets) return hone_fail_memory(err);
    for (int n = 0; n < count; n++) {
        hone_bucket b = {.size_count = 1, .sizes = {1}};
        for (int j = 0, rest = n; j < o->dim_count; j++) {
            if (!(used >> j & 1) || o->dims[j].size_count == 0) continue;
            b.dims[j] = o->dims[j].sizes[rest % o->dims[j].size_count];
            rest /= o->dims[j].size_count;
        }
        int at = s->bucket_count++;
        for (; at > 0 && volume(&s->buckets[at - 1]) > volume(&b); at--) s->buckets[at] = s->buckets[at - 1];
        s->buckets[at] = b;
    }
    return HONE_OK;
}

static void warn(const hone_servable *s, const char *what, const char *name) {
    hone_log(HONE_LOG_WARNING, "model %s version %lld: the settings have \"%s\", %s", s->name,
             (long long)s->version, name, what);
}

static void warn_of_unknown(const hone_servable *s, unsigned used) {
    const hone_servable_settings *o = &s->settings;
    for (int j = 0; j < o->dim_count; j++)
        if (!(used >> j & 1) && (o->dims[j].size_count > 0 || o->dims[j].pad))
            warn(s, "which is no free dimension of an input beside the rows", o->dims[j].name);
    for (int k = 0; k < o->tensor_count; k++) {
        const hone_tensor_setting *t = &o->tensors[k];
        const hone_value_info *found = NULL;
        for (int i = 0; i < s->input_count + s->output_count; i++) {
            const hone_value_info *v = i < s->input_count ? &s->inputs[i] : &s->outputs[i - s->input_count];
            if (strcmp(v->name, t->name) == 0) found = v;
        }
        if (!found)
            warn(s, "which is no input or output", t->name);
        else if (t->rank >= 0 && found->rank >= 0 && t->rank != found->rank)
            warn(s, "whose dimensions are not as many as the model's", t->name);
    }
}

/* What inputs are padded with. NULL, or the name of one that does not hold it. */
static const char *find_elements(hone_servable *s) {
    for (int i = 0; i < s->input_count; i++)
        if (!hone_pad_element(s->inputs[i].dtype, hone_settings_find_tensor(&s->settings, s->inputs[i].name),
                              (char *)s->pad_elements + (size_t)i * HONE_PAD_ELEMENT))
            return s->inputs[i].name;
    return NULL;
}

hone_status hone_shapes_settle(hone_servable *s, hone_error *err) {
    const char *unfit = hone_shapes_unfit(s);
    s->in_axes = hone_calloc((size_t)s->input_count + 1, sizeof *s->in_axes);
    s->out_axes = hone_calloc((size_t)s->output_count + 1, sizeof *s->out_axes);
    s->pad_elements = hone_calloc((size_t)s->input_count + 1, HONE_PAD_ELEMENT);
    if (!s->in_axes || !s->out_axes || !s->pad_elements) return hone_fail_memory(err);
    if (s->settings.pad_all) pad_all(s);
    for (int i = 0; i < s->input_count; i++) find_axes(s, &s->inputs[i], unfit ? 0 : 1, s->in_axes[i]);
    for (int i = 0; i < s->output_count; i++) find_axes(s, &s->outputs[i], unfit ? 0 : 1, s->out_axes[i]);
    unsigned used = used_dims(s);
    warn_of_unknown(s, used);
    for (int j = 0; j < s->settings.dim_count; j++)
        if (s->settings.dims[j].pad) s->padded |= used & 1u << j;
    const char *input = s->padded ? find_elements(s) : NULL;
    if (input) {
        char why[200];
        snprintf(why, sizeof why, "\"%.*s\" does not hold the value that \"pad\" has for it",
                 HONE_UTF8_SHOWN(input, 120));
        hone_do_not_pad(s, why);
    } else if (unfit && s->padded) {
        hone_do_not_pad(s, unfit);
    }
    return make_buckets(s, used, err);
}

/* --- requests --- */

static int64_t rows_of(const hone_servable *s, const hone_tensor *const *inputs) {
    if (!s->batchable) return -1;
    int64_t rows = inputs[0]->dims[0];
    bool any = false;
    for (int i = 0; i < s->input_count; i++) {
        if (inputs[i]->dims[0] != rows) return -1;
        any |= inputs[i]->bytes > 0;
    }
    return any ? rows : -1; /* rows of nothing may be many */
}

/* Sizes of the settings' dimensions. False: two inputs, or two dimensions of one, have different ones, or
 * none. */
static bool read_sizes(const hone_servable *s, const hone_tensor *const *inputs, int64_t *sizes) {
    bool even = true;
    for (int i = 0; i < s->input_count; i++)
        for (int d = 0; d < inputs[i]->rank; d++) {
            int j = s->in_axes[i][d];
            if (j < 0) continue;
            int64_t size = inputs[i]->dims[d];
            even = even && size > 0 && (sizes[j] == 0 || sizes[j] == size);
            if (size > sizes[j]) sizes[j] = size;
        }
    return even;
}

/* The next listed size. False: it is beyond all of them. */
static bool round_up(const hone_dim_setting *d, int64_t *size) {
    for (int i = 0; i < d->size_count; i++)
        if (*size <= d->sizes[i]) {
            *size = d->sizes[i];
            return true;
        }
    return d->size_count == 0;
}

static const hone_bucket *find_bucket(const hone_servable *s, const int64_t *sizes) {
    for (int n = 0; n + 1 < s->bucket_count; n++) {
        bool fits = true;
        for (int j = 0; j < s->settings.dim_count && fits; j++)
            fits = s->buckets[n].dims[j] == 0 || sizes[j] <= s->buckets[n].dims[j];
        if (fits) return &s->buckets[n];
    }
    return &s->buckets[s->bucket_count - 1];
}

hone_part hone_part_of(const hone_servable *s, const hone_tensor *const *inputs) {
    hone_part p = {.inputs = inputs, .rows = rows_of(s, inputs), .bucket = s->buckets};
    if (s->settings.dim_count == 0) return p;
    p.pads = read_sizes(s, inputs, p.sizes) && p.rows > 0 && s->padded;
    memcpy(p.target, p.sizes, sizeof p.target);
    for (int j = 0; j < s->settings.dim_count && p.pads; j++)
        if (s->padded >> j & 1) p.pads = round_up(&s->settings.dims[j], &p.target[j]);
    if (!p.pads) memcpy(p.target, p.sizes, sizeof p.target);
    p.bucket = find_bucket(s, p.target);
    return p;
}

unsigned hone_shapes_open(const hone_servable *s) {
    unsigned open = s->padded;
    for (int j = 0; j < s->settings.dim_count; j++)
        if (s->settings.dims[j].size_count > 0) open &= ~(1u << j);
    return open;
}

bool hone_part_joins(const hone_servable *s, const hone_part *a, const hone_part *b) {
    bool pads = a->pads && b->pads;
    unsigned open = pads ? hone_shapes_open(s) : 0;
    for (int i = 0; i < s->input_count; i++) {
        const hone_tensor *t = a->inputs[i], *u = b->inputs[i];
        if (t->rank != u->rank) return false;
        for (int d = 1; d < t->rank; d++) {
            int j = pads ? s->in_axes[i][d] : -1;
            bool padded = j >= 0 && s->padded >> j & 1;
            if (padded ? !(open >> j & 1) && a->target[j] != b->target[j] : t->dims[d] != u->dims[d])
                return false;
        }
    }
    return true;
}

double hone_part_volume(const hone_servable *s, const int64_t *sizes) {
    double v = 1;
    for (int j = 0; j < s->settings.dim_count; j++)
        if (s->padded >> j & 1 && sizes[j] > 0) v *= (double)sizes[j];
    return v;
}

bool hone_shapes_is_padded(const hone_servable *s, const hone_part *p, const int64_t *target) {
    for (int j = 0; j < s->settings.dim_count && p->pads; j++)
        if (s->padded >> j & 1 && p->sizes[j] != target[j]) return true;
    return false;
}

void hone_shapes_pad(const hone_servable *s, const hone_part *p, int input, const int64_t *target,
                     int64_t *dims) {
    const hone_tensor *t = p->inputs[input];
    for (int d = 0; d < t->rank; d++) {
        int j = p->pads ? s->in_axes[input][d] : -1;
        dims[d] = j >= 0 && s->padded >> j & 1 ? target[j] : t->dims[d];
    }
}

/* --- costs --- */

int hone_bucket_size_index(const hone_bucket *b, int64_t rows) {
    int i = 0;
    while (i + 1 < b->size_count && b->sizes[i] < rows) i++;
    return i;
}

double hone_bucket_cost(const hone_bucket *b, double rows) {
    int i = 0, last = b->size_count - 1;
    while (i < last && b->sizes[i] < rows) i++;
    if (b->sizes[i] == rows) return b->cost[i];
    if (last == 0) return b->cost[0] * rows;
    if (i == 0) i = 1;
    double slope = (b->cost[i] - b->cost[i - 1]) / (b->sizes[i] - b->sizes[i - 1]);
    if (rows > b->sizes[i]) return b->cost[i] + (rows - b->sizes[i]) * fmax(slope, 0);
    double cost = b->cost[i - 1] + (rows - b->sizes[i - 1]) * slope;
    return rows < 1 ? fmax(cost, b->cost[0] * rows) : cost;
}

double hone_part_estimate(const hone_servable *s, const hone_part *p) {
    const hone_bucket *b = p->bucket;
    double bytes = 0, cost;
    if (!s->warm || (s->batchable && p->rows < 0)) return HUGE_VAL;
    for (int i = 0; i < s->input_count; i++) bytes += (double)p->inputs[i]->bytes;
    if (p->rows > 0) {
        int64_t most = hone_bucket_most(b), whole = p->rows / most, rest = p->rows % most;
        cost = (double)whole * b->cost[b->size_count - 1];
        if (rest) cost += b->cost[hone_bucket_size_index(b, rest)];
        bytes /= (double)p->rows;
    } else {
        cost = b->cost[0];
    }
    double larger = b->warm_bytes > 0 ? bytes / (double)b->warm_bytes : 1;
    return larger > 1 ? cost * larger : cost;
}
