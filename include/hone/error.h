/* Errors: every function that can fail returns a hone_status and fills a hone_error.
 *
 * A hone_error is a plain value of fixed size that never allocates, so it is there even when memory is not.
 * Functions take it as their last parameter; it may be NULL when the status alone is enough. On success it is
 * left as it was.
 *
 * Options are structs whose first field is their size. Start from HONE_…_OPTIONS_INIT, which holds the
 * defaults; zero means zero. NULL stands for the defaults where there are any. Options of another size, such
 * as those of another version of Hone, are HONE_INVALID_ARGUMENT. */
#ifndef HONE_ERROR_H
#define HONE_ERROR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HONE_API __attribute__((visibility("default")))
#else
#define HONE_API
#endif

typedef enum hone_status {
    HONE_OK = 0,
    HONE_INVALID_ARGUMENT,    /* the caller's values make no sense: a wrong shape, an unknown option */
    HONE_NOT_FOUND,           /* no such file, name, model, version */
    HONE_ALREADY_EXISTS,      /* a name is taken */
    HONE_FAILED_PRECONDITION, /* right in itself, but not in this state */
    HONE_OUT_OF_RANGE,        /* a number outside of what is allowed */
    HONE_UNSUPPORTED,         /* well formed, but Hone has no operator, dtype or gradient for it */
    HONE_CORRUPT,             /* a file or message breaks its format */
    HONE_IO,                  /* the operating system refused: full disk, no permission */
    HONE_OUT_OF_MEMORY,
    HONE_RESOURCE_EXHAUSTED, /* a limit that Hone was given is reached: queue, byte budget */
    HONE_UNAVAILABLE,        /* try again later */
    HONE_DEADLINE_EXCEEDED,
    HONE_CANCELLED,
    HONE_INTERNAL /* a bug in Hone */
} hone_status;

/* What went wrong and, where it applies, where. Unused fields are empty strings. Too long texts are cut. */
typedef struct hone_error {
    hone_status code;
    char message[512]; /* one line, no trailing newline, without the file and node below */
    char file[256];    /* path of the file that is at fault */
    char node[128];    /* name of the graph's node (or value) at fault */
    char op[64];       /* its operator: "Gemm" */
} hone_error;

/* The name of a status as used in JSON and logs: "invalid_argument". Never NULL. */
HONE_API const char *hone_status_name(hone_status status);

/* Writes "FILE: node NODE (OP): MESSAGE" with the parts that are there into `text`, always terminated.
 * Returns `text`. */
HONE_API const char *hone_error_format(const hone_error *err, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
