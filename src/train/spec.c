#include "train/spec.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WIDTH 1000000

static const hone_family *const families[] = {&hone_family_mlp,
                                              &hone_family_cnn,
                                              &hone_family_resnet,
                                              &hone_family_mobilenet,
                                              &hone_family_dscnn,
                                              &hone_family_gru,
                                              &hone_family_lstm,
                                              &hone_family_bag,
                                              &hone_family_encoder,
                                              &hone_family_lm,
                                              NULL};

const hone_family *hone_family_at(int index) {
    return families[index];
}

static const hone_family *family_of(const char *text, const char **layers) {
    size_t length = strcspn(text, ":");
    for (int i = 0; text[length] && families[i]; i++) {
        if (strlen(families[i]->name) != length || strncmp(families[i]->name, text, length) != 0) continue;
        *layers = text + length + 1;
        return families[i];
    }
    return NULL;
}

bool hone_is_spec(const char *text) {
    const char *layers;
    return family_of(text, &layers) != NULL;
}

hone_status hone_spec_fail(const hone_spec *s, hone_error *err, const char *format, ...) {
    char message[256];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return hone_fail(err, HONE_INVALID_ARGUMENT, "model \"%s:%s\": %s", s->family, s->text, message);
}

/* --- reading --- */

static int64_t number(const char **at) {
    char *end;
    long long n = **at >= '0' && **at <= '9' ? strtoll(*at, &end, 10) : 0;
    if (n > 0) *at = end;
    return n > MAX_WIDTH ? -1 : n;
}

/* "k5s2x3h4" behind a number; false if a letter is none of `letters`, or has no number. */
static bool read_letters(const char **at, const char *letters, hone_spec_layer *l) {
    while (**at && **at != '-') {
        char letter = **at;
        if (!strchr(letters, letter)) return false;
        ++*at;
        if (letter == 'b') {
            l->both = true;
            continue;
        }
        int64_t n = number(at);
        if (n < 1 || (strchr("ks", letter) && n > 1000)) return false;
        if (letter == 'k') l->kernel = (int)n;
        if (letter == 's') l->stride = (int)n;
        if (letter == 'x') l->repeat = n;
        if (letter == 'h' || letter == 't') l->more = n;
    }
    return true;
}

static bool read_word(const char **at, const char *words, hone_spec_layer *l) {
    size_t length = strspn(*at, "abcdefghijklmnopqrstuvwxyz");
    char wanted[sizeof l->word + 2];
    if (length == 0 || length >= sizeof l->word) return false;
    memcpy(l->word, *at, length);
    snprintf(wanted, sizeof wanted, " %s ", l->word);
    *at += length;
    return strstr(words, wanted) != NULL;
}

static hone_status read_layers(hone_spec *s, const hone_family *f, const char *text, hone_error *err) {
    for (const char *at = text;; at++) {
        hone_spec_layer l = {.word = ""};
        bool word = *at >= 'a' && *at <= 'z';
        bool right = !word || read_word(&at, f->words, &l);
        l.width = right ? number(&at) : 0;
        right = right && (word ? l.width >= 0 : l.width > 0) && read_letters(&at, f->letters, &l);
        if (!right || (*at && *at != '-'))
            return hone_spec_fail(s, err, "expected layers such as %s:%s", f->name, f->form);
        if (s->layer_count == HONE_SPEC_LAYERS)
            return hone_spec_fail(s, err, "more than %d layers", HONE_SPEC_LAYERS);
        s->layers[s->layer_count++] = l;
        if (!*at) return HONE_OK;
    }
}

/* --- writing --- */

void hone_spec_parameter(hone_spec *s, const char *name, int rank, const int64_t *dims) {
    fprintf(s->parameters, "%sfloat[", ftell(s->parameters) > 0 ? ",\n " : "<");
    for (int i = 0; i < rank; i++) fprintf(s->parameters, "%s%lld", i ? ", " : "", (long long)dims[i]);
    fprintf(s->parameters, "] \"%s\"", name);
}

void hone_spec_node(hone_spec *s, const char *op, const char *attributes, const char *more, ...) {
    char before[sizeof s->value];
    va_list args;
    memcpy(before, s->value, sizeof before);
    snprintf(s->value, sizeof s->value, "x%d", ++s->made);
    fprintf(s->nodes, "  %s = %s %s%s%s(%s", s->value, op, *attributes ? "<" : "", attributes,
            *attributes ? "> " : "", before);
    va_start(args, more);
    vfprintf(s->nodes, more, args);
    va_end(args);
    fprintf(s->nodes, ")\n");
}

void hone_spec_dense(hone_spec *s, const char *name, int64_t width) {
    char weight[96], bias[96];
    int64_t in = s->dims[s->rank - 1];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    hone_spec_parameter(s, weight, 2, (int64_t[]){in, width});
    hone_spec_parameter(s, bias, 1, &width);
    if (s->rank == 1) {
        hone_spec_node(s, "Gemm", "", ", \"%s\", \"%s\"", weight, bias);
    } else {
        hone_spec_node(s, "MatMul", "", ", \"%s\"", weight);
        hone_spec_node(s, "Add", "", ", \"%s\"", bias);
    }
    s->dims[s->rank - 1] = width;
}

void hone_spec_dropout(hone_spec *s, double ratio) {
    if (ratio <= 0) return;
    fprintf(s->nodes, "  ratio%d = Constant <value = float {%.9g}> ()\n", s->made, ratio);
    hone_spec_node(s, "Dropout", "", ", ratio%d", s->made);
}

void hone_spec_flatten(hone_spec *s) {
    if (s->rank == 1) return;
    int64_t size = 1;
    for (int i = 0; i < s->rank; i++) size *= s->dims[i];
    hone_spec_node(s, "Flatten", "", "%s", "");
    s->rank = 1;
    s->dims[0] = size;
}

static void write_head(const hone_spec *s, const hone_family *f, FILE *out) {
    fprintf(out, "<ir_version: 10, opset_import: [\"\" : 23]>\n%s (%s[batch", f->name, f->input);
    for (int i = 0; i < s->site->rank; i++) fprintf(out, ", %lld", (long long)s->site->dims[i]);
    fprintf(out, "] input) => (float[] %s)\n", s->value);
}

/* The head and the parameters stand before the nodes, but are known after them. */
static hone_status write_parts(hone_spec *s, const hone_family *f, char **out, hone_error *err) {
    char *texts[2] = {NULL};
    size_t sizes[2], size;
    s->parameters = open_memstream(&texts[0], &sizes[0]);
    s->nodes = open_memstream(&texts[1], &sizes[1]);
    FILE *all = open_memstream(out, &size);
    hone_status status = s->parameters && s->nodes && all ? f->write(s, err) : hone_fail_memory(err);
    bool whole = s->parameters && fclose(s->parameters) == 0;
    whole = s->nodes && fclose(s->nodes) == 0 && whole;
    if (all && whole && status == HONE_OK) {
        write_head(s, f, all);
        fprintf(all, "%s%s{\n%s}\n", texts[0], *texts[0] ? ">\n" : "", texts[1]);
    }
    whole = all && fclose(all) == 0 && whole;
    free(texts[0]);
    free(texts[1]);
    if (status == HONE_OK && !whole) status = hone_fail_memory(err);
    if (status != HONE_OK && all) free(*out);
    return status;
}

hone_status hone_spec_write(const char *text, const hone_spec_site *site, char **out, hone_error *err) {
    const char *layers;
    const hone_family *f = family_of(text, &layers);
    if (!f) return hone_fail(err, HONE_INVALID_ARGUMENT, "model \"%s\" is not known", text);
    hone_spec s = {.site = site, .text = layers, .family = f->name, .value = "input", .rank = site->rank};
    memcpy(s.dims, site->dims, sizeof s.dims);
    HONE_TRY(read_layers(&s, f, layers, err));
    if (site->vocabulary > 0 && strcmp(f->input, "int64") != 0)
        return hone_spec_fail(
            &s, err, "it takes numbers, but the data are texts: bag:64 and encoder:2x128h4 take those");
    if (site->places && !f->places)
        return hone_spec_fail(
            &s, err, "it gives one answer for a sample; gru:96b and lstm:128 give one for each place");
    return write_parts(&s, f, out, err);
}
