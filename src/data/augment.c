#include "data/augment.h"

#include "base/error.h"

#include <hone/data.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number behind "NAME:"; false if there is none, or more than `high`. */
static bool amount(const char *text, double high, double *out) {
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && *out >= 0 && *out <= high;
}

static bool parse_one(const char *word, hone_augment *out) {
    double x;
    if (strcmp(word, "flip") == 0) return out->flip = true;
    if (strcmp(word, "trivial") == 0) return out->trivial = true;
    if (strncmp(word, "crop:", 5) == 0 && amount(word + 5, 64, &x) && x == floor(x)) {
        out->crop = (int)x;
        return true;
    }
    const struct {
        const char *name;
        double high, *to;
    } amounts[] = {{"erase:", 1, &out->erase}, {"color:", 1, &out->color}, {"speed:", 1, &out->speed},
                   {"shift:", 1, &out->shift}, {"gain:", 60, &out->gain},  {"noise:", 1, &out->noise},
                   {"tilt:", 1, &out->tilt},   {"echo:", 1, &out->echo},   {"throat:", 1, &out->throat},
                   {"holes:", 1, &out->holes}};
    for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++) {
        size_t n = strlen(amounts[i].name);
        if (strncmp(word, amounts[i].name, n) == 0) return amount(word + n, amounts[i].high, amounts[i].to);
    }
    return false;
}

hone_status hone_augment_parse(const char *text, hone_augment *out, hone_error *err) {
    *out = (hone_augment){0};
    char word[32];
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), at);
        if (length >= sizeof word || !parse_one(word, out))
            return hone_fail(
                err, HONE_INVALID_ARGUMENT,
                "augmentation \"%s\" is not known: there are flip, crop:PIXELS, color:X, trivial and "
                "erase:SHARE of images, speed:SHARE, throat:SHARE, shift:SHARE, gain:DB, noise:SHARE, "
                "tilt:X, echo:SHARE and holes:SHARE of sound, with commas between them",
                word);
        at += length + (at[length] == ',');
    }
    return HONE_OK;
}

hone_status hone_augment_check(const char *text, hone_error *err) {
    hone_augment a;
    return hone_augment_parse(text, &a, err);
}
