/* A model repository in a temporary directory. */
#ifndef HONE_TESTS_SERVE_REPO_H
#define HONE_TESTS_SERVE_REPO_H

#include "base/file.h"
#include "graph/graph.h"
#include "graph/infer.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char repo_root[64];

static inline void repo_make(void) {
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; /* in memory: files are synced */
    snprintf(repo_root, sizeof repo_root, "%s/hone-repo-XXXXXX", base);
    if (!mkdtemp(repo_root)) abort();
}

static inline void repo_remove(void) {
    hone_dir_remove(repo_root, NULL);
}

/* "ROOT/…", in one of a few buffers that take turns. */
__attribute__((format(printf, 1, 2))) static inline char *repo_path(const char *format, ...) {
    static char buffers[8][PATH_MAX];
    static int next;
    char *path = buffers[next++ % 8];
    int n = snprintf(path, PATH_MAX, "%s/", repo_root);
    va_list args;
    va_start(args, format);
    vsnprintf(path + n, (size_t)(PATH_MAX - n), format, args);
    va_end(args);
    return path;
}

static inline void repo_mkdir(const char *path) {
    if (hone_dir_make(path, NULL) != HONE_OK) abort();
}

static inline void repo_write(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0) abort();
}

/* At once: who looks sees the old text or the new one. */
static inline void repo_text(const char *path, const char *text) {
    char *hidden = repo_path(".text");
    repo_write(hidden, text, strlen(text));
    if (rename(hidden, path) != 0) abort();
}

/* y [batch, n] = x [batch, n] + number, and `weights` more floats that nobody is without. */
static inline hone_graph *repo_graph(float number, int64_t n, int64_t weights, const char *input) {
    hone_graph *g = hone_graph_new("plus");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {hone_graph_symbol(g, "batch"), n}};
    hone_tensor *t = NULL, *w = NULL;
    if (hone_tensor_copy_of(HONE_FLOAT32, 1, (int64_t[]){1}, &number, &t, NULL) != HONE_OK) abort();
    hone_value *y = hone_graph_add_input(g, input, &type);
    y = HONE_EMIT(g, "", "Add", y, hone_graph_add_constant(g, "number", t));
    if (weights > 0) { /* y + x·W, W = 0 of [n, columns], summed over the columns */
        int64_t columns = weights / n;
        if (hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){n, columns}, &w, NULL) != HONE_OK) abort();
        hone_value *p = HONE_EMIT(g, "", "MatMul", y, hone_graph_add_constant(g, "W", w));
        hone_tensor *axes = NULL;
        if (hone_tensor_copy_of(HONE_INT64, 1, (int64_t[]){1}, (int64_t[]){1}, &axes, NULL) != HONE_OK)
            abort();
        p = HONE_EMIT(g, "", "ReduceSum", p, hone_graph_add_constant(g, "axes", axes));
        y = HONE_EMIT(g, "", "Add", y, p);
        hone_tensor_free(axes);
    }
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    if (hone_graph_infer(g, NULL) != HONE_OK) abort();
    hone_tensor_free(t);
    hone_tensor_free(w);
    return g;
}

/* Puts NAME/VERSION/model.onnx there as one does: beside its place, then by a rename. */
static inline void repo_put(const char *name, int version, hone_graph *g) {
    char *hidden = repo_path(".%s-%d", name, version), *file = repo_path(".%s-%d/model.onnx", name, version);
    hone_error err = {0};
    repo_mkdir(hidden);
    repo_mkdir(repo_path("%s", name));
    if (hone_graph_save(g, file, &err) != HONE_OK) {
        fprintf(stderr, "%s: %s\n", file, err.message);
        abort();
    }
    if (rename(hidden, repo_path("%s/%d", name, version)) != 0) abort();
    hone_graph_free(g);
}

static inline void repo_put_plus(const char *name, int version) {
    repo_put(name, version, repo_graph((float)version, 3, 0, "x"));
}

/* A version that can't be loaded. */
static inline void repo_put_garbage(const char *name, int version) {
    repo_mkdir(repo_path("%s", name));
    repo_mkdir(repo_path("%s/%d", name, version));
    repo_text(repo_path("%s/%d/model.onnx", name, version), "garbage");
}

/* Writes a copy of one file over another, where that lies. */
static inline void repo_copy(const char *from, const char *to) {
    hone_blob blob;
    if (hone_file_read(from, 0, &blob, NULL) != HONE_OK) abort();
    repo_write(to, blob.data, blob.size);
    hone_blob_free(&blob);
}

static inline void repo_drop(const char *name, int version) {
    /* out of sight at once */
    char *hidden = repo_path(".gone-%s-%d", name, version);
    if (rename(repo_path("%s/%d", name, version), hidden) != 0) abort();
    hone_dir_remove(hidden, NULL);
}

#endif
