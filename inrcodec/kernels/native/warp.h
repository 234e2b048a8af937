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

INLINE int FN(inside)(int at, int count) { return at < 0 ? 0 : at < count ? at : count - 1; }

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
