#include "serve/openai/body.h"

#define TREE                                                                                                 \
    ((size_t)24) /* bytes that one of JSON may take as a tree: most where it is nothing but brackets */

bool hone_body_parse(const char *text, size_t size, json_t **out, hone_fault *f) {
    json_error_t wrong;
    *out = NULL;
    json_t *root = json_loadb(text, size, 0, &wrong);
    if (!root && json_error_code(&wrong) == json_error_null_character)
        return hone_fault_set(f, 400, NULL, NULL,
                              "The body has a text in line %d, column %d: no text may have \\u0000 in it",
                              wrong.line, wrong.column);
    if (!root)
        return hone_fault_set(f, 400, NULL, NULL, "The body is no JSON: line %d, column %d: %.200s",
                              wrong.line, wrong.column, wrong.text);
    if (json_is_object(root)) {
        *out = root;
        return true;
    }
    json_decref(root);
    return hone_fault_set(f, 400, NULL, NULL, "The body must be a JSON object");
}

/* As HTTP has it. */
static bool unpack(hone_front *front, const hone_request *r, hone_buffer *out, hone_fault *f) {
    hone_slice coding = hone_head_field(&r->head, "content-encoding");
    hone_budget_room room;
    hone_error err = {0};
    if (coding.size == 0 || hone_slice_equal_nocase(coding, "identity")) return true;
    if (!hone_slice_equal_nocase(coding, "gzip") && !hone_slice_equal_nocase(coding, "x-gzip"))
        return hone_fault_set(f, 415, NULL, NULL, "The only Content-Encoding understood is gzip");
    hone_budget_room_open(&room, front->packer.budget);
    hone_status status = hone_packer_unpack(&front->packer, r->body.data, r->body.size, &room, out, &err);
    hone_budget_room_close(&room);
    if (status == HONE_RESOURCE_EXHAUSTED) return hone_fault_set(f, 413, NULL, NULL, "%s", err.message);
    return status == HONE_OK || hone_fault_take(f, NULL, status, &err);
}

static bool fits(size_t size, hone_fault *f) {
    return size <= HONE_OPENAI_MOST_BYTES ||
           hone_fault_set(f, 413, NULL, NULL, "A body of %zu bytes; the most is %zu", size,
                          HONE_OPENAI_MOST_BYTES);
}

static bool cover(hone_budget *budget, size_t bytes, hone_budget_share *share, hone_fault *f) {
    if (bytes <= HONE_BUDGET_FREE || !budget || hone_budget_take(budget, share, TREE * bytes)) return true;
    return hone_fault_set(f, 429, NULL, NULL,
                          "There is no room for the body at this time: it may take %zu bytes (--body-budget)",
                          TREE * bytes);
}

bool hone_body_read(hone_front *front, const hone_request *r, hone_budget_share *share, json_t **out,
                    hone_fault *f) {
    hone_buffer unpacked = {0};
    bool fine = unpack(front, r, &unpacked, f);
    const hone_buffer *body = unpacked.data ? &unpacked : &r->body;
    fine = fine && fits(body->size, f) && cover(front->packer.budget, body->size, share, f) &&
           hone_body_parse(body->data ? body->data : "", body->size, out, f);
    hone_buffer_free(&unpacked);
    return fine;
}

bool hone_body_model(hone_front *front, const char *name, hone_servable **out, hone_fault *f) {
    hone_error err = {0};
    hone_status status =
        hone_front_find(front, (hone_slice){name, strlen(name)}, (hone_slice){"", 0}, out, &err);
    if (status == HONE_NOT_FOUND)
        return hone_fault_set(f, 404, "model", "model_not_found", "%s", err.message);
    return status == HONE_OK || hone_fault_take(f, "model", status, &err);
}
