/* What a trained model makes of some samples, for TensorBoard: pictures with answers, what is taken for what, precision
 * and recall, a map of the outputs. */
#ifndef HONE_CLI_BOARD_H
#define HONE_CLI_BOARD_H

#include "training.h"

/* Writes it for `data`, after `step` steps. Nothing of it is worth the training: failures end the log, as others do. */
void cli_board_answers(cli_watch *w, const hone_graph *g, const hone_dataset *data, const hone_task *task,
                       int threads, int64_t step);
/* Writes what the run is made with; `metric` is what training shows. */
void cli_board_settings(cli_watch *w, const char *model, const hone_train_options *o);

#endif
