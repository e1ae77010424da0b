#include "serve/http/http1.h"

#include "serve/format/json_write.h"
#include "serve/http/llhttp_names.h"
#include "serve/request/request.h"

#include <llhttp.h>

#include <strings.h>

enum { CHUNK_LINE_LIMIT = 256 };

_Static_assert(sizeof(llhttp_t) <= sizeof((hone_http1 *)0)->machine, "llhttp's parser does not fit");

static llhttp_t *machine_of(hone_http1 *p) {
    return (llhttp_t *)(void *)p->machine;
}

/* --- what llhttp tells --- */

static int on_url(llhttp_t *m, const char *at, size_t size) {
    hone_http1 *p = m->data;
    const char *mark = memchr(at, '?', size);
    size_t path = mark ? (size_t)(mark - at) : size;
    p->head->path = (hone_slice){at, path};
    p->head->query = mark ? (hone_slice){mark + 1, size - path - 1} : (hone_slice){at + size, 0};
    return 0;
}

static int on_field(llhttp_t *m, const char *at, size_t size) {
    hone_http1 *p = m->data;
    if (!p->head) return 0; /* a trailer */
    if (p->head->field_count == HONE_MAX_FIELDS) {
        p->too_many = true;
        return -1;
    }
    p->head->fields[p->head->field_count++] = (hone_field){{at, size}, {at + size, 0}};
    return 0;
}

static int on_value(llhttp_t *m, const char *at, size_t size) {
    hone_http1 *p = m->data;
    if (!p->head || p->head->field_count == 0) return 0;
    while (size > 0 && (at[size - 1] == ' ' || at[size - 1] == '\t')) size--;
    p->head->fields[p->head->field_count - 1].value = (hone_slice){at, size};
    return 0;
}

/* Upgrades are not for us; without this, llhttp would stop after the message. */
static int on_head_complete(llhttp_t *m) {
    hone_http1 *p = m->data;
    m->upgrade = 0;
    if (p->head) p->head->keep_alive = llhttp_should_keep_alive(m);
    return 0;
}

static int on_complete(llhttp_t *m) {
    ((hone_http1 *)m->data)->complete = true;
    return 0;
}

static const llhttp_settings_t settings = {.on_url = on_url,
                                           .on_header_field = on_field,
                                           .on_header_value = on_value,
                                           .on_headers_complete = on_head_complete,
                                           .on_message_complete = on_complete};

void hone_http1_init(hone_http1 *p, const hone_http1_limits *limits) {
    *p = (hone_http1){.limits = limits};
}

void hone_http1_free(hone_http1 *p) {
    hone_buffer_free(&p->held);
}

static hone_http1_event fail(hone_http1 *p, int status, const char *reason) {
    p->state = HONE_HTTP1_FAILED;
    p->status = status;
    p->reason = reason;
    hone_buffer_free(&p->held);
    return HONE_HTTP1_ERROR;
}

/* Gives bytes that the gate let through to llhttp; false, and the parser has failed, if llhttp refuses them: 501 where it
 * knows no such method, whatever that means for the body. */
static bool feed(hone_http1 *p, const char *data, size_t size) {
    llhttp_errno_t code = llhttp_execute(machine_of(p), data, size);
    if (code == HPE_OK) return true;
    if (p->too_many)
        fail(p, 431, "There are too many header fields");
    else if (code == HPE_INVALID_METHOD)
        fail(p, 501, "The method is not known here");
    else
        fail(p, 400, "The request is malformed");
    return false;
}

/* --- the gate: gathering whole lines and blocks --- */

/* No control character but tabs. */
static bool clean_line(const char *line, size_t size) {
    const uint64_t ones = ~(uint64_t)0 / 255;
    unsigned bad = 0;
    size_t i = 0;
    /* eight at a time as long as there is none at all, nor a byte above 0x7f */
    for (; i + 8 <= size; i += 8) {
        uint64_t x;
        memcpy(&x, line + i, sizeof x);
        if ((x | (x - ones * 0x20) | (x + ones)) & ones * 0x80) break;
    }
    for (; i < size; i++) {
        unsigned char c = (unsigned char)line[i];
        bad |= (unsigned)((c < 0x20) & (c != '\t')) | (unsigned)(c == 0x7f);
    }
    return !bad;
}

/* Looks on for the end of a line (or, for a block, of the empty line) in `size` bytes. Returns the bytes up
 * to and with it, 0 if it is not there yet; fails the parser at the first line that is not well formed. */
static size_t unit_end(hone_http1 *p, const char *data, size_t size, bool block) {
    for (;;) {
        const char *newline = memchr(data + p->looked, '\n', size - p->looked);
        if (!newline) {
            size_t n = size - p->looked;
            if (n > 0 && data[size - 1] == '\r') n--; /* what follows it is not known yet */
            if (!clean_line(data + p->looked, n)) fail(p, 400, "A line has a control character in it");
            p->looked += n;
            return 0;
        }
        size_t end = (size_t)(newline - data), start = p->line;
        p->line = p->looked = end + 1;
        if (end == start || newline[-1] != '\r') {
            fail(p, 400, "A line ends without CR");
            return 0;
        }
        if (!clean_line(data + start, end - 1 - start)) {
            fail(p, 400, "A line has a control character in it");
            return 0;
        }
        if (start > 0 && (data[start] == ' ' || data[start] == '\t')) {
            fail(p, 400, "A header line starts with a space");
            return 0;
        }
        if (!block || end - 1 == start) return end + 1;
    }
}

/* The next line or block, whole: *unit points into the input, or into `held` if it came in pieces. False: it
 * is not complete, or the parser has failed. */
static bool gather(hone_http1 *p, const char **data, size_t *size, bool block, hone_slice *unit) {
    size_t limit = block ? p->limits->head_bytes : CHUNK_LINE_LIMIT;
    size_t before = p->held.size, taken = *size;
    const char *from = *data;
    if (before > 0) {
        if (taken > limit + 1 - before) taken = limit + 1 - before;
        hone_buffer_put(&p->held, *data, taken);
        from = p->held.data;
    }
    size_t end = unit_end(p, from, before + taken, block);
    if (p->state == HONE_HTTP1_FAILED) return false;
    if (end > limit || (end == 0 && before + taken > limit)) {
        fail(p, block ? 431 : 400, block ? "The header is too large" : "A chunk's size line is too long");
        return false;
    }
    if (end == 0) {
        if (before == 0) hone_buffer_put(&p->held, *data, taken);
        *data += taken;
        *size -= taken;
        if (p->held.failed) fail(p, 503, "Out of memory");
        return false;
    }
    *unit = (hone_slice){from, end};
    *data += end - before;
    *size -= end - before;
    p->line = p->looked = 0;
    p->held.size = 0; /* its bytes stay where they are until the next call */
    return true;
}

/* --- the gate: what a head may say --- */

static bool is_token(unsigned char c) {
    switch (c) {
    case 'a' ... 'z':
    case 'A' ... 'Z':
    case '0' ... '9':
    case '!':
    case '#':
    case '$':
    case '%':
    case '&':
    case '\'':
    case '*':
    case '+':
    case '-':
    case '.':
    case '^':
    case '_':
    case '`':
    case '|':
    case '~': return true;
    default: return false;
    }
}

/* Splits the line at *at of a block (without the final empty line) and moves on. False if it is no field. */
static bool next_field(hone_slice block, size_t *at, hone_field *out) {
    const char *line = block.data + *at, *end = memchr(line, '\r', block.size - *at);
    const char *p = line;
    while (is_token((unsigned char)*p)) p++;
    if (p == line || *p != ':') return false;
    const char *value = p + 1, *last = end;
    while (value < last && (*value == ' ' || *value == '\t')) value++;
    while (last > value && (last[-1] == ' ' || last[-1] == '\t')) last--;
    *out = (hone_field){{line, (size_t)(p - line)}, {value, (size_t)(last - value)}};
    *at = (size_t)(end + 2 - block.data);
    return true;
}

/* HTTP/1.x at the end of the request line: its x, or -1 after failing. */
static int check_version(hone_http1 *p, hone_slice line) {
    static const char version[] = " HTTP/1.";
    size_t n = sizeof version - 1;
    if (line.size > n + 1 && memcmp(line.data + line.size - n - 1, version, n) == 0) {
        char minor = line.data[line.size - 1];
        if (minor == '0' || minor == '1') return minor - '0';
    }
    if (line.size > 9 && memcmp(line.data + line.size - 9, " HTTP/", 6) == 0)
        fail(p, 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here");
    else
        fail(p, 400, "The request line is malformed");
    return -1;
}

static bool check_fields(hone_http1 *p, hone_slice block, size_t at, int minor, hone_head *head) {
    int hosts = 0, lengths = 0, codings = 0;
    uint64_t length;
    hone_field f;
    while (at + 2 < block.size) {
        if (!next_field(block, &at, &f)) return fail(p, 400, "A header line is malformed"), false;
        if (hone_slice_equal_nocase(f.name, "host")) {
            hosts++;
        } else if (hone_slice_equal_nocase(f.name, "content-length")) {
            lengths++;
            if (!hone_slice_number(f.value, INT64_MAX, &length))
                return fail(p, 400, "Content-Length is not a number"), false;
            head->content_length = (int64_t)length;
        } else if (hone_slice_equal_nocase(f.name, "transfer-encoding")) {
            codings++;
            if (!hone_slice_equal_nocase(f.value, "chunked"))
                return fail(p, 400, "The only Transfer-Encoding understood is chunked"), false;
        } else if (hone_slice_equal_nocase(f.name, "expect")) {
            if (!hone_slice_equal_nocase(f.value, "100-continue"))
                return fail(p, 417, "The only expectation understood is 100-continue"), false;
            head->expects_continue = minor == 1;
        }
    }
    if (hosts > 1 || (minor == 1 && hosts == 0)) return fail(p, 400, "There must be exactly one Host"), false;
    if (lengths > 1) return fail(p, 400, "Content-Length is there twice"), false;
    if (codings > 1 || (codings && (lengths || minor == 0)))
        return fail(p, 400, "The length of the body is ambiguous"), false;
    return true;
}

/* "http://host/path" becomes "/path". */
static void strip_authority(hone_head *head) {
    hone_slice *path = &head->path;
    const char *mark = memmem(path->data, path->size, "://", 3);
    if (path->size == 0 || path->data[0] == '/' || !mark) return;
    const char *end = path->data + path->size, *slash = memchr(mark + 3, '/', (size_t)(end - mark - 3));
    *path = slash ? (hone_slice){slash, (size_t)(end - slash)} : (hone_slice){"/", 1};
}

static hone_http1_event take_head(hone_http1 *p, hone_slice block, hone_head *head) {
    const char *line_end = memchr(block.data, '\r', block.size);
    hone_slice line = {block.data, (size_t)(line_end - block.data)};
    head->method = head->path = head->query = (hone_slice){"", 0};
    head->content_length = -1;
    head->field_count = 0;
    head->expects_continue = false;
    size_t method = 0;
    while (is_token((unsigned char)line.data[method])) method++;
    if (method == 0 || line.data[method] != ' ') return fail(p, 400, "The request line is malformed");
    int minor = check_version(p, line);
    if (minor < 0 || !check_fields(p, block, line.size + 2, minor, head)) return HONE_HTTP1_ERROR;
    llhttp_init(machine_of(p), HTTP_REQUEST, &settings);
    machine_of(p)->data = p;
    p->complete = p->too_many = false;
    p->head = head;
    bool fed = feed(p, block.data, block.size);
    p->head = NULL;
    if (!fed) return HONE_HTTP1_ERROR;
    head->method = (hone_slice){line.data, method};
    strip_authority(head);
    head->chunked_answer = minor == 1;
    p->body_bytes = 0;
    p->body_most = p->limits->body_bytes;
    bool chunked = machine_of(p)->flags & F_CHUNKED;
    if (chunked) {
        p->state = HONE_HTTP1_CHUNK_SIZE;
    } else if (head->content_length > 0) {
        if ((uint64_t)head->content_length > p->limits->body_bytes)
            return fail(p, 413, "The body is too large");
        p->state = HONE_HTTP1_IN_BODY;
        p->left = (uint64_t)head->content_length;
    } else {
        p->state = HONE_HTTP1_COMPLETE;
    }
    if ((p->state == HONE_HTTP1_COMPLETE) != p->complete) return fail(p, 400, "The request is malformed");
    return HONE_HTTP1_HEAD;
}

/* --- bodies --- */

static hone_http1_event take_body(hone_http1 *p, const char **data, size_t *size, hone_slice *body) {
    size_t n = *size < p->left ? *size : (size_t)p->left;
    *body = (hone_slice){*data, n};
    if (!feed(p, *data, n)) return HONE_HTTP1_ERROR;
    *data += n;
    *size -= n;
    p->left -= n;
    if (p->left == 0)
        p->state = p->state == HONE_HTTP1_CHUNK_DATA ? HONE_HTTP1_CHUNK_END : HONE_HTTP1_COMPLETE;
    return HONE_HTTP1_BODY;
}

/* "1a2b", ";extension" after it is ignored. */
static bool take_chunk_size(hone_http1 *p, hone_slice line) {
    uint64_t n = 0;
    size_t i = 0;
    for (; i < line.size && i < 16; i++) {
        char c = line.data[i], lower = c | 0x20;
        if (c >= '0' && c <= '9')
            n = n << 4 | (uint64_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            n = n << 4 | (uint64_t)(lower - 'a' + 10);
        else
            break;
    }
    if (i == 0 || i == 16 || (line.data[i] != '\r' && line.data[i] != ';'))
        return fail(p, 400, "A chunk's size is malformed"), false;
    if (n > p->body_most - p->body_bytes) return fail(p, 413, "The body is too large"), false;
    if (!feed(p, line.data, line.size)) return false;
    p->body_bytes += n;
    p->left = n;
    p->state = n ? HONE_HTTP1_CHUNK_DATA : HONE_HTTP1_TRAILER;
    return true;
}

static bool take_trailer(hone_http1 *p, hone_slice block) {
    hone_field f;
    for (size_t at = 0; at + 2 < block.size;) {
        if (!next_field(block, &at, &f) || hone_slice_equal_nocase(f.name, "host") ||
            hone_slice_equal_nocase(f.name, "content-length") ||
            hone_slice_equal_nocase(f.name, "transfer-encoding"))
            return fail(p, 400, "A trailer line is malformed"), false;
    }
    if (!feed(p, block.data, block.size)) return false;
    if (!p->complete) return fail(p, 400, "The request is malformed"), false;
    p->state = HONE_HTTP1_COMPLETE;
    return true;
}

/* One unit of a head or of chunked framing, which brings no event of its own unless it is a head. */
static hone_http1_event take_unit(hone_http1 *p, const char **data, size_t *size, hone_head *head) {
    bool block = p->state == HONE_HTTP1_IN_HEAD || p->state == HONE_HTTP1_TRAILER;
    hone_slice unit;
    if (!gather(p, data, size, block, &unit))
        return p->state == HONE_HTTP1_FAILED ? HONE_HTTP1_ERROR : HONE_HTTP1_MORE;
    bool good = true;
    switch (p->state) {
    case HONE_HTTP1_IN_HEAD:
        if (unit.size > 2) return take_head(p, unit, head);
        if (p->blank_skipped) return fail(p, 400, "The request line is empty");
        p->blank_skipped = true;
        break;
    case HONE_HTTP1_CHUNK_SIZE: good = take_chunk_size(p, unit); break;
    case HONE_HTTP1_CHUNK_END:
        if (unit.size != 2) return fail(p, 400, "A chunk is longer than its size");
        good = feed(p, unit.data, unit.size);
        p->state = good ? HONE_HTTP1_CHUNK_SIZE : HONE_HTTP1_FAILED;
        break;
    default: good = take_trailer(p, unit); break;
    }
    return good ? HONE_HTTP1_MORE : HONE_HTTP1_ERROR;
}

hone_http1_event hone_http1_next(hone_http1 *p, const char **data, size_t *size, hone_head *head,
                                 hone_slice *body) {
    for (;;) {
        switch (p->state) {
        case HONE_HTTP1_FAILED: return HONE_HTTP1_ERROR;
        case HONE_HTTP1_COMPLETE:
            p->state = HONE_HTTP1_IDLE;
            hone_buffer_free(&p->held);
            return HONE_HTTP1_END;
        case HONE_HTTP1_IDLE:
            if (*size == 0) return HONE_HTTP1_MORE;
            p->state = HONE_HTTP1_IN_HEAD;
            p->blank_skipped = false;
            break;
        case HONE_HTTP1_IN_BODY:
        case HONE_HTTP1_CHUNK_DATA: return *size ? take_body(p, data, size, body) : HONE_HTTP1_MORE;
        default: {
            if (*size == 0) return HONE_HTTP1_MORE;
            hone_http1_event event = take_unit(p, data, size, head);
            if (event != HONE_HTTP1_MORE) return event;
        }
        }
    }
}

/* --- answers --- */

const char *hone_http_reason(int status) {
    switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
    }
}

void hone_http1_write_fields(hone_buffer *out, const hone_buffer *fields) {
    const char *name, *value;
    for (size_t at = 0; hone_request_next_field(fields, &at, &name, &value);) {
        hone_buffer_text(out, name);
        hone_buffer_text(out, ": ");
        hone_buffer_text(out, value);
        hone_buffer_text(out, "\r\n");
    }
}

void hone_http1_write_head(hone_buffer *out, const hone_http1_answer *a) {
    if (!a->version_sent) hone_buffer_text(out, HONE_HTTP1_VERSION);
    hone_json_write_integer(out, a->status);
    hone_buffer_byte(out, ' ');
    hone_buffer_text(out, hone_http_reason(a->status));
    if (a->content_type) {
        hone_buffer_text(out, "\r\nContent-Type: ");
        hone_buffer_text(out, a->content_type);
    }
    if (a->length >= 0) {
        hone_buffer_text(out, "\r\nContent-Length: ");
        hone_json_write_integer(out, a->length);
    } else if (a->chunked) {
        hone_buffer_text(out, "\r\nTransfer-Encoding: chunked");
    }
    if (a->close)
        hone_buffer_text(out, "\r\nConnection: close");
    else if (a->keep_alive)
        hone_buffer_text(out, "\r\nConnection: keep-alive");
    if (a->date) {
        hone_buffer_text(out, "\r\nDate: ");
        hone_buffer_text(out, a->date);
    }
    hone_buffer_text(out, "\r\n");
    if (a->fields) hone_http1_write_fields(out, a->fields);
    hone_buffer_text(out, "\r\n");
}
