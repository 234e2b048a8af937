/* Decisions whose probabilities follow what was decided before, as inrcodec.entropy.adaptive defines them. */

#ifndef INRCODEC_ADAPTIVE
#define INRCODEC_ADAPTIVE
#include "ranges.h"

#define ODDS_BITS 24
#define ODDS 97 /* tables: odds of 2^-12 to 2^12 in quarters of octaves */
#define COUNT_UNIT 4
#define COUNT_LIMIT 1024

struct decisions {
    int64_t *counts;                      /* (contexts, 2) */
    const int64_t *borders;               /* (ODDS - 1): between the odds of tables */
    struct ranges *ranges;                /* decisions are read from it; null: they are given, and listed */
    const struct lookup *const *lookups;  /* (ODDS) */
    uint8_t *tables, *listed;             /* what each given decision is coded with, and itself */
    int64_t count;                        /* of those */
};

struct vectors {     /* of motion, as decided.c says */
    int32_t *values; /* (channels, height, width) */
    int height, width, channels, kind;
    int refused;     /* a number that is too large */
};

/* The next decision in a context, or -1 where the data is damaged. given: what it is, if it is not read. */
static inline int decide(struct decisions *d, int64_t context, int given) {
    int64_t *counts = d->counts + 2 * context, odds = (counts[1] << ODDS_BITS) / counts[0];
    int table = 0, end = ODDS - 1;
    while (table < end) { /* the first border that is not below */
        const int middle = (table + end) / 2;
        if (d->borders[middle] < odds) table = middle + 1;
        else end = middle;
    }
    if (d->ranges) {
        given = next_entry(d->ranges, d->lookups[table]) - 1;
        if (given != 0 && given != 1) return -1;
    } else {
        d->tables[d->count] = (uint8_t)table;
        d->listed[d->count++] = (uint8_t)given;
    }
    counts[given] += COUNT_UNIT;
    if (counts[0] + counts[1] > COUNT_LIMIT) {
        counts[0] = (counts[0] + 1) >> 1;
        counts[1] = (counts[1] + 1) >> 1;
    }
    return given;
}
#endif
