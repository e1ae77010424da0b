#include "given.h"

#include "json.h"

#include <stdlib.h>
#include <string.h>

typedef struct reading {
    bool inputs;
    const char *option, *model;
    const hone_graph *g;
    cli_givens *out;
} reading;

static bool value_at(const reading *r, int index, hone_value_info *out) {
    return r->inputs ? hone_graph_input(r->g, index, out) : hone_graph_output(r->g, index, out);
}

/* True if the model has a value of that name; `*index` as in cli_given. */
static bool has(const reading *r, const char *name, int *index) {
    hone_value_info v;
    for (int i = 0; value_at(r, i, &v); i++) {
        if (strcmp(v.name, name) != 0) continue;
        *index = i;
        return true;
    }
    *index = -1;
    return r->inputs && hone_graph_initializer(r->g, name);
}

static char *copy(const char *text, size_t length) {
    char *to = cli_alloc(length + 1);
    memcpy(to, text, length);
    return to;
}

static int add(reading *r, const char *name, const char *file) {
    cli_givens *all = r->out;
    int index;
    if (!has(r, name, &index)) {
        char known[512] = "";
        size_t used = 0;
        hone_value_info v;
        for (int i = 0; value_at(r, i, &v) && used < sizeof known; i++)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", v.name);
        return cli_usage_error("--%s: %s has no %s '%s'; it has: %s", r->option, r->model, r->option, name,
                               known);
    }
    for (int i = 0; i < all->count; i++)
        if (strcmp(all->list[i].name, name) == 0)
            return cli_usage_error("--%s %s is given twice", r->option, name);
    if (all->count == all->capacity) {
        int capacity = 2 * all->capacity + 8;
        cli_given *list = cli_alloc((size_t)capacity * sizeof *list);
        if (all->count) memcpy(list, all->list, (size_t)all->count * sizeof *list);
        free(all->list);
        all->list = list;
        all->capacity = capacity;
    }
    all->list[all->count++] = (cli_given){copy(name, strlen(name)), index, copy(file, strlen(file))};
    return CLI_OK;
}

static int add_object(reading *r, const char *where, const json_t *object) {
    const char *name;
    json_t *file;
    json_object_foreach((json_t *)object, name, file) {
        if (!json_is_string(file) || !*json_string_value(file))
            return cli_usage_error("--%s: %s: '%s' needs the name of a file", r->option, where, name);
        int status = add(r, name, json_string_value(file));
        if (status != CLI_OK) return status;
    }
    return CLI_OK;
}

static int add_map(reading *r, const char *path) {
    json_error_t e;
    json_t *object = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    int status = json_is_object(object) ? add_object(r, path, object)
                 : object               ? cli_error("%s: is not a JSON object of names and files", path)
                 : e.line > 0           ? cli_error("%s:%d: %s", path, e.line, e.text)
                                        : cli_error("%s", e.text);
    json_decref(object);
    return status;
}

static bool ends(const char *text, const char *ending) {
    size_t n = strlen(text), m = strlen(ending);
    return n > m && strcmp(text + n - m, ending) == 0;
}

/* A file without a name, which need not be told where there is only one. */
static int add_alone(reading *r, const char *text) {
    hone_value_info v, other;
    if (!value_at(r, 0, &v))
        return cli_usage_error("--%s %s: %s has no %s", r->option, text, r->model, r->option);
    if (!value_at(r, 1, &other)) return add(r, v.name, text + 1);
    return cli_usage_error("--%s %s: %s has several %ss, so it needs NAME=%s", r->option, text, r->model,
                           r->option, text);
}

/* The last "=@" of the first `length` bytes; NULL: there is none. */
static const char *last_sign(const char *text, size_t length) {
    for (const char *at = text + length; at-- > text;)
        if (at[0] == '=' && at[1] == '@') return at;
    return NULL;
}

/* From the longest name on; if the model has none of them, it is the shortest that is told. */
static int add_pair(reading *r, const char *text) {
    const char *shortest = NULL;
    int index;
    for (const char *sign = text + strlen(text); (sign = last_sign(text, (size_t)(sign - text)));) {
        if (sign == text || !sign[2]) continue;
        shortest = sign;
        char *name = copy(text, (size_t)(sign - text));
        bool found = has(r, name, &index);
        if (!found && sign > text + 1 && sign[-1] == '=') {
            name[sign - text - 1] = 0;
            found = has(r, name, &index);
        }
        int status = found ? add(r, name, sign + 2) : CLI_OK;
        free(name);
        if (found) return status;
    }
    if (!shortest) return cli_usage_error("--%s needs NAME=@FILE, not '%s'", r->option, text);
    char *name = copy(text, (size_t)(shortest - text));
    int status = add(r, name, shortest + 2);
    free(name);
    return status;
}

int cli_givens_read(bool inputs, const cli_list *texts, const char *model, const hone_graph *g,
                    cli_givens *out) {
    reading r = {inputs, inputs ? "input" : "output", model, g, out};
    int status = CLI_OK;
    for (int i = 0; i < texts->count && status == CLI_OK; i++) {
        const char *text = texts->items[i];
        json_t *object = text[0] == '{' ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
        if (object)
            status = add_object(&r, "the object", object);
        else if (text[0] == '@' && text[1] && !strstr(text, "=@"))
            status = ends(text, ".json") ? add_map(&r, text + 1) : add_alone(&r, text);
        else
            status = add_pair(&r, text);
        json_decref(object);
    }
    return status;
}

void cli_givens_free(cli_givens *givens) {
    for (int i = 0; i < givens->count; i++) {
        free(givens->list[i].name);
        free(givens->list[i].file);
    }
    free(givens->list);
}
