/* Files that a command reads and writes. */
#ifndef HONE_CLI_FILES_H
#define HONE_CLI_FILES_H

#include <hone/graph.h>

/* Bytes of a file, -1 if there is none. */
int64_t cli_file_bytes(const char *path);
/* Whether a file can be written at `path`, found out by trying, before hours of work. */
hone_status cli_check_output(const char *path, hone_error *err);

/* As cli_check_output for files in a directory, which is made if it is not there. */
hone_status cli_check_directory(const char *path, hone_error *err);

/* hone_graph_save, with signals on hold. */
hone_status cli_save(const hone_graph *g, const char *path, hone_error *err);

/* hone_graph_load, or with weights that stay in their files. */
static inline hone_status cli_load(const char *path, bool mapped, hone_graph **out, hone_error *err) {
    return mapped ? hone_graph_load_mapped(path, out, err) : hone_graph_load(path, out, err);
}

#endif
