#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CLI_MOST_OPTIONS = 96 }; /* of a command */

/* --- reading --- */

static const char *name_of(const cli_option *o) {
    return o->type == CLI_POSITIONAL ? o->name : cli_text("--%s", o->name);
}

/* "from 1 to 1024", "above 0 and up to 3600", "of 0 or more and below 1" */
static const char *range_text(const cli_option *o) {
    bool above = o->min == CLI_ABOVE_ZERO, below = o->max == CLI_BELOW_ONE;
    if (!above && !below) return cli_text("from %.12g to %.12g", o->min, o->max);
    return cli_text("%s and %s", above ? "above 0" : cli_text("of %.12g or more", o->min),
                    below ? "below 1" : cli_text("up to %.12g", o->max));
}

static int bad_number(const cli_option *o, const char *kind, const char *text) {
    return cli_usage_error("%s needs %s %s, not '%s'", name_of(o), kind, range_text(o), text);
}

static int set_integer(const cli_option *o, const char *text) {
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (end == text || *end || errno || (double)n < o->min || (double)n > o->max)
        return bad_number(o, "a whole number", text);
    if (o->type == CLI_INT)
        *(int *)o->to = (int)n;
    else
        *(int64_t *)o->to = n;
    return CLI_OK;
}

static int set_seed(const cli_option *o, const char *text) {
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (end == text || *end || errno || strchr(text, '-'))
        return cli_usage_error("%s needs a whole number from 0 to 2^64-1, not '%s'", name_of(o), text);
    *(uint64_t *)o->to = n;
    return CLI_OK;
}

static int set_number(const cli_option *o, const char *text) {
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end || !(x >= o->min && x <= o->max)) return bad_number(o, "a number", text);
    *(double *)o->to = x;
    return CLI_OK;
}

/* The length of the word that begins at `s` and ends at '|' or the end. */
static size_t word_length(const char *s) {
    return strcspn(s, "|");
}

static int set_choice(const cli_option *o, const char *text) {
    int index = 0;
    for (const char *s = o->value; *s; index++) {
        size_t n = word_length(s);
        if (strlen(text) == n && memcmp(s, text, n) == 0) {
            *(int *)o->to = index;
            return CLI_OK;
        }
        s += n + (s[n] == '|');
    }
    return cli_usage_error("%s is one of %s, not '%s'", name_of(o), o->value, text);
}

static int set_list(const cli_option *o, const char *text) {
    cli_list *list = o->to;
    if (list->count == (int)(sizeof list->items / sizeof *list->items))
        return cli_usage_error("%s is given more than %d times", name_of(o), list->count);
    list->items[list->count++] = text;
    return CLI_OK;
}

static int set(const cli_option *o, const char *text) {
    switch (o->type) {
    case CLI_INT:
    case CLI_INT64: return set_integer(o, text);
    case CLI_SEED: return set_seed(o, text);
    case CLI_NUMBER: return set_number(o, text);
    case CLI_CHOICE: return set_choice(o, text);
    case CLI_LIST: return set_list(o, text);
    case CLI_FLAG: *(bool *)o->to = true; return CLI_OK;
    default:
        if (!*text) return cli_usage_error("%s is empty", name_of(o));
        *(const char **)o->to = text;
        return CLI_OK;
    }
}

static int unknown(const cli_command *command, const char *name, int length) {
    const char *names[CLI_MOST_OPTIONS] = {NULL};
    int count = 0;
    for (const cli_option *o = command->options; o->type != CLI_END; o++)
        if (o->type != CLI_POSITIONAL && count < CLI_MOST_OPTIONS - 1) names[count++] = o->name;
    const char *meant = cli_suggest(cli_text("%.*s", length, name), names);
    if (meant) return cli_usage_error("unknown option --%.*s; did you mean --%s?", length, name, meant);
    return cli_usage_error("unknown option --%.*s; `hone %s --help` lists them", length, name, command->name);
}

static const cli_option *find(const cli_command *command, const char *name, size_t length) {
    for (const cli_option *o = command->options; o->type != CLI_END; o++)
        if (o->type != CLI_POSITIONAL && strlen(o->name) == length && memcmp(o->name, name, length) == 0)
            return o;
    return NULL;
}

static bool is_off(const char *value) {
    return value && (strcmp(value, "false") == 0 || strcmp(value, "0") == 0);
}

/* One that the command does not have. */
static int parse_foreign(const cli_command *command, const char *name, size_t length, const char *value) {
    for (const cli_foreign *f = command->foreign; f && f->name; f++) {
        if (strlen(f->name) != length || memcmp(f->name, name, length) != 0) continue;
        if (f->refused && !is_off(value))
            return cli_usage_error("--%s is not taken here: %s", f->name, f->advice);
        cli_note("--%s is left out: %s", f->name, f->advice);
        return CLI_OK;
    }
    return unknown(command, name, (int)length);
}

static const cli_option *next_positional(const cli_command *command, const bool *given) {
    for (const cli_option *o = command->options; o->type != CLI_END; o++)
        if (o->type == CLI_POSITIONAL && !given[o - command->options]) return o;
    return NULL;
}

/* `argv[*i]` is --NAME, --NAME=VALUE or --NAME with the value in the next argument. */
static int parse_option(const cli_command *command, int argc, char **argv, int *i, bool *given) {
    const char *name = argv[*i] + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    const cli_option *o = find(command, name, length);
    if (!o) return parse_foreign(command, name, length, value);
    if (o->type == CLI_FLAG && value) return cli_usage_error("--%s takes no value", o->name);
    if (o->type != CLI_LIST && given[o - command->options])
        return cli_usage_error("--%s is given twice", o->name);
    given[o - command->options] = true;
    if (o->type != CLI_FLAG && !value) {
        if (*i + 1 >= argc) return cli_usage_error("--%s needs a value: %s", o->name, o->value);
        value = argv[++*i];
    }
    return set(o, value ? value : "");
}

const cli_preset *cli_find_preset(const cli_preset *presets, const char *name) {
    for (; presets && presets->name; presets++)
        if (strcmp(presets->name, name) == 0) return presets;
    return NULL;
}

static int unknown_preset(const cli_preset *presets, const char *name) {
    const char *names = "";
    for (const cli_preset *p = presets; p->name; p++)
        names = cli_text("%s%s%s", names, p == presets ? "" : ", ", p->name);
    return cli_usage_error("there is no recipe '%s'; there are %s", name, names);
}

/* Before all else: what is given beside it counts more. */
static int apply_preset(const cli_command *command, int argc, char **argv) {
    static char text[1024];
    char *words[64], *rest = NULL;
    bool given[CLI_MOST_OPTIONS] = {false};
    int count = 0;
    const char *name = NULL;
    for (int i = 0; i < argc && command->presets && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--recipe=", 9) == 0) name = argv[i] + 9;
        if (strcmp(argv[i], "--recipe") == 0 && i + 1 < argc) name = argv[i + 1];
    }
    if (!name) return CLI_OK;
    const cli_preset *p = cli_find_preset(command->presets, name);
    if (!p) return unknown_preset(command->presets, name);
    snprintf(text, sizeof text, "%s", p->options);
    for (char *w = strtok_r(text, " ", &rest); w && count < 64; w = strtok_r(NULL, " ", &rest))
        words[count++] = w;
    for (int i = 0; i < count; i++) {
        int status = parse_option(command, count, words, &i, given);
        if (status != CLI_OK) return status;
    }
    return CLI_OK;
}

int cli_parse(const cli_command *command, int argc, char **argv) {
    bool given[CLI_MOST_OPTIONS] = {false}, only_positional = false;
    int preset = apply_preset(command, argc, argv);
    if (preset != CLI_OK) return preset;
    for (int i = 0; i < argc; i++) {
        int status = CLI_OK;
        if (!only_positional && strcmp(argv[i], "--") == 0) {
            only_positional = true;
        } else if (!only_positional && strncmp(argv[i], "--", 2) == 0) {
            status = parse_option(command, argc, argv, &i, given);
        } else if (!only_positional && argv[i][0] == '-' && argv[i][1]) {
            status =
                cli_usage_error("unknown option %s; `hone %s --help` lists them", argv[i], command->name);
        } else {
            const cli_option *o = next_positional(command, given);
            if (!o) return cli_usage_error("unexpected argument '%s'", argv[i]);
            given[o - command->options] = true;
            status = set(o, argv[i]);
        }
        if (status != CLI_OK) return status;
    }
    for (const cli_option *o = command->options; o->type != CLI_END; o++)
        if (o->alone && given[o - command->options]) return CLI_OK;
    for (const cli_option *o = command->options; o->type != CLI_END; o++)
        if (o->required && !given[o - command->options])
            return cli_usage_error("%s is missing: %s", name_of(o), o->help);
    return CLI_OK;
}

/* --- help --- */

static const char *default_text(const cli_option *o) {
    if (o->required) return o->type == CLI_LIST ? "(required, repeatable)" : "(required)";
    double n = 0;
    switch (o->type) {
    case CLI_TEXT: {
        const char *text = *(const char **)o->to;
        return text ? cli_text("(default %s)", text) : "";
    }
    case CLI_INT: n = *(int *)o->to; break;
    case CLI_INT64: n = (double)*(int64_t *)o->to; break;
    case CLI_SEED: n = (double)*(uint64_t *)o->to; break;
    case CLI_NUMBER: n = *(double *)o->to; break;
    case CLI_LIST: return "(repeatable)";
    case CLI_CHOICE: {
        const char *s = o->value;
        for (int i = *(int *)o->to; i > 0; i--) s += word_length(s) + 1;
        return cli_text("(default %.*s)", (int)word_length(s), s);
    }
    default: return "";
    }
    if (!o->zero) return cli_text("(default %g)", n);
    if (!*o->zero) return "";
    return n < 0    ? cli_text("(default: %s)", o->zero)
           : n == 0 ? cli_text("(default 0: %s)", o->zero)
                    : cli_text("(default %g; 0: %s)", n, o->zero);
}

enum { HELP_WIDTH = 100, HELP_LEFT = 27 };

/* Words of `text` in lines of HELP_WIDTH, all but the first indented. */
static void wrap(const char *text, int *column) {
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (*column + 1 + n > HELP_WIDTH) {
            printf("\n%*s", HELP_LEFT, "");
            *column = HELP_LEFT;
        }
        printf("%s%.*s", *column > HELP_LEFT ? " " : "", n, text);
        *column += n + (*column > HELP_LEFT);
        text += n + (text[n] == ' ');
    }
}

static void print_option(const char *left, const char *help, const char *preset) {
    bool fits = strlen(left) <= HELP_LEFT - 4;
    int column = HELP_LEFT;
    printf("  %s%s%*s", left, fits ? "" : "\n", fits ? HELP_LEFT - 2 - (int)strlen(left) : HELP_LEFT, "");
    wrap(help, &column);
    wrap(preset, &column);
    putchar('\n');
}

void cli_print_help(const cli_command *command) {
    bool optional = false;
    printf("usage: hone %s", command->name);
    for (const cli_option *o = command->options; o->type != CLI_END; o++) {
        optional |= !o->required;
        if (!o->required) continue;
        if (o->type == CLI_POSITIONAL)
            printf(" %s", o->name);
        else
            printf(" --%s %s", o->name, o->value);
    }
    printf("%s\n\n%s\n\noptions:\n", optional ? " [options]" : "", command->summary);
    for (const cli_option *o = command->options; o->type != CLI_END; o++) {
        const char *left = o->type == CLI_POSITIONAL ? o->name
                           : o->value                ? cli_text("--%s %s", o->name, o->value)
                                                     : cli_text("--%s", o->name);
        print_option(left, o->help, o->type == CLI_POSITIONAL ? "" : default_text(o));
    }
    print_option("-h, --help", "show this help", "");
    if (command->presets) printf("\nrecipes:\n");
    for (const cli_preset *p = command->presets; p && p->name; p++)
        print_option(p->name, cli_text("%s: %s", p->about, p->options), "");
    if (command->details) printf("\n%s\n", command->details);
}

/* --- suggestions --- */

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours that make b of a; both shorter than 32. */
static size_t distance(const char *a, const char *b) {
    size_t d[33][33], n = strlen(a), m = strlen(b);
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}

const char *cli_suggest(const char *given, const char *const *words) {
    const char *best = NULL;
    size_t length = strlen(given), limit = length < 3 ? 1 : length < 7 ? 2 : 3, least_seen = limit + 1;
    if (length > 32) return NULL;
    for (; *words; words++) {
        size_t d = strlen(*words) <= 32 ? distance(given, *words) : limit + 1;
        if (d >= least_seen || d >= strlen(*words)) continue;
        least_seen = d;
        best = *words;
    }
    return best;
}
