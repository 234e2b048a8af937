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

/* Places of `count` choices in ascending order of the choice, then of the place. Only choices that are there are looked through,
 * since runs are short where many are decoded. Returns NO_LOOKUP, with `missing` set, where some have none. */
static int sort(const struct lookup *const *lookups, uint8_t *missing, const uint8_t *choices, int64_t count, int32_t *order) {
    int32_t next[MAX_TABLES] = {0}, at = 0;
    uint64_t used[MAX_TABLES / 64] = {0};
    int failure = FINE;
    for (int64_t i = 0; i < count; i++) {
        next[choices[i]]++;
        used[choices[i] / 64] |= (uint64_t)1 << choices[i] % 64;
    }
    for (int part = 0; part < MAX_TABLES / 64; part++)
        for (uint64_t bits = used[part]; bits; bits &= bits - 1) {
            const int table = 64 * part + __builtin_ctzll(bits), size = next[table];
            next[table] = at;
            at += size;
            if (!lookups[table]) missing[table] = 1, failure = NO_LOOKUP;
        }
    for (int64_t i = 0; i < count; i++) order[next[choices[i]]++] = (int32_t)i;
    return failure;
}

/* What escaped symbols at `count` places add. */
static int decode_escapes(struct ranges *r, int64_t reach, const int32_t *places, int64_t count, int32_t *symbols) {
    int failure = FINE;
    for (int64_t i = 0; i < count && !failure; i++) failure = escaped(r, reach, symbols + places[i]);
    return failure;
}

/* Adds `count` symbols to `symbols`, each with the lookup of its choice: in the order of the choices, then of places; escapes
 * of those of one choice follow them. order: room for as many. missing: as in `sort`; nothing is decoded then. */
int inrcodec_decode_runs(struct ranges *state, const struct lookup *const *lookups, uint8_t *missing, const uint8_t *choices,
                         int64_t count, int32_t *order, int32_t *symbols) {
    struct ranges r = *state; /* in registers */
    int64_t escapes = 0;      /* of this choice, whose places are kept at the front of `order` */
    int failure = sort(lookups, missing, choices, count, order);
    for (int64_t i = 0; i < count && !failure; i++) {
        const int32_t place = order[i];
        const uint8_t choice = choices[place];
        const int reach = (int)lookups[choice]->reach, entry = next_entry(&r, lookups[choice]);
        if (entry < 0) return DAMAGED;
        if (entry > 2 * reach) order[escapes++] = place;
        else symbols[place] += entry - reach;
        if (escapes && (i + 1 == count || choices[order[i + 1]] != choice)) {
            failure = decode_escapes(&r, reach, order, escapes, symbols);
            escapes = 0;
        }
    }
    *state = r;
    return failure;
}
