#include "report.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *command_name;

void cli_set_command(const char *name) {
    command_name = name;
}

static void (*before_line)(void);

void cli_set_before_line(void (*fn)(void)) {
    before_line = fn;
}

static void line(const char *format, va_list args) {
    if (before_line) before_line();
    fprintf(stderr, "hone%s%s: ", command_name ? " " : "", command_name ? command_name : "");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

#define LINE(format)                                                                                         \
    do {                                                                                                     \
        va_list args;                                                                                        \
        va_start(args, format);                                                                              \
        line(format, args);                                                                                  \
        va_end(args);                                                                                        \
    } while (0)

int cli_error(const char *format, ...) {
    LINE(format);
    return CLI_FAILED;
}

int cli_usage_error(const char *format, ...) {
    LINE(format);
    return CLI_USAGE;
}

static bool is_silent;

void cli_silence(void) {
    is_silent = true;
}

void cli_note(const char *format, ...) {
    if (is_silent) return;
    LINE(format);
}

int cli_fail(const hone_error *err) {
    char text[1024];
    return cli_error("%s", hone_error_format(err, text, sizeof text));
}

int cli_fail_model(hone_error *err, const char *path) {
    const int its_own = err->node[0] || err->op[0] || err->code == HONE_OUT_OF_MEMORY;
    if (path && !err->file[0] && its_own) snprintf(err->file, sizeof err->file, "%s", path);
    return cli_fail(err);
}

void *cli_alloc(size_t size) {
    void *block = calloc(1, size ? size : 1);
    if (!block) exit(cli_error("out of memory"));
    return block;
}

static char *next_buffer(size_t *size) {
    static char buffers[8][512];
    static unsigned turn;
    *size = sizeof buffers[0];
    return buffers[turn++ % 8];
}

const char *cli_text(const char *format, ...) {
    size_t size;
    char *text = next_buffer(&size);
    va_list args;
    va_start(args, format);
    vsnprintf(text, size, format, args);
    va_end(args);
    return text;
}

const char *cli_count(int64_t n) {
    char digits[24];
    size_t size;
    char *text = next_buffer(&size), *to = text;
    int length = snprintf(digits, sizeof digits, "%lld", (long long)n);
    for (int i = 0; i < length; i++) {
        *to++ = digits[i];
        if ((length - 1 - i) % 3 == 0 && i + 1 < length && digits[i] != '-') *to++ = ',';
    }
    *to = 0;
    return text;
}

const char *cli_percent(double part) {
    return isfinite(part) ? cli_text("%.2f %%", 100 * part) : "-";
}

const char *cli_clock(double seconds) {
    int64_t s = seconds > 0 && seconds < 1e12 ? (int64_t)(seconds + 0.5) : 0;
    int hours = (int)(s / 3600), minutes = (int)(s / 60 % 60);
    return hours ? cli_text("%d:%02d:%02d", hours, minutes, (int)(s % 60))
                 : cli_text("%d:%02d", minutes, (int)(s % 60));
}

static const char *shape_text(const hone_graph *g, const char *dtype, const int64_t *dims, int rank) {
    size_t size;
    char *text = next_buffer(&size);
    int length = snprintf(text, size, "%s [", dtype);
    for (int d = 0; d < rank; d++) {
        const char *symbol = g && dims[d] < 0 ? hone_graph_dim_name(g, dims[d]) : NULL;
        size_t at = (size_t)length < size ? (size_t)length : size - 1;
        if (symbol)
            length += snprintf(text + at, size - at, "%s%s", d ? ", " : "", symbol);
        else if (dims[d] < 0)
            length += snprintf(text + at, size - at, "%s?", d ? ", " : "");
        else
            length += snprintf(text + at, size - at, "%s%lld", d ? ", " : "", (long long)dims[d]);
    }
    size_t at = (size_t)length < size ? (size_t)length : size - 1;
    snprintf(text + at, size - at, rank < 0 ? "...]" : "]");
    return text;
}

const char *cli_kind_text(hone_value_kind kind) {
    switch (kind) {
    case HONE_KIND_SEQUENCE: return "sequence";
    case HONE_KIND_MAP: return "map";
    case HONE_KIND_OPTIONAL: return "optional";
    case HONE_KIND_TENSOR: break;
    }
    return NULL;
}

const char *cli_type_text(const hone_graph *g, const hone_value_info *info) {
    if (cli_kind_text(info->kind)) return cli_kind_text(info->kind);
    return shape_text(g, hone_dtype_name(info->dtype), info->dims, info->rank);
}

const char *cli_tensor_text(const hone_tensor *t) {
    return shape_text(NULL, hone_dtype_name(hone_tensor_dtype(t)), hone_tensor_dims(t), hone_tensor_rank(t));
}

double cli_seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
