#include "serve/openai/speech.h"

#include "base/error.h"
#include "text/stops.h"

hone_status hone_speech_open(hone_speech *s, const hone_language *l, const hone_ask *a, bool tools,
                             hone_error *err) {
    *s = (hone_speech){.stops = a->stops,
                       .stop_count = a->stop_count,
                       .marks = l->marks,
                       .mark_count = tools ? l->mark_count : 0};
    return hone_detokenizer_new(l->tokenizer, false, &s->detokenizer, err);
}

void hone_speech_close(hone_speech *s) {
    hone_detokenizer_free(s->detokenizer);
    hone_buffer_free(&s->held);
    *s = (hone_speech){0};
}

static void hold(hone_speech *s, const char *text, size_t size) {
    hone_buffer_put(&s->held, text, size);
    s->total += size;
}

/* All that can't be the beginning of a stop string, or everything. */
static hone_status say(hone_speech *s, bool all, hone_slice *said, hone_error *err) {
    const hone_buffer *h = &s->held;
    size_t stop = hone_stops_find(s->stops, s->stop_count, h->data, h->size);
    s->stopped = stop != SIZE_MAX;
    if (s->stopped) s->total -= h->size - stop;
    s->given = s->stopped ? stop
               : all      ? h->size
                          : h->size - hone_stops_begun(s->stops, s->stop_count, h->data, h->size);
    *said = (hone_slice){h->data ? h->data : "", s->given};
    return h->failed ? hone_fail_memory(err) : HONE_OK;
}

hone_status hone_speech_feed(hone_speech *s, int32_t id, hone_slice *said, hone_error *err) {
    const char *text;
    size_t size;
    hone_buffer_drop(&s->held, s->given);
    s->given = 0;
    HONE_TRY(hone_detokenizer_feed(s->detokenizer, id, &text, &size, err));
    hold(s, text, size);
    for (int i = 0; i < s->mark_count; i++)
        if (id == s->marks[i].id) hold(s, s->marks[i].text, strlen(s->marks[i].text));
    return say(s, false, said, err);
}

hone_status hone_speech_finish(hone_speech *s, hone_slice *said, hone_error *err) {
    const char *text;
    size_t size;
    hone_buffer_drop(&s->held, s->given);
    s->given = 0;
    *said = (hone_slice){"", 0};
    if (s->stopped) return HONE_OK;
    HONE_TRY(hone_detokenizer_finish(s->detokenizer, &text, &size, err));
    hold(s, text, size);
    return say(s, true, said, err);
}
