/* Where of strings, which no map moves. */
#ifndef HONE_OPS_MATH_WHERE_STRINGS_H
#define HONE_OPS_MATH_WHERE_STRINGS_H

#include "graph/run.h"

hone_status hone_prepare_where_strings(hone_prepare *p, hone_error *err);

#endif
