/* Symmetric filters of a level's vertices, along y and then along x, edges repeated: out[i] = taps[0] in[i] + sum of taps[k]
 * (in[i - k] + in[i + k]). Both axes work on rows of vectors: along y the terms are other rows, along x the same row, shifted. One
 * sweep over the rows does both, so that what lies between them is a row that stays in the cache. */

struct FN(row_terms) {
    const float *at, *before[MAX_HALF], *after[MAX_HALF]; /* of k = 1 ... half */
};

/* Floats of a row in the work, which begin where a vector may be aligned. */
INLINE long FN(room)(int width) { return (width + 15) / 16 * 16; }

INLINE float *FN(work_of)(const struct filter *f) { return (float *)(((unsigned long)f->work + 63) / 64 * 64); }

/* What lies on both sides of a row (width): `half` numbers each. */
INLINE void FN(set_margins)(float *row, int width, int half, float before, float after) {
    for (int k = 1; k <= half; k++) row[-k] = before, row[width - 1 + k] = after;
}

/* Of a row with margins. */
INLINE struct FN(row_terms) FN(terms_along_x)(const float *row, int half) {
    struct FN(row_terms) terms = {row};
    for (int k = 1; k <= half; k++) terms.before[k - 1] = terms.at - k, terms.after[k - 1] = terms.at + k;
    return terms;
}

INLINE struct FN(row_terms) FN(terms_along_y)(const float *plane, int y, int height, int width, int half) {
    struct FN(row_terms) terms = {plane + (long)y * width};
    for (int k = 1; k <= half; k++) {
        terms.before[k - 1] = plane + (long)FN(inside)(y - k, height) * width;
        terms.after[k - 1] = plane + (long)FN(inside)(y + k, height) * width;
    }
    return terms;
}

/* A vector of each tap's terms, from column n on, `count` of it: sums (half + 1). */
INLINE void FN(summed_terms)(const struct FN(row_terms) *terms, int half, int n, int count, vf *sums) {
    sums[0] = FN(load_some)(terms->at + n, count);
    for (int k = 1; k <= half; k++)
        sums[k] = FN(load_some)(terms->before[k - 1] + n, count) + FN(load_some)(terms->after[k - 1] + n, count);
}

INLINE vf FN(weighted)(const vf *sums, const float *taps, int half) {
    vf v = taps[0] * sums[0];
    for (int k = 1; k <= half; k++) v += taps[k] * sums[k];
    return v;
}

INLINE void FN(weighted_some)(const struct FN(row_terms) *terms, const float *taps, int half, int n, int count, float *out) {
    vf sums[MAX_HALF + 1];
    FN(summed_terms)(terms, half, n, count, sums);
    FN(store_some)(out + n, FN(weighted)(sums, taps, half), count);
}

INLINE void FN(weighted_row)(const struct FN(row_terms) *terms, const float *taps, int half, int width, float *out) {
    int n = 0;
    for (; n + VL <= width; n += VL) FN(weighted_some)(terms, taps, half, n, VL, out);
    if (n < width) FN(weighted_some)(terms, taps, half, n, width - n, out);
}

INLINE void FN(filter_rows)(const struct filter *f, const float *taps, const int half, int start, int stop) {
    const int height = f->height, width = f->width;
    float *const between = FN(work_of)(f) + FN(room)(half);
    for (int row = start; row < stop; row++) {
        const int y = row % height;
        const struct FN(row_terms) along_y = FN(terms_along_y)(f->in + (long)(row - y) * width, y, height, width, half);
        FN(weighted_row)(&along_y, taps, half, width, between);
        FN(set_margins)(between, width, half, between[0], between[width - 1]);
        const struct FN(row_terms) along_x = FN(terms_along_x)(between, half);
        FN(weighted_row)(&along_x, taps, half, width, f->out + (long)row * width);
    }
}

/* Backward, a row of a gradient goes back along x, and then back along y with others. along_x: terms of that row, between zeros;
 * along_y: of what was filtered. The gradients by taps are products of either's terms with what the other axis makes of the other
 * ones, so both are added to `total` while they are at hand. */
INLINE void FN(some_back)(const struct FN(row_terms) *along_x, const struct FN(row_terms) *along_y, const float *taps, int half,
                          int n, int count, float *out, vf *total) {
    vf of_gradient[MAX_HALF + 1], of_values[MAX_HALF + 1];
    FN(summed_terms)(along_x, half, n, count, of_gradient);
    FN(summed_terms)(along_y, half, n, count, of_values);
    const vf back = FN(weighted)(of_gradient, taps, half), values = FN(weighted)(of_values, taps, half);
    for (int k = 0; k <= half; k++) total[k] += back * of_values[k];
    for (int k = 0; k <= half; k++) total[k] += values * of_gradient[k];
    FN(store_some)(out + n, back, count);
}

/* Taps that reach beyond an edge, at column n, add what lies there as often as they do: it gets their part of the gradient, which
 * goes on from n by `by`. */
INLINE void FN(edge_of_row_back)(const struct FN(row_terms) *along_x, const struct FN(row_terms) *along_y, const float *taps,
                                 int half, int width, int n, int by, float *out, double *sums) {
    float reached = 0, back = 0, values = taps[0] * along_y->at[n];
    for (int k = 1; k <= half; k++) values += taps[k] * (along_y->before[k - 1][n] + along_y->after[k - 1][n]);
    for (int k = 1; k <= half; k++) {
        reached += along_x->at[n + by * (k - 1)];
        back += taps[k] * reached;
        sums[k] += values * reached;
    }
    out[n] += back;
    sums[0] += back * along_y->at[n];
    for (int k = 1; k <= half; k++) sums[k] += back * (along_y->before[k - 1][n] + along_y->after[k - 1][n]);
}

INLINE void FN(row_back)(const struct FN(row_terms) *along_x, const struct FN(row_terms) *along_y, const float *taps, int half,
                         int width, float *out, double *sums) {
    vf total[MAX_HALF + 1];
    int n = 0;
    for (int k = 0; k <= half; k++) total[k] = FN(all)(0);
    for (; n + VL <= width; n += VL) FN(some_back)(along_x, along_y, taps, half, n, VL, out, total);
    if (n < width) FN(some_back)(along_x, along_y, taps, half, n, width - n, out, total);
    for (int k = 0; k <= half; k++) sums[k] += FN(sum)(total[k]);
    FN(edge_of_row_back)(along_x, along_y, taps, half, width, 0, 1, out, sums);
    FN(edge_of_row_back)(along_x, along_y, taps, half, width, width - 1, -1, out, sums);
}

/* The last 2 half + 1 rows of gradients that went back along x, and a row of zeros, which stands for those beyond the edges. */
struct FN(kept) {
    float *rows, *zeros;
    long room;
    int count;
};

INLINE float *FN(kept_row)(const struct FN(kept) *kept, int y) { return kept->rows + y % kept->count * kept->room; }

INLINE struct FN(row_terms) FN(kept_terms)(const struct FN(kept) *kept, int y, int height, int half) {
    struct FN(row_terms) terms = {FN(kept_row)(kept, y)};
    for (int k = 1; k <= half; k++) {
        terms.before[k - 1] = y - k < 0 ? kept->zeros : FN(kept_row)(kept, y - k);
        terms.after[k - 1] = y + k >= height ? kept->zeros : FN(kept_row)(kept, y + k);
    }
    return terms;
}

/* What the rows from an edge on, y, give back to it as those beyond it. */
INLINE void FN(edge_back)(const struct FN(kept) *kept, int y, int by, const float *taps, int half, int height, int width, float *out) {
    for (int d = 0; d < half && d < height; d++) {
        const float *from = FN(kept_row)(kept, y + by * d);
        float weight = 0;
        for (int k = d + 1; k <= half; k++) weight += taps[k];
        for (int n = 0; n < width; n++) out[n] += weight * from[n];
    }
}

INLINE void FN(filter_rows_back)(const struct filter *f, const float *taps, const int half, int start, int stop) {
    const int height = f->height, width = f->width;
    const long room = FN(room)(width);
    float *const padded = FN(work_of)(f) + FN(room)(half), *const zeros = padded + room + FN(room)(half);
    const struct FN(kept) kept = {zeros + room, zeros, room, 2 * half + 1};
    __builtin_memset(zeros, 0, width * sizeof *zeros);
    FN(set_margins)(padded, width, half, 0, 0);
    for (int row = start; row < stop; row++) {
        const int y = row % height;
        const long plane = (long)(row - y) * width;
        float *const out = f->out + (long)row * width;
        for (int ahead = row > start && y ? y + half : y < half ? 0 : y - half; ahead <= y + half && ahead < height; ahead++) {
            const int mine = row - y + ahead >= start && row - y + ahead < stop;
            double others[MAX_HALF + 1] = {0};
            __builtin_memcpy(padded, f->gradient + plane + (long)ahead * width, width * sizeof *padded);
            const struct FN(row_terms) along_x = FN(terms_along_x)(padded, half);
            const struct FN(row_terms) along_y = FN(terms_along_y)(f->in + plane, ahead, height, width, half);
            FN(row_back)(&along_x, &along_y, taps, half, width, FN(kept_row)(&kept, ahead), mine ? f->sums : others);
        }
        const struct FN(row_terms) terms = FN(kept_terms)(&kept, y, height, half);
        FN(weighted_row)(&terms, taps, half, width, out);
        if (y == 0) FN(edge_back)(&kept, y, 1, taps, half, height, width, out);
        if (y == height - 1) FN(edge_back)(&kept, y, -1, taps, half, height, width, out);
    }
}

INLINE void FN(filter_level)(const struct filter *f, const int half) {
    float taps[MAX_HALF + 1];
    for (int k = 0; k <= half; k++) taps[k] = f->taps[k];
    if (f->gradient) FN(filter_rows_back)(f, taps, half, f->start, f->stop);
    else FN(filter_rows)(f, taps, half, f->start, f->stop);
}

TARGET static void FN(filter)(const struct filter *levels, int count) {
    for (const struct filter *f = levels; f < levels + count; f++)
        if (f->half == 3) FN(filter_level)(f, 3); /* a constant: that of all priors */
        else FN(filter_level)(f, f->half);
}
