/* Predictions of a pyramid's symbols by the exact network of inrcodec.entropy.planes_network: products of 16-bit numbers, added in
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
#define MAX_PARENTS 9
#define MAX_ROWS (MAX_NEAR + SIGNED_OTHERS + LOGS)
#define MAX_EXACT_WIDTH 32
#define HALF(count) (((count) + 1) / 2)

struct sights {                  /* what the symbols of a diagonal look at: where that of row 0 lies, or would lie */
    const short *near[MAX_NEAR], *previous;
    const short *parent[2][MAX_PARENTS]; /* of even and of odd rows, whose parents lie on two diagonals, one for each two rows */
    int parents;                 /* samples of the parent, or summaries, which have its places */
};
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

/* VL numbers of 16 bits each, in pairs: the first ones low. */
INLINE vi FN(paired)(const short *first, const short *second) {
    FN(unsigned_half) low;
    FN(half) high;
    __builtin_memcpy(&low, first, sizeof low);
    __builtin_memcpy(&high, second, sizeof high);
    return __builtin_convertvector(low, vi) | __builtin_convertvector(high, vi) << 16;
}

/* Rows of 16 bits of X (count, TILE) in pairs. */
INLINE void FN(pair_rows)(int columns, int count, const short *X, int *pairs) {
    const short nothing[VL] = {0};
    for (int i = 0; i < count; i += 2, X += 2 * TILE, pairs += TILE)
        for (int n = 0; n < columns; n += VL)
            FN(store_ints)(pairs + n, FN(paired)(X + n, i + 1 < count ? X + TILE + n : nothing));
}

INLINE vi FN(activated)(vi sum) { return FN(clamped)(sum >> UNIT_BITS, 0, ACTIVATION_LIMIT); }

/* Rows [m, m + B) of the sums bias + W X of pairs, W (…, K) and X (K, stride), to Y: rows of `stride`; where `active`, as
 * activations in pairs (m is even). B is a constant of at most 6. Every other vector of columns takes V and its own bias. */
INLINE void FN(rows_of_sums)(int columns, int stride, const int B, const int active, int m, int K, const int *W, const int *V,
                             const int *X, const int *bias, const int *bias_of_V, int *Y) {
    for (int n = 0; n < columns; n += 2 * VL) {
        vi low[6], high[6];
#pragma GCC unroll 6
        for (int i = 0; i < B; i++) low[i] = (vi){0} + (bias ? bias[m + i] : 0), high[i] = (vi){0} + (bias ? bias_of_V[m + i] : 0);
        for (int k = 0; k < K; k++) {
            vi x0 = FN(load_ints)(X + k * stride + n), x1 = FN(load_ints)(X + k * stride + n + VL);
#pragma GCC unroll 6
            for (int i = 0; i < B; i++) {
                low[i] += FN(multiply_pairs)(x0, (vi){0} + W[(m + i) * K + k]);
                high[i] += FN(multiply_pairs)(x1, (vi){0} + V[(m + i) * K + k]);
            }
        }
#pragma GCC unroll 6
        for (int i = 0; i < B; i += active ? 2 : 1) {
            int *const to = Y + (active ? (m + i) / 2 : m + i) * stride + n;
            if (active) low[i] = FN(activated)(low[i]), high[i] = FN(activated)(high[i]);
            if (active && i + 1 < B) {
                low[i] |= FN(activated)(low[i + 1]) << 16;
                high[i] |= FN(activated)(high[i + 1]) << 16;
            }
            FN(store_ints)(to, low[i]);
            FN(store_ints)(to + VL, high[i]);
        }
    }
}

/* Activations, in pairs, of all M rows. */
INLINE void FN(layer_of_pairs)(int columns, int stride, int M, int K, const int *W, const int *V, const int *X, const int *bias,
                               const int *bias_of_V, int *pairs) {
    int m = 0;
    for (; m + 6 <= M; m += 6) FN(rows_of_sums)(columns, stride, 6, 1, m, K, W, V, X, bias, bias_of_V, pairs);
    for (; m + 2 <= M; m += 2) FN(rows_of_sums)(columns, stride, 2, 1, m, K, W, V, X, bias, bias_of_V, pairs);
    if (m < M) FN(rows_of_sums)(columns, stride, 1, 1, m, K, W, V, X, bias, bias_of_V, pairs);
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

/* From inputs in pairs (inputs / 2, stride) to whole parts of means and numbers of tables. Every other vector of columns is of
 * kind q, the others of p; both kinds are of the same plane. */
INLINE void FN(through_network)(int columns, int stride, const struct network *p, const struct network *q, const int *pairs,
                                int *whole, int *table) {
    const int M = p->width, K = HALF(p->inputs);
    int first[HALF(MAX_EXACT_WIDTH) * TILE] ALIGNED, second[HALF(MAX_EXACT_WIDTH) * TILE] ALIGNED;
    int linear[2 * TILE] ALIGNED, last[2 * TILE] ALIGNED;
    FN(layer_of_pairs)(columns, stride, M, K, p->entry, q->entry, pairs, p->bias, q->bias, first);
    FN(rows_of_sums)(columns, stride, 2, 0, 0, K, p->entry + M * K, q->entry + M * K, pairs, p->bias + M, q->bias + M, linear);
    FN(layer_of_pairs)(columns, stride, M, HALF(M), p->second, p->second, first, p->second_bias, p->second_bias, second);
    FN(rows_of_sums)(columns, stride, 2, 0, 0, HALF(M), p->last, p->last, second, 0, 0, last);
    for (int row = 0; row < 2; row++)
        for (int n = row * stride; n < row * stride + columns; n += VL)
            FN(store_ints)(last + n, FN(load_ints)(last + n) + FN(load_ints)(linear + n));
    FN(choose)(columns, last, last + stride, whole, table);
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

/* From the symbols in a tile's first rows of X to the predictions of its first `count` columns; the logarithms' rows come
 * last. Columns up to a multiple of two vectors are looked at. */
TARGET static void FN(evaluate)(const struct network *p, int count, short *X, int *whole, int *table) {
    const int columns = (count + 2 * VL - 1) / (2 * VL) * (2 * VL);
    const int near = p->near, S = near + SIGNED_OTHERS;
    const int parent = near, middle = parent + 4, previous = parent + 9;
    int pairs[HALF(MAX_ROWS) * TILE] ALIGNED;
    short *const log = X + S * TILE;
    FN(table_logarithm)(columns, near, X, p->weights, p->logs, log);
    FN(table_logarithm)(columns, 1, X + middle * TILE, p->weights + S + middle, p->logs, log + TILE);
    FN(table_logarithm)(columns, 9, X + parent * TILE, p->weights + 2 * S + parent, p->logs, log + 2 * TILE);
    FN(table_logarithm)(columns, 1, X + previous * TILE, p->weights + 3 * S + previous, p->logs, log + 3 * TILE);
    FN(pair_rows)(columns, S + LOGS, X, pairs);
    FN(through_network)(columns, TILE, p, p, pairs, whole, table);
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
    const int near = p->network.near;
    for (int i = 0; i < near + SIGNED_OTHERS; i++) {
        const int plane = i < near ? OWN : i < near + 9 ? PARENT : PREVIOUS;
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
    if (count) FN(evaluate)(&p->network, count * VL, X, whole, table);
    for (int i = 0; i < count; i++) FN(tell)(p, blocks + i, whole + i * VL, table + i * VL);
}

/* Coded symbols of rows [start, stop) of a pass. Blocks that see nothing but zeros, most of them at low rates, share one
 * prediction. */
TARGET static void FN(predict)(const struct prediction *p, int start, int stop) {
    short X[MAX_ROWS * TILE] ALIGNED = {0};
    int unseen_whole[TILE], unseen_table[TILE], offsets[MAX_NEAR + SIGNED_OTHERS];
    struct FN(block) blocks[VECTORS];
    int filled = 0, near = p->network.near;
    long to = coded_before(p, start);
    for (int i = 0; i < near; i++) {
        const int dy = p->offsets[2 * i] * p->distance, dx = p->offsets[2 * i + 1] * p->distance;
        offsets[i] = FN(split_offset)(dy, dx, p->first_x % 2, p->stride);
    }
    for (int i = 0; i < 9; i++) offsets[near + i] = (i / 3 - 1) * p->parent_stride + i % 3 - 1;
    offsets[near + 9] = 0;
    FN(evaluate)(&p->network, 1, X, unseen_whole, unseen_table);
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

/* The rows [y, y + 2 VL) of a diagonal, y being even, lie in one vector of 16 bits, and in pairs: the even one low. */

static inline void FN(find_sights)(const struct diagonals *s, int diagonal, struct sights *sights) {
    for (int i = 0; i < s->kinds->near; i++) {
        const int dy = s->offsets[2 * i], dx = s->offsets[2 * i + 1];
        sights->near[i] = s->symbols + diagonal_at(&s->own, diagonal + SLOPE * dy + dx) + dy;
    }
    sights->parents = s->summary_count ? s->summary_count : 9;
    for (int i = 0; i < sights->parents; i++) {
        const int dy = i / 3 - 1, dx = i % 3 - 1;
        for (int odd = 0; odd < 2; odd++) {
            const int middle = (diagonal - odd * SLOPE) >> 1;
            sights->parent[odd][i] = s->summary_count
                ? s->summaries + i * s->summary_size + diagonal_at(&s->parent, middle)
                : s->symbols + diagonal_at(&s->parent, middle + SLOPE * dy + dx) + dy;
        }
    }
    sights->previous = s->symbols + diagonal_at(&s->previous, diagonal);
}

/* What the rows from y on look at. any: what is not zero where a row sees anything but zeros. */
INLINE void FN(look_along)(const struct sights *sights, int near, int y, vs *seen, short *any) {
    vs bits = seen[near + sights->parents] = FN(load_shorts)(sights->previous + y);
    for (int i = 0; i < near; i++) bits |= seen[i] = FN(load_shorts)(sights->near[i] + y);
    for (int i = 0; i < sights->parents; i++) bits |= seen[near + i] = (vs)FN(paired)(sights->parent[0][i] + y / 2, sights->parent[1][i] + y / 2);
    FN(store_shorts)(any, bits);
}

/* The logarithm of the weighted magnitudes of `count` symbols. */
INLINE vs FN(vector_logarithm)(int count, const vs *seen, const short *weight, const unsigned char *logs) {
    short at[2 * VL] ALIGNED;
    vs total = {0};
    for (int i = 0; i < count; i++) total += weight[i] * FN(size_of)(seen[i]);
    if (!FN(holds)((vi)total)) return total; /* the logarithm of 0 is 0 */
    FN(store_shorts)(at, total);
    for (int n = 0; n < 2 * VL; n++) at[n] = logs[at[n]];
    return FN(load_shorts)(at);
}

/* From what rows look at to their predictions. even, odd: the kinds of their symbols. Without weights there are no logarithms. */
TARGET static void FN(evaluate_rows)(const struct network *even, const struct network *odd, vs *seen, short *whole,
                                     short *table) {
    const int near = even->near, S = near + SIGNED_OTHERS;
    const short *const weights = even->weights;
    int pairs[HALF(MAX_ROWS) * 2 * VL] ALIGNED, found[2 * VL] ALIGNED, number[2 * VL] ALIGNED;
    if (weights) {
        seen[S] = FN(vector_logarithm)(near, seen, weights, even->logs);
        seen[S + 1] = FN(vector_logarithm)(1, seen + near + 4, weights + S + near + 4, even->logs);
        seen[S + 2] = FN(vector_logarithm)(9, seen + near, weights + 2 * S + near, even->logs);
        seen[S + 3] = FN(vector_logarithm)(1, seen + near + 9, weights + 3 * S + near + 9, even->logs);
    }
    seen[even->inputs] = (vs){0};
    for (int i = 0; i < even->inputs; i += 2) {
        const vi a = (vi)seen[i], b = (vi)seen[i + 1];
        FN(store_ints)(pairs + i * VL, (a & 0xffff) | b << 16);
        FN(store_ints)(pairs + i * VL + VL, (vi)((vu)a >> 16) | (b & ~0xffff));
    }
    FN(through_network)(2 * VL, 2 * VL, even, odd, pairs, found, number);
    FN(store_shorts)(whole, (vs)((FN(load_ints)(found) & 0xffff) | FN(load_ints)(found + VL) << 16));
    FN(store_shorts)(table, (vs)(FN(load_ints)(number) | FN(load_ints)(number + VL) << 16));
}

/* The coded symbols of a diagonal, from the top; how many there are. Kinds: by the parity of y, then of x, of which a diagonal
 * has one for each parity of y. Rows are evaluated from the next one on that sees anything. */
TARGET static int FN(predict_diagonal)(const struct diagonals *s, int diagonal, const struct unseen *unseen, int *whole,
                                       unsigned char *table) {
    const int count = coded_rows(s, diagonal), even = diagonal % 2, odd = 3 - even, near = s->kinds->near;
    struct sights sights;
    if (count) FN(find_sights)(s, diagonal, &sights);
    for (int i = 0; i < count;) {
        int y = s->coded[i] & ~1;
        const int end = y + 2 * VL;
        vs seen[MAX_ROWS + 1];
        short any[2 * VL] ALIGNED, found[2 * VL] ALIGNED, number[2 * VL] ALIGNED;
        FN(look_along)(&sights, near, y, seen, any);
        for (; i < count && s->coded[i] < end && !any[s->coded[i] - y]; i++) {
            const int kind = s->coded[i] % 2 ? odd : even;
            whole[i] = unseen->whole[kind], table[i] = (unsigned char)unseen->table[kind];
        }
        if (i == count || s->coded[i] >= end) continue;
        if (y < s->coded[i] - 1) FN(look_along)(&sights, near, y = s->coded[i] & ~1, seen, any);
        FN(evaluate_rows)(s->kinds + even, s->kinds + odd, seen, found, number);
        for (; i < count && s->coded[i] < y + 2 * VL; i++)
            whole[i] = found[s->coded[i] - y], table[i] = (unsigned char)number[s->coded[i] - y];
    }
    return count;
}

TARGET static void FN(predict_unseen)(const struct diagonals *s, struct unseen *unseen) {
    for (int even = 0; even < 2; even++) {
        const int odd = 3 - even;
        vs seen[MAX_ROWS + 1] = {0};
        short whole[2 * VL] ALIGNED, table[2 * VL] ALIGNED;
        FN(evaluate_rows)(s->kinds + even, s->kinds + odd, seen, whole, table);
        unseen->whole[even] = whole[0], unseen->table[even] = table[0];
        unseen->whole[odd] = whole[1], unseen->table[odd] = table[1];
    }
}
#undef vs
