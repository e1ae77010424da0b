#include "answers.h"

#include "files.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *cli_class_name(const cli_classes *c, int k) {
    const char *name = c->data ? hone_dataset_class_name(c->data, k) : NULL;
    if (name) return name;
    const char *line = c->noted;
    for (int i = 0; line && *line && i < k; i++) {
        line = strchr(line, '\n');
        if (line) line++;
    }
    if (!line || !*line) return cli_text("%d", k);
    return cli_text("%.*s", (int)strcspn(line, "\n"), line);
}

/* --- for people --- */

static const char *share(double x) {
    return isfinite(x) ? cli_percent(x) : "–";
}

typedef struct rank {
    int class;
    double f1;
} rank;

static int by_f1(const void *a, const void *b) {
    const rank *x = a, *y = b;
    return x->f1 != y->f1 ? (x->f1 > y->f1) - (x->f1 < y->f1) : x->class - y->class;
}

/* The classes that are shown, in their order; gives how many. */
static int choose(const hone_eval_details *d, rank *out, int most) {
    for (int k = 0; k < d->classes; k++) out[k] = (rank){k, isfinite(d->scores[k].f1) ? d->scores[k].f1 : 2};
    if (d->classes <= most) return d->classes;
    qsort(out, (size_t)d->classes, sizeof *out, by_f1);
    return most;
}

static void print_scores(const hone_eval_details *d, const cli_classes *c, const rank *shown, int count) {
    cli_table *t = cli_table_new("lrrrr");
    cli_table_row(t, count < d->classes ? cli_text("the worst %d of %d classes", count, d->classes) : "",
                  "precision", "recall", "F1", "samples", NULL);
    for (int i = 0; i < count; i++) {
        const hone_class_score *s = &d->scores[shown[i].class];
        cli_table_row(t, cli_class_name(c, shown[i].class), share(s->precision), share(s->recall),
                      share(s->f1), cli_count(s->samples), NULL);
    }
    cli_table_print(t, stdout);
    cli_table_free(t);
}

/* Rows: what samples are; columns: what the model takes them for. */
static void print_confusion(const hone_eval_details *d, const cli_classes *c) {
    int width = 6, label = 0;
    for (int k = 0; k < d->classes; k++) {
        int n = (int)strlen(cli_class_name(c, k));
        label = n > label ? n : label;
    }
    if (label > width) width = label < 12 ? label : 12;
    if (label > 24) label = 24;
    printf("which are taken for which (a row for each class, a column for each answer)\n%*s", label, "");
    for (int k = 0; k < d->classes; k++) printf(" %*.*s", width, width, cli_class_name(c, k));
    for (int i = 0; i < d->classes; i++) {
        printf("\n%-*.*s", label, label, cli_class_name(c, i));
        for (int k = 0; k < d->classes; k++)
            printf(" %*lld", width, (long long)d->confusion[i * d->classes + k]);
    }
    printf("\n");
}

void cli_print_details(const hone_eval_details *d, const cli_classes *c) {
    enum { SHOWN = 20, CONFUSED = 12 };
    if (d->classes == 0) {
        if (isfinite(d->root_mean_squared_error))
            printf("root mean squared error %.4f\n", d->root_mean_squared_error);
        return;
    }
    rank *shown = cli_alloc((size_t)d->classes * sizeof *shown);
    int count = choose(d, shown, SHOWN);
    if (d->top) printf("top-%d accuracy %s, ", d->top, cli_percent(d->top_accuracy));
    if (isfinite(d->auc)) printf("area under the ROC curve %.4f, ", d->auc);
    printf("mean F1 %s, balanced accuracy %s\n", share(d->macro_f1), share(d->balanced_accuracy));
    print_scores(d, c, shown, count);
    free(shown);
    if (d->classes <= CONFUSED) print_confusion(d, c);
}

/* --- for machines --- */

void cli_json_details(json_t *object, const hone_eval_details *d, const cli_classes *c) {
    if (d->classes == 0) {
        json_object_set_new(object, "root_mean_squared_error", cli_json_number(d->root_mean_squared_error));
        return;
    }
    json_t *classes = json_array(), *confusion = json_array();
    for (int i = 0; i < d->classes; i++) {
        const hone_class_score *s = &d->scores[i];
        json_array_append_new(
            classes, json_pack("{s:o, s:I, s:I, s:o, s:o, s:o}", "name", cli_json_text(cli_class_name(c, i)),
                               "samples", (json_int_t)s->samples, "predicted", (json_int_t)s->predicted,
                               "precision", cli_json_number(s->precision), "recall",
                               cli_json_number(s->recall), "f1", cli_json_number(s->f1)));
        json_t *row = json_array();
        for (int k = 0; k < d->classes; k++)
            json_array_append_new(row, json_integer((json_int_t)d->confusion[i * d->classes + k]));
        json_array_append_new(confusion, row);
    }
    json_object_set_new(object, "macro_f1", cli_json_number(d->macro_f1));
    json_object_set_new(object, "balanced_accuracy", cli_json_number(d->balanced_accuracy));
    if (d->top)
        json_object_set_new(object, cli_text("top_%d_accuracy", d->top), cli_json_number(d->top_accuracy));
    if (d->classes == 2) json_object_set_new(object, "auc", cli_json_number(d->auc));
    json_object_set_new(object, "classes", classes);
    json_object_set_new(object, "confusion", confusion);
}

/* --- predictions --- */

enum { TOLD = 32 }; /* classes whose probabilities each have a column */

bool cli_predictions_begin(cli_predictions *p) {
    p->file = open_memstream(&p->text, &p->size);
    return p->file != NULL;
}

/* As RFC 4180 has it. */
static void put_text(FILE *f, const char *text) {
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, f);
        return;
    }
    fputc('"', f);
    for (const char *c = text; *c; c++) {
        if (*c == '"') fputc('"', f);
        fputc(*c, f);
    }
    fputc('"', f);
}

static void put_head(cli_predictions *p, const hone_prediction *a) {
    FILE *f = p->file;
    fputs("sample,prediction", f);
    for (int64_t j = 1; p->regression && j < a->size; j++) fprintf(f, ",prediction.%lld", (long long)j + 1);
    if (!p->regression) fputs(",probability", f);
    for (int j = 0; !p->regression && a->size > 1 && a->size <= TOLD && j < a->size; j++) {
        fputc(',', f);
        put_text(f, cli_text("p(%s)", cli_class_name(p->classes, j)));
    }
    if (a->labels || a->numbers) fputs(",target", f);
    for (int64_t j = 1; a->numbers && j < a->size; j++) fprintf(f, ",target.%lld", (long long)j + 1);
    fputc('\n', f);
    p->begun = true;
}

static void put_class(cli_predictions *p, const float *x, int64_t size) {
    int best = size == 1 && x[0] > 0;
    double sum = 0, most = x[0];
    for (int j = 1; j < size; j++)
        if (x[j] > x[best]) best = j;
    most = x[best];
    for (int j = 0; j < size; j++) sum += exp(x[j] - most);
    put_text(p->file, cli_class_name(p->classes, best));
    double sure = size == 1 ? 1 / (1 + exp(-fabs((double)x[0]))) : 1 / sum;
    fprintf(p->file, ",%.6g", sure);
    for (int j = 0; size > 1 && size <= TOLD && j < size; j++)
        fprintf(p->file, ",%.6g", exp(x[j] - most) / sum);
}

/* --- sequences of symbols --- a text, where symbols are characters; else names with blanks between */

static bool is_character(const char *name) {
    int n = 0;
    for (; *name; name++) n += ((unsigned char)*name & 0xc0) != 0x80;
    return n == 1;
}

static bool have_names(const cli_classes *c) {
    return c->noted || (c->data && hone_dataset_class_name(c->data, 1));
}

static const char *symbols_text(const cli_classes *c, const int64_t *symbols, int64_t most, char **text) {
    size_t size;
    bool apart = !have_names(c);
    FILE *f = open_memstream(text, &size);
    for (int64_t i = 0; f && i < most && symbols[i] >= 0; i++) {
        const char *name = cli_class_name(c, (int)symbols[i]);
        bool one = is_character(name) && !apart;
        fprintf(f, "%s%s", i > 0 && !one ? " " : "", name);
    }
    return f && fclose(f) == 0 ? *text : "";
}

static void put_symbols(const cli_predictions *p, const int64_t *symbols, int64_t most) {
    char *text = NULL;
    put_text(p->file, symbols_text(p->classes, symbols, most, &text));
    free(text);
}

static void add_symbols(cli_predictions *p, const hone_prediction *a) {
    if (!p->begun) fputs(a->symbols ? "sample,prediction,target\n" : "sample,prediction\n", p->file);
    p->begun = true;
    for (int64_t i = 0; i < a->n; i++) {
        fprintf(p->file, "%lld,", (long long)(a->first + i));
        put_symbols(p, a->said + i * a->places, a->places);
        if (a->symbols) fputc(',', p->file);
        if (a->symbols) put_symbols(p, a->symbols + i * a->symbol_count, a->symbol_count);
        fputc('\n', p->file);
    }
}

bool cli_predictions_add(void *user, const hone_prediction *a) {
    cli_predictions *p = user;
    if (a->said) {
        add_symbols(p, a);
        return true;
    }
    if (!p->begun) put_head(p, a);
    for (int64_t i = 0; i < a->n; i++) {
        const float *x = a->output + i * a->size;
        fprintf(p->file, "%lld,", (long long)(a->first + i));
        if (p->regression)
            for (int64_t j = 0; j < a->size; j++) fprintf(p->file, "%s%.9g", j ? "," : "", (double)x[j]);
        else
            put_class(p, x, a->size);
        if (a->labels) {
            fputc(',', p->file);
            put_text(p->file, cli_class_name(p->classes, (int)a->labels[i]));
        }
        for (int64_t j = 0; a->numbers && j < a->size; j++)
            fprintf(p->file, ",%.9g", (double)a->numbers[i * a->size + j]);
        fputc('\n', p->file);
    }
    return true;
}

hone_status cli_predictions_end(cli_predictions *p, const char *path, hone_error *err) {
    hone_status status = HONE_OK;
    if (!p->file) return status;
    bool whole = fclose(p->file) == 0 && p->text;
    p->file = NULL;
    if (path && !whole) {
        *err = (hone_error){.code = status = HONE_OUT_OF_MEMORY};
        snprintf(err->message, sizeof err->message, "out of memory");
    } else if (path) {
        status = cli_write_text(path, p->text, err);
    }
    free(p->text);
    p->text = NULL;
    return status;
}
