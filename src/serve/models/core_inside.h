/* What the core is made of. */
#ifndef HONE_SERVE_MODELS_CORE_INSIDE_H
#define HONE_SERVE_MODELS_CORE_INSIDE_H

#include "serve/batching/batcher.h"
#include "serve/models/core.h"
#include "serve/models/loader.h"
#include "serve/models/registry.h"

struct hone_core {
    hone_registry registry;
    hone_batcher *batcher;
    hone_model_loader *loader;
};

#endif
