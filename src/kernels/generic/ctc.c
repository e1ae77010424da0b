#include "kernels/ctc.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* States 0 … 2 count: a blank, the first symbol, a blank, the second, …, a blank. All sums are of probabilities, as
 * logarithms. */
typedef struct lattice {
    const double *log_p;
    int64_t places, classes, states, blank;
    const int64_t *symbols;
} lattice;

size_t hone_ctc_scratch(int64_t places, int64_t symbols) {
    return (size_t)((places + 2) * (2 * symbols + 1));
}

static double add_logs(double a, double b) {
    double high = a > b ? a : b, low = a > b ? b : a;
    return low == -INFINITY ? high : high + log1p(exp(low - high));
}

static int64_t symbol_at(const lattice *l, int64_t state) {
    return state & 1 ? l->symbols[state / 2] : l->blank;
}

/* May the blank before that state be left out? */
static bool skips(const lattice *l, int64_t state) {
    return state >= 3 && (state & 1) && l->symbols[state / 2] != l->symbols[state / 2 - 1];
}

static double emitted(const lattice *l, int64_t place, int64_t state) {
    return l->log_p[place * l->classes + symbol_at(l, state)];
}

/* alpha[place][state]: of all ways to come there, the place included. */
static double go_forward(const lattice *l, double *alpha) {
    const int64_t n = l->states;
    for (int64_t s = 0; s < n; s++) alpha[s] = s < 2 ? emitted(l, 0, s) : -INFINITY;
    for (int64_t t = 1; t < l->places; t++) {
        const double *before = alpha + (t - 1) * n;
        for (int64_t s = 0; s < n; s++) {
            double sum = before[s];
            if (s > 0) sum = add_logs(sum, before[s - 1]);
            if (skips(l, s)) sum = add_logs(sum, before[s - 2]);
            alpha[t * n + s] = sum + emitted(l, t, s);
        }
    }
    const double *last = alpha + (l->places - 1) * n;
    return n > 1 ? add_logs(last[n - 1], last[n - 2]) : last[0];
}

/* now[state]: of all ways from there to the end, the place left out. */
static void go_back(const lattice *l, int64_t place, const double *next, double *now) {
    const int64_t n = l->states;
    for (int64_t s = 0; s < n; s++) {
        if (place == l->places - 1) {
            now[s] = s + 2 >= n ? 0 : -INFINITY;
            continue;
        }
        double sum = next[s] + emitted(l, place + 1, s);
        if (s + 1 < n) sum = add_logs(sum, next[s + 1] + emitted(l, place + 1, s + 1));
        if (s + 2 < n && skips(l, s + 2)) sum = add_logs(sum, next[s + 2] + emitted(l, place + 1, s + 2));
        now[s] = sum;
    }
}

double hone_ctc(const double *log_p, int64_t places, int64_t classes, const int64_t *symbols, int64_t count,
                int64_t blank, double *gradient, double *scratch) {
    const lattice l = {log_p, places, classes, 2 * count + 1, blank, symbols};
    double *alpha = scratch, *next = scratch + places * l.states, *now = next + l.states;
    if (places == 0) return count ? INFINITY : 0;
    const double total = go_forward(&l, alpha);
    if (gradient) memset(gradient, 0, (size_t)(places * classes) * sizeof *gradient);
    if (total == -INFINITY) return INFINITY;
    for (int64_t t = places - 1; t >= 0 && gradient; t--) {
        double *to = gradient + t * classes, *kept = next;
        for (int64_t c = 0; c < classes; c++) to[c] = exp(log_p[t * classes + c]);
        go_back(&l, t, next, now);
        for (int64_t s = 0; s < l.states; s++)
            to[symbol_at(&l, s)] -= exp(alpha[t * l.states + s] + now[s] - total);
        next = now;
        now = kept;
    }
    return total < 0 ? -total : 0;
}
