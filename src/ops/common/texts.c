#include "ops/common/texts.h"

#include "graph/tensor.h"

hone_status hone_texts_open(hone_frame *f, size_t bytes, hone_texts *t, hone_error *err) {
    hone_tensor *block = NULL;
    HONE_TRY(hone_tensor_new(HONE_UINT8, 1, (int64_t[]){(int64_t)bytes}, &block, err));
    t->at = block->data;
    return hone_kept_add(f->kept, block, err);
}
