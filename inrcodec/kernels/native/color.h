/* From centered values to the samples of a frame whose channels are luma and chroma. A pixel is `lanes` floats. */

INLINE void FN(put)(float sample, float peak, void *out, long at, int wide) {
    sample = sample > 0 ? sample : 0;
    sample = (sample < peak ? sample : peak) + 12582912.0f - 12582912.0f; /* half to even */
    if (wide) ((unsigned short *)out)[at] = (unsigned short)sample;
    else ((unsigned char *)out)[at] = (unsigned char)sample;
}

/* Pixels [start, stop) as RGB (., 3): peak · (matrix (3, 3) value + offset (3)), rounded. */
TARGET static void FN(rgb)(const float *values, long lanes, const float *matrix, const float *offset, float peak, void *out,
                           int wide, long start, long stop) {
    float m[12];
    for (int c = 0; c < 3; c++) {
        for (int k = 0; k < 3; k++) m[4 * c + k] = peak * matrix[3 * c + k];
        m[4 * c + 3] = peak * offset[c];
    }
    for (long i = start; i < stop; i++) {
        const float *v = values + i * lanes;
        for (int c = 0; c < 3; c++)
            FN(put)(m[4 * c] * v[0] + m[4 * c + 1] * v[1] + m[4 * c + 2] * v[2] + m[4 * c + 3], peak, out, 3 * i + c, wide);
    }
}

/* Rows [start, stop), the first one even, of 4:2:0 samples (height, width, 3): chroma is the mean of its 2x2 block, repeated there. */
TARGET static void FN(subsampled)(const float *values, long lanes, int height, int width, float peak, void *out, int wide,
                                  int start, int stop) {
    for (int y = start; y < stop; y += 2) {
        const int rows = height - y < 2 ? 1 : 2;
        for (int x = 0; x < width; x += 2) {
            const int columns = width - x < 2 ? 1 : 2;
            const long first = (long)y * width + x;
            float blue = 0, red = 0;
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < columns; c++) {
                    const float *v = values + (first + (long)r * width + c) * lanes;
                    blue += v[1];
                    red += v[2];
                }
            blue = peak * (blue / (rows * columns) + 0.5f);
            red = peak * (red / (rows * columns) + 0.5f);
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < columns; c++) {
                    const long at = first + (long)r * width + c;
                    FN(put)(peak * (values[at * lanes] + 0.5f), peak, out, 3 * at, wide);
                    FN(put)(blue, peak, out, 3 * at + 1, wide);
                    FN(put)(red, peak, out, 3 * at + 2, wide);
                }
        }
    }
}
