/* The loops of encoder and decoder that are too small for a tensor library: dozens of channels, millions of columns.
 *
 * Every loop works on tiles of TILE columns that stay in the cache, forward and backward together. The code is written
 * in the compiler's vectors and compiled once for each instruction set; `inrcodec_*` picks one when it is called.
 * What each function computes is defined by its PyTorch counterpart (inrcodec.kernels), and tests hold them equal.
 * No global state, no allocation: every thread brings its own buffers.
 */

#include "passes.h"

#define TILE 128
#define MAX_INPUTS 48
#define MAX_WIDTH 48
#define MAX_CHANNELS 4
#define MAX_NEAR 16
#define MAX_TAPS 16
#define MAX_HALF 5
#define MAX_ABOVE 8
#define SUMMARIES 6
#define BAND 16
#define KINDS 7
#define OTHER_INPUTS 14
#define SYMBOL_CLIP 64.0f
#define LOG2_SCALE_MIN -4.75f
#define LOG2_SCALE_MAX 7.0f

#define LN2 0.69314718f
#define LOG2E 1.44269504f

#define INLINE static inline __attribute__((always_inline)) TARGET
#define ALIGNED __attribute__((aligned(64)))
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define FN(name) JOIN(name, SUFFIX)

struct level {           /* a level's maps, already interpolated along x: (features, height, columns) */
    const float *map;
    float *gradient;     /* of the same shape, added to */
    const int *index;    /* (rows, taps): the map's rows that a row of the image depends on */
    const float *weight; /* (rows, taps) */
    const unsigned char *busy; /* (features, height, tiles of a row): whether anything of the map there is not zero; or null */
    int features, height, taps;
};

struct head {
    const struct level *levels;
    const float *parameters; /* entry (width + channels, features), its bias, of two hidden layers second (width, width), its bias,
                                last (channels, width) */
    const float *target;     /* (channels, rows, columns), or null */
    const float *weight;     /* (channels): of the squared errors, in the gradients only */
    float *values;           /* (channels, rows, columns), or null */
    void *samples;           /* (rows, columns, channels) of 8 bits, above a peak of 255 of 16, or null */
    float *gradient;         /* like parameters, added to */
    float *sums;             /* like parameters, times the lanes, zeroed */
    double *error;           /* (channels): sums of squared errors, added to */
    int level_count, features, width, layers, channels, rows, columns, peak;
    int every, first;        /* the tiles that matrices' gradients (not those of biases) are summed over: first, first + every, ... */
};

struct sines {
    const float *first, *second; /* (width, rank, rows), (width, rank, columns): features of two axes */
    const float *parameters;     /* of each layer its weights (width, width) and bias; last (channels, width) and its bias */
    const float *target;         /* (channels, rows, columns) */
    const float *weight;         /* (channels): of the squared errors, in the gradients only */
    const float *row_weight, *column_weight; /* (rows), (columns): of the squared errors */
    float *first_gradient, *second_gradient; /* like first and second, added to */
    float *gradient;             /* like parameters, added to; or null, where only errors are asked for */
    float *sums;                 /* like parameters, times the lanes, zeroed */
    float *work;                 /* as `inrcodec.kernels.sines` says */
    double *error;               /* (channels): sums of squared errors, added to */
    int width, rank, layers, channels, rows, columns;
};

struct filter {                  /* of the vertices of a level along one axis, as vertices.h says */
    const float *in, *taps;      /* (planes, height, width), (half + 1) */
    const float *gradient;       /* by the filtered vertices, like in; or null */
    float *out;                  /* like in: filtered; or, with a gradient, that by `in` */
    double *sums;                /* (half + 1): the gradient by the taps, added to */
    float *work;                 /* (width + 2 half) */
    const float *zeros;          /* (width) */
    int height, width, half, along_y;
};

struct plane {                   /* one channel of one level, in the padded buffer of all symbols */
    const float *bias;           /* (width + 2) */
    float *bias_sums;            /* (width + 2, lanes), zeroed */
    const unsigned char *tiles;  /* (tiles down, tiles across): whether symbols there are coded; null: all are */
    int base, stride, height, width; /* base: of its first sample in the split planes */
    int parent, parent_stride;   /* where the coarser level's plane starts in the plain planes, or -1 */
    int previous;                /* where the plane coded before in the same level starts in the split planes, or -1 */
    int tiles_across;
    const float *summaries;      /* (summaries, height and width of the coarser level), or null where there is none */
    float *summaries_gradient;   /* of the same shape, added to */
    int summary_size, summary_stride; /* floats from one to the next, and from row to row */
};

struct kind {                    /* of a pass: what its symbols know, and how they enter the network */
    const float *entry, *entry_transposed, *bias; /* (width + 2, inputs), its transpose, (width + 2) */
    float *entry_sums, *bias_sums;
    float weight[MAX_NEAR];      /* of the neighbors' magnitudes */
    int dy[MAX_NEAR], dx[MAX_NEAR];
    int near;
};

enum { OWN, PARENT, PREVIOUS }; /* what a symbol looks at */

struct context {
    const float *plain, *split;  /* padded planes; in the split ones, a row's even columns come before its odd ones */
    float *plain_gradient, *split_gradient; /* of the same size, added to; their sum is the gradient */
    const float *second, *second_transposed, *second_bias, *last, *last_transposed;
    float *second_sums, *second_bias_sums, *last_sums;
    double *bits;
    long *tiles_done;            /* counted up */
    struct kind kinds[KINDS];
    float ninths[9];             /* weights of the parent's 9 magnitudes */
    int width, nothing;          /* nothing: first of a row's worth of zeros, with margins */
    int wavefront;               /* whether symbols look at those above and to the left, or are interlaced */
    int summaries;               /* of all coarser levels, which symbols see in place of parent, previous channel and magnitudes */
    int part, parts;             /* this call's share of every pass */
    int every, first;            /* as in head */
};

struct summed {                  /* of a plane, what summaries are sums of: `above` coarser planes, the nearest first */
    const float *planes[MAX_ABOVE]; /* symbols; plane j has the one at (y >> j, x >> j) of the parent's place (y, x) */
    float *gradients[MAX_ABOVE]; /* likewise, added to; or null */
    const float *weights;        /* (SUMMARIES, stride) */
    float *summaries;            /* (SUMMARIES, height, width); or their gradients */
    float *work;                 /* as summaries.h says: (above, room), backward twice that, zeroed */
    float *sums;                 /* (above, SUMMARIES, lanes): the gradients by weights, added to */
    int widths[MAX_ABOVE];
    int above, stride, height, width, room;
};

struct adam {
    const float *gradient;
    float *values, *mean, *square;
    float keeps_mean, keeps_square, rate, root_factor, epsilon; /* step: rate mean / (root_factor sqrt(square) + epsilon) */
};

struct picture {                 /* samples that are made of luma and chroma */
    const float *matrix, *offset; /* (3, 3), (3) */
    void *samples;               /* of 8 bits, above a peak of 255 of 16 */
    long pixel, channel;         /* how far pixels, and a pixel's channels, are apart: 3 and 1, or 1 and a plane */
    float peak;
};

struct film {                    /* a frame of a film, as `inrcodec.kernels.warp` says */
    const float *reference[2];   /* (channels, height, width) each */
    long plane[2];               /* floats from one of a reference's channels to the next */
    const float *motion;         /* (fields, vertices, columns), interpolated along x: y, x; y, x of the second; weight of the first */
    const int *index;            /* (rows, taps): the vertices that a row depends on */
    const float *weight;         /* (rows, taps) */
    const float *y, *x;          /* (rows), (columns): in samples of the references */
    const struct head *own;      /* without hidden units: its values are added; or null */
    float *out;                  /* (channels, rows, columns), `out_plane` floats from one channel to the next; or null */
    long out_plane;
    const struct picture *picture; /* of the same values, or null */
    int *bands;                  /* how many bands of BAND rows are taken, by whatever thread */
    int references, channels, height, width, vertices, taps, rows, columns;
};

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
#define ANY_BIT(v) (!_mm256_testz_si256((__m256i)(v), (__m256i)(v)))
#define SUFFIX avx2
#define TARGET __attribute__((target("avx2,fma")))
#define VL 8
#include "loops.h"

#define MULTIPLY_PAIRS(a, b) _mm512_madd_epi16((__m512i)(a), (__m512i)(b))
#define LESSER(a, b) _mm512_min_ps((__m512)(a), (__m512)(b))
#define LARGER(a, b) _mm512_max_ps((__m512)(a), (__m512)(b))
#define ROOT(a) _mm512_sqrt_ps((__m512)(a))
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

/* What callers have to know alike (`inrcodec.kernels.native`): a library built before they changed would read and write elsewhere. */
void inrcodec_layout(long *layout) {
    const long own[] = {TILE, MAX_INPUTS, MAX_WIDTH, MAX_CHANNELS, MAX_TAPS, sizeof(struct level), sizeof(struct head)};
    __builtin_memcpy(layout, own, sizeof own);
}

void inrcodec_head(const struct head *h, int start, int stop) { PICK(head, h, start, stop); }

void inrcodec_sines(const struct sines *s, long start, long stop) { PICK(sines, s, start, stop); }

/* Rows of a map (rows, columns): which of their tiles hold anything but zeros, to busy (rows, tiles). */
void inrcodec_busy(const float *map, long rows, int columns, unsigned char *busy) { PICK(busy, map, rows, columns, busy); }

/* step: 0 for floats, else `in` are bytes in units of it. */
void inrcodec_interpolate(void *in, float step, float *out, long n, int w, int W, const int *index, const float *weight, int taps,
                          int backward, unsigned char *busy) {
    if (backward) PICK(interpolate_back, in, out, n, w, W, index, weight, taps);
    else PICK(interpolate_rows, in, step, out, n, w, W, index, weight, taps, busy);
}

/* Rows [start, stop) of all planes, one below the other. */
void inrcodec_filter(const struct filter *f, int start, int stop) { PICK(filter, f, start, stop); }

void inrcodec_noisy_round(const float *values, float *symbols, float *slopes, long start, long stop,
                          float temperature, float deviation, unsigned seed) {
    PICK(noisy_round, values, symbols, slopes, start, stop, temperature, deviation, seed);
}

void inrcodec_adam(const struct adam *a, long start, long stop) { PICK(adam, a, start, stop); }

/* Rows [start, stop) of the summaries of a plane; backward from them. */
void inrcodec_summaries(const struct summed *s, int start, int stop, int backward) {
    if (backward) PICK(summaries_back, s, start, stop);
    else PICK(summaries, s, start, stop);
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
