#include "monitor/utf8.h"

size_t hone_utf8_length(const char *text) {
    const unsigned char *p = (const unsigned char *)text;
    size_t n = 0;
    if (p[0] < 0x80) return 1;
    if (p[0] >= 0xc2 && p[0] < 0xe0)
        n = 2;
    else if (p[0] >= 0xe0 && p[0] < 0xf0)
        n = 3;
    else if (p[0] >= 0xf0 && p[0] < 0xf5)
        n = 4;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] > 0x9f, too_large = p[0] == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || too_large ? 0 : n;
}

bool hone_utf8_is_valid(const char *text) {
    while (*text) {
        size_t n = hone_utf8_length(text);
        if (n == 0) return false;
        text += n;
    }
    return true;
}
