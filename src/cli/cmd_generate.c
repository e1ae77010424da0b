#include "chat.h"
#include "files.h"
#include "json.h"
#include "language.h"
#include "options.h"
#include "signals.h"

#include <hone/generate.h>
#include <hone/import.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *model, *prompt, *file, *system, *adapter;
    cli_list stops;
    hone_sampling sampling;
    int64_t max_tokens, context;
    int threads, precision;
    bool chat, raw, special, json;
} args = {.sampling = HONE_SAMPLING_INIT, .max_tokens = 256};

static const cli_option options[] = {
    {.type = CLI_POSITIONAL,
     .name = "MODEL",
     .value = "MODEL",
     .to = &args.model,
     .help = "GGUF file, directory that `hone import` wrote, or ONNX file of a language model",
     .required = true},
    OPT_TEXT("prompt", "TEXT", args.prompt,
             "what a user says, if the model has a chat template; else, and with --raw, text to continue"),
    OPT_TEXT("file", "FILE", args.file, "the same, from a file"),
    OPT_ADAPTER(args.adapter),
    OPT_FLAG("chat", args.chat, "a conversation: each line of standard input is what a user says next"),
    OPT_TEXT("system", "TEXT", args.system, "what the model is told before the user says anything"),
    OPT_FLAG("raw", args.raw, "continue the text as it is"),
    OPT_FLAG("special", args.special,
             "with --raw: special tokens that are written in the text count as such"),
    OPT_INT64("max-tokens", "N", args.max_tokens, 0, 1 << 24, "tokens to generate at most",
              .zero = "as many as the context has room for"),
    OPT_LIST("stop", "TEXT", args.stops, "end where this text comes; may be given more than once"),
    OPT_NUMBER("temperature", "X", args.sampling.temperature, 0, 100,
               "how much chance there is in the choice of tokens", .zero = "none: the likeliest"),
    OPT_INT("top-k", "N", args.sampling.top_k, 0, 1 << 24, "of the so many likeliest tokens", .zero = "all"),
    OPT_NUMBER("top-p", "P", args.sampling.top_p, CLI_ABOVE_ZERO, 1,
               "of the fewest likeliest tokens that have this probability together"),
    OPT_NUMBER("min-p", "P", args.sampling.min_p, 0, 1,
               "of tokens at least this share as likely as the likeliest"),
    OPT_NUMBER("repetition-penalty", "X", args.sampling.repetition_penalty, CLI_ABOVE_ZERO, 100,
               "above 1: tokens that are in the text already become less likely"),
    OPT_NUMBER("presence-penalty", "X", args.sampling.presence_penalty, -100, 100,
               "taken off the logits of tokens that were generated already"),
    OPT_NUMBER("frequency-penalty", "X", args.sampling.frequency_penalty, -100, 100,
               "the same for each time that they were"),
    OPT_SEED(args.sampling.seed),
    OPT_INT64("context", "N", args.context, 0, 1 << 24, "tokens that text and answer can have together",
              .zero = "as many as are needed"),
    OPT_THREADS(args.threads),
    OPT_PRECISION(args.precision),
    OPT_JSON(args.json),
    OPT_END,
};

typedef struct job {
    hone_import *import;
    hone_lm *lm;
    hone_lm_sequence *sequence;
    hone_encoder *encoder;
    cli_chat chat;
    bool talks; /* by the model's template */
    char *text; /* of the file */
    int32_t *prompt;
    size_t count;
    char *answer;
    size_t size, capacity;
} job;

static bool hear(void *user, const char *text, size_t size) {
    job *j = user;
    if (!args.json) {
        fwrite(text, 1, size, stdout);
        fflush(stdout);
    }
    if (j->size + size + 1 > j->capacity) {
        j->capacity = 2 * (j->size + size + 1);
        j->answer = realloc(j->answer, j->capacity);
        if (!j->answer) return false;
    }
    memcpy(j->answer + j->size, text, size);
    j->size += size;
    j->answer[j->size] = 0;
    return !cli_signal();
}

/* --- the prompt --- */

static void take_ids(job *j, const int32_t *ids, size_t count) {
    const int32_t begin = hone_import_begin(j->import);
    free(j->prompt);
    j->prompt = cli_alloc((count + 2) * sizeof *j->prompt);
    j->count = 0;
    if (begin >= 0 && (!count || ids[0] != begin)) j->prompt[j->count++] = begin;
    memcpy(j->prompt + j->count, ids, count * sizeof *ids);
    j->count += count;
}

static int encode(job *j, const char *text, size_t size) {
    hone_error err = {0};
    const int32_t *ids;
    size_t count;
    if (j->talks) {
        cli_chat_say(&j->chat, "user", text);
        const int status = cli_chat_prompt(&j->chat, j->import, j->encoder, &ids, &count);
        if (status != CLI_OK) return status;
    } else {
        CLI_TRY(hone_encoder_encode(j->encoder, text, size, args.special ? 0 : HONE_ENCODE_PLAIN, &ids,
                                    &count, &err));
    }
    take_ids(j, ids, count);
    return j->count ? CLI_OK : cli_usage_error("the text is empty");
}

/* --- the answer --- */

static void report(const job *j, const hone_generate_report *r) {
    static const char *const finishes[] = {"end", "length", "asked"};
    const double rate = r->seconds > 0 ? (double)r->tokens / r->seconds : 0;
    if (!args.json) {
        putchar('\n');
        cli_note("%zu tokens in %.3f s, then %zu tokens in %.3f s, %.1f a second", r->prompt_tokens,
                 r->prompt_seconds, r->tokens, r->seconds, rate);
        return;
    }
    cli_print_json(json_pack(
        "{s:o, s:s, s:I, s:I, s:o, s:o}", "text", cli_json_text(j->answer ? j->answer : ""), "finish",
        finishes[r->finish], "prompt_tokens", (json_int_t)r->prompt_tokens, "tokens", (json_int_t)r->tokens,
        "prompt_seconds", cli_json_number(r->prompt_seconds), "seconds", cli_json_number(r->seconds)));
}

static int answer(job *j) {
    hone_error err = {0};
    hone_generate_options o = HONE_GENERATE_OPTIONS_INIT;
    hone_generate_report r;
    j->size = 0;
    if (j->answer) *j->answer = 0;
    o.sampling = args.sampling;
    o.max_tokens = args.max_tokens;
    o.ends = hone_import_ends(j->import, &o.end_count);
    o.stops = args.stops.items;
    o.stop_count = (size_t)args.stops.count;
    o.text = hear;
    o.user = j;
    cli_signals_catch();
    const hone_status status =
        hone_lm_generate(j->sequence, hone_import_tokenizer(j->import), j->prompt, j->count, &o, &r, &err);
    cli_signals_default();
    if (status != HONE_OK) return cli_fail_model(&err, args.model);
    report(j, &r);
    return cli_signal() ? 128 + cli_signal() : CLI_OK;
}

static int open_model(job *j) {
    hone_error err = {0};
    CLI_TRY(hone_import_open(args.model, NULL, &j->import, &err));
    const hone_tokenizer *t = hone_import_tokenizer(j->import);
    if (!t) return cli_error("%s: the model has no tokenizer", args.model);
    CLI_TRY(hone_encoder_new(t, &j->encoder, &err));
    j->talks = hone_import_template(j->import) && !args.raw;
    if ((args.chat || args.system) && !j->talks)
        return cli_error("%s: %s", args.model,
                         args.raw ? "--raw is no conversation" : "the model has no chat template");
    int status = j->talks ? cli_chat_begin(&j->chat, j->import) : CLI_OK;
    if (status == CLI_OK && args.adapter) status = cli_add_adapter(j->import, args.adapter);
    if (status == CLI_OK && args.system) cli_chat_say(&j->chat, "system", args.system);
    return status;
}

static int make_model(job *j) {
    hone_error err = {0};
    hone_lm_options o = HONE_LM_OPTIONS_INIT;
    o.threads = args.threads;
    o.precision = (hone_precision)args.precision;
    o.context = args.context;
    if (!args.context && args.max_tokens && !args.chat) o.least = (int64_t)j->count + args.max_tokens;
    CLI_TRY_MODEL(args.model, hone_lm_create(hone_import_take_graph(j->import), &o, &j->lm, &err));
    CLI_TRY(hone_lm_sequence_new(j->lm, &j->sequence, &err));
    return CLI_OK;
}

/* Line by line; what was said before is not computed again. */
static int converse(job *j) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    int status = make_model(j);
    const bool asks = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    for (;;) {
        if (asks) fputs("> ", stdout), fflush(stdout);
        if (status != CLI_OK || (size = getline(&line, &capacity, stdin)) < 0) break;
        while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r')) line[--size] = 0;
        if (size == 0) continue;
        status = encode(j, line, (size_t)size);
        if (status == CLI_OK) status = answer(j);
        cli_chat_say(&j->chat, "assistant", j->answer ? j->answer : "");
    }
    free(line);
    return status;
}

static int work(job *j) {
    if ((args.prompt != NULL) + (args.file != NULL) + args.chat != 1)
        return cli_usage_error("one of --prompt, --file and --chat is needed");
    int status = open_model(j);
    if (status != CLI_OK || args.chat) return status == CLI_OK ? converse(j) : status;
    size_t size = args.prompt ? strlen(args.prompt) : 0;
    if (args.file) status = cli_read_text(args.file, &j->text, &size);
    if (status == CLI_OK) status = encode(j, args.prompt ? args.prompt : j->text, size);
    if (status == CLI_OK) status = make_model(j);
    return status == CLI_OK ? answer(j) : status;
}

static int run(void) {
    job j = {NULL};
    int status = work(&j);
    cli_chat_end(&j.chat);
    hone_lm_sequence_free(j.sequence);
    hone_lm_free(j.lm);
    hone_encoder_free(j.encoder);
    hone_import_free(j.import);
    free(j.text);
    free(j.prompt);
    free(j.answer);
    return status;
}

const cli_command cli_cmd_generate = {
    "generate", "let a language model answer, or continue a text",
    "The answer is shown as it comes. The same seed gives the same answer, with any number of threads.\n\n"
    "  hone generate smollm.gguf --prompt \"What is the capital of France?\"\n"
    "  hone generate smol/ --raw --prompt \"Once upon a time\" --temperature 0.8 --top-p 0.95 --seed 7",
    options, run};
