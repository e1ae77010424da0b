/* How texts are parted for vocabularies that say it by a name (GGUF's tokenizer.ggml.pre). */
#ifndef HONE_TEXT_PRESETS_H
#define HONE_TEXT_PRESETS_H

#include <stdbool.h>

enum { HONE_PRESET_PATTERNS = 6 };

typedef struct hone_split_preset {
    const char *names;                          /* with spaces between them */
    const char *patterns[HONE_PRESET_PATTERNS]; /* one after the other, each match is a part; NULL: no more */
    bool punctuation;                           /* before them: runs of punctuation are parts */
    bool digits;                                /* each digit is a part */
    bool gpt2;                                  /* behind them GPT-2's own pattern */
    bool nfc;                                   /* of texts in Unicode's form NFC */
    bool ignore_merges;                         /* a part that is a piece is this piece */
    bool add_bos;                               /* unless the file says otherwise */
    bool marks;                                 /* bytes are not renamed; U+2581 stands for a space */
} hone_split_preset;

/* NULL: no preset has this name. */
const hone_split_preset *hone_split_preset_find(const char *name);

#endif
