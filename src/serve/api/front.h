/* What the API front ends share: a worker's scratch memory, and calls, which are predictions on their way.
 *
 *      request ──► front end: which model? ──► call ──► decode ──► hone_core_submit ──► encode ──► answer
 *                                               │   large bodies: on a compute thread      │
 *                                               └────────────── hone_api ──────────────────┘
 *
 * An API is a table of functions over a call; everything else about predictions is here. */
#ifndef HONE_SERVE_API_FRONT_H
#define HONE_SERVE_API_FRONT_H

#include "serve/api/tensors.h"
#include "serve/models/core.h"
#include "serve/request/budget.h"
#include "serve/request/packer.h"

typedef struct hone_front hone_front;
typedef struct hone_call hone_call;

typedef struct hone_front_options {
    hone_core *core; /* borrowed, as are the next two */
    hone_stats *stats;
    atomic_bool *ready; /* does the server take traffic? NULL: always */
    int worker;
    size_t body_limit; /* bytes of an unpacked body, and of a decoded tensor; 0: none */
    /* Borrowed; what bodies are unpacked to counts as if it had been sent so, and so does what is made of them. NULL: no
     * limit. */
    hone_budget *budget;
    size_t gzip_from; /* bytes from which an answer is packed for clients that take gzip; 0: never */
} hone_front_options;

/* The worker's own: all that follows is called on its thread. Freed when the core has stopped. */
struct hone_front {
    hone_front_options o;
    hone_call *calls; /* pool */
    int spare;        /* calls in it */
    hone_buffer answer;
    hone_packer packer;
};

hone_status hone_front_new(const hone_front_options *options, hone_front **out, hone_error *err);
void hone_front_free(hone_front *f); /* NULL is fine */

bool hone_front_is_ready(const hone_front *f);

/* An output that is to be in the answer. */
typedef enum hone_form { HONE_FORM_DEFAULT, HONE_FORM_TYPED, HONE_FORM_RAW } hone_form;

typedef struct hone_wanted {
    int output; /* of the servable */
    hone_form form;
} hone_wanted;

struct hone_call {
    hone_front *front;
    hone_request *request;
    hone_servable *servable;
    const struct hone_api *api;
    hone_tensors tensors;
    hone_budget_room room;             /* of what is made of the request: tensors, the answer */
    const hone_tensor *const *outputs; /* while it is encoded */
    /* What was asked for, set by `decode`. Text is borrowed from the request. */
    bool rows;           /* TensorFlow Serving's REST: by "instances" */
    hone_slice id;       /* Open Inference Protocol; lies in `kept` once the body is gone */
    hone_form form;      /* of outputs that don't say: raw bytes, or elements */
    uint64_t timeout;    /* nanoseconds from the request's first byte; 0: as the server's */
    hone_wanted *wanted; /* in this order */
    size_t wanted_count, wanted_capacity;
    bool packed;   /* the body came packed, and lies unpacked in `body` */
    bool bad_body; /* it can't be unpacked */
    hone_buffer body, kept;
    /* Set by `encode`, for `reply`. */
    size_t json_size;   /* of an answer whose raw tensors follow its JSON */
    hone_buffer answer; /* of one that was run elsewhere; else the front's is used */
    /* The client takes it packed; and here it is packed, unless that is empty. */
    bool packs;
    hone_buffer packed_answer;
    /* Its own. */
    hone_prediction prediction;
    bool submitted;
    hone_work work;
    hone_status status;
    hone_error err;
    uint64_t began, decoded; /* when */
    uint64_t encoding;       /* nanoseconds */
    hone_call *next;
};

typedef struct hone_api {
    /* Decodes the body into c->tensors and what was asked for. Perhaps on a compute thread: touches the call
     * and nothing of the worker's. */
    hone_status (*decode)(hone_call *c, hone_error *err);
    /* Appends the answer for c->outputs. On the thread that has run the prediction: touches the call and nothing of the
     * worker's. */
    hone_status (*encode)(hone_call *c, hone_buffer *out, hone_error *err);
    /* Answers with that, or with the same packed. */
    void (*reply)(hone_call *c, hone_buffer *out, bool packed);
    void (*fail)(hone_request *r, const hone_error *err);
    /* May answers to this request be packed, and how many of their first bytes never are? */
    bool (*packs)(const hone_request *r);
    size_t head;
    bool http; /* the body may come packed as Content-Encoding says */
} hone_api;

/* Runs a prediction: takes over the reference to `s`, and answers now or later. */
void hone_front_predict(hone_front *f, hone_request *r, hone_servable *s, const hone_api *api);

/* The bytes to decode, which may be changed: the body, unpacked. Followed by HONE_JSON_PAD zero bytes. */
char *hone_call_body(hone_call *c, size_t *size);
/* Asks for an output. HONE_INVALID_ARGUMENT: there is none of that name, or it is asked for twice. */
hone_status hone_call_want(hone_call *c, hone_slice name, hone_form form, hone_error *err);
/* Asks for all of them, if none was asked for. */
hone_status hone_call_want_all(hone_call *c, hone_error *err);

/* Has a compute thread call `run`, unless nobody waits for the request any more; then, in any case, `done` is called on
 * the worker's thread. */
void hone_front_offload(hone_front *f, hone_request *r, void (*run)(void *arg), void (*done)(void *arg),
                        void *arg);

/* May the answer be packed? And one that is, or is not. */
bool hone_front_packs(const hone_request *r);
void hone_front_answer_as(hone_request *r, int status, const char *content_type, hone_buffer *body,
                          bool packed);
/* Answers with a body, packed if that is allowed and worth it; it is empty then. */
void hone_front_answer(hone_front *f, hone_request *r, int status, const char *content_type,
                       hone_buffer *body);

/* --- finding models --- */

/* Of a model that is not found: HONE_UNAVAILABLE if it may be about to be loaded. */
hone_status hone_front_expect(hone_front *f, hone_slice name, int64_t version, hone_error *err);
/* "12" for a version, "" for the latest one. HONE_INVALID_ARGUMENT: no number; HONE_UNAVAILABLE: it may be about to be
 * loaded; HONE_NOT_FOUND. */
hone_status hone_front_find(hone_front *f, hone_slice name, hone_slice version, hone_servable **out,
                            hone_error *err);

/* --- paths --- */

/* Takes `word` from the front of a path, ignoring case or not. */
bool hone_path_take(hone_slice *path, const char *word, bool ignore_case);
/* Takes what comes before the next '/' or `stop`, and decodes "%41" into `out`, terminated. False if it is
 * empty, too long, or hides a zero byte. */
bool hone_path_segment(hone_slice *path, char stop, char *out, size_t size);

#endif
