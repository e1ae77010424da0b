/* What the rows of rewrites.c call: checks and builders of matches, and functions over whole graphs; each in the file of
 * its family. */
#ifndef HONE_OPS_REWRITES_REWRITES_H
#define HONE_OPS_REWRITES_REWRITES_H

#include "graph/rewrite.h"

/* canonical.c */
hone_match_check hone_check_last_axis, hone_check_float;

/* lower_quantized.c */
hone_match_check hone_check_quantized_move, hone_check_quantized_product, hone_check_dynamic_product;
hone_value *hone_build_quantized_move(hone_match *m);
hone_value *hone_build_quantized_product(hone_match *m);
hone_status hone_rewrite_unsigned_activations(hone_graph *g, int *changes, hone_error *err);

/* few_bits.c */
hone_match_check hone_check_bits_rows;
hone_value *hone_build_bits_rows(hone_match *m);
hone_status hone_rewrite_wide_codes(hone_graph *g, int *changes, hone_error *err);
hone_status hone_rewrite_real_weights(hone_graph *g, int *changes, hone_error *err);

/* move_quantized.c */
hone_match_check hone_check_quantize_first, hone_check_same_steps;
hone_value *hone_build_quantize_first(hone_match *m);
hone_status hone_rewrite_split_quantized(hone_graph *g, int *changes, hone_error *err);

/* conv_transpose.c */
hone_match_check hone_check_spread_blocks;
hone_value *hone_build_spread_blocks(hone_match *m);

/* free_batch.c */
hone_status hone_rewrite_free_batch(hone_graph *g, int *changes, hone_error *err);

/* real_parameters.c */
hone_status hone_rewrite_real_parameters(hone_graph *g, int *changes, hone_error *err);

/* lower_quantized_conv.c */
hone_match_check hone_check_quantized_conv, hone_check_dynamic_conv;
hone_value *hone_build_quantized_conv(hone_match *m);
hone_value *hone_build_dynamic_conv(hone_match *m);

/* fold_affine.c */
hone_match_check hone_check_affine_input, hone_check_scaled_output, hone_check_shifted_output,
    hone_check_batch_norm;
hone_value *hone_build_affine_input(hone_match *m);
hone_value *hone_build_scaled_output(hone_match *m);
hone_value *hone_build_shifted_output(hone_match *m);
hone_value *hone_build_batch_norm(hone_match *m);

/* fold_conv.c */
hone_match_check hone_check_conv_channels, hone_check_conv_pad;
hone_value *hone_build_conv_channels(hone_match *m);
hone_value *hone_build_conv_pad(hone_match *m);

/* gathered_rows.c */
hone_status hone_rewrite_lazy_rows(hone_graph *g, int *changes, hone_error *err);
hone_status hone_rewrite_gather_mean(hone_graph *g, int *changes, hone_error *err);

/* bits_product.c */
hone_status hone_rewrite_bits_product(hone_graph *g, int *changes, hone_error *err);

/* attention.c */
hone_status hone_rewrite_attention(hone_graph *g, int *changes, hone_error *err);

/* channels_last.c */
hone_status hone_rewrite_channels_last(hone_graph *g, int *changes, hone_error *err);

/* winograd.c */
hone_status hone_rewrite_winograd(hone_graph *g, int *changes, hone_error *err);

/* fuse.c */
hone_status hone_rewrite_fuse_elementwise(hone_graph *g, int *changes, hone_error *err);
hone_status hone_rewrite_fuse_epilogue(hone_graph *g, int *changes, hone_error *err);

/* lower_lookups.c */
hone_status hone_rewrite_lower_lookups(hone_graph *g, int *changes, hone_error *err);

#endif
