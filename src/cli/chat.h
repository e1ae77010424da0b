/* Conversations with a language model: messages become the ids of a prompt by the model's template. */
#ifndef HONE_CLI_CHAT_H
#define HONE_CLI_CHAT_H

#include <hone/import.h>
#include <jansson.h>

typedef struct cli_chat {
    hone_template *template;
    json_t *messages;
} cli_chat;

/* Gives an exit status. */
int cli_chat_begin(cli_chat *c, const hone_import *m);
void cli_chat_end(cli_chat *c);
void cli_chat_say(cli_chat *c, const char *role, const char *text);
/* The ids of all messages and of what an answer begins with, valid until the encoder's next call. Gives an exit status. */
int cli_chat_prompt(const cli_chat *c, const hone_import *m, hone_encoder *e, const int32_t **ids,
                    size_t *count);

#endif
