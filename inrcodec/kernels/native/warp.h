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
typedef int FN(pixel_mask) __attribute__((vector_size(16)));

INLINE FN(pixel) FN(within)(FN(pixel) v, float low, float high) {
    FN(pixel_mask) under = v < low, over = v > high;
    return (FN(pixel))((~(under | over) & (FN(pixel_mask))v) | (under & (FN(pixel_mask))((FN(pixel)){} + low)) |
                       (over & (FN(pixel_mask))((FN(pixel)){} + high)));
}

INLINE int FN(inside)(int at, int count) { return at < 0 ? 0 : at < count ? at : count - 1; }

/* The reference (height, width, 4) at the place (y, x), in samples. Where it lies on samples, along an axis, no taps are needed. */
INLINE FN(pixel) FN(look_up)(const float *reference, int height, int width, float y, float x) {
    typedef FN(pixel) vp;
    float fy = y < -4 ? -4 : y > height + 3 ? height + 3 : y, fx = x < -4 ? -4 : x > width + 3 ? width + 3 : x;
    int iy = (int)(fy + 8) - 8, ix = (int)(fx + 8) - 8; /* floor */
    vp total = {}, sample;
    if (fy == iy && fx == ix) {
        __builtin_memcpy(&sample, reference + 4 * ((long)FN(inside)(iy, height) * width + FN(inside)(ix, width)), sizeof sample);
        return sample;
    }
    float wy[4], wx[4];
    FN(cubic_taps)(fy - iy, wy, 0);
    FN(cubic_taps)(fx - ix, wx, 0);
    if (iy >= 1 && iy + 2 < height && ix >= 1 && ix + 2 < width) {
        const float *row = reference + 4 * ((long)(iy - 1) * width + ix - 1);
        for (int r = 0; r < 4; r++, row += 4 * (long)width) {
            vp a, b, c, d;
            __builtin_memcpy(&a, row, sizeof a);
            __builtin_memcpy(&b, row + 4, sizeof b);
            __builtin_memcpy(&c, row + 8, sizeof c);
            __builtin_memcpy(&d, row + 12, sizeof d);
            total += wy[r] * ((wx[0] * a + wx[1] * b) + (wx[2] * c + wx[3] * d));
        }
        return total;
    }
    for (int r = 0; r < 4; r++) {
        const float *row = reference + (long)FN(inside)(iy - 1 + r, height) * width * 4;
        vp along = {};
        for (int t = 0; t < 4; t++) {
            __builtin_memcpy(&sample, row + 4 * FN(inside)(ix - 1 + t, width), sizeof sample);
            along += wx[t] * sample;
        }
        total += wy[r] * along;
    }
    return total;
}

/* Rows [start, stop) of a film's frame: its references at the places that motion says, blended; what it adds; within +-1/2. */
TARGET static void FN(film)(const struct film *f, int start, int stop) {
    typedef FN(pixel) vp;
    const int fields = f->references == 2 ? 5 : 2, W = f->columns;
    float motion[5][TILE] ALIGNED;
    for (int y = start; y < stop; y++)
        for (int x = 0; x < W; x += TILE) {
            const int columns = W - x < TILE ? W - x : TILE;
            if (f->references)
                for (int m = 0; m < fields; m++) {
                    const float *map = f->motion + (long)m * f->vertices * W + x;
                    for (int n = 0; n < columns; n++) {
                        float v = 0;
                        for (int t = 0; t < f->taps; t++)
                            v += f->weight[y * f->taps + t] * map[(long)f->index[y * f->taps + t] * W + n];
                        motion[m][n] = v;
                    }
                }
            for (int n = 0; n < columns; n++) {
                vp total = {};
                if (f->references) {
                    total = FN(look_up)(f->reference[0], f->height, f->width, f->y[y] + motion[0][n], f->x[x + n] + motion[1][n]);
                    if (f->references == 2) {
                        vp other = FN(look_up)(f->reference[1], f->height, f->width, f->y[y] + motion[2][n], f->x[x + n] + motion[3][n]);
                        total = other + motion[4][n] * (total - other);
                    }
                }
                if (f->own)
                    for (int c = 0; c < f->channels; c++) total[c] += f->own[((long)c * f->rows + y) * W + x + n];
                total = FN(within)(total, -0.5f, 0.5f);
                __builtin_memcpy(f->out + 4 * ((long)y * W + x + n), &total, sizeof total);
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
