/* Bodies of TensorFlow Serving's predict method, and paths, sent to the front end with a small model behind
 * it: every one gets one answer, which is JSON. The first line is the path if it starts with a slash. */
#include "rest_target.h"
#include "serve/tfs/tfs_rest.h"

static void send(const char *method, hone_slice path, const uint8_t *data, size_t size) {
    hone_buffer body = body_of(data, size);
    answer a = ask(hone_tfs_handle, method, path, NULL, &body);
    check_head(&a);
    check_json(&a, a.body.size);
    answer_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 << 14) return 0;
    const uint8_t *line = size && data[0] == '/' ? memchr(data, '\n', size) : NULL;
    if (line) {
        hone_slice path = {(const char *)data, (size_t)(line - data)};
        send("POST", path, line + 1, size - path.size - 1);
        send("GET", path, NULL, 0);
    } else {
        send("POST", slice("/v1/models/p:predict"), data, size);
        send("POST", slice("/v1/models/i:predict"), data, size);
    }
    return 0;
}
