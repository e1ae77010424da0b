/* A template, a zero, and its variables. What is read is rendered, and what comes out is whole pieces. */
#include <hone/text.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data, *zero = size ? memchr(text, 0, size) : NULL;
    size_t length = zero ? (size_t)(zero - text) : size, count;
    const char *variables =
        zero ? zero + 1 : "{\"messages\": [{\"role\": \"user\", \"content\": \"a b\"}], \"x\": 1}";
    size_t variables_size = zero ? size - length - 1 : strlen(variables);
    hone_template *t = NULL;
    hone_rendered *r = NULL;
    hone_error err = {0};
    hone_status status = hone_template_parse(text, length, &t, &err);
    if (status == HONE_OK) status = hone_template_render(t, variables, variables_size, 1700000000, &r, &err);
    if (status != HONE_OK && (err.code != status || r)) abort();
    const hone_text_piece *pieces = r ? hone_rendered_pieces(r, &count) : NULL;
    for (size_t i = 0; r && i < count; i++)
        if (pieces[i].size == 0 || (i > 0 && pieces[i].user == pieces[i - 1].user)) abort();
    hone_rendered_free(r);
    hone_template_free(t);
    return 0;
}
