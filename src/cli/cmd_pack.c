#include "files.h"
#include "json.h"
#include "options.h"

static struct {
    const char *model, *out;
    bool json;
} args;

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_OUT(args.out),
    OPT_JSON(args.json),
    OPT_END,
};

static void print(int64_t before, int64_t after) {
    if (args.json)
        cli_print_json(json_pack("{s:o, s:I, s:I}", "model", cli_json_text(args.out), "bytes_before",
                                 (json_int_t)before, "bytes_after", (json_int_t)after));
    else
        printf("%s bytes, now %s: × %.4g\nwrote %s\n", cli_count(before), cli_count(after),
               (double)after / (double)before, args.out);
}

static int pack(void) {
    hone_error err = {0};
    hone_graph *g = NULL;
    int64_t before;
    CLI_TRY(cli_check_output(args.out, &err));
    CLI_TRY(hone_graph_file_bytes(args.model, &before, &err));
    CLI_TRY(hone_graph_load(args.model, &g, &err));
    hone_status status = cli_save_as(g, args.out, true, &err);
    hone_graph_free(g);
    CLI_TRY(status);
    print(before, cli_model_bytes(args.out));
    return CLI_OK;
}

static int unpack(void) {
    hone_error err = {0};
    CLI_TRY(cli_check_output(args.out, &err));
    const int64_t before = cli_model_bytes(args.model); /* it may be replaced */
    CLI_TRY(hone_unpack(args.model, args.out, &err));
    print(before, cli_model_bytes(args.out));
    return CLI_OK;
}

const cli_command cli_cmd_pack = {
    "pack", "make a file small whose weights are often zero, or of few kinds",
    "All of Hone reads what is written as it reads ONNX files. It pays for weights that are pruned, "
    "clustered "
    "or of few\n"
    "bits: zeros become gaps and kinds become symbols, which zstd codes by how often they come.\n\n"
    "  hone prune m.onnx --sparsity 0.9 --data fashion-mnist --out sparse.onnx\n"
    "  hone pack sparse.onnx --out small.hone",
    options, pack};

const cli_command cli_cmd_unpack = {
    "unpack", "make a plain ONNX file of a packed one",
    "It has the same weights to the bit; of a file that hone wrote, the same bytes.\n\n"
    "  hone unpack small.hone --out plain.onnx",
    options, unpack};
