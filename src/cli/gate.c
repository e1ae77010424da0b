#include "gate.h"

#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cli_gate_read(const char *text, cli_gate *out) {
    const char *colon = text ? strchr(text, ':') : NULL;
    char *end = NULL;
    *out = (cli_gate){.most = INFINITY};
    if (!text) return CLI_OK;
    out->most = colon ? strtod(colon + 1, &end) : NAN;
    out->relative = colon && strcmp(end, "%") == 0;
    if (!colon || end == colon + 1 || end[out->relative] || !(out->most >= 0) ||
        colon - text >= (ptrdiff_t)sizeof out->metric)
        return cli_usage_error(
            "--gate needs a metric and what may be lost, as accuracy:0.5 or perplexity:1%%, not '%s'", text);
    snprintf(out->metric, sizeof out->metric, "%.*s", (int)(colon - text), text);
    return CLI_OK;
}

static const hone_metric *find(const hone_eval_report *r, const char *name) {
    for (int i = 0; i < r->metric_count; i++)
        if (strcmp(r->metrics[i].name, name) == 0) return &r->metrics[i];
    return NULL;
}

/* Shares, and R², are the better the higher; errors, losses and perplexities the lower. */
double cli_gate_lost(const cli_gate *g, const hone_eval_report *before, const hone_eval_report *after) {
    const hone_metric *was = find(before, g->metric), *is = find(after, g->metric);
    double from, to;
    bool higher = false;
    if (strcmp(g->metric, "loss") == 0) {
        from = before->loss;
        to = after->loss;
    } else if (was && is) {
        const double unit = was->share && !g->relative ? 100 : 1;
        higher = was->share || strcmp(g->metric, "r2") == 0;
        from = unit * was->value;
        to = unit * is->value;
    } else {
        return NAN;
    }
    const double lost = higher ? from - to : to - from;
    return g->relative ? 100 * lost / fabs(from) : lost;
}
