#include "kernels/vec_bytes.h"

#define DEPTHWISE_DOT vec_dot_u8s8
#include "kernels/depthwise_8.inc.h"
