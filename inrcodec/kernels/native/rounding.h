/* v between the half-way points bent to `half` tanh(... t), which slopes tell how steeply. */
INLINE vf FN(bend)(vf v, float t, float half, vf *slope) {
    const vf middle = FN(down)(v) + 0.5f, bent = FN(tanh)((v - middle) * t);
    *slope *= (1.0f - bent * bent) * (t * half);
    return middle + bent * half;
}

/* Noisy soft rounding of values [start, stop) in units of `step`: symbols, and their derivatives by the values in these units. */
TARGET static void FN(noisy_round)(const float *values, float step, float *symbols, float *slopes, long start, long stop,
                                   float temperature, float deviation, unsigned seed) {
    const float t = 1 / temperature, half = 0.5f / FN(tanh)(FN(all)(0.5f * t))[0];
    vu lane;
    for (int j = 0; j < VL; j++) lane[j] = j;
    for (long i = start; i < stop; i += VL) {
        const int count = stop - i < VL ? stop - i : VL;
        vf slope = FN(all)(1);
        const vf once = FN(bend)(FN(load_some)(values + i, count) / step, t, half, &slope);
        const vf twice = FN(bend)(once + FN(noise)((unsigned)i + lane, seed) * deviation, t, half, &slope);
        FN(store_some)(symbols + i, twice, count);
        FN(store_some)(slopes + i, slope, count);
    }
}
