/* text:PATH and lm:PATH. */
#include "data/sources.h"
#include "data/text.h"

#include <inttypes.h>
#include <stdio.h>

/* Makes the columns of a corpus. */
typedef hone_status columns_fn(const hone_corpus *c, const hone_tokenizer *t, const hone_data_options *o,
                               hone_dataset **out, hone_error *err);

static void tell(hone_dataset *d, const hone_corpus *c, const hone_tokenizer *t, const hone_data_options *o) {
    hone_column ids = {.rank = 0};
    hone_dataset_column(d, 0, &ids);
    if (c->skipped)
        hone_dataset_note_down(d, "%" PRId64 " %s left out; the first: %s", c->skipped,
                               c->skipped == 1 ? "text is" : "texts are", c->why);
    if (!o->reads)
        hone_dataset_note_down(d, "%zu texts, %" PRId64 " bytes; %d tokens; %" PRId64 " tokens a sample",
                               c->count, c->bytes, (int)hone_tokenizer_size(t), ids.rank ? ids.dims[0] : 0);
}

static hone_status make(const char *path, const char *kind, const char *usual, hone_split split,
                        const hone_corpus *c, const hone_data_options *o, columns_fn *columns,
                        hone_dataset **out, hone_error *err) {
    hone_tokenizer *t = hone_tokenizer_retain(o->reads);
    hone_dataset *d = NULL;
    hone_status status = t ? HONE_OK : hone_text_tokenizer(o->tokenizer ? o->tokenizer : usual, c, &t, err);
    if (status == HONE_OK) status = columns(c, t, o, &d, err);
    if (status == HONE_OK) status = hone_dataset_set_tokenizer(d, t, err);
    if (status == HONE_OK) {
        char name[192];
        static const char *const parts[] = {"train", "test", "val"};
        snprintf(name, sizeof name, "%s:%.170s", kind, path);
        hone_dataset_label(d, name, c->split ? parts[split] : "all");
        d->whole = !c->split;
        tell(d, c, t, o);
        *out = d;
    } else {
        hone_dataset_free(d);
    }
    hone_tokenizer_free(t);
    return status;
}

static hone_status open(const char *path, const char *kind, const char *usual, hone_split split,
                        const hone_data_options *o, columns_fn *columns, hone_dataset **out,
                        hone_error *err) {
    hone_corpus c = {.arena = NULL};
    hone_status status = hone_corpus_read(path, split, o->target, &c, err);
    if (status == HONE_OK && c.count == 0)
        status = hone_fail(err, HONE_INVALID_ARGUMENT, c.skipped ? "no texts; %s" : "no texts%s", c.why);
    if (status == HONE_OK) status = make(path, kind, usual, split, &c, o, columns, out, err);
    hone_corpus_free(&c);
    return hone_error_in_file(err, status, path);
}

static hone_status samples(const hone_corpus *c, const hone_tokenizer *t, const hone_data_options *o,
                           hone_dataset **out, hone_error *err) {
    return hone_text_columns(c, t, o->tokens, o->classes, out, err);
}

static hone_status windows(const hone_corpus *c, const hone_tokenizer *t, const hone_data_options *o,
                           hone_dataset **out, hone_error *err) {
    return hone_text_windows(c, t, o->tokens, out, err);
}

hone_status hone_open_text(const char *path, hone_split split, const hone_data_options *options,
                           hone_dataset **out, hone_error *err) {
    return open(path, "text", "words:60000", split, options, samples, out, err);
}

hone_status hone_open_lm(const char *path, hone_split split, const hone_data_options *options,
                         hone_dataset **out, hone_error *err) {
    return open(path, "lm", "bpe:4096", split, options, windows, out, err);
}
