#include "task.h"

#include <stdlib.h>
#include <string.h>

static int check_objective(const char *name) {
    const char *words[16] = {NULL}, *word;
    char list[256] = "";
    int count = 0;
    for (; count < 15 && (word = hone_objective_name(count)); count++) {
        if (strcmp(word, name) == 0) return CLI_OK;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", count ? "|" : "", word);
        words[count] = word;
    }
    const char *meant = cli_suggest(name, words);
    return meant ? cli_usage_error("--objective is one of %s, not '%s'; did you mean %s?", list, name, meant)
                 : cli_usage_error("--objective is one of %s, not '%s'", list, name);
}

int cli_read_task(cli_task *t, hone_task *out) {
    *out = (hone_task){t->objective, t->target, t->pairings, t->inputs.count};
    if (t->objective && check_objective(t->objective) != CLI_OK) return CLI_USAGE;
    for (int i = 0; i < t->inputs.count; i++) {
        const char *text = t->inputs.items[i], *sign = strchr(text, '=');
        if (!sign || sign == text || !sign[1])
            return cli_usage_error("--input needs NAME=COLUMN, not '%s'", text);
        char *name = cli_alloc((size_t)(sign - text) + 1); /* lives as long as the command */
        memcpy(name, text, (size_t)(sign - text));
        name[sign - text] = 0;
        t->pairings[i] = (hone_pairing){name, sign + 1};
    }
    return CLI_OK;
}

const char *cli_metric_value(const hone_metric *m) {
    return m->share ? cli_percent(m->value) : cli_text("%.4f", m->value);
}

const char *cli_metric_name(const hone_metric *m) {
    char name[64];
    snprintf(name, sizeof name, "%s", m->name);
    for (char *c = name; *c; c++)
        if (*c == '_') *c = ' ';
    return cli_text("%s", name);
}

const char *cli_metrics(const hone_eval_report *r) {
    char text[256] = "";
    for (int i = 0; i < r->metric_count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s %s", i ? ", " : "", cli_metric_name(&r->metrics[i]),
                 cli_metric_value(&r->metrics[i]));
    }
    return cli_text("%s", text);
}

void cli_json_metrics(json_t *object, const char *prefix, const hone_eval_report *r) {
    for (int i = 0; i < r->metric_count; i++)
        json_object_set_new(object, cli_text("%s%s", prefix, r->metrics[i].name),
                            cli_json_number(r->metrics[i].value));
    json_object_set_new(object, cli_text("%sloss", prefix), cli_json_number(r->loss));
}
