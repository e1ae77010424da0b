/* Models as text: protobuf's JSON and text format, and the syntax of onnx.parser and onnx.printer. Each becomes the bytes
 * of a ModelProto, which are then read as a file's are.
 *
 *      text ─► fields of messages, found by their descriptors ─► bytes
 *
 * Private to this room. */
#ifndef HONE_ONNX_TEXT_TEXT_H
#define HONE_ONNX_TEXT_TEXT_H

#include "base/error.h"
#include "base/file.h"

typedef enum hone_script_form {
    HONE_SCRIPT_NONE,
    HONE_SCRIPT_JSON,
    HONE_SCRIPT_PROTO,
    HONE_SCRIPT_ONNX
} hone_script_form;
/* Which of them begins with these bytes; HONE_SCRIPT_NONE: a message, or anything else. */
hone_script_form hone_script_form_of(const void *data, size_t size);
/* The message that a text says; hone_blob_free() when done. HONE_CORRUPT names line and column. */
hone_status hone_script_read(hone_script_form form, const char *text, size_t size, hone_blob *out,
                             hone_error *err);

#endif
