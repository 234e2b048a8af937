/* A reference frame looked up at displaced places: Keys' cubic kernel (a = -1/2) over 4x4 samples, the border repeated. */

/* Weights of the 4 taps at a distance f in [0, 1) behind the second one, and their derivatives by f. */
INLINE void FN(cubic_taps)(float f, float *weight, float *slope) {
    weight[0] = ((-0.5f * f + 1) * f - 0.5f) * f;
    weight[1] = (1.5f * f - 2.5f) * f * f + 1;
    weight[2] = ((-1.5f * f + 2) * f + 0.5f) * f;
    weight[3] = (0.5f * f - 0.5f) * f * f;
    if (!slope) return;
    slope[0] = (-1.5f * f + 2) * f - 0.5f;
    slope[1] = (4.5f * f - 5) * f;
    slope[2] = (-4.5f * f + 4) * f + 0.5f;
    slope[3] = (1.5f * f - 1) * f;
}

typedef float FN(pixel) __attribute__((vector_size(16)));
INLINE vf FN(within)(vf v, float low, float high) { return FN(lesser)(FN(larger)(v, FN(all)(low)), FN(all)(high)); }

INLINE int FN(inside)(int at, int count) { return at < 0 ? 0 : at < count ? at : count - 1; }

/* A tile of places along one axis: first tap's sample, and the weights of 4. */
struct FN(taps) {
    int first[TILE] ALIGNED;
    float weight[4][TILE] ALIGNED;
};

INLINE void FN(find_taps)(const float *place, int count, struct FN(taps) *taps) {
    for (int n = 0; n < TILE; n += VL) {
        const vf at = FN(within)(FN(load)(place + n), -4, count + 3);
        const vi whole = __builtin_convertvector(at + 8, vi) - 8; /* floor */
        const vf f = at - __builtin_convertvector(whole, vf);
        const vi first = whole - 1;
        __builtin_memcpy(taps->first + n, &first, sizeof first);
        FN(store)(taps->weight[0] + n, ((-0.5f * f + 1) * f - 0.5f) * f);
        FN(store)(taps->weight[1] + n, (1.5f * f - 2.5f) * f * f + 1);
        FN(store)(taps->weight[2] + n, ((-1.5f * f + 2) * f + 0.5f) * f);
        FN(store)(taps->weight[3] + n, (0.5f * f - 0.5f) * f * f);
    }
}

/* Whether VL places all lie on samples of an axis. */
INLINE int FN(on_samples)(const struct FN(taps) *taps, int n) { return !FN(holds)(FN(load)(taps->weight[1] + n) != 1); }

/* The samples that a run of VL places takes: 4 rows of each channel, `plane` floats apart. */
struct FN(samples) {
    const float *row[4];
    long plane;
    float border[MAX_CHANNELS][4][2 * VL + 4]; /* copies, where a border is near */
};

/* Samples of a reference (channels, height, width) in rows iy … and columns ix …. */
INLINE void FN(find_samples)(const float *reference, int channels, int height, int width, int iy, int ix, struct FN(samples) *s) {
    s->plane = (long)height * width;
    for (int r = 0; r < 4; r++) s->row[r] = reference + (long)FN(inside)(iy + r, height) * width + ix;
    if (ix >= 0 && ix + VL + 3 <= width) return;
    for (int c = 0; c < channels; c++)
        for (int r = 0; r < 4; r++)
            for (int i = 0; i < VL + 3; i++) s->border[c][r][i] = s->row[r][c * s->plane + FN(inside)(ix + i, width) - ix];
    for (int r = 0; r < 4; r++) s->row[r] = s->border[0][r];
    s->plane = sizeof s->border[0] / sizeof(float);
}

/* VL values of each channel, to found (channels), by the weights of the places from n on. */
INLINE void FN(weigh)(const struct FN(samples) *s, int channels, const struct FN(taps) *Y, const struct FN(taps) *X, int n, vf *found) {
    const vf x0 = FN(load)(X->weight[0] + n), x1 = FN(load)(X->weight[1] + n);
    const vf x2 = FN(load)(X->weight[2] + n), x3 = FN(load)(X->weight[3] + n);
    for (int c = 0; c < channels; c++) {
        vf total = FN(all)(0);
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) {
            const float *at = s->row[r] + c * s->plane;
            const vf along = x0 * FN(load)(at) + x1 * FN(load)(at + 1) + (x2 * FN(load)(at + 2) + x3 * FN(load)(at + 3));
            total += FN(load)(Y->weight[r] + n) * along;
        }
        found[c] = total;
    }
}

/* VL values of each channel of a reference (channels, height, width) at the places from n on: found (channels). Runs of places that
 * lie side by side are looked up together, with the others beside them. */
INLINE void FN(look_up)(const float *reference, int channels, int height, int width, const struct FN(taps) *Y,
                        const struct FN(taps) *X, int n, vf *found) {
    const int steps[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct FN(samples) samples;
    vf values[MAX_CHANNELS];
    vi y, x, step;
    __builtin_memcpy(&y, Y->first + n, sizeof y);
    __builtin_memcpy(&x, X->first + n, sizeof x);
    __builtin_memcpy(&step, steps, sizeof step);
    x -= step;
    for (int i = 0, last = -1; i < VL; i++) {
        const int iy = Y->first[n + i], ix = X->first[n + i] - i;
        if (last >= 0 && iy == Y->first[n + last] && ix == X->first[n + last] - last) continue;
        last = i;
        const vi run = (y == iy) & (x == ix);
        FN(find_samples)(reference, channels, height, width, iy, ix, &samples);
        if (FN(on_samples)(Y, n) && FN(on_samples)(X, n))
            for (int c = 0; c < channels; c++) values[c] = FN(load)(samples.row[1] + c * samples.plane + 1);
        else FN(weigh)(&samples, channels, Y, X, n, values);
        for (int c = 0; c < channels; c++) found[c] = i ? FN(pick)(run, values[c], found[c]) : values[c];
        if (!FN(holds)(~run)) return;
    }
}

/* Motion of a tile's points of row y, from column x on, to fields (., TILE); beyond the last column of a row that of the last. */
INLINE void FN(gather_motion)(const struct film *f, int fields, int y, int x, int columns, float motion[][TILE]) {
    for (int m = 0; m < fields; m++) {
        const float *map = f->motion + (long)m * f->vertices * f->columns + x;
        const int *index = f->index + (long)y * f->taps;
        const float *weight = f->weight + (long)y * f->taps;
        for (int n = 0; n < columns; n++) motion[m][n] = weight[0] * map[(long)index[0] * f->columns + n];
        for (int t = 1; t < f->taps; t++)
            for (int n = 0; n < columns; n++) motion[m][n] += weight[t] * map[(long)index[t] * f->columns + n];
        for (int n = columns; n < TILE; n++) motion[m][n] = motion[m][columns - 1];
    }
}

/* Where the points of a tile look at reference r, from the displacement in motion (2, TILE). */
INLINE void FN(find_places)(const struct film *f, int y, int x, int columns, float motion[][TILE], struct FN(taps) *Y,
                            struct FN(taps) *X) {
    for (int n = 0; n < TILE; n++) motion[0][n] += f->y[y];
    for (int n = 0; n < columns; n++) motion[1][n] += f->x[x + n];
    FN(find_taps)(motion[0], f->height, Y);
    FN(find_taps)(motion[1], f->width, X);
}

/* Up to VL floats. */
INLINE vf FN(load_some)(const float *at, int count) {
    if (count >= VL) return FN(load)(at);
    vf v = {};
    for (int i = 0; i < count; i++) v[i] = at[i];
    return v;
}

INLINE void FN(store_some)(float *at, vf v, int count) {
    if (count >= VL) FN(store)(at, v);
    else
        for (int i = 0; i < count; i++) at[i] = v[i];
}

/* Rows [start, stop) of a film's frame of C channels: its references at the places that motion says, blended; what it adds; within
 * +-1/2. */
INLINE void FN(film_rows)(const struct film *f, const int C, int start, int stop) {
    const int fields = f->references == 2 ? 5 : 2, W = f->columns;
    float motion[5][TILE] ALIGNED;
    struct FN(taps) along_y[2], along_x[2];
    for (int y = start; y < stop; y++)
        for (int x = 0; x < W; x += TILE) {
            const int columns = W - x < TILE ? W - x : TILE;
            if (f->references) FN(gather_motion)(f, fields, y, x, columns, motion);
            for (int r = 0; r < f->references; r++)
                FN(find_places)(f, y, x, columns, motion + 2 * r, along_y + r, along_x + r);
            for (int n = 0; n < columns; n += VL) {
                vf total[MAX_CHANNELS], other[MAX_CHANNELS];
                for (int c = 0; c < C; c++) total[c] = FN(all)(0);
                if (f->references) FN(look_up)(f->reference[0], C, f->height, f->width, along_y, along_x, n, total);
                if (f->references == 2) {
                    FN(look_up)(f->reference[1], C, f->height, f->width, along_y + 1, along_x + 1, n, other);
                    for (int c = 0; c < C; c++) total[c] = other[c] + FN(load)(motion[4] + n) * (total[c] - other[c]);
                }
                for (int c = 0; c < C; c++) {
                    const long at = ((long)c * f->rows + y) * W + x + n;
                    if (f->own) total[c] += FN(load_some)(f->own + at, columns - n);
                    FN(store_some)(f->out + at, FN(within)(total[c], -0.5f, 0.5f), columns - n);
                }
            }
        }
}

TARGET static void FN(film)(const struct film *f, int start, int stop) {
    if (f->channels == 3) FN(film_rows)(f, 3, start, stop); /* a number that the compiler knows: sums stay in registers */
    else FN(film_rows)(f, f->channels, start, stop);
}

/* Places [start, stop): reference (height, width, 4) at (y, x) in samples → values (., 4), and where `by_y` is given the
 * derivatives by y and by x, (., 4) each. */
TARGET static void FN(warp)(const float *reference, int height, int width, const float *y, const float *x, float *values,
                            float *by_y, float *by_x, long start, long stop) {
    typedef FN(pixel) vp;
    for (long i = start; i < stop; i++) {
        float fy = y[i] < -4 ? -4 : y[i] > height + 3 ? height + 3 : y[i];
        float fx = x[i] < -4 ? -4 : x[i] > width + 3 ? width + 3 : x[i];
        int iy = (int)(fy + 8) - 8, ix = (int)(fx + 8) - 8; /* floor */
        float wy[4], wx[4], sy[4], sx[4];
        FN(cubic_taps)(fy - iy, wy, by_y ? sy : 0);
        FN(cubic_taps)(fx - ix, wx, by_y ? sx : 0);
        vp total = {}, total_y = {}, total_x = {};
        for (int r = 0; r < 4; r++) {
            const float *row = reference + (long)FN(inside)(iy - 1 + r, height) * width * 4;
            vp along = {}, along_x = {};
            for (int t = 0; t < 4; t++) {
                vp sample;
                __builtin_memcpy(&sample, row + 4 * FN(inside)(ix - 1 + t, width), sizeof sample);
                along += wx[t] * sample;
                if (by_y) along_x += sx[t] * sample;
            }
            total += wy[r] * along;
            if (by_y) total_y += sy[r] * along, total_x += wy[r] * along_x;
        }
        __builtin_memcpy(values + 4 * i, &total, sizeof total);
        if (!by_y) continue;
        __builtin_memcpy(by_y + 4 * i, &total_y, sizeof total_y);
        __builtin_memcpy(by_x + 4 * i, &total_x, sizeof total_x);
    }
}
