/* csv:FILE: a table whose columns are numbers or texts, and one of which is the target. */
#include "base/error.h"
#include "base/memory.h"
#include "data/csv.h"
#include "data/sources.h"
#include "graph/tensor.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum kind { EMPTY, NUMBERS, DATES, TEXTS } kind;

typedef struct field {
    char name[128];
    kind kind;
    bool ignored;
    const char *why;         /* it is ignored: for people */
    int64_t missing, strays; /* among numbers, texts that are none */
    int64_t first_stray;     /* its row */
} field;

/* The text of the cells, for as long as a column of texts lives. */
typedef struct keeper {
    atomic_int references;
    hone_cells cells;
} keeper;

typedef struct csv_table {
    const char *path;
    const hone_data_options *options;
    keeper *keeper;
    hone_cells *cells;
    field *fields;
    int64_t first; /* row of values: 1 behind a line of names */
    int target;    /* -1: there is none */
    int split;     /* a column that tells the split; -1: none */
    int64_t *rows; /* those of the split that have a target */
    int64_t row_count, all, unlabeled;
    hone_dataset *made;
} csv_table;

static const hone_string *cell(const csv_table *t, int64_t row, int column) {
    return &t->cells->at[(size_t)row * (size_t)t->cells->columns + (size_t)column];
}

static void let_go(void *owner) {
    keeper *k = owner;
    if (atomic_fetch_sub_explicit(&k->references, 1, memory_order_acq_rel) != 1) return;
    hone_cells_free(&k->cells);
    hone_free(k);
}

/* --- names --- */

static bool has_names(const csv_table *t) {
    return t->options->header ? t->options->header > 0 : hone_cells_have_names(t->cells);
}

static void name_field(const csv_table *t, int column, bool names) {
    field *f = &t->fields[column];
    const char *name = names ? cell(t, 0, column)->data : "";
    if (*name)
        snprintf(f->name, sizeof f->name, "%.120s", name);
    else
        snprintf(f->name, sizeof f->name, "c%d", column + 1);
    for (int k = 0; k < column; k++) {
        if (strcmp(t->fields[k].name, f->name) != 0) continue;
        size_t used = strlen(f->name);
        snprintf(f->name + used, sizeof f->name - used, ".%d", column + 1);
        k = -1;
    }
}

static int find_field(const csv_table *t, const char *name) {
    for (int c = 0; name && c < t->cells->columns; c++)
        if (strcmp(t->fields[c].name, name) == 0) return c;
    return -1;
}

static bool is_listed(const char *name, const char *const *list, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0) return true;
    return false;
}

static hone_status no_field(const csv_table *t, const char *name, hone_error *err) {
    char list[300] = "";
    for (int c = 0; c < t->cells->columns; c++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s'%s'", c ? ", " : "", t->fields[c].name);
    }
    return hone_fail(err, HONE_INVALID_ARGUMENT, "no column '%s'; there are %s", name, list);
}

/* --- what columns are --- */

/* Numbers, if all but one in twenty are; dates, if all are. */
static kind kind_of(int64_t present, int64_t numbers, int64_t dates) {
    if (present == 0) return EMPTY;
    if (dates == present) return DATES;
    return numbers > 0 && present - numbers <= present / 20 ? NUMBERS : TEXTS;
}

static void look_at(const csv_table *t, int column) {
    field *f = &t->fields[column];
    const hone_data_options *o = t->options;
    int64_t numbers = 0, dates = 0, present = 0;
    double x;
    f->first_stray = -1;
    for (int64_t r = t->first; r < t->cells->rows; r++) {
        const hone_string *s = cell(t, r, column);
        if (hone_cell_missing(s)) {
            f->missing++;
            continue;
        }
        bool number = hone_cell_number(s, &x);
        present++;
        numbers += number;
        if (!number && f->first_stray < 0) f->first_stray = r;
        if (!number) dates += hone_cell_date(s, &x);
    }
    f->kind = kind_of(present, numbers, dates);
    if (is_listed(f->name, o->texts, o->text_count)) f->kind = TEXTS;
    if (is_listed(f->name, o->numbers, o->number_count)) f->kind = dates > numbers ? DATES : NUMBERS;
    f->strays = f->kind == NUMBERS ? present - numbers : 0;
}

static int by_bytes(const void *a, const void *b) {
    const hone_string *x = *(const hone_string *const *)a, *y = *(const hone_string *const *)b;
    return strcmp(x->data, y->data);
}

/* The different texts of a column in the table's rows, sorted; those that are missing apart. */
static hone_status different(const csv_table *t, int column, const hone_string ***out, int64_t *count,
                             hone_error *err) {
    const hone_string **all = hone_alloc((size_t)(t->cells->rows + 1) * sizeof *all);
    int64_t n = 0, kept = 0;
    if (!all) return hone_fail_memory(err);
    for (int64_t r = t->first; r < t->cells->rows; r++)
        if (!hone_cell_missing(cell(t, r, column))) all[n++] = cell(t, r, column);
    qsort(all, (size_t)n, sizeof *all, by_bytes);
    for (int64_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(all[kept - 1]->data, all[i]->data) != 0) all[kept++] = all[i];
    *out = all;
    *count = kept;
    return HONE_OK;
}

/* Texts of which almost every sample has its own tell nothing about another one. */
static hone_status look_for_keys(const csv_table *t, int column, hone_error *err) {
    enum { MANY = 100 };
    field *f = &t->fields[column];
    const hone_string **texts;
    int64_t count, rows = t->cells->rows - t->first;
    if (f->kind != TEXTS || is_listed(f->name, t->options->texts, t->options->text_count)) return HONE_OK;
    HONE_TRY(different(t, column, &texts, &count, err));
    hone_free(texts);
    f->ignored = count > MANY && count > rows / 2;
    f->why = f->ignored ? "almost every row has a text of its own" : NULL;
    return HONE_OK;
}

static hone_status look_at_all(const csv_table *t, hone_error *err) {
    const hone_data_options *o = t->options;
    for (int c = 0; c < t->cells->columns; c++) {
        field *f = &t->fields[c];
        look_at(t, c);
        if (c == t->target) continue;
        f->ignored = c == t->split || f->kind == EMPTY || is_listed(f->name, o->ignored, o->ignored_count);
        if (f->kind == EMPTY) f->why = "no row has a value";
        if (!f->ignored && !(o->group && strcmp(o->group, f->name) == 0)) HONE_TRY(look_for_keys(t, c, err));
    }
    return HONE_OK;
}

/* --- rows --- */

static int find_split(const csv_table *t) {
    int column = find_field(t, "split");
    for (int64_t r = t->first; column >= 0 && r < t->cells->rows; r++)
        if (hone_split_of(cell(t, r, column)->data) < 0) return -1;
    return column;
}

static hone_status choose_rows(csv_table *t, hone_split split, hone_error *err) {
    t->rows = hone_alloc((size_t)(t->cells->rows + 1) * sizeof *t->rows);
    if (!t->rows) return hone_fail_memory(err);
    for (int64_t r = t->first; r < t->cells->rows; r++) {
        if (t->split >= 0 && hone_split_of(cell(t, r, t->split)->data) != (int)split) continue;
        t->all++;
        if (t->target >= 0 && hone_cell_missing(cell(t, r, t->target))) {
            t->unlabeled++;
            continue;
        }
        t->rows[t->row_count++] = r;
    }
    if (t->row_count > 0) return HONE_OK;
    if (t->split >= 0 && t->all == 0)
        return hone_fail(err, HONE_NOT_FOUND, "no row of that split: column 'split'");
    return hone_fail(err, HONE_INVALID_ARGUMENT, "no row has a value in column '%s', the target",
                     t->target >= 0 ? t->fields[t->target].name : "");
}

/* --- columns --- */

static hone_status make_numbers(const csv_table *t, int column, hone_tensor **out, hone_error *err) {
    HONE_TRY(hone_tensor_new(HONE_FLOAT64, 1, &t->row_count, out, err));
    double *x = (*out)->data;
    for (int64_t i = 0; i < t->row_count; i++) {
        const hone_string *s = cell(t, t->rows[i], column);
        bool found = t->fields[column].kind == DATES ? hone_cell_date(s, &x[i]) : hone_cell_number(s, &x[i]);
        if (!found) x[i] = NAN;
    }
    return HONE_OK;
}

static void free_texts(void *strings) {
    keeper **k = strings;
    let_go(k[0]);
    hone_free(strings);
}

/* The cells as they stand; the keeper's place is before them. */
static hone_status make_texts(const csv_table *t, int column, hone_tensor **out, hone_error *err) {
    enum { HEAD = 64 };
    char *block = hone_calloc(1, HEAD + (size_t)t->row_count * sizeof(hone_string));
    if (!block) return hone_fail_memory(err);
    hone_string *s = (hone_string *)(void *)(block + HEAD);
    for (int64_t i = 0; i < t->row_count; i++) s[i] = *cell(t, t->rows[i], column);
    *(keeper **)(void *)block = t->keeper;
    hone_status status = hone_tensor_borrow_strings(1, &t->row_count, s, free_texts, block, out, err);
    if (status == HONE_OK)
        atomic_fetch_add_explicit(&t->keeper->references, 1, memory_order_relaxed);
    else
        hone_free(block);
    return status;
}

/* --- the target --- */

/* Integers of which there are few: classes rather than amounts. */
static bool are_few(const csv_table *t, const hone_string *const *texts, int64_t count) {
    enum { FEW = 20 };
    int64_t rows = t->cells->rows - t->first, most = rows / 5 > 2 ? rows / 5 : 2;
    for (int64_t i = 0; i < count; i++) {
        double x;
        if (!hone_cell_number(texts[i], &x) || x != floor(x)) return false;
    }
    return count <= FEW && count <= most;
}

static int by_number(const void *a, const void *b) {
    double x = 0, y = 0;
    hone_cell_number(*(const hone_string *const *)a, &x);
    hone_cell_number(*(const hone_string *const *)b, &y);
    return (x > y) - (x < y);
}

/* "1" and "1.0" are one class, of the first's name. */
static int64_t join_numbers(const hone_string **names, int64_t count) {
    int64_t kept = 0;
    qsort(names, (size_t)count, sizeof *names, by_number);
    for (int64_t i = 0; i < count; i++)
        if (kept == 0 || by_number(&names[kept - 1], &names[i]) != 0) names[kept++] = names[i];
    return kept;
}

/* The classes of a model, which are a line each. */
static hone_status given_classes(const char *text, const hone_string ***out, int64_t *count,
                                 hone_error *err) {
    int64_t n = 1, i = 0;
    for (const char *c = text; *c; c++) n += *c == '\n';
    const hone_string **list = hone_calloc((size_t)n, sizeof *list + sizeof(hone_string));
    if (!list) return hone_fail_memory(err);
    hone_string *names = (hone_string *)(void *)(list + n);
    for (const char *at = text;; at++, i++) {
        size_t size = strcspn(at, "\n");
        names[i] = (hone_string){(char *)(uintptr_t)at, size};
        list[i] = &names[i];
        at += size;
        if (!*at) break;
    }
    *out = list;
    *count = n;
    return HONE_OK;
}

static bool same_class(const hone_string *name, const hone_string *value, bool numbers) {
    double x, y;
    if (name->size == value->size && memcmp(name->data, value->data, name->size) == 0) return true;
    if (!numbers || !hone_cell_number(value, &y)) return false;
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)name->size, name->data);
    hone_string copy = {text, strlen(text)};
    return hone_cell_number(&copy, &x) && x == y;
}

static int64_t class_of(const hone_string *const *names, int64_t count, const hone_string *value,
                        bool numbers) {
    for (int64_t i = 0; i < count; i++)
        if (same_class(names[i], value, numbers)) return i;
    return -1;
}

static hone_status make_labels(const csv_table *t, const hone_string *const *names, int64_t count,
                               hone_tensor **out, hone_error *err) {
    bool numbers = t->fields[t->target].kind == NUMBERS;
    HONE_TRY(hone_tensor_new(HONE_INT64, 1, &t->row_count, out, err));
    int64_t *labels = (*out)->data, last = 0;
    for (int64_t i = 0; i < t->row_count; i++) {
        const hone_string *value = cell(t, t->rows[i], t->target);
        if (!same_class(names[last], value, numbers)) last = class_of(names, count, value, numbers);
        if (last < 0)
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "line %" PRId64 ": '%.60s' in column '%s' is none of the model's %" PRId64
                             " classes ('%.*s', …)",
                             t->cells->lines[t->rows[i]], value->data, t->fields[t->target].name, count,
                             (int)(names[0]->size < 60 ? names[0]->size : 60), names[0]->data);
        labels[i] = last;
    }
    return HONE_OK;
}

typedef struct classes {
    const hone_string **names; /* NULL: the target is numbers */
    int64_t count;
} classes;

static hone_status find_classes(const csv_table *t, classes *out, hone_error *err) {
    const hone_data_options *o = t->options;
    const field *f = &t->fields[t->target];
    *out = (classes){NULL, 0};
    if (o->kind == HONE_TARGET_NUMBERS) return HONE_OK;
    if (o->classes && *o->classes) return given_classes(o->classes, &out->names, &out->count, err);
    HONE_TRY(different(t, t->target, &out->names, &out->count, err));
    if (f->kind == NUMBERS) out->count = join_numbers(out->names, out->count);
    bool few = f->kind == NUMBERS && are_few(t, out->names, out->count);
    if (f->kind != TEXTS && !few && o->kind != HONE_TARGET_CLASSES) {
        hone_free(out->names);
        *out = (classes){NULL, 0};
        return HONE_OK;
    }
    return HONE_OK;
}

static hone_status make_target(const csv_table *t, const classes *c, hone_tensor **out, hone_error *err) {
    const field *f = &t->fields[t->target];
    if (c->names) return make_labels(t, c->names, c->count, out, err);
    if (f->kind == TEXTS)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "column '%s', the target, has texts and not numbers",
                         f->name);
    return make_numbers(t, t->target, out, err);
}

/* --- the data set --- */

static void tell_target(const csv_table *t, const classes *c) {
    const field *f = &t->fields[t->target];
    if (!c->names) {
        hone_dataset_note_down(t->made, "the target '%s' is numbers: regression", f->name);
        return;
    }
    char list[200] = "";
    for (int64_t i = 0; i < c->count && i < 6; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%.*s", i ? ", " : "",
                 (int)(c->names[i]->size < 24 ? c->names[i]->size : 24), c->names[i]->data);
    }
    hone_dataset_note_down(t->made, "the target '%s' is %" PRId64 " classes: %s%s", f->name, c->count, list,
                           c->count > 6 ? ", …" : "");
}

static void tell(const csv_table *t, const classes *c) {
    const hone_cells *cells = t->cells;
    if (t->target >= 0 && t->options->kind == HONE_TARGET_ANY) tell_target(t, c);
    if (cells->bad_rows)
        hone_dataset_note_down(t->made,
                               "%" PRId64 " rows are left out: line %" PRId64 " has %d cells, not %d",
                               cells->bad_rows, cells->bad_line, cells->bad_cells, cells->columns);
    if (t->unlabeled)
        hone_dataset_note_down(t->made, "%" PRId64 " rows are left out: they have no value in column '%s'",
                               t->unlabeled, t->fields[t->target].name);
    for (int i = 0; i < cells->columns; i++) {
        const field *f = &t->fields[i];
        if (f->why && f->ignored)
            hone_dataset_note_down(t->made, "column '%s' is left out: %s", f->name, f->why);
        if (f->ignored || i == t->target) continue;
        if (f->strays)
            hone_dataset_note_down(
                t->made,
                "column '%s' is numbers: %" PRId64 " texts in it count as missing, as '%.40s' "
                "in line %" PRId64,
                f->name, f->strays, cell(t, f->first_stray, i)->data, cells->lines[f->first_stray]);
        if (f->kind == DATES)
            hone_dataset_note_down(t->made, "column '%s' is dates: the model takes days since 1970-01-01",
                                   f->name);
    }
}

static hone_status make_columns(const csv_table *t, const classes *c, hone_named_tensor *columns, int *count,
                                hone_error *err) {
    for (int i = 0; i < t->cells->columns; i++) {
        const field *f = &t->fields[i];
        hone_tensor **to = &columns[*count].tensor;
        if (f->ignored) continue;
        columns[(*count)++].name = f->name;
        if (i == t->target)
            HONE_TRY(make_target(t, c, to, err));
        else
            HONE_TRY(f->kind == TEXTS ? make_texts(t, i, to, err) : make_numbers(t, i, to, err));
    }
    return HONE_OK;
}

static hone_status make(csv_table *t, const classes *c, hone_error *err) {
    int count = 0;
    hone_named_tensor *columns = hone_calloc((size_t)t->cells->columns + 1, sizeof *columns);
    hone_status status = columns ? make_columns(t, c, columns, &count, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_dataset_make(columns, count, t->path, &t->made, err);
    for (int i = 0; i < count; i++) hone_tensor_free(columns[i].tensor);
    hone_free(columns);
    if (status == HONE_OK && c->names) {
        hone_string *names = hone_alloc((size_t)c->count * sizeof *names);
        for (int64_t i = 0; names && i < c->count; i++) names[i] = *c->names[i];
        status =
            names ? hone_dataset_name_classes(t->made, names, (int)c->count, err) : hone_fail_memory(err);
        hone_free(names);
    }
    return status;
}

/* A target that may be missing is none where a row lacks it. */
static void forgo_target(csv_table *t) {
    bool whole = t->target >= 0;
    for (int64_t r = t->first; whole && r < t->cells->rows; r++)
        whole = !hone_cell_missing(cell(t, r, t->target));
    if (whole) return;
    if (t->target >= 0) t->fields[t->target].ignored = true;
    t->target = -1;
}

static hone_status find_columns(csv_table *t, hone_error *err) {
    static const char *const usual[] = {"y", "label", "labels", "target", "targets", "class"};
    const hone_data_options *o = t->options;
    t->target = find_field(t, o->target);
    if (o->target && t->target < 0 && !o->unlabeled) return no_field(t, o->target, err);
    for (size_t i = 0; t->target < 0 && !o->target && i < sizeof usual / sizeof *usual; i++)
        t->target = find_field(t, usual[i]);
    if (t->target < 0 && !o->target) t->target = t->cells->columns - 1;
    if (o->group && find_field(t, o->group) < 0) return no_field(t, o->group, err);
    for (int i = 0; i < o->ignored_count; i++)
        if (find_field(t, o->ignored[i]) < 0) return no_field(t, o->ignored[i], err);
    t->split = find_split(t);
    HONE_TRY(look_at_all(t, err));
    if (o->unlabeled) forgo_target(t);
    return HONE_OK;
}

static hone_status check_rows(const csv_table *t, hone_error *err) {
    const hone_cells *c = t->cells;
    if (c->rows - t->first < 1) return hone_fail(err, HONE_CORRUPT, "no rows of values");
    if (c->bad_rows <= (c->rows + c->bad_rows) / 10 || c->bad_rows == 1) return HONE_OK;
    return hone_fail(err, HONE_CORRUPT,
                     "%" PRId64 " rows have another number of cells than the first, %d: line %" PRId64
                     " has %d",
                     c->bad_rows, c->columns, c->bad_line, c->bad_cells);
}

static hone_status build(csv_table *t, hone_split split, hone_error *err) {
    hone_cells *c = t->cells;
    classes found = {NULL, 0};
    bool names = c->rows > 0 && has_names(t);
    t->first = names;
    HONE_TRY(check_rows(t, err));
    t->fields = hone_calloc((size_t)c->columns + 1, sizeof *t->fields);
    if (!t->fields) return hone_fail_memory(err);
    for (int i = 0; i < c->columns; i++) name_field(t, i, names);
    HONE_TRY(find_columns(t, err));
    if (split == HONE_SPLIT_VALIDATION && t->split < 0)
        return hone_fail(err, HONE_NOT_FOUND, "no rows for validation: no column 'split'");
    HONE_TRY(choose_rows(t, split, err));
    if (t->target >= 0) HONE_TRY(find_classes(t, &found, err));
    hone_status status = make(t, &found, err);
    if (status == HONE_OK) {
        static const char *const parts[] = {"train", "test", "val"};
        hone_dataset *d = t->made;
        hone_dataset_label(d, t->path, t->split >= 0 ? parts[split] : "all");
        d->whole = t->split < 0;
        d->table = true;
        int target = t->target >= 0 ? hone_dataset_find(d, t->fields[t->target].name) : -1;
        if (target >= 0 && !found.names) d->columns[target].classes = 0; /* numbers, however few */
        if (t->target >= 0) snprintf(d->target, sizeof d->target, "%s", t->fields[t->target].name);
        if (t->options->group) snprintf(d->group, sizeof d->group, "%.120s", t->options->group);
        tell(t, &found);
    }
    hone_free(found.names);
    return status;
}

hone_status hone_open_csv(const char *path, hone_split split, const hone_data_options *options,
                          hone_dataset **out, hone_error *err) {
    hone_source *source = NULL;
    csv_table t = {.path = path, .options = options, .keeper = hone_calloc(1, sizeof *t.keeper)};
    if (!t.keeper) return hone_fail_memory(err);
    atomic_init(&t.keeper->references, 1);
    t.cells = &t.keeper->cells;
    hone_status status = hone_source_open(path, &source, err);
    if (status == HONE_OK) status = hone_cells_read(source, t.cells, err);
    hone_source_close(source);
    if (status == HONE_OK) status = build(&t, split, err);
    hone_free(t.rows);
    hone_free(t.fields);
    let_go(t.keeper);
    if (status == HONE_OK)
        *out = t.made;
    else
        hone_dataset_free(t.made);
    return hone_error_in_file(err, status, path);
}
