/* Packed models: the bytes of an ONNX file, in which numbers that are often zero, or of few kinds, take the bits that they need.
 * Unpacked they are the same bytes again.
 *
 *     "HONEPACK"            8 bytes
 *     zstd frame            the body: what follows, compressed
 *         version           1; this and all other numbers as varints, 7 bits a byte, the lowest first
 *         size              bytes of the model
 *         pieces            how many; then of each
 *             skip          bytes of the model in front of it, behind the one before
 *             kind          1: zeros are left out, 2: there is a table
 *             bits          of an element: 64, 32, 16, 8, 4, 2
 *             count         elements
 *             entries, …    of the table, and the table, its bytes plane by plane (all lowest bytes first)
 *         rest              the bytes of the model that are in no piece
 *     zstd frames           of each piece: gaps, where zeros are left out, and symbols
 *
 *     gaps                  a byte for each element that is not zero: zeros in front of it; 255: 255 zeros, and go on
 *     symbols               of each element that is there, a byte: its entry in the table, or its bits where these are 8 or fewer;
 *                           else its bytes, plane by plane
 *
 * zstd codes the bytes of each stream by how often they come (Huffman), which is near the best that can be done with them. */
#ifndef HONE_ONNX_PACKED_H
#define HONE_ONNX_PACKED_H

#include "base/error.h"
#include "base/file.h"

#define HONE_PACKED_MAGIC "HONEPACK"
#define HONE_PACKED_MAGIC_SIZE 8
enum { HONE_PACKED_SPARSE = 1, HONE_PACKED_TABLE = 2 };
/* A packed model is refused that becomes more than 64 MB and more than so many times as large. */
#define HONE_PACKED_MOST_RATIO 2048
#define HONE_PACKED_ALWAYS ((uint64_t)64 << 20)

/* Is that the beginning of a packed model? */
bool hone_is_packed(const void *data, size_t size);
/* The model's bytes: hone_blob_free(). HONE_CORRUPT, and HONE_UNSUPPORTED of a newer version, or where this build unpacks
 * none. */
hone_status hone_packed_read(const void *data, size_t size, hone_blob *out, hone_error *err);
/* The bytes of a model, packed: hone_blob_free(). */
hone_status hone_packed_write(const void *model, size_t size, hone_blob *out, hone_error *err);

#endif
