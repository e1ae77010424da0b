#include "serve/observe/series.h"

/* Two threads may make it at once: they get the same series, and the second one gives its reference back. */
hone_series *hone_series_lazy(_Atomic(hone_series *) *slot, hone_metric *metric, const char *const *values) {
    hone_series *s = atomic_load_explicit(slot, memory_order_acquire), *none = NULL;
    if (s) return s;
    if (hone_metric_series(metric, values, &s, NULL) != HONE_OK) return NULL;
    if (!atomic_compare_exchange_strong(slot, &none, s)) hone_series_drop(s);
    return s;
}
