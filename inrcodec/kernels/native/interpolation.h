/* Rows of `in` (n, w) interpolated to (n, W) by `taps` taps; backward adds the transpose to `in`. */
TARGET static void FN(interpolate_rows)(float *in, float *out, long n, int w, int W, const int *index,
                                        const float *weight, int taps, int backward) {
    for (long r = 0; r < n; r++, in += w, out += W)
        for (int x = 0; x < W; x++) {
            const int *at = index + (long)x * taps;
            const float *by = weight + (long)x * taps;
            if (backward) {
                for (int t = 0; t < taps; t++) in[at[t]] += by[t] * out[x];
            } else {
                float v = 0;
                for (int t = 0; t < taps; t++) v += by[t] * in[at[t]];
                out[x] = v;
            }
        }
}

