/* Which numbers a dtype holds. Private to this room. */
#ifndef HONE_DATA_CONVERT_H
#define HONE_DATA_CONVERT_H

#include <hone/tensor.h>

/* Integers and bool, of a byte and more: does `to` hold all that `from` does? */
bool hone_dtype_holds_all(hone_dtype to, hone_dtype from);
/* Does it hold x, what hone_tensor_int() gives of an element of `from`? */
bool hone_dtype_holds(hone_dtype to, hone_dtype from, int64_t x);

#endif
