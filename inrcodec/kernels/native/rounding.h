/* Noisy soft rounding of values [start, stop): symbols, and their derivatives. */
TARGET static void FN(noisy_round)(const float *values, float *symbols, float *slopes, long start, long stop,
                                   float temperature, float deviation, unsigned seed) {
    const float t = 1 / temperature, half = 0.5f / FN(tanh)(FN(all)(0.5f * t))[0];
    for (long i = start; i < stop; i += VL) {
        float in[VL];
        const long n = stop - i < VL ? stop - i : VL;
        for (long j = 0; j < VL; j++) in[j] = j < n ? values[i + j] : 0;
        vu counter;
        for (int j = 0; j < VL; j++) counter[j] = (unsigned)(i + j);
        vf v = FN(load)(in);
        vf middle = FN(down)(v) + 0.5f;
        vf bent = FN(tanh)((v - middle) * t);
        vf slope = (1.0f - bent * bent) * (t * half);
        vf once = middle + bent * half + FN(noise)(counter, seed) * deviation;
        middle = FN(down)(once) + 0.5f;
        bent = FN(tanh)((once - middle) * t);
        slope *= (1.0f - bent * bent) * (t * half);
        vf twice = middle + bent * half;
        for (long j = 0; j < n; j++) symbols[i + j] = twice[j], slopes[i + j] = slope[j];
    }
}
