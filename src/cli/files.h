/* Files that a command reads and writes. */
#ifndef HONE_CLI_FILES_H
#define HONE_CLI_FILES_H

#include <hone/graph.h>

/* Bytes of a file, -1 if there is none. */
int64_t cli_file_bytes(const char *path);
/* The same of a model, with its files of external data. */
int64_t cli_model_bytes(const char *path);
/* Whether a file can be written at `path`, found out by trying, before hours of work. */
hone_status cli_check_output(const char *path, hone_error *err);

/* As cli_check_output for files in a directory, which is made if it is not there. */
hone_status cli_check_directory(const char *path, hone_error *err);

/* A file of that text, of those bytes; it appears whole or not at all. */
hone_status cli_write_text(const char *path, const char *text, hone_error *err);
hone_status cli_write_bytes(const char *path, const void *data, size_t size, hone_error *err);

/* hone_graph_save, with signals on hold. */
hone_status cli_save(const hone_graph *g, const char *path, hone_error *err);
/* Or hone_graph_save_packed. */
hone_status cli_save_as(const hone_graph *g, const char *path, bool packed, hone_error *err);

/* hone_graph_load, or with weights that stay in their files. Gives CLI_OK, or what the command ends with after saying
 * why; with `json` what Hone lacks is a line of JSON, too: {"error", "lacks": [{"what", "domain", "operator", "opset",
 * "count", "where", "first"}]}. */
int cli_load(const char *path, bool mapped, bool json, hone_graph **out);

#endif
