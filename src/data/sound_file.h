/* Files of packed sound by libsndfile: FLAC, and Vorbis and Opus in Ogg. */
#ifndef HONE_DATA_SOUND_FILE_H
#define HONE_DATA_SOUND_FILE_H

#include "base/error.h"

#include <hone/tensor.h>

#include <stdbool.h>

/* Does it begin as one? */
bool hone_sound_begins(const void *data, size_t size);
/* As hone_wav_parse(). HONE_CORRUPT: damaged, or cut short. HONE_RESOURCE_EXHAUSTED: more than 2^26 samples. */
hone_status hone_sound_parse(const void *data, size_t size, hone_tensor **out, int *rate, hone_error *err);

#endif
