/* From tokens to what may be said of a text: whole characters, and nothing that may become a string at which it ends. */
#ifndef HONE_SERVE_OPENAI_SPEECH_H
#define HONE_SERVE_OPENAI_SPEECH_H

#include "serve/language/language.h"
#include "serve/openai/ask.h"

typedef struct hone_speech {
    hone_detokenizer *detokenizer;
    const char *const *stops; /* borrowed */
    size_t stop_count;
    const hone_tool_mark *marks; /* special tokens that are said; borrowed */
    int mark_count;
    hone_buffer held;
    size_t given; /* of them, by the last call */
    size_t total; /* bytes of the text, held ones too, but for what was cut off */
    bool stopped;
} hone_speech;

/* `tools`: tokens with which the model calls tools are said, too. hone_speech_close() when done, also on failure. */
hone_status hone_speech_open(hone_speech *s, const hone_language *l, const hone_ask *a, bool tools,
                             hone_error *err);
void hone_speech_close(hone_speech *s);
/* What may be said now, valid until the next call. */
hone_status hone_speech_feed(hone_speech *s, int32_t id, hone_slice *said, hone_error *err);
/* The rest. */
hone_status hone_speech_finish(hone_speech *s, hone_slice *said, hone_error *err);

#endif
