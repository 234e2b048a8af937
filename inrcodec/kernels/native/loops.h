/* Everything, for one instruction set: SUFFIX, TARGET and VL, and MULTIPLY_PAIRS where there is one, are set by native.c. */
#include "vectors.h"
#include "layers.h"
#include "rounding.h"
#include "interpolation.h"
#include "head.h"
#include "sines.h"
#include "context.h"
#include "prediction.h"
#include "warp.h"
#include "color.h"
#undef vf
#undef vi
#undef vu
#undef SUFFIX
#undef TARGET
#undef VL
#undef MULTIPLY_PAIRS
