/* The decoder of constriction's range coding (stream::queue, words of 32 bits, state of 64, probabilities of 24), for many
 * runs in one call. Of the state's `point` and `lower` only the difference matters: it is kept as `offset`.
 */

#include <stdint.h>

#define TOTAL_BITS 24
#define BUCKET_BITS 16
#define MAX_TABLES 256
#define MAX_LENGTH 21 /* bits of an escaped symbol's excess */

enum { FINE, DAMAGED, TOO_LONG };

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

/* 0, 1, or -1. */
static int next_bit(struct ranges *r) {
    const uint64_t half = 1 << (TOTAL_BITS - 1);
    uint64_t scale, quantile = next_quantile(r, &scale);
    if (quantile >> TOTAL_BITS) return -1;
    int bit = quantile >= half;
    take(r, scale, bit ? half : 0, half);
    return bit;
}

/* What an escaped symbol adds: its sign, then the excess over reach in Exp-Golomb code. */
static int escaped(struct ranges *r, int64_t reach, int32_t *symbol) {
    int negative = next_bit(r), length = 1, bit;
    if (negative < 0) return DAMAGED;
    while (!(bit = next_bit(r)))
        if (++length > MAX_LENGTH) return TOO_LONG;
    if (bit < 0) return DAMAGED;
    int32_t excess = 1;
    while (--length) {
        if ((bit = next_bit(r)) < 0) return DAMAGED;
        excess = excess << 1 | bit;
    }
    *symbol += negative ? -(reach + excess) : reach + excess;
    return FINE;
}

/* `count` symbols are added to symbols[order[i]]; their escapes follow, whose places are kept at the front of `order`. */
static int decode_run(struct ranges *state, const struct lookup *table, int32_t *order, int64_t count, int32_t *symbols) {
    const int reach = (int)table->reach;
    struct ranges r = *state; /* in registers */
    int64_t escapes = 0;
    for (int64_t i = 0; i < count; i++) {
        const int entry = next_entry(&r, table);
        if (entry < 0) return DAMAGED;
        if (entry == reach) continue;
        if (entry > 2 * reach) order[escapes++] = order[i];
        else symbols[order[i]] += entry - reach;
    }
    for (int64_t i = 0; i < escapes; i++) {
        const int failure = escaped(&r, reach, symbols + order[i]);
        if (failure) return failure;
    }
    *state = r;
    return FINE;
}

/* Positions of the choices in ascending order of the choice, then of the position; without choices, as they stand. */
static void sort(const uint8_t *choices, const int64_t *sizes, int tables, int32_t *order) {
    int64_t next[MAX_TABLES], count = 0;
    for (int table = 0; table < tables; table++) {
        next[table] = count;
        count += sizes[table];
    }
    for (int64_t i = 0; i < count; i++) order[choices ? next[choices[i]]++ : i] = (int32_t)i;
}

/* How often each choice occurs: sizes (MAX_TABLES). */
void inrcodec_count_choices(const uint8_t *choices, int64_t count, int64_t *sizes) {
    for (int table = 0; table < MAX_TABLES; table++) sizes[table] = 0;
    for (int64_t i = 0; i < count; i++) sizes[choices[i]]++;
}

/* Adds sizes[t] symbols with each lookup t (null where there are none), in this order, to `symbols`. With choices, a table
 * for each symbol, symbols come in the order of the choices; without, one run after the other. `order`: room for as many. */
int inrcodec_decode_runs(struct ranges *state, const struct lookup *const *lookups, const int64_t *sizes, int tables,
                         const uint8_t *choices, int32_t *order, int32_t *symbols) {
    int failure = FINE;
    sort(choices, sizes, tables, order);
    for (int table = 0; table < tables && !failure; table++) {
        if (!sizes[table]) continue;
        failure = decode_run(state, lookups[table], order, sizes[table], symbols);
        order += sizes[table];
    }
    return failure;
}
