/* From centered values to the samples of a frame whose channels are luma and chroma. Channels are planes, `plane` floats apart. */

INLINE void FN(put)(float sample, float peak, void *out, long at, int wide) {
    sample = sample > 0 ? sample : 0;
    sample = (sample < peak ? sample : peak) + 12582912.0f - 12582912.0f; /* half to even */
    if (wide) ((unsigned short *)out)[at] = (unsigned short)sample;
    else ((unsigned char *)out)[at] = (unsigned char)sample;
}

/* Whole numbers of a tile's 3 channels to pixels from `at` on: a pixel's channels lie side by side, or are planes. */
INLINE void FN(put_tile)(const struct picture *to, long at, int count, int whole[][TILE]) {
    for (int c = 0; c < 3; c++) {
        const long first = to->channel * c + to->pixel * at;
        unsigned char *const bytes = (unsigned char *)to->samples + first;
        unsigned short *const words = (unsigned short *)to->samples + first;
        if (to->pixel == 1) {
            if (to->peak > 255) for (int n = 0; n < count; n++) words[n] = (unsigned short)whole[c][n];
            else for (int n = 0; n < count; n++) bytes[n] = (unsigned char)whole[c][n];
        } else if (to->peak > 255) for (int n = 0; n < count; n++) words[3 * n] = (unsigned short)whole[c][n];
        else for (int n = 0; n < count; n++) bytes[3 * n] = (unsigned char)whole[c][n];
    }
}

/* `count` values of luma and chroma, at most a tile, as RGB pixels from `at` on: peak · (matrix (3, 3) value + offset (3)),
 * rounded. */
INLINE void FN(rgb_tile)(const float *values, long plane, const struct picture *to, long at, int count) {
    const vf magic = FN(all)(12582912.0f); /* added, it rounds half to even and leaves the whole number in the lowest bits */
    int whole[3][TILE] ALIGNED;
    for (int n = 0; n < count; n += VL) {
        vf v[3];
        for (int k = 0; k < 3; k++) v[k] = FN(load_some)(values + k * plane + n, count - n);
        for (int c = 0; c < 3; c++) {
            const float *by = to->matrix + 3 * c;
            const vf sum = by[0] * v[0] + by[1] * v[1] + (by[2] * v[2] + to->offset[c]);
            const vf rounded = FN(within)(to->peak * sum, 0, to->peak) + magic;
            FN(store_ints)(whole[c] + n, (vi)rounded - (vi)magic);
        }
    }
    FN(put_tile)(to, at, count, whole);
}

/* Pixels [start, stop). */
TARGET static void FN(rgb)(const float *values, long plane, const struct picture *to, long start, long stop) {
    for (long at = start; at < stop; at += TILE)
        FN(rgb_tile)(values + at, plane, to, at, stop - at < TILE ? stop - at : TILE);
}

/* Rows [start, stop), the first one even, of 4:2:0 samples (height, width, 3): chroma is the mean of its 2x2 block, repeated there. */
TARGET static void FN(subsampled)(const float *values, long plane, int height, int width, float peak, void *out, int wide,
                                  int start, int stop) {
    for (int y = start; y < stop; y += 2) {
        const int rows = height - y < 2 ? 1 : 2;
        for (int x = 0; x < width; x += 2) {
            const int columns = width - x < 2 ? 1 : 2;
            const long first = (long)y * width + x;
            float blue = 0, red = 0;
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < columns; c++) {
                    const float *v = values + first + (long)r * width + c;
                    blue += v[plane];
                    red += v[2 * plane];
                }
            blue = peak * (blue / (rows * columns) + 0.5f);
            red = peak * (red / (rows * columns) + 0.5f);
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < columns; c++) {
                    const long at = first + (long)r * width + c;
                    FN(put)(peak * (values[at] + 0.5f), peak, out, 3 * at, wide);
                    FN(put)(blue, peak, out, 3 * at + 1, wide);
                    FN(put)(red, peak, out, 3 * at + 2, wide);
                }
        }
    }
}
