/* Bodies for OpenAI's API, which are read and made prompts, or refused with a status and a sentence; and what a model says,
 * in which calls of tools are looked for, however it is cut into pieces: the first byte says which. */
#include "base/error.h"
#include "base/memory.h"
#include "serve/format/json_write.h"
#include "serve/openai/body.h"
#include "serve/openai/calls.h"
#include "serve/openai/prompt.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static hone_language *language(void) {
    static hone_language l = {.begin = 0, .begins = "<pad>", .ends_as = "</s>", .shows_tools = true};
    static const char chat[] =
        "{{ bos_token }}{% for t in tools %}{{ t | tojson }}{% endfor %}{% for m in messages %}"
        "{{ m.role }}: {{ m.content }}{% for c in m.tool_calls %}{{ c.function.arguments | tojson }}"
        "{% endfor %}{{ eos_token }}{% endfor %}";
    hone_tokenizer_trainer *trainer = NULL;
    if (l.tokenizer) return &l;
    if (hone_tokenizer_trainer_new("bpe:258", &trainer, NULL) != HONE_OK ||
        hone_tokenizer_trainer_add(trainer, "a a a", 5, NULL) != HONE_OK ||
        hone_tokenizer_trainer_finish(trainer, &l.tokenizer, NULL) != HONE_OK ||
        hone_template_parse(chat, sizeof chat - 1, &l.chat, NULL) != HONE_OK)
        abort();
    hone_tokenizer_trainer_free(trainer);
    pthread_mutex_init(&l.lock, NULL);
    return &l;
}

static void check_fault(const hone_fault *f, bool fine) {
    if (fine != (f->status == 0)) abort();
    if (!fine && (f->status < 400 || f->status > 503 || !f->message[0])) abort();
}

static void read_body(const char *text, size_t size, bool chat) {
    hone_ask a;
    hone_fault f;
    hone_prompts p = {0};
    json_t *root;
    memset(&f, 0, sizeof f);
    memset(&a, 0, sizeof a);
    bool fine = hone_body_parse(text, size, &root, &f) && hone_ask_read(&a, chat, root, &f);
    check_fault(&f, fine);
    if (fine && a.tool_choice > HONE_TOOLS_AUTO) {
        json_t *schema = hone_calls_schema(&a);
        if (!schema) abort();
        json_decref(schema);
    }
    for (int shows = 0; fine && shows < 2; shows++) {
        language()->shows_tools = shows;
        fine = hone_prompts_make(language(), &a, &p, &f);
        check_fault(&f, fine);
        for (size_t i = 0; i < p.count; i++)
            if (fine && (!p.items[i].ids || p.items[i].count == 0)) abort();
        hone_prompts_free(&p);
    }
    hone_ask_free(&a);
}

static void look_for_calls(const char *text, size_t size, hone_tool_form form, size_t step) {
    static const char tools[] = "{\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]}";
    hone_language l = {.tool_form = form};
    json_t *root = json_loads(tools, 0, NULL);
    hone_ask a = {
        .tools = json_object_get(root, "tools"), .tool_choice = HONE_TOOLS_AUTO, .several_calls = true};
    hone_calls c;
    hone_buffer said = {0};
    hone_calls_open(&c, &l, &a);
    for (size_t at = 0; at < size; at += step)
        hone_calls_feed(&c, text + at, size - at < step ? size - at : step, &said);
    hone_calls_finish(&c, &said);
    if (c.failed || said.failed || (c.count == 0 && said.size > size)) abort();
    for (size_t i = 0; i < c.count; i++)
        if (!c.items[i].name || c.items[i].arguments.failed) abort();
    hone_calls_close(&c);
    hone_buffer_free(&said);
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > 1 << 14) return 0;
    const char *text = (const char *)data + 1;
    if (data[0] == '{') { /* a body as it is */
        read_body((const char *)data, size, true);
        read_body((const char *)data, size, false);
    } else {
        look_for_calls(text, size - 1, (hone_tool_form)(data[0] & 3), 1 + (data[0] >> 2) % 20);
    }
    return 0;
}
