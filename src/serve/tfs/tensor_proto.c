#include "serve/tfs/tensor_proto.h"

#include "base/error.h"
#include "serve/api/wire_list.h"
#include "serve/tfs/tfs_names.h"

enum { DTYPE = 1, SHAPE = 2, CONTENT = 4 };
enum { SHAPE_DIM = 2, SHAPE_UNKNOWN_RANK = 3, DIM_SIZE = 1, DIM_NAME = 2 };

/* Which list holds the elements of a dtype. */
static uint32_t list_of(hone_dtype dtype) {
    switch (dtype) {
    case HONE_FLOAT16:
    case HONE_BFLOAT16: return 13;
    case HONE_FLOAT32: return 5;
    case HONE_FLOAT64: return 6;
    case HONE_STRING: return 8;
    case HONE_INT64: return 10;
    case HONE_BOOL: return 11;
    case HONE_UINT32: return 16;
    case HONE_UINT64: return 17;
    default: return 7;
    }
}

/* --- decoding --- */

typedef struct summary {
    uint64_t dtype;
    int rank;
    int64_t dims[HONE_MAX_RANK];
    hone_wire_field content;
} summary;

static hone_status read_dim(hone_feed *feed, const hone_wire_field *dim, summary *m, hone_error *err) {
    hone_wire w = hone_wire_into(dim);
    hone_wire_field f;
    int64_t size = 0;
    while (hone_wire_next(&w, &f))
        if (hone_wire_is(&f, DIM_SIZE, HONE_WIRE_VARINT)) size = (int64_t)f.value;
    HONE_TRY(hone_wire_check(&w, "TensorShapeProto", err));
    if (m->rank == HONE_MAX_RANK)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\" has more than %d dimensions",
                         feed->name, HONE_MAX_RANK);
    m->dims[m->rank++] = size;
    return HONE_OK;
}

static hone_status read_shape(hone_feed *feed, const hone_wire_field *shape, summary *m, hone_error *err) {
    hone_wire w = hone_wire_into(shape);
    hone_wire_field f;
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, SHAPE_DIM, HONE_WIRE_BYTES)) HONE_TRY(read_dim(feed, &f, m, err));
        if (hone_wire_is(&f, SHAPE_UNKNOWN_RANK, HONE_WIRE_VARINT) && f.value)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\" does not say its shape",
                             feed->name);
    }
    return hone_wire_check(&w, "TensorShapeProto", err);
}

/* All but the lists of elements. */
static hone_status survey(hone_feed *feed, const hone_wire_field *message, summary *m, hone_error *err) {
    hone_wire w = hone_wire_into(message);
    hone_wire_field f;
    *m = (summary){0};
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, DTYPE, HONE_WIRE_VARINT)) m->dtype = f.value;
        if (hone_wire_is(&f, SHAPE, HONE_WIRE_BYTES)) HONE_TRY(read_shape(feed, &f, m, err));
        if (hone_wire_is(&f, CONTENT, HONE_WIRE_BYTES)) m->content = f;
    }
    return hone_wire_check(&w, "TensorProto", err);
}

hone_status hone_tensor_proto_decode(hone_tensors *t, hone_feed *feed, const hone_wire_field *message,
                                     hone_error *err) {
    summary m;
    HONE_TRY(survey(feed, message, &m, err));
    hone_dtype dtype = hone_tfs_dtype(m.dtype);
    if (dtype != feed->tensor.dtype)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "the input \"%s\" is of the type %s (%llu), but the model takes %s", feed->name,
                         hone_tfs_type_name(dtype), (unsigned long long)m.dtype,
                         hone_tfs_type_name(feed->tensor.dtype));
    HONE_TRY(hone_feed_said_shape(t, feed, m.rank, m.dims, err));
    if (m.content.size == 0) {
        size_t count;
        HONE_TRY(hone_feed_list(feed, message, list_of(dtype), &count, err));
        feed->missing = (size_t)feed->tensor.count - count;
        return HONE_OK;
    }
    if (dtype == HONE_STRING)
        return hone_fail(err, HONE_UNSUPPORTED,
                         "the input \"%s\" has its strings in tensor_content; string_val is understood",
                         feed->name);
    return hone_feed_raw(feed, m.content.data, m.content.size, err);
}

/* --- encoding --- */

void hone_shape_proto_put(hone_buffer *out, uint32_t number, int rank, const int64_t *dims,
                          const hone_graph *g) {
    size_t shape = hone_wire_begin(out, number);
    if (rank < 0) hone_wire_put_number(out, SHAPE_UNKNOWN_RANK, 1);
    for (int i = 0; i < rank; i++) {
        const char *name = dims[i] < 0 && g ? hone_graph_dim_name(g, dims[i]) : NULL;
        size_t dim = hone_wire_begin(out, SHAPE_DIM);
        if (dims[i] != 0) hone_wire_put_number(out, DIM_SIZE, (uint64_t)(dims[i] < 0 ? -1 : dims[i]));
        if (name) hone_wire_put_text(out, DIM_NAME, name);
        hone_wire_end(out, dim);
    }
    hone_wire_end(out, shape);
}

/* The message up to its elements, in `room`, which is large enough for any shape. */
static hone_buffer head_of(const hone_tensor *t, char *room, size_t size) {
    hone_buffer head = {.data = room, .capacity = size};
    hone_wire_put_number(&head, DTYPE, (uint64_t)hone_tfs_type(t->dtype));
    hone_shape_proto_put(&head, SHAPE, t->rank, t->dims, NULL);
    return head;
}

enum { HEAD_ROOM = 256 };

size_t hone_tensor_proto_size(const hone_tensor *t) {
    char room[HEAD_ROOM];
    return head_of(t, room, sizeof room).size + hone_list_size(list_of(t->dtype), t);
}

void hone_tensor_proto_put(hone_buffer *out, const hone_tensor *t) {
    char room[HEAD_ROOM];
    hone_buffer head = head_of(t, room, sizeof room);
    hone_buffer_put(out, head.data, head.size);
    hone_list_put(out, list_of(t->dtype), t);
}
