#include "explained.h"

#include "files.h"
#include "report.h"
#include "table.h"

#include <hone/data.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- names --- */

/* Line k of a text; `*size` its bytes. NULL: there is none. */
static const char *line_of(const char *text, int64_t k, size_t *size) {
    for (; text && k > 0; k--) {
        text = strchr(text, '\n');
        if (text) text++;
    }
    if (!text || !*text) return NULL;
    *size = strcspn(text, "\n");
    return text;
}

const char *cli_explained_target(const cli_explained *x) {
    size_t size;
    const char *name = line_of(x->classes, x->e->target, &size);
    if (!name) return cli_text("%lld", (long long)x->e->target);
    return cli_text("%lld (%.*s)", (long long)x->e->target, (int)size, name);
}

int64_t cli_explained_find(const char *classes, const char *text) {
    char *end;
    size_t size;
    const char *name;
    for (int64_t k = 0; (name = line_of(classes, k, &size)); k++)
        if (strlen(text) == size && memcmp(text, name, size) == 0) return k;
    long long number = strtoll(text, &end, 10);
    return *text && !*end && number >= 0 ? number : -1;
}

static bool is_whole(const hone_tensor *t) {
    hone_dtype d = hone_tensor_dtype(t);
    return d == HONE_INT64 || d == HONE_INT32;
}

/* The token at a place; NULL: the input has none. */
static const char *token(const cli_explained *x, int input, int64_t i) {
    size_t size;
    if (!x->tokenizer || !is_whole(x->inputs[input])) return NULL;
    return hone_tokenizer_piece(x->tokenizer, (int32_t)hone_tensor_number(x->inputs[input], i), &size);
}

/* "x[3, 4]"; of one number "x". */
static const char *place(const cli_explained *x, int input, int64_t i) {
    const hone_tensor *t = x->inputs[input];
    char text[256];
    int rank = hone_tensor_rank(t), used = 0;
    int64_t left = hone_tensor_count(t);
    if (left == 1) return x->e->names[input];
    used = snprintf(text, sizeof text, "%.100s[", x->e->names[input]);
    for (int d = 0; d < rank; d++) {
        left /= hone_tensor_dims(t)[d];
        if (d == 0 && rank > 1) continue; /* the batch */
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%lld", d > (rank > 1) ? ", " : "",
                         (long long)(i / left % hone_tensor_dims(t)[d]));
    }
    return cli_text("%s]", text);
}

/* --- elements by size --- */

typedef struct element {
    int input;
    int64_t index;
    float value;
} element;

static int by_size(const void *a, const void *b) {
    const element *x = a, *y = b;
    float p = fabsf(x->value), q = fabsf(y->value);
    if (p != q) return p < q ? 1 : -1;
    return x->input != y->input ? x->input - y->input : x->index < y->index ? -1 : 1;
}

/* All of them, the largest first; to be freed. */
static element *sorted(const hone_explanation *e, size_t *count) {
    size_t n = 0;
    for (int i = 0; i < e->count; i++) n += e->values[i] ? (size_t)hone_tensor_count(e->values[i]) : 0;
    element *list = cli_alloc((n + 1) * sizeof *list);
    *count = 0;
    for (int i = 0; i < e->count; i++) {
        const float *v = e->values[i] ? hone_tensor_data(e->values[i]) : NULL;
        for (int64_t k = 0; v && k < hone_tensor_count(e->values[i]); k++)
            list[(*count)++] = (element){i, k, v[k]};
    }
    qsort(list, n, sizeof *list, by_size);
    return list;
}

static double total(const hone_explanation *e) {
    double sum = 0;
    for (int i = 0; i < e->count; i++) {
        const float *v = e->values[i] ? hone_tensor_data(e->values[i]) : NULL;
        for (int64_t k = 0; v && k < hone_tensor_count(e->values[i]); k++) sum += v[k];
    }
    return sum;
}

/* What an element is: the number, text or token that is there. */
static const char *content(const cli_explained *x, int input, int64_t i) {
    const hone_tensor *t = x->inputs[input];
    const char *piece = token(x, input, i);
    if (piece) return piece;
    if (hone_tensor_dtype(t) == HONE_STRING) return hone_tensor_string(t, i, NULL);
    return cli_text("%.4g", hone_tensor_number(t, i));
}

void cli_explained_print(const cli_explained *x) {
    enum { SHOWN = 10 };
    const hone_explanation *e = x->e;
    size_t count;
    printf("%s of number %s of output '%s', which is %.5g", hone_explain_method_name((int)e->method),
           cli_explained_target(x), e->output, e->score);
    if (isfinite(e->base)) printf("; %.5g for the baseline, and the values sum to %.5g", e->base, total(e));
    printf("\n");
    element *list = sorted(e, &count);
    cli_table *t = cli_table_new("lrr");
    cli_table_row(t, "of the input", "is", "value", NULL);
    for (size_t i = 0; i < count && i < SHOWN; i++)
        cli_table_row(t, place(x, list[i].input, list[i].index), content(x, list[i].input, list[i].index),
                      cli_text("%.4g", list[i].value), NULL);
    cli_table_print(t, stdout);
    if (count > SHOWN) printf("… and %s more\n", cli_count((int64_t)count - SHOWN));
    cli_table_free(t);
    free(list);
}

/* --- JSON --- */

static json_t *json_values(const hone_tensor *t, int axis, int64_t *at) {
    json_t *list = json_array();
    for (int64_t i = 0; i < hone_tensor_dims(t)[axis]; i++)
        json_array_append_new(list, axis + 1 < hone_tensor_rank(t)
                                        ? json_values(t, axis + 1, at)
                                        : cli_json_number(((const float *)hone_tensor_data(t))[(*at)++]));
    return list;
}

json_t *cli_explained_json(const cli_explained *x) {
    const hone_explanation *e = x->e;
    json_t *inputs = json_object();
    for (int i = 0; i < e->count; i++) {
        int64_t at = 0;
        if (!e->values[i]) continue;
        json_t *values = hone_tensor_rank(e->values[i])
                             ? json_values(e->values[i], 0, &at)
                             : cli_json_number(((float *)hone_tensor_data(e->values[i]))[0]);
        json_object_set_new(inputs, e->names[i], values);
    }
    json_t *o = json_pack("{s:s, s:o, s:I, s:o, s:o}", "method", hone_explain_method_name((int)e->method),
                          "output", cli_json_text(e->output), "target", (json_int_t)e->target, "score",
                          cli_json_number(e->score), "values", inputs);
    if (isfinite(e->base)) json_object_set_new(o, "baseline_score", cli_json_number(e->base));
    if (e->note[0]) json_object_set_new(o, "note", cli_json_text(e->note));
    return o;
}

/* --- pages --- */

typedef struct page {
    char *text;
    size_t size;
    FILE *to;
} page;

static void put_text(FILE *to, const char *text) {
    for (; *text; text++) {
        const char *as = *text == '&'   ? "&amp;"
                         : *text == '<' ? "&lt;"
                         : *text == '>' ? "&gt;"
                         : *text == '"' ? "&quot;"
                                        : NULL;
        if (as)
            fputs(as, to);
        else
            fputc(*text, to);
    }
}

static void put_base64(FILE *to, const uint8_t *data, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        unsigned rest = (unsigned)(size - i), x = (unsigned)data[i] << 16;
        if (rest > 1) x |= (unsigned)data[i + 1] << 8;
        if (rest > 2) x |= data[i + 2];
        fputc(digits[x >> 18 & 63], to);
        fputc(digits[x >> 12 & 63], to);
        fputc(rest > 1 ? digits[x >> 6 & 63] : '=', to);
        fputc(rest > 2 ? digits[x & 63] : '=', to);
    }
}

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, "
    "initial-scale=1\">\n<title>Explanation</title>\n<style>\n"
    ":root { color-scheme: light dark; --for: 214,39,40; --against: 31,87,190; }\n"
    "body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }\n"
    "img { width: min(100%, 448px); image-rendering: pixelated; }\n"
    "td, th { text-align: left; padding: .1rem .6rem; } td.n { text-align: right; font-variant-numeric: "
    "tabular-nums; }\n"
    "td.bar { width: 14rem; } td.bar i { display: block; height: .8rem; }\n"
    ".t { padding: .1rem .15rem; border-radius: .2rem; }\n"
    "</style></head><body>\n";

static double largest(const hone_tensor *values) {
    double most = 0;
    for (int64_t i = 0; i < hone_tensor_count(values); i++)
        most = fmax(most, fabs(((const float *)hone_tensor_data(values))[i]));
    return most > 0 ? most : 1;
}

/* Words of a text: the stronger the colour, the more they count. */
static void put_tokens(const cli_explained *x, int input, FILE *to) {
    const hone_tensor *values = x->e->values[input];
    double most = largest(values);
    fputs("<p>", to);
    for (int64_t i = 0; i < hone_tensor_count(values); i++) {
        float v = ((const float *)hone_tensor_data(values))[i];
        fprintf(to, "<span class=\"t\" title=\"%.4g\" style=\"background: rgba(var(--%s), %.3f)\">", v,
                v < 0 ? "against" : "for", 0.7 * fabs(v) / most);
        put_text(to, token(x, input, i));
        fputs("</span> ", to);
    }
    fputs("</p>\n", to);
}

static void put_rows(const cli_explained *x, int input, FILE *to) {
    enum { MOST = 200 };
    const hone_tensor *values = x->e->values[input];
    double most = 0;
    for (int i = 0; i < x->e->count; i++)
        if (x->e->values[i]) most = fmax(most, largest(x->e->values[i]));
    for (int64_t i = 0; i < hone_tensor_count(values) && i < MOST; i++) {
        float v = ((const float *)hone_tensor_data(values))[i];
        fputs("<tr><td>", to);
        put_text(to, place(x, input, i));
        fputs("</td><td class=\"n\">", to);
        put_text(to, content(x, input, i));
        fprintf(to,
                "</td><td class=\"n\">%.4g</td><td class=\"bar\"><i style=\"width: %.1f%%; background: "
                "rgb(var(--%s))\"></i></td></tr>\n",
                v, 100 * fabs(v) / most, v < 0 ? "against" : "for");
    }
}

static bool put_picture(const cli_explained *x, int input, FILE *to) {
    void *png;
    size_t size;
    hone_error err;
    if (hone_explain_picture(x->inputs[input], x->e->values[input], &png, &size, &err) != HONE_OK)
        return false;
    fputs("<p><img alt=\"the input, with what speaks for the target in red and what speaks against it in "
          "blue\" "
          "src=\"data:image/png;base64,",
          to);
    put_base64(to, png, size);
    fputs("\"></p>\n", to);
    free(png);
    return true;
}

static void put_page(const cli_explained *x, FILE *to) {
    const hone_explanation *e = x->e;
    bool rows = false;
    fputs(head, to);
    fputs("<h1>Why ", to);
    put_text(to, cli_explained_target(x));
    fputs("?</h1>\n<p>", to);
    put_text(to, cli_text("%s, output '%s': %.5g by %s", x->model, e->output, e->score,
                          hone_explain_method_name((int)e->method)));
    if (isfinite(e->base)) fprintf(to, "; %.5g for the baseline", e->base);
    fputs(".</p>\n<p><span class=\"t\" style=\"background: rgba(var(--for), .6)\">for it</span> <span "
          "class=\"t\" "
          "style=\"background: rgba(var(--against), .6)\">against it</span></p>\n",
          to);
    if (e->note[0]) {
        fputs("<p>", to);
        put_text(to, e->note);
        fputs("</p>\n", to);
    }
    for (int i = 0; i < e->count; i++) {
        if (!e->values[i] || put_picture(x, i, to)) continue;
        if (token(x, i, 0))
            put_tokens(x, i, to);
        else
            rows = true;
    }
    if (rows) fputs("<table><tr><th>input</th><th>is</th><th>value</th><th></th></tr>\n", to);
    void *png;
    size_t size;
    hone_error err;
    for (int i = 0; i < e->count && rows; i++) {
        if (!e->values[i] || token(x, i, 0)) continue;
        if (hone_explain_picture(x->inputs[i], e->values[i], &png, &size, &err) == HONE_OK)
            free(png);
        else
            put_rows(x, i, to);
    }
    if (rows) fputs("</table>\n", to);
    fputs("</body></html>\n", to);
}

/* --- files --- */

static bool ends(const char *path, const char *with) {
    size_t n = strlen(path), m = strlen(with);
    return n > m && strcmp(path + n - m, with) == 0;
}

static int write_page(const cli_explained *x, const char *path) {
    hone_error err = {0};
    page p = {NULL};
    p.to = open_memstream(&p.text, &p.size);
    if (!p.to) return cli_error("out of memory");
    put_page(x, p.to);
    bool good = !ferror(p.to);
    good = fclose(p.to) == 0 && good;
    hone_status status = HONE_OK;
    if (good) status = cli_write_text(path, p.text, &err);
    free(p.text);
    if (!good) return cli_error("out of memory");
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}

static int write_picture(const cli_explained *x, const char *path) {
    hone_error err = {0};
    void *png = NULL;
    size_t size = 0;
    hone_status status = HONE_INVALID_ARGUMENT;
    for (int i = 0; i < x->e->count && status == HONE_INVALID_ARGUMENT; i++)
        if (x->e->values[i]) status = hone_explain_picture(x->inputs[i], x->e->values[i], &png, &size, &err);
    if (status == HONE_OK) status = cli_write_bytes(path, png, size, &err);
    free(png);
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}

static int write_json(const cli_explained *x, const char *path) {
    hone_error err = {0};
    json_t *o = cli_explained_json(x);
    char *text = json_dumps(o, JSON_INDENT(1));
    json_decref(o);
    if (!text) return cli_error("out of memory");
    hone_status status = cli_write_text(path, text, &err);
    free(text);
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}

static int write_arrays(const cli_explained *x, const char *path) {
    hone_error err = {0};
    int count = 0;
    hone_named_tensor *list = cli_alloc((size_t)(x->e->count + 1) * sizeof *list);
    for (int i = 0; i < x->e->count; i++)
        if (x->e->values[i]) list[count++] = (hone_named_tensor){x->e->names[i], x->e->values[i]};
    hone_status status = hone_npz_save(path, list, count, &err);
    free(list);
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}

int cli_explained_write(const cli_explained *x, const char *path) {
    if (ends(path, ".html")) return write_page(x, path);
    if (ends(path, ".png")) return write_picture(x, path);
    if (ends(path, ".json")) return write_json(x, path);
    if (ends(path, ".npz")) return write_arrays(x, path);
    return cli_usage_error("--out is a .html, .png, .json or .npz file, not %s", path);
}
