/* Predictions of a pyramid's symbols by the exact network of inrcodec.entropy.planes: products of 16-bit numbers, added in
 * pairs to sums of 32 bits. Two rows of 16 bits that are multiplied together lie in one row of 32 bits: the first one low. */

#ifndef INRCODEC_PREDICTION
#define INRCODEC_PREDICTION
#include "passes.h"
#define UNIT_BITS 6 /* of weights; activations have 5 */
#define ACTIVATION_LIMIT 2047
#define SCALE_ZERO 19 /* as in inrcodec.entropy.tables */
#define SCALES 48
#define COARSEST 4 /* grade, as in inrcodec.entropy.graded */
#define SIGNED_OTHERS 10 /* the parent's 9 and the previous channel's symbol, beside the neighbors */
#define LOGS 4
#define MAX_ROWS (MAX_NEAR + SIGNED_OTHERS + LOGS)
#define MAX_EXACT_WIDTH 32 /* at least MAX_ROWS: inputs and activations lie in the same place */
#define HALF(count) (((count) + 1) / 2)
#endif

typedef short FN(vs) __attribute__((vector_size(4 * VL)));
typedef short FN(half) __attribute__((vector_size(2 * VL)));
typedef unsigned short FN(unsigned_half) __attribute__((vector_size(2 * VL)));
#define vs FN(vs)

INLINE vs FN(load_shorts)(const short *at) { vs v; __builtin_memcpy(&v, at, sizeof v); return v; }
INLINE void FN(store_shorts)(short *at, vs v) { __builtin_memcpy(at, &v, sizeof v); }
INLINE vs FN(size_of)(vs v) { vs sign = v < 0; return (v ^ sign) - sign; }
INLINE vi FN(clamped)(vi v, int low, int high) {
    vi mask = v < high;
    v = (v & mask) | (high & ~mask);
    mask = v > low;
    return (v & mask) | (low & ~mask);
}

/* Sums of the products of both halves. */
INLINE vi FN(multiply_pairs)(vi a, vi b) {
#ifdef MULTIPLY_PAIRS
    return (vi)MULTIPLY_PAIRS(a, b);
#else
    return (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

/* Rows of 16 bits of X (count, TILE) in pairs. */
INLINE void FN(pair_rows)(int columns, int count, const short *X, int *pairs) {
    for (int i = 0; i < count; i += 2, X += 2 * TILE, pairs += TILE)
        for (int n = 0; n < columns; n += VL) {
            FN(unsigned_half) low;
            FN(half) high = {0};
            __builtin_memcpy(&low, X + n, sizeof low);
            if (i + 1 < count) __builtin_memcpy(&high, X + TILE + n, sizeof high);
            FN(store_ints)(pairs + n, __builtin_convertvector(low, vi) | __builtin_convertvector(high, vi) << 16);
        }
}

/* Sums of M (count, TILE) as activations in pairs. */
INLINE void FN(activate)(int columns, int count, const int *sums, int *pairs) {
    for (int i = 0; i < count; i += 2, sums += 2 * TILE, pairs += TILE)
        for (int n = 0; n < columns; n += VL) {
            vi low = FN(clamped)(FN(load_ints)(sums + n) >> UNIT_BITS, 0, ACTIVATION_LIMIT), high = {0};
            if (i + 1 < count) high = FN(clamped)(FN(load_ints)(sums + TILE + n) >> UNIT_BITS, 0, ACTIVATION_LIMIT);
            FN(store_ints)(pairs + n, low | high << 16);
        }
}

/* Rows [m, m + B) of the sums Y (M, TILE) = bias + W (M, K) X (K, TILE), W and X being pairs; B is a constant of at most 6. */
INLINE void FN(rows_of_sums)(int columns, const int B, int m, int K, const int *W, const int *X, const int *bias, int *Y) {
    for (int n = 0; n < columns; n += 2 * VL) {
        vi low[6], high[6];
#pragma GCC unroll 6
        for (int i = 0; i < B; i++) low[i] = high[i] = (vi){0} + (bias ? bias[m + i] : 0);
        for (int k = 0; k < K; k++) {
            vi x0 = FN(load_ints)(X + k * TILE + n), x1 = FN(load_ints)(X + k * TILE + n + VL);
#pragma GCC unroll 6
            for (int i = 0; i < B; i++) {
                vi w = (vi){0} + W[(m + i) * K + k];
                low[i] += FN(multiply_pairs)(x0, w);
                high[i] += FN(multiply_pairs)(x1, w);
            }
        }
#pragma GCC unroll 6
        for (int i = 0; i < B; i++) {
            FN(store_ints)(Y + (m + i) * TILE + n, low[i]);
            FN(store_ints)(Y + (m + i) * TILE + n + VL, high[i]);
        }
    }
}

INLINE void FN(sums)(int columns, int M, int K, const int *W, const int *X, const int *bias, int *Y) {
    int m = 0;
    for (; m + 6 <= M; m += 6) FN(rows_of_sums)(columns, 6, m, K, W, X, bias, Y);
    for (; m + 2 <= M; m += 2) FN(rows_of_sums)(columns, 2, m, K, W, X, bias, Y);
    if (m < M) FN(rows_of_sums)(columns, 1, m, K, W, X, bias, Y);
}

/* out = logarithms of weighted magnitudes of `count` rows of X. */
INLINE void FN(table_logarithm)(int columns, int count, const short *X, const short *weight, const unsigned char *logs,
                                short *out) {
    for (int n = 0; n < columns; n += 2 * VL) {
        vs total = {0};
        for (int i = 0; i < count; i++) total += weight[i] * FN(size_of)(FN(load_shorts)(X + i * TILE + n));
        FN(store_shorts)(out + n, total);
    }
    for (int n = 0; n < columns; n++) out[n] = logs[out[n]];
}

/* `choose` of inrcodec.entropy.graded, of sums. */
INLINE void FN(choose)(int columns, const int *mean, const int *log2_scale, int *whole, int *table) {
    const int limit = ACTIVATION_LIMIT;
    for (int n = 0; n < columns; n += VL) {
        vi scale = (FN(clamped)(FN(load_ints)(log2_scale + n) >> UNIT_BITS, -limit, limit) + 4) >> 3;
        vi index = FN(clamped)(scale + SCALE_ZERO, 0, SCALES - 1), grade = FN(clamped)(index >> 3, 0, COARSEST);
        vi bits = COARSEST - grade, half = ((vi){0} + (1 << COARSEST >> 1)) >> grade; /* of 2^bits parts of a symbol */
        vi parts = (FN(clamped)(FN(load_ints)(mean + n) >> UNIT_BITS, -limit, limit) + (((vi){0} + 1) << grade)) >> (grade + 1);
        vi nearest = (parts + half) >> bits, first = 256 - (((vi){0} + 256) >> grade);
        FN(store_ints)(whole + n, nearest);
        FN(store_ints)(table + n, first + ((index - 8 * grade) << bits) + parts - (nearest << bits) + half);
    }
}

/* From the symbols in a tile's first rows of X to the predictions of its first `count` columns; the logarithms' rows come
 * last. Columns up to a multiple of two vectors are looked at. */
TARGET static void FN(evaluate)(const struct prediction *p, int count, short *X, int *whole, int *table) {
    const int columns = (count + 2 * VL - 1) / (2 * VL) * (2 * VL);
    const int M = p->width, near = p->near, S = near + SIGNED_OTHERS;
    const int parent = near, middle = parent + 4, previous = parent + 9;
    int pairs[HALF(MAX_EXACT_WIDTH) * TILE] ALIGNED, sums[(MAX_EXACT_WIDTH + 2) * TILE] ALIGNED, last[2 * TILE] ALIGNED;
    int second[MAX_EXACT_WIDTH * TILE] ALIGNED;
    const int *const linear = sums + M * TILE;
    short *const log = X + S * TILE;
    FN(table_logarithm)(columns, near, X, p->weights, p->logs, log);
    FN(table_logarithm)(columns, 1, X + middle * TILE, p->weights + S + middle, p->logs, log + TILE);
    FN(table_logarithm)(columns, 9, X + parent * TILE, p->weights + 2 * S + parent, p->logs, log + 2 * TILE);
    FN(table_logarithm)(columns, 1, X + previous * TILE, p->weights + 3 * S + previous, p->logs, log + 3 * TILE);
    FN(pair_rows)(columns, S + LOGS, X, pairs);
    FN(sums)(columns, M + 2, HALF(S + LOGS), p->entry, pairs, p->bias, sums);
    FN(activate)(columns, M, sums, pairs);
    FN(sums)(columns, M, HALF(M), p->second, pairs, p->second_bias, second);
    FN(activate)(columns, M, second, pairs);
    FN(sums)(columns, 2, HALF(M), p->last, pairs, 0, last);
    for (int row = 0; row < 2 * TILE; row += TILE)
        for (int n = row; n < row + columns; n += VL)
            FN(store_ints)(last + n, FN(load_ints)(last + n) + FN(load_ints)(linear + n));
    FN(choose)(columns, last, last + TILE, whole, table);
}

/* VL symbols, `spacing` apart. */
INLINE FN(half) FN(spaced)(const short *from, int spacing) {
    FN(half) v;
    if (spacing == 1) __builtin_memcpy(&v, from, sizeof v);
    else if (spacing == 2) v = __builtin_convertvector(FN(load_ints)((const int *)from) << 16 >> 16, FN(half));
    else
        for (int n = 0; n < VL; n++) v[n] = from[n * spacing];
    return v;
}

/* VL symbols of a pass side by side: where they and what they look at lie, and where their predictions go. */
struct FN(block) {
    int at[3]; /* own and the previous channel's place in split planes, the parent's in plain ones */
    int count; /* fewer at the end of a row */
    long to;
};

/* What a block looks at, to a tile's columns X; whether any of it is not zero. */
INLINE int FN(look)(const struct prediction *p, const struct FN(block) *b, const int *offsets, short *X) {
    const int spacing = p->step / 2;
    FN(half) any = {0};
    unsigned long parts[sizeof any / sizeof(long)], found = 0;
    for (int i = 0; i < p->near + SIGNED_OTHERS; i++) {
        const int plane = i < p->near ? OWN : i < p->near + 9 ? PARENT : PREVIOUS;
        FN(half) v = FN(spaced)((plane == PARENT ? p->plain : p->split) + b->at[plane] + offsets[i], spacing);
        __builtin_memcpy(X + i * TILE, &v, sizeof v);
        any |= v;
    }
    __builtin_memcpy(parts, &any, sizeof any);
    for (int i = 0; i < (int)(sizeof parts / sizeof *parts); i++) found |= parts[i];
    return found != 0;
}

INLINE void FN(tell)(const struct prediction *p, const struct FN(block) *b, const int *whole, const int *table) {
    for (int n = 0; n < b->count; n++) p->whole[b->to + n] = whole[n], p->table[b->to + n] = (unsigned char)table[n];
}

/* Predictions of the blocks in a tile's columns X. */
INLINE void FN(tell_all)(const struct prediction *p, const struct FN(block) *blocks, int count, short *X) {
    int whole[TILE], table[TILE];
    if (count) FN(evaluate)(p, count * VL, X, whole, table);
    for (int i = 0; i < count; i++) FN(tell)(p, blocks + i, whole + i * VL, table + i * VL);
}

/* Coded symbols of rows [start, stop) of a pass. Blocks that see nothing but zeros, most of them at low rates, share one
 * prediction. */
TARGET static void FN(predict)(const struct prediction *p, int start, int stop) {
    short X[MAX_ROWS * TILE] ALIGNED = {0};
    int unseen_whole[TILE], unseen_table[TILE], offsets[MAX_NEAR + SIGNED_OTHERS];
    struct FN(block) blocks[VECTORS];
    int filled = 0, near = p->near;
    long to = coded_before(p, start);
    for (int i = 0; i < near; i++) {
        const int dy = p->offsets[2 * i] * p->distance, dx = p->offsets[2 * i + 1] * p->distance;
        offsets[i] = FN(split_offset)(dy, dx, p->first_x % 2, p->stride);
    }
    for (int i = 0; i < 9; i++) offsets[near + i] = (i / 3 - 1) * p->parent_stride + i % 3 - 1;
    offsets[near + 9] = 0;
    FN(evaluate)(p, 1, X, unseen_whole, unseen_table);
    for (int r = start; r < stop; r++)
        for (int done = 0, end; (end = next_span(p, r, &done)) > done; done = end)
            for (; done < end; done += VL) {
                const int y = p->first_y + r * p->step, x = p->first_x + done * p->step, left = end - done;
                const int own = y * p->stride + x / 2 + x % 2 * (p->stride / 2);
                struct FN(block) *b = blocks + filled;
                b->at[OWN] = p->base + own;
                b->at[PARENT] = p->parent < 0 ? p->nothing : p->parent + y / 2 * p->parent_stride + x / 2;
                b->at[PREVIOUS] = p->previous < 0 ? p->nothing : p->previous + own;
                b->count = left < VL ? left : VL;
                b->to = to;
                to += b->count;
                if (!FN(look)(p, b, offsets, X + filled * VL)) FN(tell)(p, b, unseen_whole, unseen_table);
                else if (++filled == VECTORS) {
                    FN(tell_all)(p, blocks, filled, X);
                    filled = 0;
                }
            }
    FN(tell_all)(p, blocks, filled, X);
}

/* Symbols of one kind of a diagonal: what they look at, by columns, and which of the diagonal's coded symbols they are. */
struct FN(gathered) {
    short X[MAX_ROWS * TILE] ALIGNED;
    int which[TILE], count;
};

INLINE unsigned long long FN(four)(const short *at) {
    unsigned long long v;
    __builtin_memcpy(&v, at, sizeof v);
    return v;
}

/* What the symbol at (y, x) looks at, to the next column, unless all of it is zero: then 0. All neighbors of WAVEFRONT, the
 * parent's 9 and few others are looked through four at a time first. */
INLINE int FN(look_at)(const struct prediction *p, const int *offsets, int y, int x, struct FN(gathered) *g) {
    const int stride = p->stride, above = p->parent_stride;
    const short *own = p->plain + p->plain_base + y * stride + x;
    const short *parent = p->plain + (p->parent < 0 ? p->nothing : p->parent + y / 2 * above + x / 2);
    const short previous = p->plain[p->previous < 0 ? p->nothing : p->previous + y * stride + x];
    unsigned long long any = FN(four)(own - 4) | FN(four)(own - stride - 2) | FN(four)(own - stride - 1);
    any |= FN(four)(own - 2 * stride - 2) | FN(four)(own - 2 * stride - 1) | (unsigned short)own[-3 * stride];
    any |= FN(four)(parent - above - 1) | FN(four)(parent - 1) | FN(four)(parent + above - 1) | (unsigned short)previous;
    if (!any) return 0;
    short *to = g->X + g->count;
    int i = 0;
    for (; i < p->near; i++) to[i * TILE] = own[offsets[i]];
    for (; i < p->near + 9; i++) to[i * TILE] = parent[offsets[i]];
    to[i * TILE] = previous;
    return 1;
}

INLINE void FN(tell_gathered)(const struct prediction *p, struct FN(gathered) *g, int *whole, unsigned char *table) {
    int found[TILE], number[TILE];
    if (!g->count) return;
    for (int i = 0; i < p->near + SIGNED_OTHERS; i++) /* what fills up the last vectors */
        for (int n = g->count; n % (2 * VL); n++) g->X[i * TILE + n] = 0;
    FN(evaluate)(p, g->count, g->X, found, number);
    for (int i = 0; i < g->count; i++) whole[g->which[i]] = found[i], table[g->which[i]] = (unsigned char)number[i];
    g->count = 0;
}

/* The coded symbols of a diagonal, from the top. Kinds: by the parity of y, then of x, of which a diagonal has one for each
 * parity of y. Returns how many there are. */
TARGET static long FN(predict_diagonal)(const struct prediction *kinds, int diagonal, const struct unseen *unseen, int *whole,
                                        unsigned char *table) {
    const struct prediction *p = kinds;
    struct FN(gathered) of_parity[2];
    int offsets[MAX_NEAR + 9];
    long count = 0;
    of_parity[0].count = of_parity[1].count = 0;
    for (int i = 0; i < p->near; i++) offsets[i] = p->offsets[2 * i] * p->stride + p->offsets[2 * i + 1];
    for (int i = 0; i < 9; i++) offsets[p->near + i] = (i / 3 - 1) * p->parent_stride + i % 3 - 1;
    for (int y = next_on_diagonal(p, diagonal, 0); y < p->rows; y = next_on_diagonal(p, diagonal, y + 1), count++) {
        const int x = diagonal - SLOPE * y, kind = y % 2 * 2 + x % 2;
        struct FN(gathered) *g = of_parity + y % 2;
        if (!FN(look_at)(p, offsets, y, x, g)) whole[count] = unseen->whole[kind], table[count] = (unsigned char)unseen->table[kind];
        else {
            g->which[g->count++] = (int)count;
            if (g->count == TILE) FN(tell_gathered)(kinds + kind, g, whole, table);
        }
    }
    for (int y = 0; y < 2; y++) FN(tell_gathered)(kinds + 2 * y + (diagonal + y) % 2, of_parity + y, whole, table);
    return count;
}

TARGET static void FN(predict_unseen)(const struct prediction *kinds, struct unseen *unseen) {
    for (int kind = 0; kind < 4; kind++) {
        short X[MAX_ROWS * TILE] ALIGNED = {0};
        int whole[TILE], table[TILE];
        FN(evaluate)(kinds + kind, 1, X, whole, table);
        unseen->whole[kind] = whole[0], unseen->table[kind] = table[0];
    }
}
#undef vs
