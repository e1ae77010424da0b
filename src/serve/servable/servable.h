/* A servable: one version of one model, compiled and warmed up, with what each thread needs to run it. It is
 * reference-counted: whoever found it may use it until it is released, also when it has been replaced. A
 * worker is a thread that takes requests, numbered from 0.
 *
 * Rows. A servable is batchable when every input and output has a leading dimension that is free and the same
 * for all, and when warm-up has seen that a row's result does not depend on other rows: those of a batch came
 * out bit for bit as alone. Runs then have one of a few sizes, the powers of two or those that were asked
 * for; a run's missing rows are filled with copies of its last one and cut off afterwards, and a request of
 * more rows than the largest size is run in pieces. So warm-up can make every plan and every buffer that
 * traffic will need. Only of very many tiny rows pieces are larger.
 *
 * Buckets. Where the settings list sizes of free dimensions, each combination of them is a bucket, which has
 * sizes of batches, plans and buffers of its own.
 *
 * Padding. Along the dimensions that the settings say, requests that run together are filled up to the next
 * listed size, or, where none are listed, to the largest of them; and their results are cut back along the
 * dimensions of that name. Warm-up has to see that they come out as they do alone.
 *
 * Language models. A servable may be one instead: then it has neither inputs nor outputs, nothing of the above, and an
 * engine that makes texts. */
#ifndef HONE_SERVE_SERVABLE_SERVABLE_H
#define HONE_SERVE_SERVABLE_SERVABLE_H

#include "graph/tensor.h"
#include "serve/format/room.h"
#include "serve/format/slice.h"
#include "serve/language/language.h"
#include "serve/observe/stats.h"
#include "serve/servable/settings.h"

#include <hone/session.h>

#include <stdatomic.h>

#define HONE_MAX_SIZES (HONE_MAX_BATCH_SIZES + 16)

typedef struct hone_servable hone_servable;

/* Memory of an instance, grown to what its runs have needed. */
typedef struct hone_growing {
    char *data;
    size_t capacity, usual; /* bytes; `usual` is what warm-up made */
} hone_growing;

/* What one thread needs to run the model. */
typedef struct hone_instance {
    hone_context *context;
    size_t usual;        /* bytes of the context after warm-up */
    hone_growing inputs; /* rows of several requests */
    hone_tensor *in;     /* over these, or over rows of a request */
    const hone_tensor **in_list;
    const hone_tensor **results;           /* of the context */
    hone_growing pieces;                   /* results of a request that is run in pieces */
    hone_growing cuts;                     /* the results of one part without what was padded */
    int64_t target[HONE_MAX_DIM_SETTINGS]; /* sizes that the last run's parts were padded to */
    hone_tensor *outputs;                  /* of a run: over these, or as the context's views */
    hone_tensor *out;                      /* the rows of one part */
    const hone_tensor **out_list;
} hone_instance;

/* Requests of one combination of the sizes that the settings list. */
typedef struct hone_bucket {
    int64_t dims[HONE_MAX_DIM_SETTINGS]; /* as the settings list them; 0: they list none */
    int64_t warm_bytes;   /* of the inputs of one row, or of the whole request where there are no rows */
    int64_t result_bytes; /* and of its results */
    double volume; /* elements of such a row along the dimensions that are padded; 0: it is not measured */
    int size_count;
    int sizes[HONE_MAX_SIZES];   /* of batches, ascending from 1 */
    double cost[HONE_MAX_SIZES]; /* seconds */
} hone_bucket;

/* Where the settings' dimensions stand: for each of an input's or output's the number in the settings, or
 * -1. */
typedef int8_t hone_named_axes[HONE_MAX_RANK];

struct hone_servable {
    atomic_int references;
    /* Takes it when the last reference is gone; NULL: it is freed there. */
    void (*retire)(void *user, hone_servable *s);
    void *retire_user;
    hone_servable *next; /* for that */
    char *name;
    int64_t version;
    hone_servable_settings settings;
    hone_language *language;   /* NULL: it is none, else what follows is not there */
    hone_text_stats texts;     /* of it */
    hone_tokenizer *tokenizer; /* of a model of inputs and outputs that embeds texts; NULL: it does not */
    int64_t created;           /* seconds since 1970 */
    hone_model *model;
    hone_session *session;
    hone_instance *instances;             /* of the workers, then of the compute threads */
    int workers, instance_count, threads; /* threads: of a run */
    int input_count, output_count;
    hone_value_info *inputs, *outputs; /* names live in the model's signature */
    hone_named_axes *in_axes, *out_axes;
    void *pad_elements;   /* of HONE_PAD_ELEMENT bytes for each input */
    hone_bucket *buckets; /* the smaller ones first; at least one */
    int bucket_count;
    hone_model_stats *stats;
    size_t bytes;          /* of memory, after warm-up */
    atomic_uint cuts_seen; /* of all mappings, when it was looked */
    atomic_bool cut;       /* whether one of its own is among them */
    int max_queue;
    /* By warm-up. */
    bool warm, batchable;
    char unbatched[128]; /* why not */
    unsigned padded;     /* dimensions along which requests are padded: 1 << their number in the settings */
    char unpadded[320];  /* why none, if some should be */
    /* The batcher's, under its lock. */
    struct hone_prediction *first, *last;
    int queued;
    int64_t queued_rows;
    hone_servable *ready_next, *ready_previous;
};

typedef struct hone_servable_options {
    const char *name;
    int64_t version;
    const hone_servable_settings *settings; /* copied; NULL: the defaults */
    int workers, compute_threads, model_threads;
    int max_queue; /* unless the settings say */
    double inline_cost;
    hone_stats *stats;
} hone_servable_options;

/* Threads that one of its runs may use; 0: one for each CPU. */
int hone_servable_threads(const hone_servable_options *o);
/* Compiles; not warmed up. Outputs that are maps for rows are served as matrices with keys. */
hone_status hone_servable_new(const hone_servable_options *o, const hone_graph *graph, hone_servable **out,
                              hone_error *err);
/* Another one over the same compiled model, before the compilation of which hone_graph_open_maps() was called. */
hone_status hone_servable_remake(const hone_servable_options *o, hone_model *model, hone_servable **out,
                                 hone_error *err);
/* A language model's, which takes `language` over on success; `bytes` is what it takes. It needs no warm-up. */
hone_status hone_servable_speak(const hone_servable_options *o, hone_language *language, size_t bytes,
                                hone_servable **out, hone_error *err);
/* Frees it now; there is no reference but the caller's. */
void hone_servable_destroy(hone_servable *s);

/* --- telling --- */

hone_servable *hone_servable_retain(hone_servable *s);
void hone_servable_release(hone_servable *s); /* NULL is fine */
const char *hone_servable_name(const hone_servable *s);
int64_t hone_servable_version(const hone_servable *s);
hone_model_stats *hone_servable_stats(hone_servable *s);
/* NULL: it is a language model. */
const hone_graph *hone_servable_signature(const hone_servable *s);
/* NULL: it is no language model. Borrowed. */
hone_language *hone_servable_language(const hone_servable *s);
/* Takes a reference to the tokenizer if the model reads texts: int64 or int32 inputs [batch, sequence] of the names input_ids,
 * attention_mask, token_type_ids, and a first output of float32 with two dimensions or three. */
void hone_servable_read_texts(hone_servable *s, const hone_tokenizer *tokenizer);
/* NULL: it embeds no texts. Borrowed. */
const hone_tokenizer *hone_servable_tokenizer(const hone_servable *s);
/* Is it a model for clients of OpenAI's API: one that makes texts or embeds them? */
bool hone_servable_is_openai(const hone_servable *s);
int64_t hone_servable_created(const hone_servable *s);
/* Brings what is counted of its texts up to date. */
void hone_servable_look_at_texts(const hone_servable *s);

int hone_servable_input_count(const hone_servable *s);
int hone_servable_output_count(const hone_servable *s);
/* Borrowed. The index must be in range. */
const hone_value_info *hone_servable_input(const hone_servable *s, int index);
const hone_value_info *hone_servable_output(const hone_servable *s, int index);
/* Keys of an output's columns, where the model gives maps for rows: the output is then the matrix of their values. NULL: it
 * gives no maps. Borrowed. */
const hone_tensor *hone_servable_output_keys(const hone_servable *s, int index);
/* -1 if there is no such output. */
int hone_servable_find_output(const hone_servable *s, hone_slice name);

/* Do inputs and outputs of both have the same names, dtypes and shapes (symbols count as free)? If not, says
 * what differs. */
bool hone_servable_same_signature(const hone_servable *a, const hone_servable *b, char *why, size_t size);

/* HONE_INVALID_ARGUMENT names the input whose dtype or shape does not fit. */
hone_status hone_servable_check(const hone_servable *s, const hone_tensor *const *inputs, hone_error *err);
/* Of the smallest size that takes `rows`, or of the largest one. */
int hone_bucket_size_index(const hone_bucket *b, int64_t rows);
/* Seconds of so many rows of its size, in between and beyond as it follows from what was measured. */
double hone_bucket_cost(const hone_bucket *b, double rows);
static inline int hone_bucket_most(const hone_bucket *b) {
    return b->sizes[b->size_count - 1];
}

/* --- running --- */

/* One request's part in a run. */
typedef struct hone_part {
    struct hone_part *next; /* of the same run; NULL: the last one */
    const hone_tensor *const *inputs;
    int64_t rows;   /* < 0: it is not cut in rows */
    int64_t offset; /* result: of its first row in the run */
    const hone_bucket *bucket;
    bool pads;                             /* it may be padded */
    int64_t sizes[HONE_MAX_DIM_SETTINGS];  /* of the settings' dimensions; 0: no input has it */
    int64_t target[HONE_MAX_DIM_SETTINGS]; /* what they are padded to at least, beside others */
} hone_part;
/* The part of a request of these (checked) inputs. */
hone_part hone_part_of(const hone_servable *s, const hone_tensor *const *inputs);
/* May both be part of one run, as far as their shapes say? */
bool hone_part_joins(const hone_servable *s, const hone_part *a, const hone_part *b);
/* Elements along the dimensions that requests are padded along; 1 if there are none. */
double hone_part_volume(const hone_servable *s, const int64_t *sizes);
/* Seconds that it will take, as far as warm-up can tell; HUGE_VAL if it can't. */
double hone_part_estimate(const hone_servable *s, const hone_part *p);

/* Runs it on the calling thread as `worker`, whatever it costs. `outputs` are views that are valid until the
 * worker's next run of this servable. HONE_INVALID_ARGUMENT names an input whose shape does not fit. */
hone_status hone_servable_run(hone_servable *s, int worker, const hone_tensor *const *inputs,
                              const hone_tensor **outputs, hone_cancel_fn *cancel, void *user,
                              hone_error *err);

typedef struct hone_run {
    hone_part *first; /* several join one another, and their rows fit the largest size */
    bool pad;         /* a single one is padded, too */
    bool dry;         /* only plans and memory are made ready: there are no results */
    hone_room *room;  /* is asked before the instance's memory grows; NULL: nobody */
    hone_cancel_fn *cancel;
    void *user;
    double staged, computed; /* result: seconds */
    int64_t size;            /* result: rows of the (last) run, padding included */
    /* Result, where requests are padded: elements of the inputs, and those that were added along
     * dimensions. */
    double own, padding;
} hone_run;
/* By the thread of that instance. Fills instance->outputs, and the parts' offsets in it. HONE_RESOURCE_EXHAUSTED: there is
 * no room for what the run needs. */
hone_status hone_instance_run(hone_servable *s, hone_instance *instance, hone_run *run, hone_error *err);
/* The rows of one part, cut back to its sizes: valid until the instance's next run or view.
 * HONE_RESOURCE_EXHAUSTED: there is no room for them. */
hone_status hone_instance_view(hone_servable *s, hone_instance *instance, const hone_part *p, hone_room *room,
                               const hone_tensor *const **out, hone_error *err);
/* Room for the inputs of `rows` rows, of which one has the bytes in `inputs`, and for their results, likewise; kept until
 * the servable goes. */
bool hone_instance_reserve(hone_servable *s, hone_instance *instance, const size_t *inputs, int64_t rows,
                           const size_t *outputs, int64_t result_rows);
/* Gives memory back that is far beyond what warm-up has needed. Views are not valid any more. */
void hone_instance_shrink(hone_instance *instance);

#endif
