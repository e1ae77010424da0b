/* What cells of text are: numbers, dates, nothing. */
#include "data/sources.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *c, bool *any) {
    for (; is_digit(*c); c++) *any = true;
    return c;
}

static bool looks_like_number(const char *c) {
    bool digits = false, exponent = true;
    if (*c == '+' || *c == '-') c++;
    c = skip_digits(c, &digits);
    if (*c == '.') c = skip_digits(c + 1, &digits);
    if (digits && (*c == 'e' || *c == 'E')) {
        c += c[1] == '+' || c[1] == '-' ? 2 : 1;
        exponent = false;
        c = skip_digits(c, &exponent);
    }
    return digits && exponent && *c == 0;
}

bool hone_cell_number(const hone_string *cell, double *out) {
    static locale_t plain; /* of the point, whatever the program's locale; as large as the process lives */
    if (!looks_like_number(cell->data) || strlen(cell->data) != cell->size) return false;
    locale_t now = __atomic_load_n(&plain, __ATOMIC_ACQUIRE);
    if (!now) {
        locale_t none = 0;
        now = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
        if (now &&
            !__atomic_compare_exchange_n(&plain, &none, now, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            freelocale(now);
            now = none;
        }
    }
    *out = now ? strtod_l(cell->data, NULL, now) : strtod(cell->data, NULL);
    return true;
}

/* `n` digits at `c`; -1: there are others. */
static int digits(const char *c, int n) {
    int x = 0;
    for (int i = 0; i < n; i++) {
        if (!is_digit(c[i])) return -1;
        x = 10 * x + c[i] - '0';
    }
    return x;
}

/* Howard Hinnant's days_from_civil: years begin in March. */
static int64_t days(int64_t y, int m, int d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool parse_time(const char *c, double *day) {
    *day = 0;
    if (*c == 0) return true;
    if (*c != 'T' && *c != ' ') return false;
    int h = digits(c + 1, 2), m = h < 0 || c[3] != ':' ? -1 : digits(c + 4, 2), s = 0;
    if (h > 23 || m < 0 || m > 59) return false;
    const char *rest = c + 6;
    if (*rest == ':') {
        s = digits(rest + 1, 2);
        if (s < 0 || s > 60) return false;
        rest += 3;
    }
    if (*rest == '.') {
        bool any = false;
        rest = skip_digits(rest + 1, &any);
    }
    if (*rest == 'Z') rest++;
    *day = (h * 3600 + m * 60 + s) / 86400.0;
    return *rest == 0;
}

bool hone_cell_date(const hone_string *cell, double *out) {
    static const int lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const char *c = cell->data;
    if (cell->size < 10 || (c[4] != '-' && c[4] != '/') || c[7] != c[4]) return false;
    int y = digits(c, 4), m = digits(c + 5, 2), d = digits(c + 8, 2);
    double day;
    if (y < 0 || m < 1 || m > 12 || d < 1 || d > lengths[m - 1] || !parse_time(c + 10, &day)) return false;
    *out = (double)days(y, m, d) + day;
    return true;
}

bool hone_cell_missing(const hone_string *cell) {
    static const char *const words[] = {"", "NA", "N/A", "NaN", "null", "None", "?"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(cell->data, words[i]) == 0) return true;
    return false;
}

static bool is_value(const hone_string *s) {
    double x;
    return hone_cell_number(s, &x) || hone_cell_date(s, &x) || hone_cell_missing(s);
}

bool hone_cells_have_names(const hone_cells *c) {
    for (int i = 0; i < c->columns; i++) {
        if (is_value(&c->at[i]) && (c->at[i].size || i > 0)) return false;
        for (int k = 0; k < i; k++)
            if (strcmp(c->at[k].data, c->at[i].data) == 0) return false;
    }
    return true;
}

int hone_split_of(const char *word) {
    static const struct {
        const char *word;
        hone_split split;
    } words[] = {{"train", HONE_SPLIT_TRAIN},
                 {"training", HONE_SPLIT_TRAIN},
                 {"test", HONE_SPLIT_TEST},
                 {"testing", HONE_SPLIT_TEST},
                 {"val", HONE_SPLIT_VALIDATION},
                 {"valid", HONE_SPLIT_VALIDATION},
                 {"validation", HONE_SPLIT_VALIDATION},
                 {"dev", HONE_SPLIT_VALIDATION}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(words[i].word, word) == 0) return (int)words[i].split;
    return -1;
}
