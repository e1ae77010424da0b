#include "files.h"
#include "json.h"
#include "language.h"
#include "options.h"
#include "signals.h"

#include <hone/import.h>

static struct {
    const char *model, *out, *adapter;
    int64_t context;
    bool json;
} args;

static const cli_option options[] = {
    {.type = CLI_POSITIONAL,
     .name = "MODEL",
     .value = "MODEL",
     .to = &args.model,
     .help = "GGUF file of a language model, or a directory of Hugging Face",
     .required = true},
    OPT_TEXT("out", "DIR", args.out,
             "directory to write: model.onnx (weights in model.onnx.data), tokenizer.json, "
             "chat_template.jinja, generation_config.json",
             .required = true),
    OPT_INT64("context", "N", args.context, 0, 1 << 24, "tokens that the model has positions for",
              .zero = "as the file says, at most 131,072"),
    OPT_ADAPTER(args.adapter),
    OPT_JSON(args.json),
    OPT_END,
};

static int report(const hone_import *m, const hone_graph_stats *s, double seconds) {
    const hone_tokenizer *t = hone_import_tokenizer(m);
    const char *model = cli_text("%s/model.onnx", args.out);
    const int64_t bytes = cli_model_bytes(model);
    if (args.json)
        cli_print_json(json_pack("{s:o, s:s, s:I, s:I, s:b, s:b, s:o}", "directory", cli_json_text(args.out),
                                 "family", hone_graph_name(hone_import_graph(m)), "parameters",
                                 (json_int_t)s->parameters, "bytes", (json_int_t)bytes, "tokenizer",
                                 t != NULL, "chat_template", hone_import_template(m) != NULL, "seconds",
                                 cli_json_number(seconds)));
    else
        printf("%s: %s, %s parameters, %s bytes%s%s, %.1f s\n", args.out,
               hone_graph_name(hone_import_graph(m)), cli_count(s->parameters), cli_count(bytes),
               t ? ", tokenizer" : ", no tokenizer", hone_import_template(m) ? ", chat template" : "",
               seconds);
    return CLI_OK;
}

static int save(const hone_import *m) {
    hone_error err = {0};
    cli_signals_hold();
    hone_status status = hone_import_save(m, args.out, &err);
    cli_signals_release();
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}

static int run(void) {
    hone_error err = {0};
    hone_import *m = NULL;
    hone_graph_stats stats;
    hone_import_options o = HONE_IMPORT_OPTIONS_INIT;
    const double start = cli_seconds_now();
    o.context = args.context;
    CLI_TRY(cli_check_directory(args.out, &err));
    CLI_TRY(hone_import_open(args.model, &o, &m, &err));
    int status = args.adapter ? cli_add_adapter(m, args.adapter) : CLI_OK;
    if (status == CLI_OK) status = save(m);
    if (status == CLI_OK && hone_graph_get_stats(hone_import_graph(m), &stats, &err) != HONE_OK)
        status = cli_fail(&err);
    if (status == CLI_OK) status = report(m, &stats, cli_seconds_now() - start);
    hone_import_free(m);
    return status;
}

const cli_command cli_cmd_import = {
    "import", "turn a language model's file into an ONNX model",
    "Weights stay in the blocks that they are stored in: nothing is rounded again.\n\n"
    "  hone import smollm.gguf --out smol/",
    options, run};
