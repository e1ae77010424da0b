#include "options.h"

const cli_command *const cli_commands[] = {
    &cli_cmd_train,    &cli_cmd_eval,     &cli_cmd_quantize,
    &cli_cmd_prune,    &cli_cmd_distill,  &cli_cmd_optimize,
    &cli_cmd_run,      &cli_cmd_explain,  &cli_cmd_import,
    &cli_cmd_generate, &cli_cmd_inspect,  &cli_cmd_pack,
    &cli_cmd_unpack,   &cli_cmd_tokenize, &cli_cmd_bench,
    &cli_cmd_serve,    &cli_cmd_version,  NULL,
};
