/* The pyramid's head: features interpolated along y tile by tile, a small ReLU network of one or two hidden layers with a linear
 * bypass on top. */

TARGET static void FN(busy)(const float *map, long rows, int columns, unsigned char *busy) {
    for (long r = 0; r < rows; r++, map += columns)
        for (int x = 0; x < columns; x += TILE) *busy++ = FN(any)(map + x, columns - x < TILE ? columns - x : TILE);
}

/* Rows of a level's feature that a row of the image is the weighted sum of, in a tile; those of zeros, of which sparse grids are
 * full, are left out. */
struct FN(terms) {
    const float *row[MAX_TAPS];
    float weight[MAX_TAPS];
    int count;
};

INLINE void FN(find_terms)(const struct level *L, int f, int W, int y, int x, struct FN(terms) *terms) {
    const long tiles = (W + TILE - 1) / TILE;
    terms->count = 0;
    for (int t = 0; t < L->taps; t++) {
        const long row = (long)f * L->height + L->index[(long)y * L->taps + t];
        if (L->busy && !L->busy[row * tiles + x / TILE]) continue;
        terms->row[terms->count] = L->map + row * W + x;
        terms->weight[terms->count++] = L->weight[(long)y * L->taps + t];
    }
}

/* Four vectors of the sum, from column n of the tile on. */
INLINE void FN(along_columns)(const struct FN(terms) *terms, int n, vf *v) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) v[i] = FN(all)(0);
    for (int t = 0; t < terms->count; t++) {
        const vf w = FN(all)(terms->weight[t]);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) v[i] += w * FN(load)(terms->row[t] + n + i * VL);
    }
}

/* Features of `columns` pixels of row y, from column x on: X (F, TILE). */
INLINE void FN(gather_features)(const struct level *levels, int count, int W, int y, int x, int columns, float *X) {
    float *row = X;
    for (int l = 0; l < count; l++)
        for (int f = 0; f < levels[l].features; f++, row += TILE) {
            struct FN(terms) terms;
            FN(find_terms)(levels + l, f, W, y, x, &terms);
            if (columns == TILE && terms.count)
                for (int n = 0; n < TILE; n += 4 * VL) {
                    vf v[4];
                    FN(along_columns)(&terms, n, v);
#pragma GCC unroll 4
                    for (int i = 0; i < 4; i++) FN(store)(row + n + i * VL, v[i]);
                }
            else {
                for (int n = 0; n < TILE; n += VL) FN(store)(row + n, FN(all)(0));
                for (int t = 0; t < terms.count; t++)
                    for (int n = 0; n < columns; n++) row[n] += terms.weight[t] * terms.row[t][n];
            }
        }
}

/* The transpose: gradients G (F, TILE) are added to those of the maps. */
INLINE void FN(scatter_features)(const struct level *levels, int count, int W, int y, int x, int columns,
                                 const float *G) {
    const float *row = G;
    for (int l = 0; l < count; l++) {
        const struct level *L = levels + l;
        for (int f = 0; f < L->features; f++, row += TILE)
            for (int t = 0; t < L->taps; t++) {
                float w = L->weight[(long)y * L->taps + t];
                float *map = L->gradient + ((long)f * L->height + L->index[(long)y * L->taps + t]) * W + x;
                if (w == 0) continue;
                if (columns == TILE)
                    for (int n = 0; n < TILE; n += VL) FN(store)(map + n, FN(load)(map + n) + w * FN(load)(row + n));
                else
                    for (int n = 0; n < columns; n++) map[n] += w * row[n];
            }
    }
}

/* round(clip(a + b + 1/2) peak), half to even, of `columns` pixels' channel, the first at `at`. */
INLINE void FN(to_samples)(const struct head *h, long at, int columns, const float *a, const float *b) {
    const vf magic = FN(all)(12582912.0f);
    float scaled[TILE];
    int whole[TILE];
    for (int n = 0; n < TILE; n += VL) {
        vf v = FN(load)(a + n) + FN(load)(b + n) + 0.5f;
        FN(store)(scaled + n, FN(larger)(FN(lesser)(v, FN(all)(1)), FN(all)(0)) * (float)h->peak);
    }
    __asm__ volatile("" : : "r"(scaled) : "memory"); /* the product is rounded, as elsewhere: not contracted with what follows */
    for (int n = 0; n < TILE; n += VL) {
        vi w = __builtin_convertvector((FN(load)(scaled + n) + magic) - magic, vi);
        __builtin_memcpy(whole + n, &w, sizeof w);
    }
    if (h->peak < 256)
        for (int n = 0; n < columns; n++) ((unsigned char *)h->samples)[at + n * h->channels] = (unsigned char)whole[n];
    else
        for (int n = 0; n < columns; n++) ((unsigned short *)h->samples)[at + n * h->channels] = (unsigned short)whole[n];
}

/* A head without hidden units on a whole tile: sums (C, TILE) = bias + entry (C, F) features; those that are zeros cost
 * nothing. */
INLINE void FN(sum_features)(const struct head *h, int y, int x, const float *entry, const float *bias, float *sums) {
    const int W = h->columns, C = h->channels;
    for (int c = 0; c < C; c++)
        for (int n = 0; n < TILE; n += VL) FN(store)(sums + c * TILE + n, FN(all)(bias[c]));
    for (int l = 0, feature = 0; l < h->level_count; l++)
        for (int f = 0; f < h->levels[l].features; f++, feature++) {
            struct FN(terms) terms;
            FN(find_terms)(h->levels + l, f, W, y, x, &terms);
            for (int n = 0; n < TILE && terms.count; n += 4 * VL) {
                vf v[4];
                FN(along_columns)(&terms, n, v);
                for (int c = 0; c < C; c++) {
                    const float w = entry[c * h->features + feature];
                    float *sum = sums + c * TILE + n;
                    if (w == 0) continue;
#pragma GCC unroll 4
                    for (int i = 0; i < 4; i++) FN(store)(sum + i * VL, FN(load)(sum + i * VL) + w * v[i]);
                }
            }
        }
}

/* The same of the first `columns` pixels of a tile. X: room for features (F, TILE). */
INLINE void FN(sum_some_features)(const struct head *h, int y, int x, int columns, float *X, float *sums) {
    const float *const entry = h->parameters, *const bias = entry + h->channels * h->features;
    if (columns == TILE) {
        FN(sum_features)(h, y, x, entry, bias, sums);
        return;
    }
    FN(gather_features)(h->levels, h->level_count, h->columns, y, x, columns, X);
    float entry_t[MAX_CHANNELS * MAX_INPUTS];
    FN(transpose)(h->channels, h->features, entry, entry_t);
    FN(layer)(h->channels, h->features, entry_t, X, bias, sums, 0);
}

/* Sum of the squares of a + b - target over `columns` columns; G (TILE): `factor` times what is squared, zeros in the others. */
INLINE float FN(squares)(const float *a, const float *b, const float *target, int columns, float factor, float *G) {
    vf total = FN(all)(0);
    for (int n = 0; n < TILE; n += VL) {
        const int count = columns - n;
        const vf d = FN(load_some)(a + n, count) + FN(load_some)(b + n, count) - FN(load_some)(target + n, count);
        total += d * d;
        FN(store)(G + n, factor * d);
    }
    return FN(sum)(total);
}

/* Rows [start, stop) of the image; without targets values or samples are written instead of errors and gradients. */
TARGET static void FN(head)(const struct head *h, int start, int stop) {
    const int F = h->features, M = h->width, C = h->channels, W = h->columns, deep = h->layers == 2;
    float X[MAX_INPUTS * TILE] ALIGNED, H1[(MAX_WIDTH + MAX_CHANNELS) * TILE] ALIGNED, H2[MAX_WIDTH * TILE] ALIGNED;
    float GX[MAX_INPUTS * TILE] ALIGNED, G1[(MAX_WIDTH + MAX_CHANNELS) * TILE] ALIGNED, G2[MAX_WIDTH * TILE] ALIGNED;
    float OUT[MAX_CHANNELS * TILE] ALIGNED;
    float entry_t[(MAX_WIDTH + MAX_CHANNELS) * MAX_INPUTS], second_t[MAX_WIDTH * MAX_WIDTH], last_t[MAX_WIDTH * MAX_CHANNELS];
    float *const linear = H1 + M * TILE, *const glinear = G1 + M * TILE;
    float *const hidden = deep ? H2 : H1, *const ghidden = deep ? G2 : G1;
    const float *const entry = h->parameters, *const entry_bias = entry + (M + C) * F;
    const float *const second = entry_bias + M + C, *const second_bias = second + M * M;
    const float *const last = deep ? second_bias + M : second;
    float *const sums = h->sums, *const entry_bias_sums = sums + (M + C) * F * VL;
    float *const second_sums = entry_bias_sums + (M + C) * VL, *const second_bias_sums = second_sums + M * M * VL;
    float *const last_sums = deep ? second_bias_sums + M * VL : second_sums;
    long tiles_done = 0;
    FN(transpose)(M + C, F, entry, entry_t);
    if (deep) FN(transpose)(M, M, second, second_t);
    FN(transpose)(C, M, last, last_t);
    for (int y = start; y < stop; y++)
        for (int x = 0; x < W; x += TILE) {
            const int columns = W - x < TILE ? W - x : TILE;
            if (M == 0 && columns == TILE && !h->target) {
                FN(sum_features)(h, y, x, entry, entry_bias, linear);
                __builtin_memset(OUT, 0, sizeof OUT);
            } else {
                FN(gather_features)(h->levels, h->level_count, W, y, x, columns, X);
                FN(layer)(M + C, F, entry_t, X, entry_bias, H1, M);
                if (deep) FN(layer)(M, M, second_t, H1, second_bias, H2, M);
                FN(layer)(C, M, last_t, hidden, 0, OUT, 0);
            }
            for (int c = 0; c < C; c++) {
                float *const out = OUT + c * TILE, *const add = linear + c * TILE;
                const long at = ((long)c * h->rows + y) * W + x;
                if (h->values)
                    for (int n = 0; n < columns; n++) h->values[at + n] = out[n] + add[n];
                if (h->samples) FN(to_samples)(h, ((long)y * W + x) * C + c, columns, out, add);
                if (!h->target) continue;
                h->error[c] += FN(squares)(out, add, h->target + at, columns, 2 * h->weight[c], glinear + c * TILE);
            }
            if (!h->target) continue;
            const int sampled = tiles_done++ % h->every == h->first;
            if (sampled) FN(products)(C, M, glinear, hidden, last_sums);
            FN(layer_through_relu)(M, C, last, glinear, hidden, ghidden);
            if (deep) {
                FN(row_sums)(M, G2, second_bias_sums);
                if (sampled) FN(products)(M, M, G2, H1, second_sums);
                FN(layer_through_relu)(M, M, second, G2, H1, G1);
            }
            FN(row_sums)(M + C, G1, entry_bias_sums);
            if (sampled) FN(products)(M + C, F, G1, X, sums);
            FN(layer)(F, M + C, entry, G1, 0, GX, 0);
            FN(scatter_features)(h->levels, h->level_count, W, y, x, columns, GX);
        }
    if (!h->target) return;
    FN(collect)((M + C) * F, h->every, sums, h->gradient);
    FN(collect)(M + C, 1, entry_bias_sums, h->gradient + (entry_bias - entry));
    if (deep) {
        FN(collect)(M * M, h->every, second_sums, h->gradient + (second - entry));
        FN(collect)(M, 1, second_bias_sums, h->gradient + (second_bias - entry));
    }
    FN(collect)(C * M, h->every, last_sums, h->gradient + (last - entry));
}

