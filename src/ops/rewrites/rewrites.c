#include "ops/rewrites/rewrites.h"

static const hone_rewrite list[] = {
    {"lower-quantized", hone_rewrite_lower_quantized,
     "products of quantized matrices are computed in integers"},
    {"fold-affine", hone_rewrite_fold_affine,
     "scaling and shifting by constants goes into the weights of the layer behind it"},
    {"fuse-elementwise", hone_rewrite_fuse_elementwise,
     "chains of elementwise operators become one vector program"},
    {"lower-lookups", hone_rewrite_lower_lookups,
     "elementwise work between quantized values becomes a table of 256 entries"},
    {"fuse-epilogue", hone_rewrite_fuse_epilogue,
     "elementwise work behind a product runs on its finished strips"},
};

const hone_rewrite *hone_rewrite_at(int index) {
    return index >= 0 && index < (int)(sizeof list / sizeof *list) ? &list[index] : NULL;
}
