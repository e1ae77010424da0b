/* --gate METRIC:X: what a model may lose. */
#ifndef HONE_CLI_GATE_H
#define HONE_CLI_GATE_H

#include "options.h"

#include <hone/train.h>

typedef struct cli_gate {
    char metric[64]; /* "": all may be lost */
    double most;     /* in the metric's unit, points where it is a share; INFINITY: all */
    bool relative;   /* per cent of what it was */
} cli_gate;

/* Reads accuracy:0.5, loss:0.02 or perplexity:1%; `text` NULL: no gate. CLI_USAGE after saying what is wrong. */
int cli_gate_read(const char *text, cli_gate *out);
/* What of the gate's metric is lost from one model to the next, in the gate's unit; NAN: it was not measured. */
double cli_gate_lost(const cli_gate *g, const hone_eval_report *before, const hone_eval_report *after);

#endif
