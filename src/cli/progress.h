/* How far a training is, on stderr: a bar on a terminal, one line an epoch elsewhere. */
#ifndef HONE_CLI_PROGRESS_H
#define HONE_CLI_PROGRESS_H

#include <hone/train.h>

typedef struct cli_progress {
    const char *label; /* begins each line; "" */
    /* set as it goes */
    int64_t first_samples, first_step, step, steps;
    double first_seconds, drawn_at;
} cli_progress;

void cli_progress_show(cli_progress *w, const hone_train_progress *p);
/* Takes the bar away, before something else is written; each line of report.h does so by itself. */
void cli_progress_clear(void);

#endif
