/* The command line: help, exit statuses. It is the first user of the public API and includes
 * nothing else of Hone. */
#include "options.h"

#include <hone/log.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void print_overview(FILE *to) {
    fputs("usage: hone COMMAND [options]\n\n"
          "Neural networks through their whole life: train, optimize, deploy, monitor.\n"
          "A model is an ONNX file at every stage.\n\ncommands:\n",
          to);
    for (const cli_command *const *c = cli_commands; *c; c++)
        fprintf(to, "  %-10s %s\n", (*c)->name, (*c)->summary);
    fputs("\n`hone help COMMAND` or `hone COMMAND --help` tells more.\n", to);
}

static const cli_command *find(const char *name) {
    for (const cli_command *const *c = cli_commands; *c; c++)
        if (strcmp((*c)->name, name) == 0) return *c;
    return NULL;
}

static int unknown(const char *name) {
    const char *names[32] = {NULL};
    for (int i = 0; i < 31 && cli_commands[i]; i++) names[i] = cli_commands[i]->name;
    const char *meant = cli_suggest(name, names);
    if (meant) return cli_usage_error("unknown command '%s'; did you mean '%s'?", name, meant);
    return cli_usage_error("unknown command '%s'; `hone help` lists the commands", name);
}

static void log_line(void *user, hone_log_level level, const char *message) {
    (void)user;
    cli_note("%s%s", level == HONE_LOG_WARNING ? "warning: " : "", message);
}

void cli_log_all(void) {
    hone_log_set(log_line, NULL, HONE_LOG_INFO);
}

static bool wants_help(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

static int dispatch(int argc, char **argv) {
    if (argc < 2) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) name = "version";
    bool help = strcmp(name, "help") == 0;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (help && argc == 2)) {
        print_overview(stdout);
        return CLI_OK;
    }
    if (help) {
        if (argc > 3) return cli_usage_error("unexpected argument '%s'", argv[3]);
        name = argv[2];
    }
    if (name[0] == '-') return cli_usage_error("unknown option '%s'; a command comes first", name);
    const cli_command *command = find(name);
    if (!command) return unknown(name);
    if (help || wants_help(argc - 2, argv + 2)) {
        cli_print_help(command);
        return CLI_OK;
    }
    cli_set_command(command->name);
    hone_log_set(log_line, NULL, HONE_LOG_WARNING);
    int status = cli_parse(command, argc - 2, argv + 2);
    return status == CLI_OK ? command->run() : status;
}

/* Else the next file or connection that is opened would take the number of a closed standard stream, and what is meant
 * for that stream would go there. Opened the wrong way round, they still tell that they can't be used. */
static void keep_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv) {
    keep_standard_streams();
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like a full disk */
    int status = dispatch(argc, argv);
    /* a report that nobody could read is a failure */
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == CLI_OK)
        status = cli_error("standard output: %s", errno ? strerror(errno) : "cannot write");
    return status;
}
