#include "monitor/text.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <string.h>

void hone_text_add(hone_text *t, const char *text, size_t size) {
    size_t need = 0;
    if (t->failed || !hone_add_size(t->size, size, &need) || !hone_reserve(&t->data, &t->capacity, need, 1)) {
        t->failed = true;
        return;
    }
    memcpy(t->data + t->size, text, size);
    t->size += size;
}

static void add_text(hone_text *t, const char *text) {
    hone_text_add(t, text, strlen(text));
}

void hone_text_escape(hone_text *t, const char *value, bool quoted) {
    for (const char *p = value; *p;) {
        size_t n = hone_utf8_length(p, strlen(p));
        if (*p == '\\')
            add_text(t, "\\\\");
        else if (*p == '\n')
            add_text(t, "\\n");
        else if (*p == '"' && quoted)
            add_text(t, "\\\"");
        else if (n == 0)
            add_text(t, HONE_UTF8_REPLACEMENT);
        else
            hone_text_add(t, p, n);
        p += n ? n : 1;
    }
}
