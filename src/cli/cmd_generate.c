#include "files.h"
#include "language.h"
#include "options.h"
#include "signals.h"

#include <hone/generate.h>
#include <hone/import.h>

#include <stdlib.h>
#include <string.h>

static struct {
    const char *model, *prompt, *file;
    cli_list stops;
    hone_sampling sampling;
    int64_t max_tokens, context;
    int threads, precision;
    bool special, json;
} args = {.sampling = HONE_SAMPLING_INIT, .max_tokens = 256};

static const cli_option options[] = {
    {.type = CLI_POSITIONAL,
     .name = "MODEL",
     .value = "MODEL",
     .to = &args.model,
     .help = "GGUF file, directory that `hone import` wrote, or ONNX file of a language model",
     .required = true},
    OPT_TEXT("prompt", "TEXT", args.prompt, "text to continue"),
    OPT_TEXT("file", "FILE", args.file, "continue the text of a file"),
    OPT_FLAG("special", args.special, "special tokens that are written in the text count as such"),
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
    char *text; /* of the file */
    int32_t *prompt;
    size_t count;
    char *answer; /* for --json */
    size_t size, capacity;
} job;

static bool hear(void *user, const char *text, size_t size) {
    job *j = user;
    if (!args.json) {
        fwrite(text, 1, size, stdout);
        fflush(stdout);
    } else {
        if (j->size + size + 1 > j->capacity) {
            j->capacity = 2 * (j->size + size + 1);
            j->answer = realloc(j->answer, j->capacity);
            if (!j->answer) return false;
        }
        memcpy(j->answer + j->size, text, size);
        j->size += size;
        j->answer[j->size] = 0;
    }
    return !cli_signal();
}

/* --- the prompt --- */

static int encode(job *j, const char *text, size_t size) {
    hone_error err = {0};
    const int32_t *ids, begin = hone_import_begin(j->import);
    size_t count;
    CLI_TRY(hone_encoder_encode(j->encoder, text, size, args.special ? 0 : HONE_ENCODE_PLAIN, &ids, &count,
                                &err));
    j->prompt = cli_alloc((count + 2) * sizeof *j->prompt);
    if (begin >= 0 && (!count || ids[0] != begin)) j->prompt[j->count++] = begin;
    memcpy(j->prompt + j->count, ids, count * sizeof *ids);
    j->count += count;
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

static int work(job *j) {
    hone_error err = {0};
    hone_lm_options o = HONE_LM_OPTIONS_INIT;
    if ((args.prompt != NULL) + (args.file != NULL) != 1)
        return cli_usage_error("one of --prompt and --file is needed");
    CLI_TRY(hone_import_open(args.model, NULL, &j->import, &err));
    const hone_tokenizer *t = hone_import_tokenizer(j->import);
    if (!t) return cli_error("%s: the model has no tokenizer", args.model);
    CLI_TRY(hone_encoder_new(t, &j->encoder, &err));
    size_t size = args.prompt ? strlen(args.prompt) : 0;
    int status = args.file ? cli_read_text(args.file, &j->text, &size) : CLI_OK;
    if (status == CLI_OK) status = encode(j, args.prompt ? args.prompt : j->text, size);
    if (status != CLI_OK) return status;
    o.threads = args.threads;
    o.precision = (hone_precision)args.precision;
    o.context = args.context;
    if (!args.context && args.max_tokens) o.least = (int64_t)j->count + args.max_tokens;
    CLI_TRY_MODEL(args.model, hone_lm_create(hone_import_take_graph(j->import), &o, &j->lm, &err));
    CLI_TRY(hone_lm_sequence_new(j->lm, &j->sequence, &err));
    return answer(j);
}

static int run(void) {
    job j = {NULL};
    int status = work(&j);
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
    "generate", "continue a text with a language model",
    "The answer is shown as it comes. The same seed gives the same answer, with any number of threads.\n\n"
    "  hone generate smollm.gguf --prompt \"The capital of France is\" --max-tokens 32\n"
    "  hone generate smol/ --prompt \"Once upon a time\" --temperature 0.8 --top-p 0.95 --seed 7",
    options, run};
