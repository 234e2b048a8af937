/* Everything, for one instruction set: SUFFIX, TARGET and VL, and instructions for some steps where there are any, are set by
 * native.c. */
#include "vectors.h"
#include "layers.h"
#include "rounding.h"
#include "adam.h"
#include "vertices.h"
#include "interpolation.h"
#include "head.h"
#include "sines.h"
#include "summaries.h"
#include "context.h"
#include "prediction.h"
#include "color.h"
#include "warp.h"
#undef vf
#undef vi
#undef vu
#undef SUFFIX
#undef TARGET
#undef VL
#undef MULTIPLY_PAIRS
#undef FROM_BYTES
#undef ANY_BIT
#undef LESSER
#undef LARGER
#undef ROOT
