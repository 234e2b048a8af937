/* Symmetric filters of a level's vertices along one axis, edges repeated: out[i] = taps[0] in[i] + sum of taps[k] (in[i - k] + in[i + k]).
 * Both axes work on rows of vectors: along y the terms are other rows, along x the same row, shifted. */

struct FN(row_terms) {
    const float *at, *before[MAX_HALF], *after[MAX_HALF]; /* of k = 1 ... half */
};

/* A row (width) with `half` more on both sides, those of the edges or zeros. */
INLINE void FN(with_margins)(const float *row, int width, int half, int repeat, float *padded) {
    for (int k = 0; k < half; k++) {
        padded[k] = repeat ? row[0] : 0;
        padded[half + width + k] = repeat ? row[width - 1] : 0;
    }
    __builtin_memcpy(padded + half, row, width * sizeof *row);
}

INLINE struct FN(row_terms) FN(terms_along_x)(const float *padded, int half) {
    struct FN(row_terms) terms = {padded + half};
    for (int k = 1; k <= half; k++) terms.before[k - 1] = terms.at - k, terms.after[k - 1] = terms.at + k;
    return terms;
}

/* zeros: a row of them, which stands for those beyond the edges; or null, where edges are repeated. */
INLINE struct FN(row_terms) FN(terms_along_y)(const float *plane, int y, int height, int width, int half, const float *zeros) {
    struct FN(row_terms) terms = {plane + (long)y * width};
    for (int k = 1; k <= half; k++) {
        const int before = y - k, after = y + k;
        terms.before[k - 1] = zeros && before < 0 ? zeros : plane + (long)FN(inside)(before, height) * width;
        terms.after[k - 1] = zeros && after >= height ? zeros : plane + (long)FN(inside)(after, height) * width;
    }
    return terms;
}

/* A vector of the sum, from column n on, `count` of it. */
INLINE vf FN(weighted)(const struct FN(row_terms) *terms, const float *taps, int half, int n, int count) {
    vf v = taps[0] * FN(load_some)(terms->at + n, count);
    for (int k = 0; k < half; k++)
        v += taps[k + 1] * (FN(load_some)(terms->before[k] + n, count) + FN(load_some)(terms->after[k] + n, count));
    return v;
}

INLINE void FN(weighted_row)(const struct FN(row_terms) *terms, const float *taps, int half, int width, float *out) {
    int n = 0;
    for (; n + VL <= width; n += VL) FN(store)(out + n, FN(weighted)(terms, taps, half, n, VL));
    if (n < width) FN(store_some)(out + n, FN(weighted)(terms, taps, half, n, width - n), width - n);
}

INLINE void FN(add_products)(const struct FN(row_terms) *terms, vf g, int half, int n, int count, vf *total) {
    total[0] += g * FN(load_some)(terms->at + n, count);
    for (int k = 0; k < half; k++)
        total[k + 1] += g * (FN(load_some)(terms->before[k] + n, count) + FN(load_some)(terms->after[k] + n, count));
}

/* Sums over a row of a gradient with each tap's terms, added to sums (half + 1). */
INLINE void FN(tap_gradients)(const struct FN(row_terms) *terms, const float *gradient, int half, int width, double *sums) {
    vf total[MAX_HALF + 1];
    int n = 0;
    for (int k = 0; k <= half; k++) total[k] = FN(all)(0);
    for (; n + VL <= width; n += VL) FN(add_products)(terms, FN(load)(gradient + n), half, n, VL, total);
    if (n < width) FN(add_products)(terms, FN(load_some)(gradient + n, width - n), half, n, width - n, total);
    for (int k = 0; k <= half; k++) sums[k] += FN(sum)(total[k]);
}

/* What edges give back: the one at distance d from an edge was added to it by all taps that reach further than d. */
INLINE float FN(beyond)(const float *taps, int half, int d) {
    float total = 0;
    for (int k = d + 1; k <= half; k++) total += taps[k];
    return total;
}

INLINE void FN(edges_along_x)(const float *gradient, const float *taps, int half, int width, float *out) {
    for (int d = 0; d < half && d < width; d++) {
        out[0] += FN(beyond)(taps, half, d) * gradient[d];
        out[width - 1] += FN(beyond)(taps, half, d) * gradient[width - 1 - d];
    }
}

INLINE void FN(edges_along_y)(const float *plane, int y, const float *taps, int half, int height, int width, float *out) {
    for (int d = 0; d < half && d < height; d++) {
        const float by = FN(beyond)(taps, half, d);
        const float *top = plane + (long)d * width, *bottom = plane + (long)(height - 1 - d) * width;
        if (y == 0)
            for (int n = 0; n < width; n++) out[n] += by * top[n];
        if (y == height - 1)
            for (int n = 0; n < width; n++) out[n] += by * bottom[n];
    }
}

TARGET static void FN(filter)(const struct filter *f, int start, int stop) {
    float *const padded = f->work;
    for (int row = start; row < stop; row++) {
        const int y = row % f->height;
        const long plane = (long)(row - y) * f->width, at = (long)row * f->width;
        struct FN(row_terms) terms;
        if (f->along_y) terms = FN(terms_along_y)(f->in + plane, y, f->height, f->width, f->half, 0);
        else FN(with_margins)(f->in + at, f->width, f->half, 1, padded), terms = FN(terms_along_x)(padded, f->half);
        if (!f->gradient) {
            FN(weighted_row)(&terms, f->taps, f->half, f->width, f->out + at);
            continue;
        }
        FN(tap_gradients)(&terms, f->gradient + at, f->half, f->width, f->sums);
        if (f->along_y) {
            terms = FN(terms_along_y)(f->gradient + plane, y, f->height, f->width, f->half, f->zeros);
            FN(weighted_row)(&terms, f->taps, f->half, f->width, f->out + at);
            FN(edges_along_y)(f->gradient + plane, y, f->taps, f->half, f->height, f->width, f->out + at);
        } else {
            FN(with_margins)(f->gradient + at, f->width, f->half, 0, padded), terms = FN(terms_along_x)(padded, f->half);
            FN(weighted_row)(&terms, f->taps, f->half, f->width, f->out + at);
            FN(edges_along_x)(f->gradient + at, f->taps, f->half, f->width, f->out + at);
        }
    }
}
