/* What rewrites of quantized graphs ask, and what they make of the names that their patterns have in common: a, a_scale,
 * b_scale, bias, r (behind a Relu, if there is one), p, y_scale, y_zero. */
#ifndef HONE_OPS_REWRITES_QUANTIZED_H
#define HONE_OPS_REWRITES_QUANTIZED_H

#include "graph/pattern.h"

/* Input i; NULL: left out. */
hone_value *hone_quantized_input(const hone_node *n, int i);
bool hone_is_constant(const hone_value *v);
bool hone_is_one(const hone_value *v);    /* of one element */
bool hone_is_scalar(const hone_value *v); /* and constant */
/* A QuantizeLinear or DequantizeLinear with one constant scale, and no blocks. */
bool hone_has_one_scale(const hone_node *n);
/* A constant zero point; 0 where there is none. */
int64_t hone_zero_of(const hone_value *v);
/* A row of n constant int32, of scales of their own or one, that a DequantizeLinear makes real. */
bool hone_is_quantized_bias(const hone_value *v, int64_t n);
/* `bias` of n channels as an integer product takes it: int32 where its steps are those of the products. */
hone_value *hone_quantized_bias_of(const hone_match *m, int64_t n);
/* Is what is quantized in the end quantized by one scale? */
bool hone_check_quantized_result(const hone_match *m);
/* Relu and what quantizes the result as attributes of n. */
void hone_set_quantized_result(const hone_match *m, hone_node *n);

#endif
