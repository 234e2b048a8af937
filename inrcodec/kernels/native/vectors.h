/* Vectors of VL floats and what is missing for them: exp2, log2, noise. Included once for each instruction set. */

typedef float FN(vf) __attribute__((vector_size(4 * VL)));
typedef int FN(vi) __attribute__((vector_size(4 * VL)));
typedef unsigned FN(vu) __attribute__((vector_size(4 * VL)));
#define vf FN(vf)
#define vi FN(vi)
#define vu FN(vu)

INLINE vf FN(load)(const float *at) { vf v; __builtin_memcpy(&v, at, sizeof v); return v; }
INLINE void FN(store)(float *at, vf v) { __builtin_memcpy(at, &v, sizeof v); }
INLINE vf FN(all)(float value) { return value - (vf){}; } /* not +, which a compiler may not leave out */
INLINE vi FN(load_ints)(const int *at) { vi v; __builtin_memcpy(&v, at, sizeof v); return v; }
INLINE void FN(store_ints)(int *at, vi v) { __builtin_memcpy(at, &v, sizeof v); }
INLINE vf FN(pick)(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }
#ifdef LESSER
INLINE vf FN(lesser)(vf a, vf b) { return (vf)LESSER(a, b); }
INLINE vf FN(larger)(vf a, vf b) { return (vf)LARGER(a, b); }
#else
INLINE vf FN(lesser)(vf a, vf b) { return FN(pick)(a < b, a, b); }
INLINE vf FN(larger)(vf a, vf b) { return FN(pick)(a > b, a, b); }
#endif
#ifdef ROOT
INLINE vf FN(root)(vf v) { return (vf)ROOT(v); }
#else
INLINE vf FN(root)(vf v) { for (int i = 0; i < VL; i++) v[i] = __builtin_sqrtf(v[i]); return v; }
#endif
INLINE vf FN(within)(vf v, float low, float high) { return FN(lesser)(FN(larger)(v, FN(all)(low)), FN(all)(high)); }
INLINE vf FN(magnitude)(vf a) { return (vf)((vi)a & 0x7fffffff); }
INLINE vf FN(with_sign)(vf size, vf sign) { return (vf)(((vi)size & 0x7fffffff) | ((vi)sign & (int)0x80000000)); }
INLINE float FN(sum)(vf v) { float total = 0; for (int i = 0; i < VL; i++) total += v[i]; return total; }

/* The nearest of 0 ... count - 1. */
INLINE int FN(inside)(int at, int count) { return at < 0 ? 0 : at < count ? at : count - 1; }

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

/* Whether any bit is set. */
INLINE int FN(holds)(vi bits) {
#ifdef ANY_BIT
    return ANY_BIT(bits);
#else
    unsigned long parts[sizeof bits / sizeof(long)], found = 0;
    __builtin_memcpy(parts, &bits, sizeof bits);
    for (int i = 0; i < (int)(sizeof parts / sizeof *parts); i++) found |= parts[i];
    return found != 0;
#endif
}

/* Whether any of `count` floats is not zero. */
INLINE int FN(any)(const float *at, int count) {
    for (; count >= VL; at += VL, count -= VL)
        if (FN(holds)((vi)FN(load)(at) & 0x7fffffff)) return 1;
    for (; count > 0; at++, count--)
        if (*at != 0) return 1;
    return 0;
}

/* floor for |v| < 2^22 */
INLINE vf FN(down)(vf v) {
    const vf magic = FN(all)(12582912.0f);
    vf nearest = (v + magic) - magic;
    return nearest - FN(pick)(nearest > v, FN(all)(1.0f), FN(all)(0.0f));
}

/* 2^v, relative error below 3e-7; v is clamped to [-126, 126] */
INLINE vf FN(exp2)(vf v) {
    v = FN(larger)(FN(lesser)(v, FN(all)(126.0f)), FN(all)(-126.0f));
    const vf magic = FN(all)(12582912.0f);
    vf shifted = v + magic;
    vf f = v - (shifted - magic);
    vf p = FN(all)(1.5353362e-4f);
    p = p * f + 1.3398874e-3f;
    p = p * f + 9.6184373e-3f;
    p = p * f + 5.5503324e-2f;
    p = p * f + 2.4022648e-1f;
    p = p * f + 6.9314720e-1f;
    p = p * f + 1.0f;
    return (vf)((vi)p + ((vi)shifted << 23));
}

/* log2 of v > 0, absolute error below 2e-7 + relative rounding */
INLINE vf FN(log2)(vf v) {
    vi bits = (vi)v;
    vi exponent = (bits - 0x3f3504f3) >> 23;
    vf m = (vf)(bits - (exponent << 23)) - 1.0f; /* in [sqrt(1/2) - 1, sqrt(2) - 1] */
    vf z = m * m;
    vf p = FN(all)(7.0376836292e-2f);
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    vf natural = m + (p * m * z - 0.5f * z);
    return natural * 1.44269504f + __builtin_convertvector(exponent, vf);
}

/* tanh(v) */
INLINE vf FN(tanh)(vf v) {
    vf e = FN(exp2)(FN(lesser)(FN(magnitude)(v) * -2.88539008f, FN(all)(0.0f)));
    return FN(with_sign)((1.0f - e) / (1.0f + e), v);
}

/* Well-mixed 32 bits of a counter (C. Wellons, "lowbias32"). */
INLINE vu FN(mixed)(vu x) {
    x ^= x >> 16; x *= 0x7feb352du; x ^= x >> 15; x *= 0x846ca68bu; x ^= x >> 16;
    return x;
}

/* Mean 0, variance 1: the sum of four uniform variables, 16 random bits each. */
INLINE vf FN(noise)(vu counter, unsigned seed) {
    vu a = FN(mixed)(counter * 2u + seed), b = FN(mixed)(counter * 2u + 1u + seed);
    vu total = (a & 0xffffu) + (a >> 16) + (b & 0xffffu) + (b >> 16);
    return (__builtin_convertvector((vi)total, vf) - 131070.0f) * (1.7320508f / 65536.0f);
}

TARGET static int FN(lanes)(void) { return VL; }
