/* Numbers and names of TensorFlow's, each listed once. */
#ifndef HONE_SERVE_TFS_TFS_NAMES_H
#define HONE_SERVE_TFS_TFS_NAMES_H

#include <hone/tensor.h>

/* tensorflow.error.Code: 5 is "NOT_FOUND". */
int hone_tfs_code(hone_status status);
const char *hone_tfs_code_name(hone_status status);
/* tensorflow.DataType: 1 is "DT_FLOAT"; 0 is "DT_INVALID". */
int hone_tfs_type(hone_dtype dtype);
const char *hone_tfs_type_name(hone_dtype dtype);
/* HONE_UNDEFINED if there is none. */
hone_dtype hone_tfs_dtype(uint64_t type);

#endif
