#include "files.h"
#include "json.h"
#include "options.h"
#include "table.h"

#include <hone/import.h>

#include <string.h>

static struct {
    const char *model;
    bool json;
} args;

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_JSON(args.json),
    OPT_END,
};

typedef bool value_fn(const hone_graph *g, int index, hone_value_info *out);

static json_t *json_values(const hone_graph *g, value_fn *get) {
    json_t *list = json_array();
    hone_value_info v;
    for (int i = 0; get(g, i, &v); i++) {
        const char *kind = cli_kind_text(v.kind);
        json_array_append_new(
            list, kind ? json_pack("{s:s, s:s}", "name", v.name, "kind", kind)
                       : json_pack("{s:s, s:s, s:o}", "name", v.name, "dtype", hone_dtype_name(v.dtype),
                                   "shape", v.rank < 0 ? json_null() : cli_json_shape(g, v.dims, v.rank)));
    }
    return list;
}

static const char *op_text(const char *domain, const char *op) {
    return *domain ? cli_text("%s.%s", domain, op) : op;
}

static void json_op(void *user, const char *domain, const char *op, int64_t count) {
    json_object_set_new(user, op_text(domain, op), json_integer(count));
}

/* Calls `fn` with each of the lines of `text`. */
static void each_line(const char *text, void (*fn)(void *user, const char *line), void *user) {
    for (; text && *text; text += text[strcspn(text, "\n")] == '\n' ? strcspn(text, "\n") + 1 : strlen(text))
        fn(user, cli_text("%.*s", (int)strcspn(text, "\n"), text));
}

static void json_class(void *user, const char *line) {
    json_array_append_new(user, cli_json_text(line));
}

static void print_json(const hone_graph *g, const hone_graph_stats *s, json_t *operators) {
    json_t *classes = json_array();
    each_line(hone_graph_metadata(g, "hone.classes"), json_class, classes);
    json_t *o = json_pack("{s:o, s:s, s:o, s:o, s:o}", "file", cli_json_text(args.model), "name",
                          hone_graph_name(g), "inputs", json_values(g, hone_graph_input), "outputs",
                          json_values(g, hone_graph_output), "operators", operators);
    json_t *numbers = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "nodes", (json_int_t)s->nodes, "initializers",
        (json_int_t)s->initializers, "parameters", (json_int_t)s->parameters, "nonzero_parameters",
        (json_int_t)s->nonzero_parameters, "parameter_bytes", (json_int_t)s->parameter_bytes, "file_bytes",
        (json_int_t)cli_model_bytes(args.model), "multiply_adds", (json_int_t)s->multiply_adds);
    json_object_update(o, numbers);
    json_decref(numbers);
    json_object_set_new(o, "classes", classes);
    cli_print_json(o);
}

static void table_op(void *user, const char *domain, const char *op, int64_t count) {
    cli_table_row(user, op_text(domain, op), cli_count(count), NULL);
}

static void print_values(const hone_graph *g, const char *what, value_fn *get) {
    hone_value_info v;
    for (int i = 0; get(g, i, &v); i++) printf("%-15s %s: %s\n", i ? "" : what, v.name, cli_type_text(g, &v));
}

static void print_class(void *user, const char *line) {
    int *n = user;
    printf("%-15s %d %s\n", *n ? "" : "classes", *n, line);
    ++*n;
}

static void print_human(const hone_graph *g, const hone_graph_stats *s, const cli_table *operators) {
    int classes = 0;
    printf("%-15s %s\n", "model", hone_graph_name(g));
    print_values(g, "inputs", hone_graph_input);
    print_values(g, "outputs", hone_graph_output);
    printf("%-15s %s, of these %s not zero\n", "parameters", cli_count(s->parameters),
           cli_count(s->nonzero_parameters));
    printf("%-15s %s in the file, %s of them initializers\n", "bytes", cli_count(cli_model_bytes(args.model)),
           cli_count(s->parameter_bytes));
    printf("%-15s %s a sample\n", "multiply-adds", cli_count(s->multiply_adds));
    each_line(hone_graph_metadata(g, "hone.classes"), print_class, &classes);
    putchar('\n');
    cli_table_print(operators, stdout);
}

/* A GGUF file, or a directory. */
static int load_language(hone_graph **out) {
    hone_error err = {0};
    hone_import *m = NULL;
    CLI_TRY(hone_import_open(args.model, NULL, &m, &err));
    *out = hone_import_take_graph(m);
    hone_import_free(m);
    return CLI_OK;
}

static int run(void) {
    hone_error err = {0};
    hone_graph *g;
    hone_graph_stats stats;
    int loaded =
        hone_import_takes(args.model) ? load_language(&g) : cli_load(args.model, false, args.json, &g);
    if (loaded != CLI_OK) return loaded;
    json_t *list = json_object();
    cli_table *table = cli_table_new("lr");
    cli_table_row(table, "operator", "nodes", NULL);
    hone_status status = hone_graph_get_stats(g, &stats, &err);
    if (status == HONE_OK)
        status =
            hone_graph_count_ops(g, args.json ? json_op : table_op, args.json ? (void *)list : table, &err);
    if (status == HONE_OK && args.json)
        print_json(g, &stats, json_incref(list));
    else if (status == HONE_OK)
        print_human(g, &stats, table);
    json_decref(list);
    cli_table_free(table);
    hone_graph_free(g);
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}

const cli_command cli_cmd_inspect = {"inspect", "show a model's inputs, outputs, operators and cost",
                                     "  hone inspect m.onnx --json", options, run};
