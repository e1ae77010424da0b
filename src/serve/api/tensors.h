/* The tensors of one prediction: what JSON, protocol buffers and raw bytes are decoded into. Kept and used
 * again, so that decoding allocates nothing once the largest request was seen. */
#ifndef HONE_SERVE_API_TENSORS_H
#define HONE_SERVE_API_TENSORS_H

#include "graph/tensor.h"
#include "serve/format/buffer.h"
#include "serve/format/json_scan.h"
#include "serve/models/core.h"

/* One input. */
typedef struct hone_feed {
    const char *name;        /* the model's; borrowed */
    hone_json_tensor values; /* its buffer holds decoded elements */
    hone_tensor tensor;      /* what the model gets: over that buffer, or over the request's body */
    int64_t rows;            /* of JSON: values scanned so far */
    size_t raw_at, raw_size; /* of bytes behind JSON: where they are */
    bool raw;                /* they are there */
    bool given;
    size_t missing; /* elements at the end that are to be as the one before them, or zero if there is none */
} hone_feed;

typedef struct hone_tensors {
    hone_feed *feeds; /* one for each input of the model, in its order */
    const hone_tensor **inputs;
    int count;
    size_t feed_capacity, input_capacity;
    size_t limit;    /* bytes of one decoded tensor; 0: none */
    hone_room *room; /* is asked before buffers grow; NULL: nobody */
    bool too_large;  /* a tensor passes the limit */
} hone_tensors;

/* Makes it ready for a request to `s`: nothing is given. HONE_UNSUPPORTED if an input is of a type that no protocol
 * carries (float8, float4, integers of less than a byte). */
hone_status hone_tensors_begin(hone_tensors *t, const hone_servable *s, hone_error *err);
/* NULL if the model has no such input. */
hone_feed *hone_tensors_find(const hone_tensors *t, hone_slice name);
/* Fills t->inputs. HONE_INVALID_ARGUMENT names an input that was not given. */
hone_status hone_tensors_finish(hone_tensors *t, hone_error *err);
/* Bytes of elements that are missing, and setting them: that may take long. */
size_t hone_tensors_missing(const hone_tensors *t);
void hone_tensors_fill(hone_tensors *t);
/* Gives back buffers, so that no more than `keep` bytes are left. */
void hone_tensors_trim(hone_tensors *t, size_t keep);
void hone_tensors_free(hone_tensors *t);

/* Sets the tensor's shape. HONE_INVALID_ARGUMENT: it is none. */
hone_status hone_feed_shape(hone_feed *feed, int rank, const int64_t *dims, hone_error *err);
/* The same of a shape that a client says without having to send its elements: HONE_RESOURCE_EXHAUSTED if they pass the
 * limit. Dimensions beside one of 0 count, too: there is work for each of them. */
hone_status hone_feed_said_shape(hone_tensors *t, hone_feed *feed, int rank, const int64_t *dims,
                                 hone_error *err);
/* Makes room for the shape's elements; they are not set. The feed is given. HONE_RESOURCE_EXHAUSTED: there is none. */
hone_status hone_feed_room(hone_feed *feed, hone_error *err);
/* HONE_RESOURCE_EXHAUSTED: there is no room for what an input is decoded to. */
hone_status hone_feed_no_room(const hone_feed *feed, size_t bytes, hone_error *err);
/* The elements as they lie in memory, little-endian. `data` is borrowed until the prediction is done if it is
 * aligned for its type, else copied. Not for strings. */
hone_status hone_feed_raw(hone_feed *feed, const void *data, size_t size, hone_error *err);
/* Stores a string of any bytes as element `i`, whose room is there. It stays where it is, moved by one byte to make
 * place for the zero behind it: the byte before it must be free to use. */
void hone_feed_text(hone_feed *feed, size_t i, char *text, size_t size);
/* Stores an integer (its low bits), a bool, or the bits of a narrow float as element `i`. */
void hone_feed_bits(hone_feed *feed, size_t i, uint64_t x);

/* Little-endian elements of `element` bytes to the machine's order, or back. */
void hone_copy_elements(void *to, const void *from, size_t bytes, size_t element);

/* Bytes that hone_tensor_put_raw writes. Strings: each behind its length, a u32. */
size_t hone_tensor_raw_size(const hone_tensor *t);
void hone_tensor_put_raw(hone_buffer *out, const hone_tensor *t);
/* Strings in that form, `size` bytes in all, moved in place. The feed's shape is set. */
hone_status hone_feed_raw_texts(hone_feed *feed, char *data, size_t size, hone_error *err);

#endif
