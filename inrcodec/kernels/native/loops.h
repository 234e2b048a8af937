/* Everything, for one instruction set: SUFFIX, TARGET and VL are set by native.c. */
#include "vectors.h"
#include "layers.h"
#include "rounding.h"
#include "interpolation.h"
#include "head.h"
#include "context.h"
#include "prediction.h"
#undef vf
#undef vi
#undef vu
#undef SUFFIX
#undef TARGET
#undef VL
