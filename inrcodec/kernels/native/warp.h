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
typedef float FN(pixels) __attribute__((vector_size(32))); /* two of them */
typedef int FN(pixel_mask) __attribute__((vector_size(16)));

INLINE FN(pixel) FN(within)(FN(pixel) v, float low, float high) {
    FN(pixel_mask) under = v < low, over = v > high;
    return (FN(pixel))((~(under | over) & (FN(pixel_mask))v) | (under & (FN(pixel_mask))((FN(pixel)){} + low)) |
                       (over & (FN(pixel_mask))((FN(pixel)){} + high)));
}

INLINE int FN(inside)(int at, int count) { return at < 0 ? 0 : at < count ? at : count - 1; }

/* A tile of places along one axis: first tap's sample, and the weights of 4. */
struct FN(taps) {
    int first[TILE] ALIGNED;
    float weight[4][TILE] ALIGNED;
};

INLINE void FN(find_taps)(const float *place, int count, int columns, struct FN(taps) *taps) {
    for (int n = 0; n < columns; n++) {
        float at = place[n] < -4 ? -4 : place[n];
        at = at > count + 3 ? count + 3 : at;
        int whole = (int)(at + 8) - 8; /* floor */
        float f = at - whole;
        taps->first[n] = whole - 1;
        taps->weight[0][n] = ((-0.5f * f + 1) * f - 0.5f) * f;
        taps->weight[1][n] = (1.5f * f - 2.5f) * f * f + 1;
        taps->weight[2][n] = ((-1.5f * f + 2) * f + 0.5f) * f;
        taps->weight[3][n] = (0.5f * f - 0.5f) * f * f;
    }
}

/* The reference (height, width, 4) at place n of a tile. Where it lies on a sample no taps are needed. */
INLINE FN(pixel) FN(look_up)(const float *reference, int height, int width, const struct FN(taps) *Y, const struct FN(taps) *X, int n) {
    typedef FN(pixel) vp;
    typedef FN(pixels) v2;
    const int iy = Y->first[n], ix = X->first[n];
    vp total = {}, sample;
    if (Y->weight[1][n] == 1 && X->weight[1][n] == 1) {
        __builtin_memcpy(&sample, reference + 4 * ((long)FN(inside)(iy + 1, height) * width + FN(inside)(ix + 1, width)), sizeof sample);
        return sample;
    }
    if (iy >= 0 && iy + 3 < height && ix >= 0 && ix + 3 < width) {
        const float *row = reference + 4 * ((long)iy * width + ix);
        const float p = X->weight[0][n], q = X->weight[1][n], r = X->weight[2][n], s = X->weight[3][n];
        const v2 left = {p, p, p, p, q, q, q, q}, right = {r, r, r, r, s, s, s, s};
        v2 pairs = {};
        for (int t = 0; t < 4; t++, row += 4 * (long)width) {
            v2 a, b;
            __builtin_memcpy(&a, row, sizeof a);
            __builtin_memcpy(&b, row + 8, sizeof b);
            pairs += Y->weight[t][n] * (left * a + right * b);
        }
        vp halves[2];
        __builtin_memcpy(halves, &pairs, sizeof halves);
        return halves[0] + halves[1];
    }
    for (int r = 0; r < 4; r++) {
        const float *row = reference + (long)FN(inside)(iy + r, height) * width * 4;
        vp along = {};
        for (int t = 0; t < 4; t++) {
            __builtin_memcpy(&sample, row + 4 * FN(inside)(ix + t, width), sizeof sample);
            along += X->weight[t][n] * sample;
        }
        total += Y->weight[r][n] * along;
    }
    return total;
}

/* Motion of `columns` points of row y, from column x on: (fields, TILE). */
INLINE void FN(gather_motion)(const struct film *f, int fields, int y, int x, int columns, float motion[][TILE]) {
    for (int m = 0; m < fields; m++) {
        const float *map = f->motion + (long)m * f->vertices * f->columns + x;
        const int *index = f->index + (long)y * f->taps;
        const float *weight = f->weight + (long)y * f->taps;
        for (int n = 0; n < columns; n++) motion[m][n] = weight[0] * map[(long)index[0] * f->columns + n];
        for (int t = 1; t < f->taps; t++)
            for (int n = 0; n < columns; n++) motion[m][n] += weight[t] * map[(long)index[t] * f->columns + n];
    }
}

/* Rows [start, stop) of a film's frame: its references at the places that motion says, blended; what it adds; within +-1/2. */
TARGET static void FN(film)(const struct film *f, int start, int stop) {
    typedef FN(pixel) vp;
    const int fields = f->references == 2 ? 5 : 2, W = f->columns;
    float motion[5][TILE] ALIGNED;
    struct FN(taps) along_y[2], along_x[2];
    for (int y = start; y < stop; y++)
        for (int x = 0; x < W; x += TILE) {
            const int columns = W - x < TILE ? W - x : TILE;
            const long first = (long)y * W + x;
            if (f->references) FN(gather_motion)(f, fields, y, x, columns, motion);
            for (int r = 0; r < f->references; r++) {
                for (int n = 0; n < columns; n++) motion[2 * r][n] += f->y[y], motion[2 * r + 1][n] += f->x[x + n];
                FN(find_taps)(motion[2 * r], f->height, columns, along_y + r);
                FN(find_taps)(motion[2 * r + 1], f->width, columns, along_x + r);
            }
            for (int n = 0; n < columns; n++) {
                vp total = {}, own;
                if (f->references) total = FN(look_up)(f->reference[0], f->height, f->width, along_y, along_x, n);
                if (f->references == 2) {
                    vp other = FN(look_up)(f->reference[1], f->height, f->width, along_y + 1, along_x + 1, n);
                    total = other + motion[4][n] * (total - other);
                }
                if (f->own) {
                    __builtin_memcpy(&own, f->own + 4 * (first + n), sizeof own);
                    total += own;
                }
                total = FN(within)(total, -0.5f, 0.5f);
                __builtin_memcpy(f->out + 4 * (first + n), &total, sizeof total);
            }
        }
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
