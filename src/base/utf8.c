#include "base/utf8.h"

static bool continues(char c) {
    return ((unsigned char)c & 0xc0) == 0x80;
}

size_t hone_utf8_length(const char *text, size_t left) {
    const unsigned char *p = (const unsigned char *)text;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if (!continues(text[i])) return 0;
    if (n < 3) return n;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] > 0x9f, too_large = p[0] == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || too_large ? 0 : n;
}

size_t hone_utf8_broken(const char *text, size_t left) {
    const unsigned char *p = (const unsigned char *)text;
    size_t whole = p[0] < 0xc2 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 1, n = 1;
    unsigned char low = p[0] == 0xe0   ? 0xa0
                        : p[0] == 0xf0 ? 0x90
                                       : 0x80,
                  high = p[0] == 0xed   ? 0x9f
                         : p[0] == 0xf4 ? 0x8f
                                        : 0xbf;
    for (; n < whole && n < left && p[n] >= low && p[n] <= high; n++) low = 0x80, high = 0xbf;
    return n;
}

bool hone_utf8_is_valid(const char *text, size_t size) {
    for (size_t i = 0, n; i < size; i += n)
        if ((n = hone_utf8_length(text + i, size - i)) == 0) return false;
    return true;
}

size_t hone_utf8_fit(const char *text, size_t size, size_t most) {
    if (size <= most) return size;
    size_t n = most;
    while (n > 0 && most - n < 3 && continues(text[n])) n--;
    return continues(text[n]) ? most : n;
}
