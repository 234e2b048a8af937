/* The decoder of constriction's range coding (stream::queue, words of 32 bits, state of 64, probabilities of 24): its state and
 * single entries. Of the state's `point` and `lower` only the difference matters: it is kept as `offset`.
 */

#ifndef INRCODEC_RANGES
#define INRCODEC_RANGES
#include <stdint.h>

#define TOTAL_BITS 24
#define BUCKET_BITS 16
#define MAX_TABLES 256

enum { FINE, DAMAGED, TOO_LONG, TOO_LARGE, NO_LOOKUP }; /* what a call ends with */

struct ranges {
    uint64_t offset, range;
    const uint32_t *words;
    int64_t count, position; /* of words */
};

struct lookup {              /* of a table: entry e takes the quantiles left[e] … left[e + 1] - 1 */
    const uint32_t *left;
    const int32_t *bucket;   /* the entry of quantile b << BUCKET_BITS, for every b, and last the last entry */
    int64_t reach;
    int64_t likely; /* the most likely entry */
};

struct decoding {            /* of a plane, as planes.c says */
    struct ranges *ranges;
    const struct lookup *const *lookups; /* (MAX_TABLES), those that are there */
    uint8_t *missing;                    /* (MAX_TABLES): set for those that are not there and are needed */
    int32_t *order;                      /* room for a pass's symbols */
    int32_t *symbols;                    /* (height, width), zeroed */
    int width, stopped;                  /* stopped: the pass or diagonal that ended a call which failed */
};

/* The quantile that is next, at least 2^TOTAL_BITS where the data is impossible; sets its width. */
static inline uint64_t next_quantile(const struct ranges *r, uint64_t *scale) {
    *scale = r->range >> TOTAL_BITS;
    return r->offset / *scale;
}

/* Takes the quantiles from `left` on, `probability` of them. */
static inline void take(struct ranges *r, uint64_t scale, uint64_t left, uint64_t probability) {
    r->offset -= scale * left;
    r->range = scale * probability;
    if (r->range >> 32 == 0) {
        r->range <<= 32;
        r->offset <<= 32;
        if (r->position < r->count) r->offset |= r->words[r->position++];
    }
}

/* The next entry, or -1. The most likely one is found without a division. */
static inline int next_entry(struct ranges *r, const struct lookup *table) {
    const uint64_t likely = table->left[table->likely], scale_of_all = r->range >> TOTAL_BITS;
    const uint64_t width = table->left[table->likely + 1] - likely;
    if (r->offset - scale_of_all * likely < scale_of_all * width) { /* unsigned: an offset below is a large number */
        take(r, scale_of_all, likely, width);
        return (int)table->likely;
    }
    uint64_t scale, quantile = next_quantile(r, &scale);
    if (quantile >> TOTAL_BITS) return -1;
    const int32_t *bucket = table->bucket + (quantile >> BUCKET_BITS);
    int entry = bucket[0], end = bucket[1] + 1;
    while (end - entry > 1) {
        int middle = (entry + end) / 2;
        if (table->left[middle] <= quantile) entry = middle;
        else end = middle;
    }
    take(r, scale, table->left[entry], table->left[entry + 1] - table->left[entry]);
    return entry;
}

int inrcodec_decode_runs(struct ranges *state, const struct lookup *const *lookups, uint8_t *missing, const uint8_t *choices,
                         int64_t count, int32_t *order, int32_t *symbols);
#endif
