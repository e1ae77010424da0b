/* Compiles llhttp's llhttp.c, from the directory that CMake found, under our names and in strict mode. */
#include "serve/http/llhttp_names.h"
#include <llhttp_state_names.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include <llhttp.c>
