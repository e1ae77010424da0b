#include "language.h"

#include "json.h"
#include "report.h"

#include <hone/adapter.h>
#include <hone/generate.h>

#include <stdlib.h>
#include <string.h>

int cli_read_text(const char *path, char **text, size_t *size) {
    FILE *f = fopen(path, "rb");
    size_t capacity = 1 << 16, got;
    if (!f) return cli_error("%s: cannot open it", path);
    *text = cli_alloc(capacity + 1);
    *size = 0;
    while ((got = fread(*text + *size, 1, capacity - *size, f)) > 0) {
        *size += got;
        if (*size < capacity) continue;
        char *more = realloc(*text, 2 * capacity + 1);
        if (!more) break;
        *text = more;
        capacity *= 2;
    }
    const bool good = feof(f) && !ferror(f);
    fclose(f);
    (*text)[*size] = 0;
    return good ? CLI_OK : cli_error("%s: cannot read it", path);
}

int cli_open_language(const char *path, hone_import **out, hone_graph **graph) {
    hone_error err = {0};
    const bool takes = hone_import_takes(path);
    const hone_status status = hone_import_open(path, NULL, out, &err);
    if (status != HONE_OK) {
        *out = NULL;
        return takes ? cli_fail(&err) : CLI_OK; /* who reads it as any other model says what is wrong */
    }
    if (hone_lm_takes(hone_import_graph(*out))) return CLI_OK;
    *graph = hone_import_take_graph(*out);
    hone_import_free(*out);
    *out = NULL;
    return CLI_OK;
}

int cli_add_adapter(hone_import *m, const char *directory) {
    hone_error err = {0};
    hone_graph *g = hone_import_take_graph(m);
    hone_status status = hone_adapter_load(g, directory, &err);
    if (status == HONE_OK) status = hone_adapter_merge(g, NULL, &err);
    hone_import_give_graph(m, g);
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}

static int encode(const hone_import *m, const cli_perplexity *p, int32_t **ids, size_t *count) {
    hone_error err = {0};
    const hone_tokenizer *t = hone_import_tokenizer(m);
    hone_encoder *e = NULL;
    const int32_t *own;
    char *text = NULL;
    size_t size;
    if (!t) return cli_error("%s: the model has no tokenizer", p->model);
    int status = cli_read_text(p->text, &text, &size);
    if (status == CLI_OK && hone_encoder_new(t, &e, &err) != HONE_OK) status = cli_fail(&err);
    if (status == CLI_OK &&
        hone_encoder_encode(e, text, size, HONE_ENCODE_PLAIN, &own, count, &err) != HONE_OK)
        status = cli_fail(&err);
    if (status == CLI_OK) {
        *ids = cli_alloc((*count + 1) * sizeof **ids);
        memcpy(*ids, own, *count * sizeof **ids);
    }
    hone_encoder_free(e);
    free(text);
    return status;
}

static void report(const cli_perplexity *p, const hone_perplexity *r) {
    const double rate = r->seconds > 0 ? 2 * (double)r->tokens / r->seconds : 0;
    if (p->json)
        cli_print_json(json_pack("{s:o, s:o, s:I, s:I, s:o}", "perplexity", cli_json_number(r->perplexity),
                                 "loss", cli_json_number(r->loss), "tokens", (json_int_t)r->tokens, "window",
                                 (json_int_t)p->window, "seconds", cli_json_number(r->seconds)));
    else
        printf("%s: perplexity %.4f, loss %.4f of %s tokens, %.3f s, %s tokens/s\n", p->text, r->perplexity,
               r->loss, cli_count((int64_t)r->tokens), r->seconds, cli_count((int64_t)rate));
}

static int work(hone_import *m, const cli_perplexity *p, hone_lm **lm, int32_t **ids) {
    hone_error err = {0};
    hone_perplexity r;
    hone_lm_options o = HONE_LM_OPTIONS_INIT;
    size_t count = 0;
    int status = encode(m, p, ids, &count);
    if (status == CLI_OK && p->adapter) status = cli_add_adapter(m, p->adapter);
    if (status != CLI_OK) return status;
    o.threads = p->threads;
    o.precision = p->precision;
    o.context = p->window;
    CLI_TRY_MODEL(p->model, hone_lm_create(hone_import_take_graph(m), &o, lm, &err));
    CLI_TRY_MODEL(p->model, hone_lm_perplexity(*lm, *ids, count, (size_t)p->window, (size_t)p->windows,
                                               hone_import_begin(m), &r, &err));
    report(p, &r);
    return CLI_OK;
}

int cli_tell_perplexity(hone_import *m, const cli_perplexity *p) {
    hone_lm *lm = NULL;
    int32_t *ids = NULL;
    const int status = work(m, p, &lm, &ids);
    hone_lm_free(lm);
    free(ids);
    hone_import_free(m);
    return status;
}
