/* Series that are made when they are first counted in. */
#ifndef HONE_SERVE_OBSERVE_SERIES_H
#define HONE_SERVE_OBSERVE_SERIES_H

#include <hone/monitor.h>

#include <stdatomic.h>

/* The series in `slot`, made at its first use; NULL when it can't be. Any thread. */
hone_series *hone_series_lazy(_Atomic(hone_series *) *slot, hone_metric *metric, const char *const *values);

#endif
