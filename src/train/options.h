/* Whether options of training make sense, apart from data and model. */
#ifndef HONE_TRAIN_OPTIONS_H
#define HONE_TRAIN_OPTIONS_H

#include <hone/train.h>

/* HONE_INVALID_ARGUMENT names what is out of range. */
hone_status hone_train_options_check(const hone_train_options *o, hone_error *err);

#endif
