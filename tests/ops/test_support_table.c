/* docs/operators.md is made of the descriptors: this test compares, and writes it when called with --write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "graph/op.h"
#include "ops/math/reduce.h"

#define DOCUMENT HONE_SOURCE_DIR "/docs/operators.md"

static void print_types(FILE *f, uint32_t types) {
    const char *comma = "";
    if (types == HONE_TYPES_ALL || types == HONE_TYPES_STORED) {
        fprintf(f, types == HONE_TYPES_ALL ? "all" : "all but string");
        return;
    }
    for (int d = HONE_FLOAT32; d < HONE_DTYPE_COUNT; d++) {
        if (!(types & HONE_TYPE(d))) continue;
        fprintf(f, "%s%s", comma, hone_dtype_name((hone_dtype)d));
        comma = ", ";
    }
}

static const char *gradient(const hone_op *op) {
    if (op->gradient_kind == HONE_GRADIENT_ZERO) return "zero";
    if (!op->gradient) return op->expand ? "yes, by its parts" : "–";
    return op->gradient_kind == HONE_GRADIENT_STRAIGHT_THROUGH ? "straight-through" : "yes";
}

static const char *quantized(const hone_op *op) {
    switch (op->quantize) {
    case HONE_QUANTIZE_BITS: return "bits unchanged";
    case HONE_QUANTIZE_INTEGER: return "integers";
    case HONE_QUANTIZE_TABLE: return "float (table)";
    case HONE_QUANTIZE_FLOAT: break;
    }
    return "float";
}

/* How it is computed, from what the descriptor has. */
static const char *kernel(const hone_op *op) {
    bool windows = hone_attr_find(op->attrs, "kernel_shape") != NULL;
    if (hone_op_is_control(op)) return "control";
    if (op->map) return "map";
    if (!op->prepare) return op->view ? "view" : "function";
    if (op->multiply_adds) return windows ? "product of windows" : "product";
    if (windows) return "windows";
    if (op->infer == hone_reduce_infer) return "reduction";
    if (op->draws) return "random numbers";
    if (op->view || op->join) return "view or moves";
    if (op->moves || op->quantize == HONE_QUANTIZE_BITS) return "moves";
    return "own";
}

static void print_kernel(FILE *f, const hone_op *op) {
    fprintf(f, "%s%s%s%s | ", kernel(op), op->epilogue ? " + map" : "",
            op->prepare && op->expands ? " or function" : "", op->run_shapes ? ", late shape" : "");
}

static void print_row(FILE *f, const hone_op *op) {
    bool shown = *hone_op_domain(op) && !hone_op_is_private(op);
    fprintf(f, "| %s%s%s | ", shown ? hone_op_domain(op) : "", shown ? "." : "", op->name);
    if (!hone_op_is_private(op)) fprintf(f, "%d–%d | ", op->oldest, op->since);
    print_types(f, (op->inputs ? op->inputs : op->outputs)[0].types);
    fprintf(f, " | ");
    print_kernel(f, op);
    fprintf(f, "%s | ", gradient(op));
    if (!hone_op_is_private(op)) fprintf(f, "%s | ", quantized(op));
    for (const char *c = op->doc ? op->doc : ""; *c; c++) fprintf(f, "%s%c", *c == '|' ? "\\" : "", *c);
    fprintf(f, " |\n");
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const hone_op *const *)a)->name, (*(const hone_op *const *)b)->name);
}

static void print_table(FILE *f, bool private_ones) {
    const hone_op *rows[1024];
    size_t count = 0;
    for (int i = 0; hone_op_at(i); i++)
        if (hone_op_is_private(hone_op_at(i)) == private_ones) rows[count++] = hone_op_at(i);
    qsort(rows, count, sizeof *rows, by_name);
    for (size_t i = 0; i < count; i++) print_row(f, rows[i]);
}

/* How many of ONNX's own operators can be trained through, and which cannot. */
static void print_count(FILE *f) {
    int rules = 0, parts = 0, zero = 0, through = 0, none = 0;
    const hone_op *rows[1024];
    for (int i = 0; hone_op_at(i); i++) {
        const hone_op *op = hone_op_at(i);
        if (*hone_op_domain(op)) continue;
        const char *kind = gradient(op);
        rules += strcmp(kind, "yes") == 0;
        parts += strcmp(kind, "yes, by its parts") == 0;
        zero += strcmp(kind, "zero") == 0;
        through += strcmp(kind, "straight-through") == 0;
        if (strcmp(kind, "–") == 0) rows[none++] = op;
    }
    qsort(rows, (size_t)none, sizeof *rows, by_name);
    fprintf(
        f,
        "Of ONNX's own %d operators, %d have a gradient: %d by a rule, %d by their parts; "
        "`ops_test_gradients` "
        "compares each with central differences in double. %d more are constant almost everywhere, so that "
        "nothing flows through them, and %d are passed straight through. Training through any of the other "
        "%d is refused: ",
        rules + parts + zero + through + none, rules + parts, rules, parts, zero, through, none);
    for (int i = 0; i < none; i++) fprintf(f, "%s%s", i ? ", " : "", rows[i]->name);
    fprintf(f, ".\n\n");
}

static char *generate(void) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    fprintf(
        f,
        "# Operators\n\nMade of the descriptors by `ops_test_support_table --write`; a test compares.\n\n"
        "- operator: by name; one of another domain than ONNX's own has it in front, as `com.microsoft.`.\n"
        "- opsets: the versions of the operator, from the oldest that runs to the newest. A model of a later "
        "operator set\n  uses the newest.\n"
        "- types: element types of the first input; \"all\" are also strings, float8, and elements of 4 "
        "and 2 bits.\n"
        "- kernel: how it is computed. \"map\": element by element, in one pass with maps around it; "
        "\"function\": by other\n  operators, which take its place; \"product\": of matrices, packed and cut "
        "into blocks, \"+ map\": with maps behind it\n  applied to each block; \"windows\", \"product of "
        "windows\": over windows of an image; \"reduction\": over axes; \"moves\": elements are\n  only "
        "moved; "
        "\"view\": nothing is computed, the same bytes in another shape; \"control\": runs other graphs; "
        "\"own\": a "
        "kernel of\n  its own; \"late shape\": only the run tells the shape of a result, and what follows is "
        "planned "
        "then.\n"
        "- gradient: whether `hone train` can train through it. \"by its parts\": it is taken apart into "
        "operators with gradients;\n  \"zero\": nothing flows through it; \"straight-through\": the "
        "gradient passes unchanged; \"–\": training is refused.\n"
        "- quantized graphs: how it runs between QuantizeLinear and DequantizeLinear. \"float\": on floats; "
        "\"float (table)\": the\n  same, of 8-bit inputs looked up in a table of 256 results; "
        "\"integers\": in integers; \"bits unchanged\": moves the bytes.\n\n");
    print_count(f);
    fprintf(f, "## ONNX\n\n| operator | opsets | types | kernel | gradient | quantized graphs | what "
               "it is |\n"
               "|---|---|---|---|---|---|---|\n");
    print_table(f, false);
    fprintf(f, "\n## Hone's own\n\nGradients, optimizers and compiled forms; never written to a file.\n\n| "
               "operator | types | kernel | "
               "gradient | what it is |\n|---|---|---|---|---|\n");
    print_table(f, true);
    fclose(f);
    return text;
}

static void document_is_up_to_date(void **state) {
    (void)state;
    hone_blob blob;
    char *text = generate();
    assert_int_equal(hone_file_read(DOCUMENT, 0, &blob, NULL), HONE_OK);
    assert_int_equal(blob.size, strlen(text));
    assert_memory_equal(blob.data, text, blob.size);
    hone_blob_free(&blob);
    free(text);
}

static void every_row_is_complete(void **state) {
    (void)state;
    for (int i = 0; hone_op_at(i); i++) {
        const hone_op *op = hone_op_at(i);
        if (!op->doc || !op->infer || op->since < 1) fail_msg("%s lacks doc, infer or since", op->name);
        if (!op->view && !op->prepare && !hone_op_is_control(op) && !op->expand)
            fail_msg("%s cannot run", op->name);
        if (op->run_shapes && (!op->prepare || op->map || op->epilogue))
            fail_msg("%s needs shapes that its run would tell", op->name);
        for (int o = 0; o < 32; o++)
            if (op->run_shapes >> o & 1 && !hone_op_output(op, o))
                fail_msg("%s has no output %d", op->name, o);
        if (!hone_op_is_private(op) && op->oldest < 1) fail_msg("%s does not say its oldest form", op->name);
        for (int k = 0; k < i; k++)
            if (hone_op_at(k) == op) fail_msg("%s has two rows", op->name);
    }
}

/* --- as JSON, for those who compare with ONNX's own schemas (peer_schemas.py) --- */

static void print_slots(const char *what, const hone_slot *slots) {
    printf(", \"%s\": [", what);
    for (int i = 0; slots && slots[i].name; i++)
        printf("%s{\"name\": \"%s\", \"types\": %u, \"kinds\": %u, \"flags\": %d}", i ? ", " : "",
               slots[i].name, slots[i].types, slots[i].kinds, slots[i].flags);
    printf("]");
}

static void print_form(int since, const hone_attr_def *attrs) {
    printf("{\"since\": %d, \"attrs\": [", since);
    for (int i = 0; attrs && attrs[i].name; i++)
        printf(
            "%s{\"name\": \"%s\", \"type\": %d, \"required\": %s, \"i\": %lld, \"f\": %.9g, \"s\": \"%s\"}",
            i ? ", " : "", attrs[i].name, (int)attrs[i].type, attrs[i].required ? "true" : "false",
            (long long)attrs[i].i, (double)attrs[i].f, attrs[i].s ? attrs[i].s : "");
    printf("]}");
}

static void print_json(void) {
    printf("[");
    bool first = true;
    for (int i = 0; hone_op_at(i); i++) {
        const hone_op *op = hone_op_at(i);
        if (hone_op_is_private(op)) continue;
        printf("%s{\"domain\": \"%s\", \"name\": \"%s\", \"since\": %d, \"oldest\": %d, \"gradient\": %s",
               first ? "" : ",\n", hone_op_domain(op), op->name, op->since, op->oldest,
               strcmp(gradient(op), "–") == 0 ? "false" : "true");
        print_slots("inputs", op->inputs);
        print_slots("outputs", op->outputs);
        printf(", \"forms\": [");
        print_form(op->since, op->attrs);
        for (const hone_op_version *v = op->older; v && v->since; v++) {
            printf(", ");
            print_form(v->since, v->attrs ? v->attrs : op->attrs);
        }
        printf("]}");
        first = false;
    }
    printf("]\n");
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--json") == 0) {
        print_json();
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--write") == 0) {
        char *text = generate();
        bool ok = hone_file_replace(DOCUMENT, text, strlen(text), NULL) == HONE_OK;
        free(text);
        return ok ? 0 : 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(document_is_up_to_date),
                                       cmocka_unit_test(every_row_is_complete)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
