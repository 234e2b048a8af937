#ifndef INRCODEC_INTERPOLATION
#define INRCODEC_INTERPOLATION
#define WINDOW (2 * TILE + 64) /* vertices that outputs of a span depend on, at most, unless it is a single one */

struct span { /* outputs [start, start + count), which depend on vertices [low, high) */
    int start, count, low, high;
};
#endif

/* One of the numbers `in`, which are floats, or, with a step that is not 0, bytes in units of it. */
INLINE float FN(vertex)(const void *in, float step, long at) {
    return step ? step * ((const signed char *)in)[at] : ((const float *)in)[at];
}

INLINE const void *FN(from_row)(const void *in, float step, long at) {
    return step ? (const void *)((const signed char *)in + at) : (const void *)((const float *)in + at);
}

INLINE int FN(any_byte)(const signed char *at, int count) {
    unsigned long long found = 0, eight;
    int n = 0;
    for (; n + 8 <= count; n += 8) __builtin_memcpy(&eight, at + n, 8), found |= eight;
    for (; n < count; n++) found |= at[n];
    return found != 0;
}

/* Whether any of `rows` rows holds anything but zeros, of which sparse grids are full, in columns [low, high). */
INLINE int FN(any_of_rows)(const void *in, float step, int rows, int w, int low, int high) {
    for (int j = 0; j < rows; j++) {
        const void *at = FN(from_row)(in, step, (long)j * w + low);
        if (step ? FN(any_byte)(at, high - low) : FN(any)(at, high - low)) return 1;
    }
    return 0;
}

/* VL of them, from `at` on. */
INLINE vf FN(vertices)(const void *in, float step, long at) {
    if (!step) return FN(load)((const float *)in + at);
#ifdef FROM_BYTES
    return step * (vf)FROM_BYTES((const signed char *)in + at);
#else
    vf v;
    for (int i = 0; i < VL; i++) v[i] = FN(vertex)(in, step, at + i);
    return v;
#endif
}

/* One step of `turn`: the blocks of `size` off the diagonal of each block of twice that size change places. */
INLINE void FN(turn_blocks)(vf *rows, const int size) {
    vi upper, lower;
    for (int i = 0; i < VL; i++) upper[i] = i & size ? VL + i - size : i, lower[i] = i & size ? VL + i : i + size;
    for (int i = 0; i < VL; i++) {
        if (i & size) continue;
        const vf a = rows[i], b = rows[i + size];
        rows[i] = __builtin_shuffle(a, b, upper), rows[i + size] = __builtin_shuffle(a, b, lower);
    }
}

/* VL rows become columns. */
INLINE void FN(turn)(vf *rows) {
    FN(turn_blocks)(rows, 1), FN(turn_blocks)(rows, 2);
    if (VL > 4) FN(turn_blocks)(rows, 4 % VL);
    if (VL > 8) FN(turn_blocks)(rows, 8 % VL);
}

/* Vertices [low, high) of `rows` rows, VL at the most: vectors are columns of them, the last row standing in for those that lack. Up
 * to VL - 1 vectors beyond may be written. */
INLINE void FN(take_columns)(const void *in, float step, int rows, int w, int low, int high, float *columns) {
    vf square[VL];
    for (int i = low; i < high && w < VL; i++)
        for (int j = 0; j < VL; j++) columns[(i - low) * VL + j] = FN(vertex)(in, step, (long)(j < rows ? j : rows - 1) * w + i);
    for (int n = low; n < high && w >= VL; n += VL) {
        const int i = n + VL <= w ? n : w - VL; /* not before low: see `span_from` */
        for (int j = 0; j < VL; j++) square[j] = FN(vertices)(in, step, (long)(j < rows ? j : rows - 1) * w + i);
        FN(turn)(square);
        for (int j = 0; j < VL; j++) FN(store)(columns + (i + j - low) * VL, square[j]);
    }
}

/* The outputs of a span, of `rows` rows at the same time, VL at the most. */
INLINE void FN(interpolate_span)(const void *in, float step, float *out, int rows, int w, int W, const struct span *span,
                                 const int *index, const float *weight, int taps) {
    float columns[(WINDOW + VL) * VL] ALIGNED;
    vf square[VL];
    FN(take_columns)(in, step, rows, w, span->low, span->high, columns);
    for (int done = 0; done < span->count; done += VL) {
        const int count = span->count - done < VL ? span->count - done : VL;
        const int *at = index + (long)(span->start + done) * taps;
        const float *by = weight + (long)(span->start + done) * taps;
        for (int x = 0; x < count; x++, at += taps, by += taps) {
            vf v = by[0] * FN(load)(columns + (at[0] - span->low) * VL);
            for (int t = 1; t < taps; t++) v += by[t] * FN(load)(columns + (at[t] - span->low) * VL);
            square[x] = v;
        }
        FN(turn)(square);
        for (int j = 0; j < rows; j++) FN(store_some)(out + (long)j * W + span->start + done, square[j], count);
    }
}

/* An output that depends on vertices far from each other. */
INLINE void FN(interpolate_one)(const void *in, float step, float *out, int rows, int w, int W, int x, const int *index,
                                const float *weight, int taps) {
    for (int j = 0; j < rows; j++) {
        float v = 0;
        for (int t = 0; t < taps; t++)
            v += weight[(long)x * taps + t] * FN(vertex)(in, step, (long)j * w + index[(long)x * taps + t]);
        out[(long)j * W + x] = v;
    }
}

/* The longest one from an output on, `most` at most, whose vertices fit into a WINDOW; one output in any case. It begins where VL of
 * the w vertices can be read, if there are as many. */
INLINE struct span FN(span_from)(int start, int most, int w, const int *index, int taps) {
    struct span span = {start, 0, w < VL ? 0 : w - VL, 0};
    for (; span.count < most; span.count++) {
        const int *at = index + (long)(start + span.count) * taps;
        int low = span.low, high = span.high;
        for (int t = 0; t < taps; t++) low = at[t] < low ? at[t] : low, high = at[t] >= high ? at[t] + 1 : high;
        if (span.count && high - low > WINDOW) break;
        span.low = low, span.high = high;
    }
    return span;
}

/* Outputs [start, start + count) of `rows` rows, all zeros. */
INLINE void FN(clear_block)(float *out, int rows, int W, int start, int count) {
    for (int j = 0; j < rows; j++) __builtin_memset(out + (long)j * W + start, 0, count * sizeof *out);
}

/* Rows of `in` (n, w), as `vertex` says, interpolated to (n, W) by `taps` taps. busy (n, tiles of a row), or null: which tiles may
 * hold anything but zeros; the others are not written then. */
INLINE void FN(interpolate_tiles)(const void *in, float step, float *out, long n, int w, int W, const int *index,
                                  const float *weight, int taps, unsigned char *busy) {
    const long tiles = (W + TILE - 1) / TILE;
    for (int start = 0; start < W; start += TILE) {
        struct span spans[TILE];
        const int count = W - start < TILE ? W - start : TILE;
        int parts = 0, low = w, high = 0;
        for (int done = 0; done < count; done += spans[parts++].count) {
            spans[parts] = FN(span_from)(start + done, count - done, w, index, taps);
            low = spans[parts].low < low ? spans[parts].low : low;
            high = spans[parts].high > high ? spans[parts].high : high;
        }
        for (long r = 0; r < n; r += VL) {
            const int rows = n - r < VL ? n - r : VL;
            const void *const from = FN(from_row)(in, step, r * w);
            float *const to = out + r * W;
            const int any = FN(any_of_rows)(from, step, rows, w, low, high);
            if (busy)
                for (int j = 0; j < rows; j++) busy[(r + j) * tiles + start / TILE] = any;
            if (!any && !busy) FN(clear_block)(to, rows, W, start, count);
            for (int p = 0; p < parts && any; p++)
                if (spans[p].high - spans[p].low > WINDOW)
                    FN(interpolate_one)(from, step, to, rows, w, W, spans[p].start, index, weight, taps);
                else FN(interpolate_span)(from, step, to, rows, w, W, spans + p, index, weight, taps);
        }
    }
}

TARGET static void FN(interpolate)(const void *in, float step, float *out, long n, int w, int W, const int *index,
                                   const float *weight, int taps, unsigned char *busy) {
    if (step) FN(interpolate_tiles)(in, step, out, n, w, W, index, weight, taps, busy);
    else FN(interpolate_tiles)(in, 0, out, n, w, W, index, weight, taps, busy); /* a constant */
}
