/* Filling a hone_error. Each returns `code`, so that a failure reads `return hone_fail(err, HONE_IO, "…")`. */
#ifndef HONE_BASE_ERROR_H
#define HONE_BASE_ERROR_H

#include <hone/error.h>
#include <stdarg.h>
#include <stddef.h>

#define HONE_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Sets code and message and clears the place. */
hone_status hone_fail(hone_error *err, hone_status code, const char *format, ...) HONE_PRINTF(3, 4);
/* As hone_fail, naming the file at fault. */
hone_status hone_fail_file(hone_error *err, hone_status code, const char *file, const char *format, ...)
    HONE_PRINTF(4, 5);
/* As hone_fail, naming the node (may be NULL) and the operator (may be NULL). */
hone_status hone_fail_node(hone_error *err, hone_status code, const char *node, const char *op,
                           const char *format, ...) HONE_PRINTF(5, 6);
/* As hone_fail_node, for functions that take a format themselves. */
hone_status hone_vfail_node(hone_error *err, hone_status code, const char *node, const char *op,
                            const char *format, va_list args);
/* What strerror() says, in `text` or a static string; safe beside other threads. */
const char *hone_errno_text(int errno_value, char *text, size_t size);
/* As hone_fail_file, adding strerror(errno_value) and choosing NOT_FOUND for ENOENT, else HONE_IO. */
hone_status hone_fail_errno(hone_error *err, int errno_value, const char *file, const char *what);
/* Names the file in an error made by a function that did not know it, unless one is named already. */
hone_status hone_error_in_file(hone_error *err, hone_status code, const char *file);
/* HONE_OUT_OF_MEMORY with the usual text. */
hone_status hone_fail_memory(hone_error *err);

/* HONE_INVALID_ARGUMENT unless `size`, the first field of a caller's options, is that of this library's. */
hone_status hone_check_options_size(size_t size, size_t expected, hone_error *err);

/* Leaves the function with the status of `expr` unless it is HONE_OK. */
#define HONE_TRY(expr)                                                                                       \
    do {                                                                                                     \
        hone_status hone_try_status_ = (expr);                                                               \
        if (hone_try_status_ != HONE_OK) return hone_try_status_;                                            \
    } while (0)

#endif
