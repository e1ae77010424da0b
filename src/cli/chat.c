#include "chat.h"

#include "json.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

int cli_chat_begin(cli_chat *c, const hone_import *m) {
    hone_error err = {0};
    const char *text = hone_import_template(m);
    c->messages = json_array();
    CLI_TRY(hone_template_parse(text, strlen(text), &c->template, &err));
    return CLI_OK;
}

void cli_chat_end(cli_chat *c) {
    hone_template_free(c->template);
    json_decref(c->messages);
}

void cli_chat_say(cli_chat *c, const char *role, const char *text) {
    json_array_append_new(c->messages, json_pack("{s:s, s:o}", "role", role, "content", cli_json_text(text)));
}

static void add_token(json_t *variables, const char *name, const hone_tokenizer *t, int32_t id) {
    size_t size;
    const char *piece = id >= 0 ? hone_tokenizer_piece(t, id, &size) : NULL;
    json_object_set_new(variables, name, cli_json_text(piece ? piece : ""));
}

int cli_chat_prompt(const cli_chat *c, const hone_import *m, hone_encoder *e, const int32_t **ids,
                    size_t *count) {
    hone_error err = {0};
    const hone_tokenizer *t = hone_import_tokenizer(m);
    size_t ends, pieces;
    const int32_t *end = hone_import_ends(m, &ends);
    json_t *variables = json_pack("{s:O, s:b}", "messages", c->messages, "add_generation_prompt", 1);
    hone_rendered *r = NULL;
    add_token(variables, "bos_token", t, hone_import_begin(m));
    add_token(variables, "eos_token", t, ends ? end[0] : -1);
    char *text = json_dumps(variables, JSON_COMPACT);
    json_decref(variables);
    if (!text) return cli_error("out of memory");
    hone_status status = hone_template_render(c->template, text, strlen(text), 0, &r, &err);
    free(text);
    if (status == HONE_OK) {
        const hone_text_piece *p = hone_rendered_pieces(r, &pieces);
        status = hone_encoder_encode_pieces(e, p, pieces, 0, ids, count, &err);
    }
    hone_rendered_free(r);
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}
