/* Texts as sequences of symbols, a number for each character; class 0 is the blank between symbols. */
#ifndef HONE_DATA_SYMBOLS_H
#define HONE_DATA_SYMBOLS_H

#include "base/error.h"

#include <hone/tensor.h>

#define HONE_BLANK_NAME "<blank>"

/* `classes`: names of all classes, one a line, the blank first; NULL: the characters (of UTF-8) that there are, in order of
 * their bytes. `*y`: int32 [count, longest], -1 behind the last one; `names`: a line for each class, for hone_free(). On success both
 * belong to the caller. HONE_INVALID_ARGUMENT: a text is no UTF-8, or has a character that is no class. */
hone_status hone_symbols_make(const char *const *texts, size_t count, const char *classes, hone_tensor **y,
                              char **names, hone_error *err);

#endif
