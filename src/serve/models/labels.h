/* Labels of a model's versions, by its configuration and its settings. On the loader's thread. */
#ifndef HONE_SERVE_MODELS_LABELS_H
#define HONE_SERVE_MODELS_LABELS_H

#include "serve/models/registry.h"

/* A label moves when its new version is served, and is nobody's when its version goes. */
void hone_record_settle_labels(hone_registry *g, hone_record *r);
/* HONE_FAILED_PRECONDITION: a label is to stand for a version that is not loaded. */
hone_status hone_record_check_labels(const hone_record *r, hone_error *err);
/* Remarks on labels and policies that name versions which are not there, or are not wanted. */
void hone_record_remark_versions(const hone_record *r, const hone_listing *l, hone_remarks *out);

#endif
