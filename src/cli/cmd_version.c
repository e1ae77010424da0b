#include "json.h"
#include "options.h"

#include <hone/version.h>

static struct { bool json; } args;

static const cli_option options[] = {OPT_JSON(args.json), OPT_END};

static int run(void) {
    if (args.json)
        cli_print_json(json_pack("{s:s, s:s}", "version", hone_version(), "cpu", hone_cpu_description()));
    else
        printf("hone %s\ncpu %s\n", hone_version(), hone_cpu_description());
    return CLI_OK;
}

const cli_command cli_cmd_version = {
    "version", "show the version, and what Hone uses of this CPU",
    "The environment variable HONE_CPU keeps Hone from using CPU features: HONE_CPU=v3,-vnni", options, run};
