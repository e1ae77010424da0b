/* Regular expressions: the pattern up to a zero, then the text. Whatever compiles matches in bounded memory; what does not is
 * explained. */
#include "base/memory.h"
#include "base/regex.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *pattern = (const char *)data;
    const char *zero = memchr(pattern, 0, size);
    size_t length = zero ? (size_t)(zero - pattern) : size;
    if (size > 4096) return 0;
    hone_arena *arena = hone_arena_new();
    hone_error err = {0};
    const hone_regex *r = NULL;
    hone_status status = hone_regex_compile(arena, pattern, length, &r, &err);
    if (status != HONE_OK) {
        if (err.code != status || !err.message[0]) abort();
    } else {
        void *scratch = malloc(hone_regex_scratch(r));
        size_t rest = zero ? size - length - 1 : 0, *ends = malloc((rest + 1) * sizeof *ends);
        if (scratch && zero && ends) {
            bool whole = hone_regex_full_match(r, zero + 1, rest, scratch);
            hone_regex_ends(r, zero + 1, rest, scratch, ends);
            if (whole != (ends[0] == rest)) abort();
        }
        free(ends);
        free(scratch);
    }
    hone_arena_free(arena);
    return 0;
}
