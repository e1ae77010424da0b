#include "import/family.h"

#include <math.h>
#include <string.h>

#define SILU "silu"
#define TANH "gelu-tanh"

static const hone_family_row rows[] = {
    {"llama", "llama", &hone_names_llama, SILU, .paired = true},
    {"llama", "mistral", &hone_names_llama, SILU, .paired = true},
    {"smollm3", "smollm3", &hone_names_llama, SILU, .paired = true, .turned_of = 4},
    {"granite", "granite", &hone_names_llama, SILU, .paired = true},
    {"qwen2", "qwen2", &hone_names_llama, SILU},
    {"qwen3", "qwen3", &hone_names_llama, SILU},
    {"phi3", "phi3", &hone_names_llama, SILU},
    {"gemma", "gemma", &hone_names_llama, TANH, .plus_one = true, .root = true},
    {"gemma2", "gemma2", &hone_names_gemma, TANH, .plus_one = true, .root = true,
     .windows = HONE_WINDOWS_SECOND},
    {"gemma3", "gemma3_text", &hone_names_gemma, TANH, .plus_one = true, .root = true,
     .windows = HONE_WINDOWS_SIX},
    {"gpt2", "gpt2", &hone_names_gpt2, TANH, .layer_norm = true, .learned = true, .in_first = true},
};
enum { ROWS = sizeof rows / sizeof *rows };

const hone_family_row *hone_family_of_gguf(const char *architecture, size_t size) {
    for (int i = 0; i < ROWS; i++)
        if (strlen(rows[i].gguf) == size && memcmp(rows[i].gguf, architecture, size) == 0) return &rows[i];
    return NULL;
}

const hone_family_row *hone_family_of_type(const char *model_type) {
    for (int i = 0; i < ROWS; i++)
        if (strcmp(rows[i].type, model_type) == 0) return &rows[i];
    return NULL;
}

bool hone_windows_local(hone_windows rule, int64_t layer) {
    return rule == HONE_WINDOWS_ALL || (rule == HONE_WINDOWS_SECOND ? layer % 2 == 0 : layer % 6 != 5);
}

/* --- rotation --- */

/* Long waves are stretched, short ones stay, between them a blend. */
static double llama3(double rate, const hone_scaling *s) {
    const double wave = 2 * M_PI / rate;
    if (wave < s->original / s->high) return rate;
    if (wave > s->original / s->low) return rate / s->factor;
    const double smooth = (s->original / wave - s->low) / (s->high - s->low);
    return (1 - smooth) * rate / s->factor + smooth * rate;
}

/* The pair that turns `turns` times over the original context (Peng et al. 2023, arXiv 2309.00071). */
static double pair_of(double turns, int64_t dims, double theta, double original) {
    return (double)dims * log(original / (turns * 2 * M_PI)) / (2 * log(theta));
}

static void yarn(hone_rotary_spec *r, double theta, const hone_scaling *s) {
    double low = floor(pair_of(s->beta_fast, r->dims, theta, s->original)),
           high = ceil(pair_of(s->beta_slow, r->dims, theta, s->original));
    low = low < 0 ? 0 : low;
    high = high > (double)(r->dims - 1) ? (double)(r->dims - 1) : high;
    if (low == high) high += 0.001;
    for (int64_t i = 0; i < r->dims / 2; i++) {
        double ramp = ((double)i - low) / (high - low);
        ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        r->rates[i] = r->rates[i] / s->factor * ramp + r->rates[i] * (1 - ramp);
    }
    r->magnitude = s->attention > 0 ? s->attention : s->factor <= 1 ? 1 : 0.1 * log(s->factor) + 1;
}

bool hone_rotary_rates(hone_rotary_spec *r, double theta, const hone_scaling *scaling, int64_t context) {
    static const hone_scaling none = {.type = "none"};
    const hone_scaling *s = scaling ? scaling : &none;
    r->magnitude = 1;
    for (int64_t i = 0; i < r->dims / 2; i++) {
        r->rates[i] = pow(theta, -2.0 * (double)i / (double)r->dims);
        if (s->divisors) r->rates[i] /= s->divisors[i];
    }
    if (strcmp(s->type, "none") == 0 || strcmp(s->type, "default") == 0) return true;
    if (strcmp(s->type, "longrope") == 0) {
        const double stretch = (double)context / s->original;
        r->magnitude = s->attention > 0 ? s->attention
                       : stretch <= 1   ? 1
                                        : sqrt(1 + log(stretch) / log(s->original));
        return s->original > 1;
    }
    if (!(s->factor > 0)) return false;
    if (strcmp(s->type, "yarn") == 0) {
        if (!(s->original > 0)) return false;
        yarn(r, theta, s);
        return true;
    }
    const bool is_llama3 = strcmp(s->type, "llama3") == 0;
    if (is_llama3 && !(s->original > 0 && s->high > s->low && s->low > 0)) return false;
    if (!is_llama3 && strcmp(s->type, "linear") != 0) return false;
    for (int64_t i = 0; i < r->dims / 2; i++)
        r->rates[i] = is_llama3 ? llama3(r->rates[i], s) : r->rates[i] / s->factor;
    return true;
}
