/* Models as text: any bytes, taken for each of the forms, give a message or an error with a place; what is a message is read
 * as a file's. */
#include "onnx/onnx.h"
#include "onnx/text/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int form = HONE_SCRIPT_JSON; form <= HONE_SCRIPT_ONNX; form++) {
        hone_blob made = {0};
        hone_error err = {0};
        hone_status status = hone_script_read((hone_script_form)form, (const char *)data, size, &made, &err);
        if (status == HONE_OK ? err.code != HONE_OK : made.data != NULL || !strstr(err.message, "line "))
            abort();
        hone_graph *g = NULL;
        if (status == HONE_OK && hone_onnx_read(made.data, made.size, "made", NULL, &g, &err) == HONE_OK)
            hone_graph_free(g);
        hone_blob_free(&made);
    }
    return 0;
}
