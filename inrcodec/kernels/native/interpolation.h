#ifndef INRCODEC_INTERPOLATION
#define INRCODEC_INTERPOLATION
#define WINDOW (2 * TILE + 64) /* vertices that TILE neighboring outputs depend on, where `interpolate_block` can be taken */
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

/* Outputs [start, start + count) of `rows` rows, VL at the most and at the same time: vectors are columns of them. */
INLINE void FN(interpolate_block)(const void *in, float step, float *out, int rows, int w, int W, int start, int count, int low,
                                  int high, const int *index, const float *weight, int taps) {
    float columns[WINDOW * VL] ALIGNED, results[TILE * VL] ALIGNED;
    for (int i = low; i < high; i++)
        for (int j = 0; j < VL; j++) columns[(i - low) * VL + j] = j < rows ? FN(vertex)(in, step, (long)j * w + i) : 0;
    for (int x = 0; x < count; x++) {
        const int *at = index + (long)(start + x) * taps;
        const float *by = weight + (long)(start + x) * taps;
        vf v = by[0] * FN(load)(columns + (at[0] - low) * VL);
        for (int t = 1; t < taps; t++) v += by[t] * FN(load)(columns + (at[t] - low) * VL);
        FN(store)(results + x * VL, v);
    }
    for (int j = 0; j < rows; j++)
        for (int x = 0; x < count; x++) out[(long)j * W + start + x] = results[x * VL + j];
}

/* One output after the other. */
INLINE void FN(interpolate_row)(const void *in, float step, float *out, int start, int count, const int *index,
                                const float *weight, int taps) {
    for (int x = start; x < start + count; x++) {
        float v = 0;
        for (int t = 0; t < taps; t++) v += weight[(long)x * taps + t] * FN(vertex)(in, step, index[(long)x * taps + t]);
        out[x] = v;
    }
}

/* The vertices [*low, *high) that outputs [start, start + count) depend on. */
INLINE void FN(window)(int start, int count, const int *index, int taps, int *low, int *high) {
    *low = index[(long)start * taps], *high = *low;
    for (long i = (long)start * taps; i < (long)(start + count) * taps; i++) {
        *low = index[i] < *low ? index[i] : *low;
        *high = index[i] >= *high ? index[i] + 1 : *high;
    }
}

/* The transpose of `interpolate_block`. */
INLINE void FN(interpolate_block_back)(float *in, const float *out, int rows, int w, int W, int start, int count, int low,
                                       int high, const int *index, const float *weight, int taps) {
    float columns[WINDOW * VL] ALIGNED, values[TILE * VL] ALIGNED;
    for (int i = 0; i < high - low; i++) FN(store)(columns + i * VL, FN(all)(0));
    for (int j = 0; j < VL; j++)
        for (int x = 0; x < count; x++) values[x * VL + j] = j < rows ? out[(long)j * W + start + x] : 0;
    for (int x = 0; x < count; x++) {
        const int *at = index + (long)(start + x) * taps;
        const float *by = weight + (long)(start + x) * taps;
        const vf v = FN(load)(values + x * VL);
        for (int t = 0; t < taps; t++) {
            float *column = columns + (at[t] - low) * VL;
            FN(store)(column, FN(load)(column) + by[t] * v);
        }
    }
    for (int j = 0; j < rows; j++)
        for (int i = low; i < high; i++) in[(long)j * w + i] += columns[(i - low) * VL + j];
}

/* The transpose of `interpolate_row`. */
INLINE void FN(interpolate_row_back)(float *in, const float *out, int start, int count, const int *index,
                                     const float *weight, int taps) {
    for (int x = start; x < start + count; x++)
        for (int t = 0; t < taps; t++) in[index[(long)x * taps + t]] += weight[(long)x * taps + t] * out[x];
}

/* Outputs [start, start + count) of `rows` rows, all zeros. */
INLINE void FN(clear_block)(float *out, int rows, int W, int start, int count) {
    for (int j = 0; j < rows; j++) __builtin_memset(out + (long)j * W + start, 0, count * sizeof *out);
}

/* Rows of `in` (n, w), as `vertex` says, interpolated to (n, W) by `taps` taps; or, `backward`, a constant, the transpose,
 * added to `in`. busy (n, tiles of a row), or null: which tiles may hold anything but zeros; the others are not written then. */
INLINE void FN(interpolate_tiles)(const int backward, void *in, float step, float *out, long n, int w, int W, const int *index,
                                  const float *weight, int taps, unsigned char *busy) {
    const long tiles = (W + TILE - 1) / TILE;
    for (int start = 0; start < W; start += TILE) {
        const int count = W - start < TILE ? W - start : TILE;
        int low, high;
        FN(window)(start, count, index, taps, &low, &high);
        for (long r = 0; r < n; r += VL) {
            const int rows = n - r < VL ? n - r : VL;
            void *const from = (void *)FN(from_row)(in, step, r * w);
            float *const to = out + r * W;
            const int any = backward || FN(any_of_rows)(from, step, rows, w, low, high);
            if (busy)
                for (int j = 0; j < rows; j++) busy[(r + j) * tiles + start / TILE] = any;
            if (!any) {
                if (!busy) FN(clear_block)(to, rows, W, start, count);
            } else if (high - low > WINDOW)
                for (int j = 0; j < rows; j++) {
                    void *const row = (void *)FN(from_row)(from, step, (long)j * w);
                    if (backward) FN(interpolate_row_back)(row, to + j * W, start, count, index, weight, taps);
                    else FN(interpolate_row)(row, step, to + j * W, start, count, index, weight, taps);
                }
            else if (backward) FN(interpolate_block_back)(from, to, rows, w, W, start, count, low, high, index, weight, taps);
            else FN(interpolate_block)(from, step, to, rows, w, W, start, count, low, high, index, weight, taps);
        }
    }
}

TARGET static void FN(interpolate_rows)(void *in, float step, float *out, long n, int w, int W, const int *index,
                                        const float *weight, int taps, unsigned char *busy) {
    if (step) FN(interpolate_tiles)(0, in, step, out, n, w, W, index, weight, taps, busy);
    else FN(interpolate_tiles)(0, in, 0, out, n, w, W, index, weight, taps, busy); /* a constant */
}

TARGET static void FN(interpolate_back)(float *in, float *out, long n, int w, int W, const int *index, const float *weight,
                                        int taps) {
    FN(interpolate_tiles)(1, in, 0, out, n, w, W, index, weight, taps, 0);
}
