/* gRPC's server reflection: which services there are, and the descriptors of their messages. The descriptors
 * are those of src/serve/grpc/proto, one FileDescriptorSet in the library. */
#include "base/error.h"
#include "serve/format/wire.h"
#include "serve/grpc/grpc.h"

extern const unsigned char hone_grpc_descriptors[];
extern const size_t hone_grpc_descriptors_size;

enum { MAX_FILES = 64 };

/* Fields of descriptor.proto. */
enum {
    SET_FILE = 1,
    FILE_NAME = 1,
    FILE_PACKAGE = 2,
    FILE_DEPENDENCY = 3,
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6,
    ANY_NAME = 1,
    MESSAGE_FIELD = 2,
    MESSAGE_NESTED = 3,
    MESSAGE_ENUM = 4,
    SERVICE_METHOD = 2
};

typedef struct file_set {
    hone_wire_field files[MAX_FILES];
    int count;
} file_set;

static void open_set(file_set *set) {
    hone_wire w = hone_wire_of(hone_grpc_descriptors, hone_grpc_descriptors_size);
    set->count = 0;
    while (set->count < MAX_FILES && hone_wire_next(&w, &set->files[set->count]))
        if (hone_wire_is(&set->files[set->count], SET_FILE, HONE_WIRE_BYTES)) set->count++;
}

static hone_slice text_field(const hone_wire_field *of, uint32_t number) {
    hone_wire w = hone_wire_into(of);
    hone_wire_field f;
    while (hone_wire_next(&w, &f))
        if (hone_wire_is(&f, number, HONE_WIRE_BYTES)) return hone_wire_text(&f);
    return (hone_slice){"", 0};
}

static bool same(hone_slice a, hone_slice b) {
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static int file_named(const file_set *set, hone_slice name) {
    for (int i = 0; i < set->count; i++)
        if (same(text_field(&set->files[i], FILE_NAME), name)) return i;
    return -1;
}

/* Takes "name." from the front of a symbol. */
static bool take_scope(hone_slice *symbol, hone_slice name) {
    if (symbol->size <= name.size || symbol->data[name.size] != '.' ||
        memcmp(symbol->data, name.data, name.size) != 0)
        return false;
    symbol->data += name.size + 1;
    symbol->size -= name.size + 1;
    return true;
}

static bool member_is(const hone_wire_field *f, hone_slice symbol) {
    return same(text_field(f, ANY_NAME), symbol);
}

/* Is the symbol this message or service, or something in it? They nest as deep as the file says. */
static bool has_symbol(const hone_wire_field *of, bool message, hone_slice symbol) {
    if (member_is(of, symbol)) return true;
    if (!take_scope(&symbol, text_field(of, ANY_NAME))) return false;
    hone_wire w = hone_wire_into(of);
    hone_wire_field f;
    while (hone_wire_next(&w, &f)) {
        if (f.type != HONE_WIRE_BYTES) continue;
        if (message && f.number == MESSAGE_NESTED && has_symbol(&f, true, symbol)) return true;
        if (message && (f.number == MESSAGE_FIELD || f.number == MESSAGE_ENUM) && member_is(&f, symbol))
            return true;
        if (!message && f.number == SERVICE_METHOD && member_is(&f, symbol)) return true;
    }
    return false;
}

static int file_with(const file_set *set, hone_slice symbol) {
    for (int i = 0; i < set->count; i++) {
        hone_slice package = text_field(&set->files[i], FILE_PACKAGE), rest = symbol;
        hone_wire w = hone_wire_into(&set->files[i]);
        hone_wire_field f;
        if (package.size > 0 && !take_scope(&rest, package)) continue;
        while (hone_wire_next(&w, &f)) {
            if (f.type != HONE_WIRE_BYTES) continue;
            if (f.number == FILE_ENUM && member_is(&f, rest)) return i;
            if ((f.number == FILE_MESSAGE || f.number == FILE_SERVICE) &&
                has_symbol(&f, f.number == FILE_MESSAGE, rest))
                return i;
        }
    }
    return -1;
}

/* --- answers --- */

/* Fields of reflection.proto. */
enum {
    REQUEST_HOST = 1,
    REQUEST_FILE = 3,
    REQUEST_SYMBOL = 4,
    REQUEST_EXTENSION = 5,
    REQUEST_EXTENSION_NUMBERS = 6,
    REQUEST_LIST = 7,
    ANSWER_HOST = 1,
    ANSWER_REQUEST = 2,
    ANSWER_FILES = 4,
    ANSWER_EXTENSION_NUMBERS = 5,
    ANSWER_LIST = 6,
    ANSWER_ERROR = 7
};

static void put_error(hone_buffer *out, hone_grpc_code code, const char *message) {
    size_t begun = hone_wire_begin(out, ANSWER_ERROR);
    hone_wire_put_number(out, 1, (uint64_t)code);
    hone_wire_put_text(out, 2, message);
    hone_wire_end(out, begun);
}

/* A file and all that it imports. */
static void put_files(hone_buffer *out, const file_set *set, int first) {
    int queue[MAX_FILES], count = 0;
    bool seen[MAX_FILES] = {false};
    size_t begun = hone_wire_begin(out, ANSWER_FILES);
    queue[count++] = first;
    seen[first] = true;
    for (int i = 0; i < count; i++) {
        const hone_wire_field *file = &set->files[queue[i]];
        hone_wire w = hone_wire_into(file);
        hone_wire_field f;
        hone_wire_put_bytes(out, 1, file->data, file->size);
        while (hone_wire_next(&w, &f)) {
            int at =
                hone_wire_is(&f, FILE_DEPENDENCY, HONE_WIRE_BYTES) ? file_named(set, hone_wire_text(&f)) : -1;
            if (at < 0 || seen[at]) continue;
            seen[at] = true;
            queue[count++] = at;
        }
    }
    hone_wire_end(out, begun);
}

/* The services that are described: there are also some that only say what is not served. */
static void put_services(hone_buffer *out, const file_set *set, const hone_grpc_table *table) {
    size_t list = hone_wire_begin(out, ANSWER_LIST);
    for (int i = 0; i < table->count; i++) {
        const char *name = table->services[i].name;
        if (file_with(set, (hone_slice){name, strlen(name)}) < 0) continue;
        size_t service = hone_wire_begin(out, 1);
        hone_wire_put_text(out, 1, name);
        hone_wire_end(out, service);
    }
    hone_wire_end(out, list);
}

static void put_found(hone_buffer *out, const file_set *set, int file) {
    if (file < 0)
        put_error(out, HONE_GRPC_NOT_FOUND, "No such file or symbol is known here");
    else
        put_files(out, set, file);
}

static void put_no_extensions(hone_buffer *out, const file_set *set, hone_slice type) {
    if (file_with(set, type) < 0) {
        put_error(out, HONE_GRPC_NOT_FOUND, "No such type is known here");
        return;
    }
    size_t begun = hone_wire_begin(out, ANSWER_EXTENSION_NUMBERS);
    hone_wire_put_bytes(out, 1, type.data, type.size);
    hone_wire_end(out, begun);
}

/* The answer to one request of the stream; the last of what it asks for counts. */
static hone_status put_answer(hone_buffer *out, const hone_grpc_table *table, const uint8_t *message,
                              size_t size, hone_error *err) {
    file_set set;
    hone_wire w = hone_wire_of(message, size);
    hone_wire_field f, host = {0}, asked = {0};
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, REQUEST_HOST, HONE_WIRE_BYTES)) host = f;
        if (f.type == HONE_WIRE_BYTES && f.number >= REQUEST_FILE && f.number <= REQUEST_LIST) asked = f;
    }
    HONE_TRY(hone_wire_check(&w, "ServerReflectionRequest", err));
    open_set(&set);
    if (host.size > 0) hone_wire_put_bytes(out, ANSWER_HOST, host.data, host.size);
    hone_wire_put_bytes(out, ANSWER_REQUEST, message, size);
    switch (asked.number) {
    case REQUEST_FILE: put_found(out, &set, file_named(&set, hone_wire_text(&asked))); break;
    case REQUEST_SYMBOL: put_found(out, &set, file_with(&set, hone_wire_text(&asked))); break;
    case REQUEST_EXTENSION: put_error(out, HONE_GRPC_NOT_FOUND, "There are no extensions here"); break;
    case REQUEST_EXTENSION_NUMBERS: put_no_extensions(out, &set, hone_wire_text(&asked)); break;
    case REQUEST_LIST: put_services(out, &set, table); break;
    default: put_error(out, HONE_GRPC_UNIMPLEMENTED, "The request asks for nothing that is known here");
    }
    return HONE_OK;
}

/* --- the stream --- */

static void resume(hone_request *r, void *producer);

/* Answers the messages that are there, as fast as the client takes the answers. */
static void more(hone_request *r) {
    hone_buffer out = {0};
    hone_error err = {0};
    const uint8_t *message;
    size_t size;
    bool whole = true, room = true;
    hone_status status = HONE_OK;
    if (r->ended || r->resume) return;
    while (room && (status = hone_grpc_next_message(r, &message, &size, &whole, &err)) == HONE_OK && whole) {
        hone_grpc_begin_message(&out);
        status = put_answer(&out, r->reader, message, size, &err);
        if (status != HONE_OK) break;
        hone_grpc_drop_message(r, size);
        room = hone_grpc_send(r, &out);
        if (r->ended) break;
    }
    hone_buffer_free(&out);
    if (r->ended) return;
    if (status != HONE_OK) {
        hone_grpc_fail_error(r, &err);
    } else if (!room) {
        r->resume = resume;
        r->producer = NULL;
    } else if (r->whole && r->body.size > 0) {
        hone_grpc_fail(r, HONE_GRPC_INVALID_ARGUMENT, "The last message is not complete");
    } else if (r->whole) {
        hone_grpc_end(r);
    }
}

static void resume(hone_request *r, void *producer) {
    (void)producer;
    more(r);
}

static void handle(void *user, int worker, hone_request *r, hone_slice method) {
    (void)worker;
    if (!hone_slice_equal(method, "ServerReflectionInfo")) {
        hone_grpc_unknown(r);
        return;
    }
    r->more = more;
    r->reader = user;
    more(r);
}

hone_status hone_grpc_register_reflection(hone_grpc_table *table, hone_error *err) {
    static const char *const names[] = {"grpc.reflection.v1.ServerReflection",
                                        "grpc.reflection.v1alpha.ServerReflection"};
    for (int i = 0; i < 2; i++)
        HONE_TRY(hone_grpc_register(
            table, &(hone_grpc_service){.name = names[i], .handle = handle, .user = table, .streams = true},
            err));
    return HONE_OK;
}
