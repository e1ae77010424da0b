/* Any bytes as an ONNX file: read, and if that succeeds written and read again, which must succeed, too,
 * unless the graph has something that no file can say. */
#include "onnx/onnx.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_graph *g = NULL, *again = NULL;
    hone_blob blob = {0};
    hone_error err;
    if (hone_graph_load_memory(data, size, "fuzz.onnx", &g, &err) != HONE_OK) return 0;
    hone_status status = hone_onnx_write(g, &blob, &err);
    if (status != HONE_OK && status != HONE_FAILED_PRECONDITION) abort();
    if (status == HONE_OK &&
        hone_graph_load_memory(blob.data, blob.size, "again.onnx", &again, &err) != HONE_OK)
        abort();
    hone_blob_free(&blob);
    hone_graph_free(again);
    hone_graph_free(g);
    return 0;
}
