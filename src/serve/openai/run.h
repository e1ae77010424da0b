/* A request to make texts, on its way:
 *
 *      loop ──► compute thread: body → prompts ──► loop: jobs ──► engine's thread: news → what is said, as events
 *        ▲                                                                │ one post
 *        └──────────── sent on, as fast as the client reads ◄─────────────┘ */
#ifndef HONE_SERVE_OPENAI_RUN_H
#define HONE_SERVE_OPENAI_RUN_H

#include "serve/api/front.h"

/* Answers a POST of a conversation, or of prompts to complete: now or later. */
void hone_openai_make(hone_front *f, hone_request *r, bool chat);

#endif
