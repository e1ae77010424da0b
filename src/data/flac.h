/* FLAC files (RFC 9639): sound that is packed without loss. */
#ifndef HONE_DATA_FLAC_H
#define HONE_DATA_FLAC_H

#include "base/error.h"

#include <hone/tensor.h>

#include <stdbool.h>

/* Does it begin as one? */
bool hone_flac_begins(const void *data, size_t size);
/* As hone_wav_parse(). Checksums of frames are checked. HONE_RESOURCE_EXHAUSTED: more than 2^26 samples. */
hone_status hone_flac_parse(const void *data, size_t size, hone_tensor **out, int *rate, hone_error *err);

#endif
