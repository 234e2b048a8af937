/* CoordX's pixels: features of two axes multiplied and summed over their rank, sine layers and a linear one on top. */

/* The sine and the cosine of |v| < 2^14, absolute error below 2e-7 + 2^-24 |v| (polynomials of Cephes, Moshier). */
INLINE void FN(sine_cosine)(vf v, vf *sine, vf *cosine) {
    const vf shifted = v * 0.636619772f + 12582912.0f;
    const vf quarters = shifted - 12582912.0f;
    const vi quadrant = (vi)shifted;
    vf r = v - quarters * 1.5703125f; /* parts of pi / 2: the first products are exact */
    r -= quarters * 4.837512969970703e-4f;
    r -= quarters * 7.549789948768648e-8f;
    const vf square = r * r;
    vf s = FN(all)(-1.9515295891e-4f);
    s = s * square + 8.3321608736e-3f;
    s = s * square - 1.6666654611e-1f;
    s = s * square * r + r;
    vf c = FN(all)(2.443315711809948e-5f);
    c = c * square - 1.388731625493765e-3f;
    c = c * square + 4.166664568298827e-2f;
    c = c * square * square - 0.5f * square + 1.0f;
    const vi odd = (quadrant & 1) != 0;
    *sine = (vf)((vi)FN(pick)(odd, c, s) ^ ((quadrant & 2) << 30));
    *cosine = (vf)((vi)FN(pick)(odd, s, c) ^ (((quadrant + 1) & 2) << 30));
}

/* S (M, TILE) becomes its sine, C its cosine. */
INLINE void FN(sines_of)(int M, float *S, float *C) {
    for (int n = 0; n < M * TILE; n += VL) {
        vf sine, cosine;
        FN(sine_cosine)(FN(load)(S + n), &sine, &cosine);
        FN(store)(S + n, sine);
        FN(store)(C + n, cosine);
    }
}

/* F (M, TILE) from row y and the columns from x on; those beyond the last are zeros. */
INLINE void FN(fuse)(const struct sines *s, int y, int x, int columns, float *F) {
    for (int m = 0; m < s->width; m++)
        for (int r = 0; r < s->rank; r++) {
            const long at = (long)m * s->rank + r;
            const float a = s->first[at * s->rows + y], *b = s->second + at * s->columns + x;
            float *f = F + m * TILE;
            if (!r) __builtin_memset(f, 0, TILE * sizeof *f);
            if (columns == TILE)
                for (int n = 0; n < TILE; n += VL) FN(store)(f + n, FN(load)(f + n) + a * FN(load)(b + n));
            else
                for (int n = 0; n < columns; n++) f[n] += a * b[n];
        }
}

/* The transpose: gradients G (M, TILE) of the fused features are added to those of both axes. */
INLINE void FN(unfuse)(const struct sines *s, int y, int x, int columns, const float *G) {
    for (int m = 0; m < s->width; m++)
        for (int r = 0; r < s->rank; r++) {
            const long at = (long)m * s->rank + r;
            const float a = s->first[at * s->rows + y], *b = s->second + at * s->columns + x, *g = G + m * TILE;
            float *to = s->second_gradient + at * s->columns + x, total = 0;
            if (columns == TILE) {
                vf totals = FN(all)(0);
                for (int n = 0; n < TILE; n += VL) {
                    const vf one = FN(load)(g + n);
                    totals += one * FN(load)(b + n);
                    FN(store)(to + n, FN(load)(to + n) + a * one);
                }
                total = FN(sum)(totals);
            } else
                for (int n = 0; n < columns; n++) total += g[n] * b[n], to[n] += a * g[n];
            s->first_gradient[at * s->rows + y] += total;
        }
}

/* Weighted squared errors of a tile's values OUT (C, TILE), added to the sums; their gradients take the values' place. */
INLINE void FN(errors_of)(const struct sines *s, int y, int x, int columns, float *OUT) {
    for (int c = 0; c < s->channels; c++) {
        const float *target = s->target + ((long)c * s->rows + y) * s->columns + x;
        const float row = s->row_weight[y], *weight = s->column_weight + x;
        float *out = OUT + c * TILE, total = 0;
        for (int n = 0; n < columns; n++) {
            const float d = out[n] - target[n], weighted = row * weight[n] * d;
            total += weighted * d;
            out[n] = 2 * s->weight[c] * weighted;
        }
        for (int n = columns; n < TILE; n++) out[n] = 0;
        s->error[c] += total;
    }
}

/* Tiles [start, stop), those of a row after one another: errors, and gradients where there is room for them. */
TARGET static void FN(sines)(const struct sines *s, long start, long stop) {
    const int M = s->width, C = s->channels, layers = s->layers, tiles = (s->columns + TILE - 1) / TILE;
    const long layer = (long)M * M + M;
    const float *const last = s->parameters + layers * layer;
    float *const values = s->work, *const cosines = values + (layers + 1) * M * TILE; /* of each layer; the fused features first */
    float *const out = cosines + layers * M * TILE, *const G = out + C * TILE, *const H = G + M * TILE;
    float *const transposed = H + M * TILE;
    for (int l = 0; l < layers; l++) FN(transpose)(M, M, s->parameters + l * layer, transposed + l * M * M);
    FN(transpose)(C, M, last, transposed + layers * M * M);
    for (long tile = start; tile < stop; tile++) {
        const int y = tile / tiles, x = tile % tiles * TILE;
        const int columns = s->columns - x < TILE ? s->columns - x : TILE;
        FN(fuse)(s, y, x, columns, values);
        for (int l = 0; l < layers; l++) {
            float *onto = values + (l + 1) * M * TILE;
            FN(layer)(M, M, transposed + l * M * M, onto - M * TILE, s->parameters + l * layer + M * M, onto, 0);
            FN(sines_of)(M, onto, cosines + l * M * TILE);
        }
        FN(layer)(C, M, transposed + layers * M * M, values + layers * M * TILE, last + C * M, out, 0);
        FN(errors_of)(s, y, x, columns, out);
        if (!s->gradient) continue;
        float *sums = s->sums + layers * layer * VL;
        FN(products)(C, M, out, values + layers * M * TILE, sums);
        FN(row_sums)(C, out, sums + C * M * VL);
        FN(layer)(M, C, last, out, 0, G, 0);
        for (int l = layers - 1; l >= 0; l--) {
            const float *cosine = cosines + l * M * TILE;
            for (int n = 0; n < M * TILE; n += VL) FN(store)(H + n, FN(load)(G + n) * FN(load)(cosine + n));
            sums = s->sums + l * layer * VL;
            FN(products)(M, M, H, values + l * M * TILE, sums);
            FN(row_sums)(M, H, sums + M * M * VL);
            FN(layer)(M, M, s->parameters + l * layer, H, 0, G, 0);
        }
        FN(unfuse)(s, y, x, columns, G);
    }
    if (s->gradient) FN(collect)(layers * layer + C * M + C, 1, s->sums, s->gradient);
}
