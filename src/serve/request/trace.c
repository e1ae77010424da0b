#include "serve/request/trace.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { ID = 3, SPAN = 36, FLAGS = 53, LENGTH = 55 }; /* where they begin, and what version 00 is long */

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `size` hexadecimal digits and what comes behind them; *zero: they are all 0. */
static bool digits(const char *s, size_t size, bool *zero) {
    *zero = true;
    for (size_t i = 0; i < size; i++) {
        if (hex(s[i]) < 0) return false;
        if (s[i] != '0') *zero = false;
    }
    return true;
}

/* Later versions begin like this one, and may have more behind another '-'. */
bool hone_trace_parse(hone_slice text, hone_trace *out) {
    const char *s = text.data;
    bool version_0, no_trace, no_span, zero;
    if (text.size < LENGTH || s[2] != '-' || s[ID + 32] != '-' || s[SPAN + 16] != '-') return false;
    if (!digits(s, 2, &version_0) || (s[0] == 'f' && s[1] == 'f')) return false;
    if (text.size > LENGTH && (version_0 || s[LENGTH] != '-')) return false;
    if (!digits(s + ID, 32, &no_trace) || !digits(s + SPAN, 16, &no_span) || no_trace || no_span)
        return false;
    if (!digits(s + FLAGS, 2, &zero)) return false;
    *out = (hone_trace){.sampled = hex(s[FLAGS + 1]) & 1};
    memcpy(out->id, s + ID, 32);
    memcpy(out->parent, s + SPAN, 16);
    return true;
}

/* splitmix64: spans need to differ, not to be secret. */
static uint64_t next_random(void) {
    static _Thread_local uint64_t state;
    if (!state && getrandom(&state, sizeof state, GRND_NONBLOCK) != (ssize_t)sizeof state)
        state = hone_now() ^ (uint64_t)(uintptr_t)&state;
    state += 0x9e3779b97f4a7c15u;
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The value of a field that may be there once; data NULL if it is not there, or more than once. */
static hone_slice only_field(const hone_head *head, const char *name) {
    hone_slice found = {NULL, 0};
    for (size_t i = 0; i < head->field_count; i++) {
        if (!hone_slice_equal_nocase(head->fields[i].name, name)) continue;
        if (found.data) return (hone_slice){NULL, 0};
        found = head->fields[i].value;
    }
    return found;
}

bool hone_trace_of(const hone_head *head, hone_trace *out) {
    hone_slice parent = only_field(head, "traceparent");
    if (!parent.data || !hone_trace_parse(parent, out)) {
        *out = (hone_trace){0};
        return false;
    }
    uint64_t span = next_random();
    snprintf(out->span, sizeof out->span, "%016llx", (unsigned long long)(span ? span : 1));
    return true;
}

void hone_trace_write(const hone_trace *t, char out[HONE_TRACEPARENT_SIZE]) {
    snprintf(out, HONE_TRACEPARENT_SIZE, "00-%s-%s-%02x", t->id, t->span, t->sampled ? 1u : 0u);
}

bool hone_trace_state(const hone_head *head, char out[HONE_TRACESTATE_MOST + 1]) {
    size_t size = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        hone_slice value = head->fields[i].value;
        if (value.size == 0 || !hone_slice_equal_nocase(head->fields[i].name, "tracestate")) continue;
        if (value.size + (size ? 1 : 0) > HONE_TRACESTATE_MOST - size) return false;
        if (size) out[size++] = ',';
        memcpy(out + size, value.data, value.size);
        size += value.size;
    }
    out[size] = 0;
    return size > 0;
}
