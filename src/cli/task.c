#include "task.h"

#include <stdlib.h>
#include <string.h>

static int check_objective(const char *option, const char *name) {
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
    return meant ? cli_usage_error("%s is one of %s, not '%s'; did you mean %s?", option, list, name, meant)
                 : cli_usage_error("%s is one of %s, not '%s'", option, list, name);
}

/* --- several outputs --- */

/* Of a command line; lives as long as the command. */
static char *part(const char *from, const char *end) {
    static char *kept[128]; /* so that they can be reached */
    static size_t count;
    char *text = cli_alloc((size_t)(end - from) + 1);
    memcpy(text, from, (size_t)(end - from));
    if (count < sizeof kept / sizeof *kept) kept[count++] = text;
    return text;
}

/* "[OUTPUT=]NAME[:WEIGHT][@COLUMN]" */
static int read_loss(const char *text, hone_goal *out) {
    const char *sign = strchr(text, '='), *name = sign ? sign + 1 : text, *at = strrchr(name, '@'),
               *end = at ? at : text + strlen(text), *colon = memchr(name, ':', (size_t)(end - name));
    char *rest = NULL;
    if (sign == text || name == (colon ? colon : end) || (at && !at[1]))
        return cli_usage_error("--loss needs [OUTPUT=]NAME[:WEIGHT][@COLUMN], not '%s'", text);
    *out =
        (hone_goal){sign ? part(text, sign) : NULL, part(name, colon ? colon : end), at ? at + 1 : NULL, 1};
    if (colon) out->weight = strtod(colon + 1, &rest);
    if (colon && (rest == colon + 1 || rest != end || !(out->weight >= 0 && out->weight <= 1e6)))
        return cli_usage_error("--loss %s: the weight is a number from 0 to 1e6", text);
    return check_objective("the objective of --loss", out->objective);
}

/* A loss of the first output says what --objective and --target do. */
static void take_first(const hone_goal *goal, hone_train_options *o) {
    if (!o->task.objective) o->task.objective = goal->objective;
    if (!o->task.target) o->task.target = goal->target;
    o->weight = goal->weight;
}

int cli_read_losses(cli_losses *l, hone_train_options *o) {
    l->count = 0;
    for (int i = 0; i < l->texts.count; i++) {
        hone_goal *goal = &l->goals[l->count];
        if (read_loss(l->texts.items[i], goal) != CLI_OK) return CLI_USAGE;
        if (goal->output)
            l->count++;
        else
            take_first(goal, o);
    }
    return CLI_OK;
}

void cli_place_losses(cli_losses *l, const hone_graph *g, hone_train_options *o) {
    hone_value_info first;
    bool known = hone_graph_output(g, 0, &first);
    int kept = 0;
    for (int i = 0; i < l->count; i++) {
        if (known && strcmp(l->goals[i].output, first.name) == 0)
            take_first(&l->goals[i], o);
        else
            l->goals[kept++] = l->goals[i];
    }
    l->count = o->goal_count = kept;
    o->goals = l->goals;
}

int cli_read_task(cli_task *t, hone_task *out) {
    *out = (hone_task){t->objective, t->target, t->pairings, t->inputs.count};
    if (t->objective && check_objective("--objective", t->objective) != CLI_OK) return CLI_USAGE;
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
