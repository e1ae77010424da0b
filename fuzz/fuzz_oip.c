/* The Open Inference Protocol over REST: the first line is the path, with "N " before it if N bytes of the
 * rest are the JSON header. Every request gets one answer, which is JSON up to its raw tensors. */
#include "rest_target.h"
#include "serve/oip/oip_rest.h"

static void check(const answer *a) {
    size_t header = a->body.size;
    const char *name, *value;
    for (size_t at = 0; hone_request_next_field(&a->fields, &at, &name, &value);)
        if (strcmp(name, "inference-header-content-length") == 0) header = strtoul(value, NULL, 10);
    check_head(a);
    if (header) check_json(a, header);
}

static void send(const char *method, hone_slice path, const char *header, const uint8_t *data, size_t size) {
    hone_field field = {slice("Inference-Header-Content-Length"), slice(header ? header : "")};
    hone_buffer body = body_of(data, size);
    answer a = ask(hone_oip_handle, method, path, header ? &field : NULL, &body);
    check(&a);
    answer_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 << 14) return 0;
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    if (!line) {
        send("POST", slice("/v2/models/p/infer"), NULL, data, size);
        send("POST", slice("/v2/models/i/infer"), "0", data, size);
        return 0;
    }
    char number[8] = "";
    hone_slice path = {(const char *)data, (size_t)(line - data)};
    size_t digits = 0;
    while (digits < path.size && digits < 6 && path.data[digits] >= '0' && path.data[digits] <= '9') digits++;
    memcpy(number, path.data, digits);
    size_t skip = digits < path.size && path.data[digits] == ' ' ? digits + 1 : digits;
    path = (hone_slice){path.data + skip, path.size - skip};
    if (!hone_oip_takes(path)) return 0;
    size_t rest = size - (size_t)(line - data) - 1;
    send("POST", path, digits ? number : NULL, line + 1, rest);
    send("GET", path, NULL, NULL, 0);
    return 0;
}
