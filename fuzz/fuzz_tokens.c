/* Files of secrets. What is taken holds what the limits promise, and knows the secrets in it; what is refused is
 * explained without a word of the file. */
#include "serve/access/scope.h"
#include "serve/access/tokens.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The last word of a line of three is a secret, unless it is a hash. */
static void check_lines(const hone_tokens *t, const char *text, size_t size) {
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t stop = end ? (size_t)(end - text) : size, next = stop + 1;
        while (stop > at && strchr(" \t\r", text[stop - 1])) stop--;
        size_t start = stop, first = at;
        while (start > at && !strchr(" \t\r", text[start - 1])) start--;
        while (first < stop && strchr(" \t\r", text[first])) first++;
        hone_slice word = {text + start, stop - start};
        bool hashed = word.size > 7 && memcmp(word.data, "sha256:", 7) == 0;
        if (word.size > 0 && text[first] != '#' && !hashed && !hone_tokens_scopes(t, word)) abort();
        at = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_tokens *t;
    hone_error err = {0};
    const char *text = (const char *)data;
    if (size > 1 << 16) return 0;
    hone_status status = hone_tokens_parse("file", text, size, &t, &err);
    if (status != HONE_OK) {
        if (err.code != status || !err.message[0]) abort();
        return 0;
    }
    if (hone_tokens_count(t) < 1 || hone_tokens_count(t) > HONE_TOKENS_MOST) abort();
    if (hone_tokens_scopes(t, (hone_slice){"", 0})) abort();
    check_lines(t, text, size);
    hone_tokens_free(t);
    return 0;
}
