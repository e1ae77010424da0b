/* The inside of hone_import. */
#ifndef HONE_IMPORT_IMPORT_H
#define HONE_IMPORT_IMPORT_H

#include "import/gguf.h"

#include <hone/import.h>

enum { HONE_IMPORT_ENDS = 16 };

struct hone_import {
    hone_graph *graph;
    hone_tokenizer *tokenizer;
    char *chat_template;
    int32_t begin, ends[HONE_IMPORT_ENDS];
    size_t end_count;
};

/* Adds an id that ends texts, once; < 0 and those beyond HONE_IMPORT_ENDS are left out. */
void hone_import_add_end(hone_import *m, int64_t id);
/* Everything that a GGUF file has. */
hone_status hone_import_gguf(hone_import *m, const char *path, const hone_import_options *options,
                             hone_error *err);
/* The tokenizer and what belongs to it. */
hone_status hone_gguf_tokenizer(const hone_gguf *g, hone_tokenizer **out, hone_error *err);
/* An ONNX file, and what lies beside it. */
hone_status hone_import_onnx(hone_import *m, const char *path, hone_error *err);

#endif
