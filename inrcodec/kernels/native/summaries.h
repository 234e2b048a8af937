/* What the symbols of a plane see of all coarser planes, in SUMMARIZED order: sums, by weights, of those at their place. Rows are those
 * of the parent; there are SUMMARIES of them. Work: of each coarser plane a row of its clipped
 * symbols, as often as they are seen, and one of gradients; all `room` long, a multiple of VL, zeros behind the width. */

#define SYMBOL_OF(s, j, y, x) (s)->planes[j][(long)((y) >> (j)) * (s)->widths[j] + ((x) >> (j))]

/* Row y of plane j, clipped, each symbol 2^j times. */
INLINE void FN(enlarge)(const struct summed *s, int j, int y, float *row) {
    for (int x = 0; x < s->width; x++) {
        const float symbol = SYMBOL_OF(s, j, y, x);
        row[x] = symbol > SYMBOL_CLIP ? SYMBOL_CLIP : symbol < -SYMBOL_CLIP ? -SYMBOL_CLIP : symbol;
    }
}

/* Rows of all coarser planes at row y: those that it has in common with the row before stay as they are. */
INLINE void FN(enlarge_all)(const struct summed *s, int y, int start, float *rows) {
    for (int j = 0; j < s->above; j++)
        if (y == start || y % (1 << j) == 0) FN(enlarge)(s, j, y, rows + (long)j * s->room);
}

/* summaries[i] = sum of weights[i][j] planes[j], for rows [start, stop). */
TARGET static void FN(summaries)(const struct summed *s, int start, int stop) {
    for (int y = start; y < stop; y++) {
        FN(enlarge_all)(s, y, start, s->work);
        for (int n = 0; n < s->width; n += VL) {
            vf v[SUMMARIES];
#pragma GCC unroll 6
            for (int i = 0; i < SUMMARIES; i++) v[i] = FN(all)(0);
            for (int j = 0; j < s->above; j++) {
                const vf seen = FN(load)(s->work + (long)j * s->room + n);
#pragma GCC unroll 6
                for (int i = 0; i < SUMMARIES; i++) v[i] += s->weights[i * s->stride + j] * seen;
            }
#pragma GCC unroll 6
            for (int i = 0; i < SUMMARIES; i++)
                FN(store_some)(s->summaries + ((long)i * s->height + y) * s->width + n, v[i], s->width - n);
        }
    }
}

/* The gradients that have come together at row y of plane j, given to its symbols, but not to clipped ones. */
INLINE void FN(reduce)(const struct summed *s, int j, int y, float *row) {
    float *to = s->gradients[j] + (long)(y >> j) * s->widths[j];
    for (int x = 0; x < s->width; x++) {
        const float symbol = SYMBOL_OF(s, j, y, x);
        if (symbol >= -SYMBOL_CLIP && symbol <= SYMBOL_CLIP) to[x >> j] += row[x];
        row[x] = 0;
    }
}

/* The transpose, `summaries` being gradients: added to those of the planes, and to the sums (above, SUMMARIES, VL) of those of weights.
 * start: a multiple of 2^above, so that nobody else gives to the same symbols. */
TARGET static void FN(summaries_back)(const struct summed *s, int start, int stop) {
    float *const rows = s->work, *const back = rows + (long)s->above * s->room;
    for (int y = start; y < stop; y++) {
        FN(enlarge_all)(s, y, start, rows);
        for (int n = 0; n < s->width; n += VL) {
            vf g[SUMMARIES];
#pragma GCC unroll 6
            for (int i = 0; i < SUMMARIES; i++)
                g[i] = FN(load_some)(s->summaries + ((long)i * s->height + y) * s->width + n, s->width - n);
            for (int j = 0; j < s->above; j++) {
                const vf seen = FN(load)(rows + (long)j * s->room + n);
                float *const to = back + (long)j * s->room + n, *const sums = s->sums + (long)j * SUMMARIES * VL;
                vf total = FN(load)(to);
#pragma GCC unroll 6
                for (int i = 0; i < SUMMARIES; i++) {
                    FN(store)(sums + i * VL, FN(load)(sums + i * VL) + g[i] * seen);
                    total += s->weights[i * s->stride + j] * g[i];
                }
                FN(store)(to, total);
            }
        }
        for (int j = 0; j < s->above; j++)
            if ((y + 1) % (1 << j) == 0 || y + 1 == stop) FN(reduce)(s, j, y, back + (long)j * s->room);
    }
}
