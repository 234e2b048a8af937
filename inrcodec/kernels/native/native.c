/* The loops of encoder and decoder that are too small for a tensor library: dozens of channels, millions of columns.
 *
 * Every loop works on tiles of TILE columns that stay in the cache, forward and backward together. The code is written
 * in the compiler's vectors and compiled once for each instruction set; `inrcodec_*` picks one when it is called.
 * What each function computes is defined by its PyTorch counterpart (inrcodec.kernels), and tests hold them equal.
 * No global state, no allocation: every thread brings its own buffers.
 */

#include "passes.h"
#include "structures.h"

#define LN2 0.69314718f
#define LOG2E 1.44269504f

#define INLINE static inline __attribute__((always_inline)) TARGET
#define ALIGNED __attribute__((aligned(64)))
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define FN(name) JOIN(name, SUFFIX)

#if defined(__x86_64__)
#include <immintrin.h>
#define MULTIPLY_PAIRS(a, b) _mm_madd_epi16((__m128i)(a), (__m128i)(b))
#define LESSER(a, b) _mm_min_ps((__m128)(a), (__m128)(b))
#define LARGER(a, b) _mm_max_ps((__m128)(a), (__m128)(b))
#define ROOT(a) _mm_sqrt_ps((__m128)(a))
#endif
#define SUFFIX base
#define TARGET
#define VL 4
#include "loops.h"

#if defined(__x86_64__)
#define MULTIPLY_PAIRS(a, b) _mm256_madd_epi16((__m256i)(a), (__m256i)(b))
#define LESSER(a, b) _mm256_min_ps((__m256)(a), (__m256)(b))
#define LARGER(a, b) _mm256_max_ps((__m256)(a), (__m256)(b))
#define ROOT(a) _mm256_sqrt_ps((__m256)(a))
#define FROM_BYTES(at) _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(at))))
#define ANY_BIT(v) (!_mm256_testz_si256((__m256i)(v), (__m256i)(v)))
#define SUFFIX avx2
#define TARGET __attribute__((target("avx2,fma")))
#define VL 8
#include "loops.h"

#define MULTIPLY_PAIRS(a, b) _mm512_madd_epi16((__m512i)(a), (__m512i)(b))
#define LESSER(a, b) _mm512_min_ps((__m512)(a), (__m512)(b))
#define LARGER(a, b) _mm512_max_ps((__m512)(a), (__m512)(b))
#define ROOT(a) _mm512_sqrt_ps((__m512)(a))
#define FROM_BYTES(at) _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(at))))
#define ANY_BIT(v) (_mm512_test_epi32_mask((__m512i)(v), (__m512i)(v)) != 0)
#define SUFFIX avx512
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma")))
#define VL 16
#include "loops.h"

#define PICK(name, ...) \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") ? name##_avx512(__VA_ARGS__) \
     : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? name##_avx2(__VA_ARGS__) : name##_base(__VA_ARGS__))
#else
#define PICK(name, ...) name##_base(__VA_ARGS__)
#endif

/* Partial sums that a gradient is kept as. */
int inrcodec_lanes(void) { return PICK(lanes); }

void inrcodec_head(const struct head *h, int start, int stop) { PICK(head, h, start, stop); }

void inrcodec_sines(const struct sines *s, long start, long stop) { PICK(sines, s, start, stop); }

/* Rows of a map (rows, columns): which of their tiles hold anything but zeros, to busy (rows, tiles). */
void inrcodec_busy(const float *map, long rows, int columns, unsigned char *busy) { PICK(busy, map, rows, columns, busy); }

/* step: 0 for floats, else `in` are bytes in units of it. */
void inrcodec_interpolate(const void *in, float step, float *out, long n, int w, int W, const int *index, const float *weight,
                          int taps, unsigned char *busy) {
    PICK(interpolate, in, step, out, n, w, W, index, weight, taps, busy);
}

void inrcodec_filter(const struct filter *levels, int count) { PICK(filter, levels, count); }

void inrcodec_noisy_round(const float *values, float step, float *symbols, float *slopes, long start, long stop,
                          float temperature, float deviation, unsigned seed) {
    PICK(noisy_round, values, step, symbols, slopes, start, stop, temperature, deviation, seed);
}

void inrcodec_adam(const struct adam *a, long start, long stop) { PICK(adam, a, start, stop); }

/* looks: whether the bases are renewed. */
void inrcodec_rotated(const struct rotated *r, int looks) { PICK(rotated, r, looks); }

/* Rows [start, stop) of the summaries of a plane; backward from them. */
void inrcodec_summaries(const struct summed *s, int start, int stop, int backward) {
    if (backward) PICK(summaries_back, s, start, stop);
    else PICK(summaries, s, start, stop);
}

/* A plane's columns, even ones and odd ones apart; or joined again. */
void inrcodec_columns(float *plane, int height, int width, float *apart, int stride, int joins) {
    if (joins) PICK(join_columns, plane, height, width, apart, stride);
    else PICK(split_columns, plane, height, width, apart, stride);
}

void inrcodec_context(const struct context *c, const struct plane *planes, int count) { PICK(context, c, planes, count); }

void inrcodec_predict(const struct prediction *p, int start, int stop) { PICK(predict, p, start, stop); }

void inrcodec_predict_unseen(const struct diagonals *s, struct unseen *unseen) { PICK(predict_unseen, s, unseen); }

int inrcodec_predict_diagonal(const struct diagonals *s, int diagonal, const struct unseen *unseen, int *whole,
                              unsigned char *table) {
    return PICK(predict_diagonal, s, diagonal, unseen, whole, table);
}

void inrcodec_warp(const float *reference, int height, int width, const float *y, const float *x, float *values, float *by_y,
                   float *by_x, long start, long stop) {
    PICK(warp, reference, height, width, y, x, values, by_y, by_x, start, stop);
}

void inrcodec_film(const struct film *f) { PICK(film, f); }

void inrcodec_rgb(const float *values, long plane, const struct picture *to, long start, long stop) {
    PICK(rgb, values, plane, to, start, stop);
}

void inrcodec_subsampled(const float *values, long plane, int height, int width, float peak, void *out, int wide, int start,
                         int stop) {
    PICK(subsampled, values, plane, height, width, peak, out, wide, start, stop);
}
