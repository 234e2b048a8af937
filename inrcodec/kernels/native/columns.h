/* Planes whose even columns lie before their odd ones (`inrcodec.kernels.padding`). */

/* Rows of a plane (height, width) to where their even columns go, `stride` apart, and the odd ones, half of that behind them. */
TARGET static void FN(split_columns)(const float *plane, int height, int width, float *to, int stride) {
    vi even, odd;
    for (int i = 0; i < VL; i++) even[i] = 2 * i, odd[i] = 2 * i + 1;
    for (int y = 0; y < height; y++, plane += width, to += stride) {
        float *const behind = to + stride / 2;
        int n = 0;
        for (; 2 * n + 2 * VL <= width; n += VL) {
            const vf a = FN(load)(plane + 2 * n), b = FN(load)(plane + 2 * n + VL);
            FN(store)(to + n, __builtin_shuffle(a, b, even));
            FN(store)(behind + n, __builtin_shuffle(a, b, odd));
        }
        for (n *= 2; n < width; n++) (n % 2 ? behind : to)[n / 2] = plane[n];
    }
}

/* The way back. */
TARGET static void FN(join_columns)(float *plane, int height, int width, const float *from, int stride) {
    vi low, high;
    for (int i = 0; i < VL; i++) {
        low[i] = i / 2 + i % 2 * VL;
        high[i] = low[i] + VL / 2;
    }
    for (int y = 0; y < height; y++, plane += width, from += stride) {
        const float *const behind = from + stride / 2;
        int n = 0;
        for (; 2 * n + 2 * VL <= width; n += VL) {
            const vf a = FN(load)(from + n), b = FN(load)(behind + n);
            FN(store)(plane + 2 * n, __builtin_shuffle(a, b, low));
            FN(store)(plane + 2 * n + VL, __builtin_shuffle(a, b, high));
        }
        for (n *= 2; n < width; n++) plane[n] = (n % 2 ? behind : from)[n / 2];
    }
}
