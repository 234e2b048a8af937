/* What callers must know alike (`inrcodec.kernels.native`): loops that were built before it changed would read and write elsewhere. */

#include <string.h>

#include "adaptive.h"
#include "passes.h"
#include "structures.h"

#define SIZE(name) {#name, sizeof(struct name)}
#define VALUE(name) {#name, name}

static const struct { const char *name; long value; } known[] = {
    VALUE(LOOPS), VALUE(TILE), VALUE(MAX_INPUTS), VALUE(MAX_WIDTH), VALUE(MAX_CHANNELS), VALUE(MAX_TAPS),
    SIZE(level), SIZE(head), SIZE(sines), SIZE(filter), SIZE(plane), SIZE(kind), SIZE(context), SIZE(summed), SIZE(adam),
    SIZE(picture), SIZE(film), SIZE(network), SIZE(prediction), SIZE(sheared), SIZE(diagonals), SIZE(ranges), SIZE(lookup),
    SIZE(decoding), SIZE(decisions), SIZE(vectors), SIZE(rotated),
};

/* The value of a constant, or the size of a structure, in bytes; -1 for a name that is not known. */
long inrcodec_layout_of(const char *name) {
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name)) return known[i].value;
    return -1;
}
