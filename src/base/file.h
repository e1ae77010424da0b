/* Files: whole reads, atomic replacement, directories. All errors name the path. */
#ifndef HONE_BASE_FILE_H
#define HONE_BASE_FILE_H

#include <hone/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A file's bytes in Hone's own memory (a mapping of a file that someone truncates is a SIGBUS). */
typedef struct hone_blob {
    uint8_t *data;
    size_t size;
} hone_blob;

/* Reads a whole regular file of at most `limit` bytes (0: no limit); HONE_RESOURCE_EXHAUSTED if it has more.
 * hone_blob_free() when done. */
hone_status hone_file_read(const char *path, size_t limit, hone_blob *out, hone_error *err);
void hone_blob_free(hone_blob *blob);

/* Opens a regular file for reading; the caller closes `*fd`. */
hone_status hone_file_open(const char *path, int *fd, uint64_t *size, hone_error *err);
/* Reads `size` bytes from `offset` on, all or an error (HONE_IO where the file ends before). `path` is for errors. */
hone_status hone_file_read_at(int fd, const char *path, uint64_t offset, void *data, size_t size,
                              hone_error *err);

/* A file that appears whole or not at all: written beside its place as ".NAME.tmp-PID-N", fsynced and renamed by
 * commit. Abort (or a failed write) removes the temporary. Never both: after commit or abort the writer is gone.
 * A file that is replaced keeps its permissions; a symbolic link is followed; what is no regular file is refused. */
typedef struct hone_writer hone_writer;
hone_status hone_writer_open(const char *path, hone_writer **out, hone_error *err);
hone_status hone_writer_write(hone_writer *w, const void *data, size_t size, hone_error *err); /* buffered */
hone_status hone_writer_commit(hone_writer *w, hone_error *err); /* frees `w` always */
void hone_writer_abort(hone_writer *w);                          /* NULL is fine */
/* All of the above at once. */
hone_status hone_file_replace(const char *path, const void *data, size_t size, hone_error *err);

/* mkdir -p. An existing directory is success. */
hone_status hone_dir_make(const char *path, hone_error *err);
/* fsync of a directory, so that renames in it survive a crash. */
hone_status hone_dir_sync(const char *path, hone_error *err);
/* Removes a directory and what is in it. A missing one is success. Does not follow links. */
hone_status hone_dir_remove(const char *path, hone_error *err);
/* Renames a directory; `to` must not exist. The parent is synced. */
hone_status hone_dir_rename(const char *from, const char *to, hone_error *err);
/* Calls `fn` for each name in a directory, "." and ".." apart, in no order. */
hone_status hone_dir_list(const char *path, void (*fn)(void *user, const char *name), void *user,
                          hone_error *err);
/* Holds an existing directory for the caller: HONE_UNAVAILABLE while somebody else does. The process's end
 * releases it, too. On a file system without locks nobody is kept off. */
hone_status hone_dir_hold(const char *path, int *hold, hone_error *err);
void hone_dir_release(int hold); /* < 0 is fine */
bool hone_file_exists(const char *path);
/* "DIR/NAME" into `out`, always terminated; false if it does not fit. */
bool hone_path_join(char *out, size_t size, const char *dir, const char *name);

/* The test hook for crash tests: when the environment variable HONE_TEST_STOP_AT is N, the process kills itself with
 * SIGKILL just before its N-th rename or fsync in this room. */

#endif
