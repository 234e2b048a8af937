/* What the symbols of a plane see of all coarser planes, in SUMMARIZED order: sums, by weights, of those at their place. Rows are those
 * of the parent; there are SUMMARIES of them. Work: of each coarser plane a row of its clipped symbols, as often as they are seen, and
 * one of gradients; all `room` long, a multiple of 2 VL. */

/* Entries of a row of `width` where 2^times of them are one. */
INLINE int FN(shortened)(int width, int times) { return (width + (1 << times) - 1) >> times; }

/* Each entry of a row twice, to `width` entries, and up to 2 VL - 1 more. */
INLINE void FN(double_row)(float *row, int width) {
    vi low, high;
    for (int i = 0; i < VL; i++) low[i] = i / 2, high[i] = VL / 2 + i / 2;
    for (int n = (width - 1) / (2 * VL) * VL; n >= 0; n -= VL) {
        const vf v = FN(load)(row + n);
        FN(store)(row + 2 * n, __builtin_shuffle(v, low));
        FN(store)(row + 2 * n + VL, __builtin_shuffle(v, high));
    }
}

/* Sums of two entries each of a row of `width`, which zeros follow, up to a multiple of 2 VL. */
INLINE void FN(halve_row)(float *row, int width) {
    vi even, odd;
    for (int i = 0; i < VL; i++) even[i] = 2 * i, odd[i] = 2 * i + 1;
    for (int n = 0; 2 * n < width; n += VL) {
        const vf a = FN(load)(row + 2 * n), b = FN(load)(row + 2 * n + VL);
        FN(store)(row + n, __builtin_shuffle(a, b, even) + __builtin_shuffle(a, b, odd));
    }
}

/* Row y of plane j, clipped, each symbol 2^j times. */
INLINE void FN(enlarge)(const struct summed *s, int j, int y, float *row) {
    const int width = s->widths[j];
    const float *from = s->planes[j] + (long)(y >> j) * width;
    for (int n = 0; n < width; n += VL)
        FN(store)(row + n, FN(within)(FN(load_some)(from + n, width - n), -SYMBOL_CLIP, SYMBOL_CLIP));
    for (int times = j - 1; times >= 0; times--) FN(double_row)(row, FN(shortened)(s->width, times));
}

/* Rows of all coarser planes at row y: those that it has in common with the row before stay as they are. */
INLINE void FN(enlarge_all)(const struct summed *s, int y, float *rows) {
    for (int j = 0; j < s->above; j++)
        if (y % (1 << j) == 0) FN(enlarge)(s, j, y, rows + (long)j * s->room);
}

/* summaries[i] = sum of weights[i][j] planes[j], for rows [start, stop); start: a multiple of 2^above, as in the transpose. */
TARGET static void FN(summaries)(const struct summed *s, int start, int stop) {
    for (int y = start; y < stop; y++) {
        FN(enlarge_all)(s, y, s->work);
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
    const int width = s->widths[j];
    const long at = (long)(y >> j) * width;
    for (int times = 0; times < j; times++) FN(halve_row)(row, FN(shortened)(s->width, times));
    for (int n = 0; n < width; n += VL) {
        const int count = width - n;
        const vf symbol = FN(load_some)(s->planes[j] + at + n, count), to = FN(load_some)(s->gradients[j] + at + n, count);
        const vf given = FN(pick)(FN(magnitude)(symbol) <= SYMBOL_CLIP, FN(load)(row + n), FN(all)(0));
        FN(store_some)(s->gradients[j] + at + n, to + given, count);
    }
    __builtin_memset(row, 0, s->room * sizeof *row);
}

/* The transpose, `summaries` being gradients: added to those of the planes, and to the sums (above, SUMMARIES, VL) of those of weights.
 * As start is a multiple of 2^above, nobody else gives to the same symbols. */
TARGET static void FN(summaries_back)(const struct summed *s, int start, int stop) {
    float *const rows = s->work, *const back = rows + (long)s->above * s->room;
    for (int y = start; y < stop; y++) {
        FN(enlarge_all)(s, y, rows);
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
