#include "inputs.h"

#include "given.h"
#include "media.h"
#include "values.h"

#include <hone/data.h>

#include <stdlib.h>
#include <string.h>

static bool ends(const char *file, const char *ending) {
    size_t n = strlen(file), m = strlen(ending);
    return n > m && strcmp(file + n - m, ending) == 0;
}

static hone_status read_tensor(const char *file, const hone_value_info *v, hone_tensor **out,
                               hone_error *err) {
    return ends(file, ".npz") ? hone_npz_load(file, v->name, out, err) : hone_npy_load(file, out, err);
}

/* An optional value of a tensor, from the tensor's file. */
static hone_status read_optional(const char *file, const hone_value_info *v, hone_tensor **out,
                                 hone_error *err) {
    hone_tensor *item = NULL, *same = NULL;
    hone_status status = ends(file, ".npz") ? hone_npz_load_sequence(file, v->dtype, &item, err)
                                            : hone_npy_load(file, &item, err);
    if (status == HONE_OK && hone_tensor_kind(item) == HONE_KIND_TENSOR) {
        status = hone_tensor_convert(item, v->dtype, &same, err);
        hone_tensor_free(item);
        item = same;
    }
    if (status == HONE_OK) status = hone_tensor_of_items(HONE_KIND_OPTIONAL, v->dtype, &item, 1, out, err);
    hone_tensor_free(item);
    return status;
}

static int read_file(const char *file, const hone_value_info *v, hone_tensor **out) {
    hone_error err = {0};
    if (ends(file, ".pb")) {
        CLI_TRY(hone_value_load(file, v, out, &err));
        return CLI_OK;
    }
    switch (v->kind) {
    case HONE_KIND_SEQUENCE:
        if (!ends(file, ".npz"))
            return cli_error("%s: input '%s' is a sequence, which .npz and .pb files have", file, v->name);
        CLI_TRY(hone_npz_load_sequence(file, v->dtype, out, &err));
        break;
    case HONE_KIND_MAP: return cli_error("%s: input '%s' is a map, which .pb files have", file, v->name);
    case HONE_KIND_OPTIONAL: CLI_TRY(read_optional(file, v, out, &err)); break;
    case HONE_KIND_TENSOR: CLI_TRY(read_tensor(file, v, out, &err)); break;
    }
    return CLI_OK;
}

/* Does the shape? */
static bool fits(const hone_value_info *v, const hone_tensor *t) {
    if (v->rank < 0) return true;
    if (hone_tensor_rank(t) != v->rank) return false;
    for (int d = 0; d < v->rank; d++)
        if (v->dims[d] >= 0 && v->dims[d] != hone_tensor_dims(t)[d]) return false;
    return true;
}

static int misfit(const char *file, const hone_graph *g, const hone_value_info *v, const hone_tensor *t) {
    return cli_error("%s: is %s, but input '%s' is %s", file, cli_tensor_text(t), v->name,
                     cli_type_text(g, v));
}

/* To the input's dtype; `quietly` where the file has none of its own. */
static int convert(const char *file, const hone_graph *g, const hone_value_info *v, bool quietly,
                   hone_tensor **t) {
    hone_error err = {0};
    hone_tensor *same = NULL;
    hone_dtype dtype = hone_tensor_dtype(*t);
    if (v->dtype == HONE_UNDEFINED || dtype == v->dtype) return CLI_OK;
    hone_status status = hone_tensor_convert(*t, v->dtype, &same, &err);
    if (status == HONE_INVALID_ARGUMENT) return misfit(file, g, v, *t);
    if (status != HONE_OK) return cli_error("%s: for input '%s': %s", file, v->name, err.message);
    if (!quietly)
        cli_note("%s: %s becomes %s for input '%s'", file, hone_dtype_name(dtype), hone_dtype_name(v->dtype),
                 v->name);
    hone_tensor_free(*t);
    *t = same;
    return CLI_OK;
}

static int load(const char *file, const hone_graph *g, const hone_value_info *v, hone_tensor **out) {
    bool media = cli_is_media(file, v);
    int status = media ? cli_media_load(file, g, v, out) : read_file(file, v, out);
    if (status != CLI_OK) return status;
    if (hone_tensor_kind(*out) != HONE_KIND_TENSOR) return CLI_OK;
    if (!fits(v, *out)) return misfit(file, g, v, *out);
    return convert(file, g, v, media, out);
}

static int replace(const cli_given *given, hone_graph *g) {
    hone_error err = {0};
    const hone_tensor *old = hone_graph_initializer(g, given->name);
    hone_value_info v = {given->name, HONE_KIND_TENSOR, hone_tensor_dtype(old), hone_tensor_rank(old), {0}};
    memcpy(v.dims, hone_tensor_dims(old), (size_t)v.rank * sizeof *v.dims);
    hone_tensor *t = NULL;
    int status = load(given->file, g, &v, &t);
    if (status == CLI_OK && hone_graph_set_initializer(g, given->name, t, &err) != HONE_OK)
        status = cli_fail(&err);
    hone_tensor_free(t);
    return status;
}

int cli_inputs_load(const cli_list *texts, const char *model, hone_graph *g, hone_tensor **inputs) {
    cli_givens givens = {0};
    hone_value_info v;
    cli_how_to_read.model = model;
    int status = cli_givens_read(true, texts, model, g, &givens);
    for (int i = 0; i < givens.count && status == CLI_OK; i++) {
        const cli_given *given = &givens.list[i];
        if (hone_graph_input(g, given->index, &v))
            status = load(given->file, g, &v, &inputs[given->index]);
        else
            status = replace(given, g);
    }
    cli_givens_free(&givens);
    return status;
}
