/* RIFF WAVE files. */
#ifndef HONE_DATA_WAV_H
#define HONE_DATA_WAV_H

#include <hone/tensor.h>

/* hone_wav_load from memory. */
hone_status hone_wav_parse(const void *data, size_t size, hone_tensor **out, int *rate, hone_error *err);

#endif
