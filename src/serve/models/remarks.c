#include "serve/models/remarks.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE (3000 * HONE_MILLISECOND)

static void add(hone_remarks *l, const char *name, const char *text) {
    hone_remark r = {.name = hone_strdup(name), .text = hone_strdup(text)};
    if (r.name && r.text && hone_reserve(&l->items, &l->capacity, l->count + 1, sizeof r)) {
        l->items[l->count++] = r;
        return;
    }
    hone_free(r.name);
    hone_free(r.text);
}

void hone_remarks_add(hone_remarks *l, const char *name, const char *format, ...) {
    char text[512], line[512];
    va_list args;
    if (l->count >= HONE_REMARKS_MOST) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    hone_text_line(line, sizeof line, text);
    add(l, name, l->count + 1 < HONE_REMARKS_MOST ? line : "and more is not served");
}

void hone_remarks_free(hone_remarks *l) {
    for (size_t i = 0; i < l->count; i++) {
        hone_free(l->items[i].name);
        hone_free(l->items[i].text);
    }
    hone_free(l->items);
    *l = (hone_remarks){0};
}

static int compare(const void *a, const void *b) {
    const hone_remark *x = a, *y = b;
    int names = strcmp(x->name, y->name);
    return names ? names : strcmp(x->text, y->text);
}

void hone_remarks_follow(hone_remarks *l, const hone_remarks *before, uint64_t now) {
    if (l->count) qsort(l->items, l->count, sizeof *l->items, compare);
    for (size_t i = 0; i < l->count; i++) {
        const hone_remark *was =
            before->count ? bsearch(&l->items[i], before->items, before->count, sizeof *was, compare) : NULL;
        l->items[i].since = was ? was->since : now;
        l->items[i].told = was && was->told;
    }
}

uint64_t hone_remarks_tell(hone_remarks *l, const char *kind, bool at_once, uint64_t now) {
    uint64_t due = 0;
    char name[256];
    for (size_t i = 0; i < l->count; i++) {
        hone_remark *r = &l->items[i];
        if (r->told) continue;
        if (!at_once && now < r->since + PATIENCE) {
            if (!due || r->since + PATIENCE < due) due = r->since + PATIENCE;
            continue;
        }
        hone_text_line(name, sizeof name, r->name);
        hone_log(HONE_LOG_WARNING, "%s %s: %s", kind, name, r->text);
        r->told = true;
    }
    return due;
}
