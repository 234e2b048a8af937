/* Predictions of a pyramid's symbols by the exact network of inrcodec.entropy.planes: whole numbers below 2^24 in floats. */

#ifndef INRCODEC_PREDICTION
#define INRCODEC_PREDICTION
#define UNIT 32.0f
#define ACTIVATION_LIMIT 4095.0f
#define SCALE_ZERO 19.0f /* as in inrcodec.entropy.tables */
#define SCALES 48.0f
#define SIGNED_OTHERS 10 /* the parent's 9 and the previous channel's symbol, beside the neighbors */
#define LOGS 4

struct prediction {            /* one pass of one plane */
    const float *plain, *split; /* padded planes, as in struct context */
    const unsigned char *logs; /* by magnitude */
    const float *entry, *bias; /* (width + 2, inputs): symbols before logarithms; (width + 2) */
    const float *second, *second_bias, *last; /* (width, width), (width), (2, width) */
    const float *weights;      /* (LOGS, symbols): of the symbols' magnitudes in each logarithm */
    const int *offsets;        /* (near, 2): y and x of the neighbors, in samples */
    int *whole;                /* (rows * columns): of the means */
    unsigned char *table;      /* (rows * columns) */
    int near, width, base, stride, parent, parent_stride, previous, nothing; /* as in struct plane and struct context */
    int first_y, first_x, step, columns;
};
#endif

/* Rows of X: floor(X / UNIT), clipped. */
INLINE void FN(fixed)(int count, float low, float *X) {
    for (int n = 0; n < count * TILE; n += VL) {
        vf v = FN(down)(FN(load)(X + n) * (1 / UNIT));
        FN(store)(X + n, FN(larger)(FN(lesser)(v, FN(all)(ACTIVATION_LIMIT)), FN(all)(low)));
    }
}

/* out = logarithms of weighted magnitudes of `count` rows of X. */
INLINE void FN(table_logarithm)(int count, const float *X, const float *weight, const unsigned char *logs, float *out) {
    FN(magnitudes)(count, X, weight, out);
    for (int n = 0; n < TILE; n++) out[n] = logs[(int)out[n]];
}

/* `choose_tables` of inrcodec.entropy.fixed. */
INLINE void FN(choose)(int count, const float *mean, const float *log2_scale, int *whole, unsigned char *table) {
    int wholes[TILE], tables[TILE];
    for (int n = 0; n < TILE; n += VL) {
        vf quarters = FN(down)((FN(load)(mean + n) + UNIT / 8) * (4 / UNIT));
        vf index = FN(down)((FN(load)(log2_scale + n) + UNIT / 8) * (4 / UNIT)) + SCALE_ZERO;
        index = FN(larger)(FN(lesser)(index, FN(all)(SCALES - 1)), FN(all)(0));
        vf nearest = FN(down)((quarters + 2.0f) * 0.25f);
        vi w = __builtin_convertvector(nearest, vi);
        vi t = __builtin_convertvector(index * 4.0f + quarters - 4.0f * nearest + 2.0f, vi);
        __builtin_memcpy(wholes + n, &w, sizeof w);
        __builtin_memcpy(tables + n, &t, sizeof t);
    }
    for (int n = 0; n < count; n++) whole[n] = wholes[n], table[n] = (unsigned char)tables[n];
}

/* The tile's symbols; `at` is the place of its first one in the pass. */
TARGET static void FN(predict_batch)(const struct prediction *p, const struct FN(batch) *b, long at) {
    const int M = p->width, near = p->near, S = near + SIGNED_OTHERS;
    const int parent = near, middle = parent + 4, previous = parent + 9;
    float X[(MAX_INPUTS + 1) * TILE] ALIGNED, H1[(MAX_WIDTH + 2) * TILE] ALIGNED, H2[MAX_WIDTH * TILE] ALIGNED;
    float OUT[2 * TILE] ALIGNED, *const linear = H1 + M * TILE, *const log = X + S * TILE;
    int offsets[MAX_NEAR], nine[9];
    const int zero = 0;
    for (int i = 0; i < near; i++)
        offsets[i] = FN(split_offset)(p->offsets[2 * i], p->offsets[2 * i + 1], p->first_x % 2, p->stride);
    for (int i = 0; i < 9; i++) nine[i] = (i / 3 - 1) * p->parent_stride + i % 3 - 1;
    FN(gather)(p->split, b, OWN, near, offsets, X);
    FN(gather)(p->plain, b, PARENT, 9, nine, X + parent * TILE);
    FN(gather)(p->split, b, PREVIOUS, 1, &zero, X + previous * TILE);
    FN(clip_rows)(S, b->count, X);
    FN(table_logarithm)(near, X, p->weights, p->logs, log);
    FN(table_logarithm)(1, X + middle * TILE, p->weights + S + middle, p->logs, log + TILE);
    FN(table_logarithm)(9, X + parent * TILE, p->weights + 2 * S + parent, p->logs, log + 2 * TILE);
    FN(table_logarithm)(1, X + previous * TILE, p->weights + 3 * S + previous, p->logs, log + 3 * TILE);
    FN(layer)(M + 2, S + LOGS, p->entry, X, p->bias, H1, 0);
    FN(fixed)(M, 0, H1);
    FN(layer)(M, M, p->second, H1, p->second_bias, H2, 0);
    FN(fixed)(M, 0, H2);
    FN(layer)(2, M, p->last, H2, 0, OUT, 0);
    /* the only sum that may pass 2^24, so it comes last: rounded, it is still clipped */
    for (int n = 0; n < 2 * TILE; n += VL) FN(store)(OUT + n, FN(load)(OUT + n) + FN(load)(linear + n));
    FN(fixed)(2, -ACTIVATION_LIMIT, OUT);
    FN(choose)(b->count, OUT, OUT + TILE, p->whole + at, p->table + at);
}

/* Rows [start, stop) of a pass. */
TARGET static void FN(predict)(const struct prediction *p, int start, int stop) {
    struct FN(batch) b;
    long at = (long)start * p->columns;
    b.count = b.run_count = 0;
    b.spacing = p->step / 2;
    for (int r = start; r < stop; r++) {
        const int y = p->first_y + r * p->step;
        for (int done = 0; done < p->columns;) {
            const int x = p->first_x + done * p->step, room = TILE - b.count, left = p->columns - done;
            const int own = y * p->stride + x / 2 + x % 2 * (p->stride / 2), count = left < room ? left : room;
            b.runs[b.run_count++] = (struct FN(run)){
                b.count, count,
                {p->base + own, p->parent < 0 ? p->nothing : p->parent + y / 2 * p->parent_stride + x / 2,
                 p->previous < 0 ? p->nothing : p->previous + own}};
            done += count;
            b.count += count;
            if (b.count == TILE) {
                FN(predict_batch)(p, &b, at);
                at += TILE;
                b.count = b.run_count = 0;
            }
        }
    }
    if (b.count) FN(predict_batch)(p, &b, at);
}
