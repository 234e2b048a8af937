/* Decoding many runs of symbols in one call. */

#include "ranges.h"

#define MAX_LENGTH 21 /* bits of an escaped symbol's excess */

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
