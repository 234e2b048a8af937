/* What is decided one by one: vectors of motion (inrcodec.entropy.merging), and which tiles of a plane are coded
 * (inrcodec.entropy.tiles). Both read what `decisions` gives, or list what it takes.
 */

#include "adaptive.h"

#define KINDS 3 /* here and below: as in inrcodec.entropy.merging */
#define CHANNELS 5
#define MODES 4
#define PATTERNS 128
#define LENGTHS 22
#define SIZES 3
#define OF_LENGTH (2 + 2 * LENGTHS)
#define MODE_CONTEXTS (KINDS * MODES * PATTERNS)
#define EVEN (MODE_CONTEXTS + KINDS * CHANNELS * SIZES * OF_LENGTH)
#define MAX_SYMBOL (1 << 20)

enum { LEFT, ABOVE, CORNER, ZERO, OPPOSITE };

struct vector {
    int32_t value[CHANNELS];
};

static struct vector vector_at(const struct vectors *v, int y, int x) {
    struct vector found = {{0}};
    if (y < 0 || x < 0 || x >= v->width) return found;
    for (int c = 0; c < v->channels; c++) found.value[c] = v->values[((int64_t)c * v->height + y) * v->width + x];
    return found;
}

static int alike(const struct vector *a, const struct vector *b) {
    int differ = 0;
    for (int c = 0; c < CHANNELS; c++) differ |= a->value[c] ^ b->value[c];
    return !differ;
}

/* A whole number; `given` unless it is read. context: the first one of its kind. Sets *failed where data is damaged. */
static int32_t number(struct decisions *d, int64_t context, int32_t given, int *failed) {
    const int reading = d->ranges != 0;
    const uint32_t magnitude = given < 0 ? -(uint32_t)given : (uint32_t)given;
    int length = 0, longer;
    while (length < LENGTHS && (longer = decide(d, context + length, !reading && magnitude >> length > 0)) > 0) length++;
    if (length < LENGTHS && longer < 0) *failed = 1;
    int32_t found = length > 0;
    for (int place = 1; place < length; place++) {
        const int bit = length - 1 - place;
        const int set = decide(d, place == 1 ? context + LENGTHS + length : EVEN, magnitude >> bit & 1);
        if (set < 0) *failed = 1;
        found = found << 1 | (set > 0);
    }
    if (!found) return 0;
    const int negative = decide(d, context + 2 * LENGTHS + 1, given < 0);
    if (negative < 0) *failed = 1;
    return negative > 0 ? -found : found;
}

static int32_t median(int32_t a, int32_t b, int32_t c) {
    const int32_t low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

/* A vector of its own, amid three neighbors. */
static int own_vector(struct vectors *v, struct decisions *d, const struct vector *near, struct vector *own) {
    int size = 0, failed = 0;
    for (int c = 0; c < v->channels; c++) {
        const int32_t base = median(near[LEFT].value[c], near[ABOVE].value[c], near[CORNER].value[c]);
        const int64_t context = MODE_CONTEXTS + ((v->kind * CHANNELS + c) * SIZES + size) * (int64_t)OF_LENGTH;
        const int32_t found = number(d, context, own->value[c] - base, &failed), magnitude = found < 0 ? -found : found;
        if (failed) return DAMAGED;
        size = (magnitude > 0) + (magnitude > 2);
        own->value[c] = found + base;
        if (d->ranges && (own->value[c] > MAX_SYMBOL || own->value[c] < -MAX_SYMBOL)) {
            v->refused = own->value[c];
            return TOO_LARGE;
        }
    }
    return FINE;
}

/* One vertex: like a neighbor, or zeros, or a vector of its own. near: LEFT … OPPOSITE. */
static int vertex(struct vectors *v, struct decisions *d, const struct vector *near, struct vector *own) {
    const int pairs[7][2] = {{LEFT, ZERO}, {ABOVE, ZERO}, {CORNER, ZERO}, {ABOVE, LEFT}, {CORNER, ABOVE}, {CORNER, LEFT}, {OPPOSITE, ABOVE}};
    int same[7], pattern = 0;
    for (int i = 0; i < 7; i++) pattern |= (same[i] = alike(near + pairs[i][0], near + pairs[i][1])) << i;
    const int news[MODES] = {1, !same[3], !(same[4] | same[5]), !(same[0] | same[1] | same[2])};
    for (int mode = 0; mode < MODES; mode++) {
        if (!news[mode]) continue;
        const int64_t context = ((int64_t)v->kind * MODES + mode) * PATTERNS + pattern;
        const int taken = decide(d, context, !d->ranges && alike(own, near + mode));
        if (taken < 0) return DAMAGED;
        if (taken) {
            *own = near[mode];
            return FINE;
        }
    }
    return own_vector(v, d, near, own);
}

/* A frame's vectors in raster order. */
int inrcodec_vectors(struct vectors *v, struct decisions *d) {
    for (int y = 0; y < v->height; y++)
        for (int x = 0; x < v->width; x++) {
            const struct vector near[] = {
                [LEFT] = vector_at(v, y, x - 1), [ABOVE] = vector_at(v, y - 1, x), [CORNER] = vector_at(v, y - 1, x + 1),
                [ZERO] = {{0}}, [OPPOSITE] = vector_at(v, y - 1, x - 1),
            };
            struct vector own = vector_at(v, y, x);
            const int failure = vertex(v, d, near, &own);
            if (failure) return failure;
            for (int c = 0; c < v->channels; c++) v->values[((int64_t)c * v->height + y) * v->width + x] = own.value[c];
        }
    return FINE;
}

/* Which tiles (height, width) of a plane are coded. above, before: those of its parent (half as many, rounded up) and of the
 * plane before, or null. first: context of the plane's class, `TILE_CONTEXTS` each. */
int inrcodec_tiles(uint8_t *coded, int height, int width, const uint8_t *parent, const uint8_t *previous, int64_t first,
                   struct decisions *d) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            uint8_t *own = coded + (int64_t)y * width + x;
            const int of_parent = parent ? 1 + parent[(int64_t)(y / 2) * ((width + 1) / 2) + x / 2] : 0;
            const int of_previous = previous ? 1 + previous[(int64_t)y * width + x] : 0;
            const int left = x ? own[-1] : 0, above = y ? own[-width] : 0;
            const int found = decide(d, first + ((of_parent * 3 + of_previous) * 2 + left) * 2 + above, *own);
            if (found < 0) return DAMAGED;
            *own = (uint8_t)found;
        }
    return FINE;
}
