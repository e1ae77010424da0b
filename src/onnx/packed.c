#include "onnx/packed.h"

#include "onnx/onnx.h"

hone_status hone_graph_save_packed(const hone_graph *g, const char *path, hone_error *err) {
    hone_blob model = {NULL, 0}, packed = {NULL, 0};
    hone_status status = hone_onnx_write(g, &model, err);
    if (status == HONE_OK) status = hone_packed_write(model.data, model.size, &packed, err);
    if (status == HONE_OK) status = hone_file_replace(path, packed.data, packed.size, err);
    hone_blob_free(&model);
    hone_blob_free(&packed);
    return status == HONE_OK ? status : hone_error_in_file(err, status, path);
}

hone_status hone_unpack(const char *path, const char *to, hone_error *err) {
    hone_blob packed = {NULL, 0}, model = {NULL, 0};
    HONE_TRY(hone_file_read(path, HONE_ONNX_INLINE_LIMIT, &packed, err));
    hone_status status = hone_is_packed(packed.data, packed.size)
                             ? hone_packed_read(packed.data, packed.size, &model, err)
                             : hone_fail(err, HONE_INVALID_ARGUMENT, "is no packed model");
    if (status != HONE_OK) status = hone_error_in_file(err, status, path);
    if (status == HONE_OK) status = hone_file_replace(to, model.data, model.size, err);
    hone_blob_free(&packed);
    hone_blob_free(&model);
    return status;
}
