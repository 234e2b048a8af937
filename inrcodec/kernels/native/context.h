/* The context model of a pyramid's planes: code length of its symbols, with all gradients, in one sweep. */

/* Up to TILE symbols of one pass, in runs along rows: where each run lies in the planes that it looks at. */
struct FN(run) {
    int column, count; /* in the tile */
    int at[3];         /* its first symbol's own place and the previous channel's in split planes, the parent's in plain ones */
};

struct FN(batch) {
    struct FN(run) runs[TILE];
    int run_count, count;
    int spacing;               /* from symbol to symbol of a run, in all planes */
};

/* Laplace bits of `own` symbols around `mean` with scale 2^log2_scale; gradients by both. Returns the sum. */
INLINE float FN(laplace)(int count, const float *own, const float *mean, const float *log2_scale, float *gmean,
                         float *gscale) {
    vf sum = FN(all)(0);
    vi lanes;
    for (int j = 0; j < VL; j++) lanes[j] = j;
    for (int n = 0; n < TILE; n += VL) {
        vf difference = FN(load)(own + n) - FN(load)(mean + n), d = FN(magnitude)(difference), side = d - 0.5f;
        vf raw = FN(load)(log2_scale + n);
        vf inverse = FN(exp2)(-FN(lesser)(FN(larger)(raw, FN(all)(LOG2_SCALE_MIN)), FN(all)(LOG2_SCALE_MAX)));
        vf rate = inverse * LOG2E;
        vi inside = side < 0.0f;
        /* Inside, of the distribution's two tails beyond the cell; outside, by how much the tail falls with a symbol. */
        vf first = FN(exp2)(FN(pick)(inside, side, FN(all)(-1)) * rate), second = FN(exp2)((d + 0.5f) * -rate);
        vf p = FN(pick)(inside, FN(larger)(1.0f - 0.5f * (first + second), FN(all)(1e-9f)), 1.0f - first);
        vf bits = FN(pick)(inside, FN(all)(0), side * rate + 1.0f) - FN(log2)(p);
        vf share = 1.0f / p;
        vf by_d = FN(pick)(inside, 0.5f * rate * (first - second) * share, rate);
        vf by_inverse = LOG2E * FN(pick)(inside, 0.5f * (side * first - (d + 0.5f) * second) * share, side - first * share);
        vi moves = (raw > LOG2_SCALE_MIN) & (raw < LOG2_SCALE_MAX);
        vf by_scale = FN(pick)(moves, by_inverse * inverse * -LN2, FN(all)(0));
        vi valid = lanes + n < count;
        sum += FN(pick)(valid, bits, FN(all)(0));
        FN(store)(gmean + n, FN(pick)(valid, FN(with_sign)(by_d, -difference), FN(all)(0)));
        FN(store)(gscale + n, FN(pick)(valid, by_scale, FN(all)(0)));
    }
    return FN(sum)(sum);
}

/* row = log2(1 + 3 row), its derivative to slope. */
INLINE void FN(logarithm)(float *row, float *slope) {
    for (int n = 0; n < TILE; n += VL) {
        vf inner = 1.0f + 3.0f * FN(load)(row + n);
        FN(store)(row + n, FN(log2)(inner));
        FN(store)(slope + n, (3.0f * LOG2E) / inner);
    }
}

/* out = sum of weight |row| over `count` rows of X. */
INLINE void FN(magnitudes)(int count, const float *X, const float *weight, float *out) {
    for (int n = 0; n < TILE; n += VL) {
        vf total = FN(all)(0);
        for (int i = 0; i < count; i++) total += weight[i] * FN(magnitude)(FN(load)(X + i * TILE + n));
        FN(store)(out + n, total);
    }
}

/* The transpose: G of the rows += weight sign(row) slope g. */
INLINE void FN(from_magnitudes)(int count, const float *X, const float *weight, const float *slope, const float *g,
                                float *G) {
    for (int n = 0; n < TILE; n += VL) {
        vf amount = FN(load)(slope + n) * FN(load)(g + n);
        for (int i = 0; i < count; i++) {
            vf x = FN(load)(X + i * TILE + n);
            vf sign = FN(pick)(x == 0.0f, FN(all)(0), FN(with_sign)(FN(all)(weight[i]), x));
            FN(store)(G + i * TILE + n, FN(load)(G + i * TILE + n) + sign * amount);
        }
    }
}

/* One row of a tile: `count` symbols, `spacing` apart. May write up to VL columns too far. */
INLINE void FN(gather_run)(const float *from, int count, int spacing, float *row) {
    if (spacing == 1)
        for (int n = 0; n < count; n += VL) FN(store)(row + n, FN(load)(from + n));
    else
        for (int n = 0; n < count; n++) row[n] = from[n * spacing];
}

INLINE void FN(scatter_run)(float *to, int count, int spacing, const float *row) {
    int n = 0;
    if (spacing == 1)
        for (; n + VL <= count; n += VL) FN(store)(to + n, FN(load)(to + n) + FN(load)(row + n));
    for (; n < count; n++) to[n * spacing] += row[n];
}

/* `count` rows of X, in ascending order, so that what a row writes too far is overwritten by the next one. */
INLINE void FN(gather)(const float *from, const struct FN(batch) *b, int plane, int count, const int *offsets, float *X) {
    for (int i = 0; i < count; i++)
        for (const struct FN(run) *r = b->runs; r < b->runs + b->run_count; r++)
            FN(gather_run)(from + r->at[plane] + offsets[i], r->count, b->spacing, X + i * TILE + r->column);
}

INLINE void FN(scatter)(float *to, const struct FN(batch) *b, int plane, int count, const int *offsets, const float *G) {
    for (int i = 0; i < count; i++)
        for (const struct FN(run) *r = b->runs; r < b->runs + b->run_count; r++)
            FN(scatter_run)(to + r->at[plane] + offsets[i], r->count, b->spacing, G + i * TILE + r->column);
}

/* `count` rows of X: clipped to the symbols that the network sees, zero past the last symbol. */
INLINE void FN(clip_rows)(int count, int valid, float *X) {
    for (int i = 0; i < count; i++, X += TILE) {
        for (int n = valid; n < TILE; n++) X[n] = 0;
        for (int n = 0; n < TILE; n += VL)
            FN(store)(X + n, FN(larger)(FN(lesser)(FN(load)(X + n), FN(all)(SYMBOL_CLIP)), FN(all)(-SYMBOL_CLIP)));
    }
}

/* Offset of the neighbor (dy, dx) of symbols whose column is even or odd, in a split plane. */
INLINE int FN(split_offset)(int dy, int dx, int odd, int stride) {
    if (dx % 2 == 0) return dy * stride + dx / 2;
    return dy * stride + (odd ? (dx + 1) / 2 - stride / 2 : (dx - 1) / 2 + stride / 2);
}

/* A tile of K rows of inputs X through the network to the bits of its `count` symbols `own`: gradients by the network's tensors are
 * added up, those by inputs and by the symbols themselves go to GX and by_own. */
INLINE void FN(code_length)(const struct context *c, const struct kind *k, const struct plane *p, int count, int K, const float *X,
                            const float *own, float *GX, float *by_own) {
    const int M = c->width, E = M + 2;
    float H1[(MAX_WIDTH + 2) * TILE] ALIGNED, H2[MAX_WIDTH * TILE] ALIGNED, OUT[2 * TILE] ALIGNED;
    float G1[(MAX_WIDTH + 2) * TILE] ALIGNED, G2[MAX_WIDTH * TILE] ALIGNED, bias[MAX_WIDTH + 2];
    float *const linear = H1 + M * TILE, *const glinear = G1 + M * TILE;
    for (int m = 0; m < E; m++) bias[m] = k->bias[m] + p->bias[m];
    FN(layer)(E, K, k->entry_transposed, X, bias, H1, M);
    FN(layer)(M, M, c->second_transposed, H1, c->second_bias, H2, M);
    FN(layer)(2, M, c->last_transposed, H2, 0, OUT, 0);
    for (int n = 0; n < 2 * TILE; n += VL) FN(store)(OUT + n, FN(load)(OUT + n) + FN(load)(linear + n));
    *c->bits += FN(laplace)(count, own, OUT, OUT + TILE, glinear, glinear + TILE);

    const int sampled = c->tiles_done[0]++ % c->every == c->first;
    if (sampled) FN(products)(2, M, glinear, H2, c->last_sums);
    FN(layer_through_relu)(M, 2, c->last, glinear, H2, G2);
    FN(row_sums)(M, G2, c->second_bias_sums);
    if (sampled) FN(products)(M, M, G2, H1, c->second_sums);
    FN(layer_through_relu)(M, M, c->second, G2, H1, G1);
    FN(row_sums)(E, G1, k->bias_sums);
    FN(row_sums)(E, G1, p->bias_sums);
    if (sampled) FN(products)(E, K, G1, X, k->entry_sums);
    FN(layer)(K, E, k->entry, G1, 0, GX, 0);
    for (int n = 0; n < TILE; n += VL) FN(store)(by_own + n, -FN(load)(glinear + n));
}

/* A mirrored network, of which there are halves (inrcodec.entropy.mirroring): hidden units in `M` pairs. */

/* Of each pair what is above zero of bias + z and of bias - z: sums S and differences D (M, TILE). */
INLINE void FN(pairs)(int M, const float *Z, const float *bias, float *S, float *D) {
    for (int m = 0; m < M; m++)
        for (int n = m * TILE; n < (m + 1) * TILE; n += VL) {
            const vf z = FN(load)(Z + n), b = FN(all)(bias[m]);
            const vf one = FN(larger)(b + z, FN(all)(0)), other = FN(larger)(b - z, FN(all)(0));
            FN(store)(S + n, one + other);
            FN(store)(D + n, one - other);
        }
}

/* The transpose: gradients by S and D to those by z, in place of Z; their sums by the bias are added to those of kind and plane. */
INLINE void FN(pairs_back)(int M, const float *S, const float *D, const float *bias, float *Z, float *kind_sums, float *plane_sums) {
    for (int m = 0; m < M; m++) {
        const vf b = FN(all)(bias[m]);
        vf to_bias = FN(all)(0);
        for (int n = m * TILE; n < (m + 1) * TILE; n += VL) {
            const vf z = FN(load)(Z + n), s = FN(load)(S + n), d = FN(load)(D + n);
            const vf one = FN(pick)(b + z > 0.0f, s + d, FN(all)(0)), other = FN(pick)(b - z > 0.0f, s - d, FN(all)(0));
            to_bias += one + other;
            FN(store)(Z + n, one - other);
        }
        FN(store)(kind_sums + m * VL, FN(load)(kind_sums + m * VL) + to_bias);
        FN(store)(plane_sums + m * VL, FN(load)(plane_sums + m * VL) + to_bias);
    }
}

/* mean = linear + of differences, scale = bias + of sums, of the pairs that are above zero of U + V and of U - V. */
INLINE void FN(outputs_of_pairs)(int M, const float *U, const float *V, const float *last, const float *linear, float bias, float *mean,
                                 float *scale) {
    for (int n = 0; n < TILE; n += 4 * VL) {
        vf to_mean[4], to_scale[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) to_mean[j] = FN(load)(linear + n + j * VL), to_scale[j] = FN(all)(bias);
        for (int m = 0; m < M; m++) {
            const vf by_difference = FN(all)(last[m]), by_sum = FN(all)(last[M + m]);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                const vf u = FN(load)(U + m * TILE + n + j * VL), v = FN(load)(V + m * TILE + n + j * VL);
                const vf one = FN(larger)(u + v, FN(all)(0)), other = FN(larger)(u - v, FN(all)(0));
                to_mean[j] += by_difference * (one - other);
                to_scale[j] += by_sum * (one + other);
            }
        }
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) FN(store)(mean + n + j * VL, to_mean[j]), FN(store)(scale + n + j * VL, to_scale[j]);
    }
}

/* The transpose: gradients by U and V take their places. `last_sums` (2 M, VL), if not null, and `bias_sums` (M, VL) are added to. */
INLINE void FN(outputs_back)(int M, const float *gmean, const float *gscale, const float *last, float *U, float *V, float *last_sums,
                             float *bias_sums) {
    for (int m = 0; m < M; m++) {
        const vf by_difference = FN(all)(last[m]), by_sum = FN(all)(last[M + m]);
        vf to_difference = FN(all)(0), to_sum = FN(all)(0), to_bias = FN(all)(0);
        for (int n = 0; n < TILE; n += VL) {
            const int at = m * TILE + n;
            const vf u = FN(load)(U + at), v = FN(load)(V + at), gm = FN(load)(gmean + n), gs = FN(load)(gscale + n);
            const vf one = FN(larger)(u + v, FN(all)(0)), other = FN(larger)(u - v, FN(all)(0));
            const vf straight = by_sum * gs, across = by_difference * gm;
            const vf gone = FN(pick)(one > 0.0f, straight + across, FN(all)(0));
            const vf gother = FN(pick)(other > 0.0f, straight - across, FN(all)(0));
            to_difference += gm * (one - other);
            to_sum += gs * (one + other);
            to_bias += gone + gother;
            FN(store)(U + at, gone + gother);
            FN(store)(V + at, gone - gother);
        }
        if (last_sums) {
            FN(store)(last_sums + m * VL, FN(load)(last_sums + m * VL) + to_difference);
            FN(store)(last_sums + (M + m) * VL, FN(load)(last_sums + (M + m) * VL) + to_sum);
        }
        FN(store)(bias_sums + m * VL, FN(load)(bias_sums + m * VL) + to_bias);
    }
}

/* As `code_length`. First layers are one matrix for both of a pair, second ones one for sums and one for differences, so that there is
 * half as much to multiply. */
INLINE void FN(mirrored_code_length)(const struct context *c, const struct kind *k, const struct plane *p, int count, int K,
                                     const float *X, const float *own, float *GX, float *by_own) {
    const int M = c->width;
    const float *const even = c->second, *const odd = even + M * M;
    const float *const even_transposed = c->second_transposed, *const odd_transposed = even_transposed + M * M;
    float Z[(MAX_WIDTH + 1) * TILE] ALIGNED, S[MAX_WIDTH * TILE] ALIGNED, D[MAX_WIDTH * TILE] ALIGNED;
    float U[MAX_WIDTH * TILE] ALIGNED, V[MAX_WIDTH * TILE] ALIGNED, OUT[2 * TILE] ALIGNED, G[2 * TILE] ALIGNED;
    float *const linear = Z + M * TILE, *const gmean = G, *const gscale = G + TILE, bias[MAX_WIDTH + 1];
    for (int m = 0; m <= M; m++) bias[m] = k->bias[m] + p->bias[m];
    FN(layer)(M + 1, K, k->entry_transposed, X, 0, Z, 0);
    FN(pairs)(M, Z, bias, S, D);
    FN(layer)(M, M, even_transposed, S, c->second_bias, U, 0);
    FN(layer)(M, M, odd_transposed, D, 0, V, 0);
    FN(outputs_of_pairs)(M, U, V, c->last, linear, bias[M], OUT, OUT + TILE);
    *c->bits += FN(laplace)(count, own, OUT, OUT + TILE, gmean, gscale);

    const int sampled = c->tiles_done[0]++ % c->every == c->first;
    FN(outputs_back)(M, gmean, gscale, c->last, U, V, sampled ? c->last_sums : 0, c->second_bias_sums);
    if (sampled) FN(products)(M, M, U, S, c->second_sums);
    if (sampled) FN(products)(M, M, V, D, c->second_sums + M * M * VL);
    FN(layer)(M, M, even, U, 0, S, 0);
    FN(layer)(M, M, odd, V, 0, D, 0);
    FN(pairs_back)(M, S, D, bias, Z, k->bias_sums, p->bias_sums);
    FN(row_sums)(1, gscale, k->bias_sums + M * VL);
    FN(row_sums)(1, gscale, p->bias_sums + M * VL);
    for (int n = 0; n < TILE; n += VL) FN(store)(linear + n, FN(load)(gmean + n));
    if (sampled) FN(products)(M + 1, K, Z, X, k->entry_sums);
    FN(layer)(K, M + 1, k->entry, Z, 0, GX, 0);
    for (int n = 0; n < TILE; n += VL) FN(store)(by_own + n, -FN(load)(gmean + n));
}

/* Inputs of a kind: `near` neighbors, their magnitude, 9 of the parent, two magnitudes of it, previous channel, its magnitude. */
TARGET static void FN(context_batch)(const struct context *c, const struct FN(batch) *b, const struct plane *p, int kind,
                                     int distance, int odd) {
    const struct kind *k = c->kinds + kind;
    const int near = k->near, K = near + OTHER_INPUTS;
    const int mag = near, parent = near + 1, parent_mag = parent + 9, parent_box = parent + 10;
    const int previous = parent + 11, previous_mag = parent + 12;
    float X[(MAX_INPUTS + 1) * TILE] ALIGNED, GX[MAX_INPUTS * TILE] ALIGNED, slopes[4][TILE] ALIGNED, own[2 * TILE] ALIGNED;
    float by_own[TILE] ALIGNED;
    int offsets[MAX_NEAR], nine[9];
    const int zero = 0;
    const float one = 1.0f;
    for (int i = 0; i < near; i++) offsets[i] = FN(split_offset)(k->dy[i] * distance, k->dx[i] * distance, odd, p->stride);
    for (int i = 0; i < 9; i++) nine[i] = (i / 3 - 1) * p->parent_stride + i % 3 - 1;
    FN(gather)(c->split, b, OWN, near, offsets, X);
    FN(gather)(c->plain, b, PARENT, 9, nine, X + parent * TILE);
    FN(gather)(c->split, b, PREVIOUS, 1, &zero, X + previous * TILE);
    FN(gather)(c->split, b, OWN, 1, &zero, own);
    FN(clip_rows)(near, b->count, X);
    FN(clip_rows)(9, b->count, X + parent * TILE);
    FN(clip_rows)(1, b->count, X + previous * TILE);
    FN(magnitudes)(near, X, k->weight, X + mag * TILE);
    FN(magnitudes)(1, X + (parent + 4) * TILE, &one, X + parent_mag * TILE);
    FN(magnitudes)(9, X + parent * TILE, c->ninths, X + parent_box * TILE);
    FN(magnitudes)(1, X + previous * TILE, &one, X + previous_mag * TILE);
    FN(logarithm)(X + mag * TILE, slopes[0]);
    FN(logarithm)(X + parent_mag * TILE, slopes[1]);
    FN(logarithm)(X + parent_box * TILE, slopes[2]);
    FN(logarithm)(X + previous_mag * TILE, slopes[3]);
    FN(code_length)(c, k, p, b->count, K, X, own, GX, by_own);
    FN(from_magnitudes)(near, X, k->weight, slopes[0], GX + mag * TILE, GX);
    FN(from_magnitudes)(1, X + (parent + 4) * TILE, &one, slopes[1], GX + parent_mag * TILE, GX + (parent + 4) * TILE);
    FN(from_magnitudes)(9, X + parent * TILE, c->ninths, slopes[2], GX + parent_box * TILE, GX + parent * TILE);
    FN(from_magnitudes)(1, X + previous * TILE, &one, slopes[3], GX + previous_mag * TILE, GX + previous * TILE);
    FN(scatter)(c->split_gradient, b, OWN, 1, &zero, by_own);
    FN(scatter)(c->split_gradient, b, OWN, near, offsets, GX);
    FN(scatter)(c->plain_gradient, b, PARENT, 9, nine, GX + parent * TILE);
    FN(scatter)(c->split_gradient, b, PREVIOUS, 1, &zero, GX + previous * TILE);
}

/* The same with summaries. Inputs: `near` neighbors, then the summaries. */
TARGET static void FN(summarized_batch)(const struct context *c, const struct FN(batch) *b, const struct plane *p, int odd) {
    const struct kind *k = c->kinds;
    const int near = k->near, K = near + c->summaries;
    float X[(MAX_INPUTS + 1) * TILE] ALIGNED, GX[MAX_INPUTS * TILE] ALIGNED, own[2 * TILE] ALIGNED;
    float by_own[TILE] ALIGNED;
    int offsets[MAX_NEAR], summaries[MAX_INPUTS];
    const int zero = 0;
    for (int i = 0; i < near; i++) offsets[i] = FN(split_offset)(k->dy[i], k->dx[i], odd, p->stride);
    for (int i = 0; i < c->summaries; i++) summaries[i] = i * p->summary_size;
    FN(gather)(c->split, b, OWN, near, offsets, X);
    if (p->summaries) FN(gather)(p->summaries, b, PARENT, c->summaries, summaries, X + near * TILE);
    else
        for (int n = near * TILE; n < K * TILE; n++) X[n] = 0;
    FN(gather)(c->split, b, OWN, 1, &zero, own);
    FN(clip_rows)(K, b->count, X);
    if (c->mirrored) FN(mirrored_code_length)(c, k, p, b->count, K, X, own, GX, by_own);
    else FN(code_length)(c, k, p, b->count, K, X, own, GX, by_own);
    FN(scatter)(c->split_gradient, b, OWN, 1, &zero, by_own);
    FN(scatter)(c->split_gradient, b, OWN, near, offsets, GX);
    if (p->summaries) FN(scatter)(p->summaries_gradient, b, PARENT, c->summaries, summaries, GX + near * TILE);
}

INLINE void FN(any_batch)(const struct context *c, const struct FN(batch) *b, const struct plane *p, int kind, int distance,
                          int odd) {
    if (c->summaries) FN(summarized_batch)(c, b, p, odd);
    else FN(context_batch)(c, b, p, kind, distance, odd);
}

/* A pass of a plane, and the batch that is being filled. */
struct FN(pass) {
    const struct plane *plane;
    int first_y, first_x, step, kind, distance;
    struct FN(batch) batch;
};

/* Rows of a pass: [*start, *stop) fall to this call. Calls share no row of the parent where passes take the rows of a plane in turn. */
INLINE void FN(rows_of_pass)(const struct context *c, const struct FN(pass) *s, int *start, int *stop) {
    const long most = (s->plane->height + s->step - 1) / s->step, rows = (s->plane->height - s->first_y + s->step - 1) / s->step;
    const long from = most * c->start / c->parts, to = most * c->stop / c->parts;
    *start = (int)(from < rows ? from : rows);
    *stop = (int)(to < rows ? to : rows);
}

TARGET static void FN(finish_batch)(const struct context *c, struct FN(pass) *s) {
    if (s->batch.count) FN(any_batch)(c, &s->batch, s->plane, s->kind, s->distance, s->first_x % 2);
    s->batch.count = s->batch.run_count = 0;
}

TARGET static void FN(context_row)(const struct context *c, struct FN(pass) *s, int r) {
    const struct plane *p = s->plane;
    struct FN(batch) *b = &s->batch;
    const int y = s->first_y + r * s->step, columns = (p->width - s->first_x + s->step - 1) / s->step;
    b->spacing = s->step / 2;
    for (int done = 0, end = 0; done < columns;) {
        if (done == end) end = next_coded(p->tiles, p->tiles_across, s->step, columns, r, &done);
        if (done == end) break;
        const int x = s->first_x + done * s->step, room = TILE - b->count, left = end - done;
        const int own = y * p->stride + x / 2 + x % 2 * (p->stride / 2), count = left < room ? left : room;
        b->runs[b->run_count++] = (struct FN(run)){
            b->count, count,
            {p->base + own,
             c->summaries ? y / 2 * p->summary_stride + x / 2
             : p->parent < 0 ? c->nothing : p->parent + y / 2 * p->parent_stride + x / 2,
             p->previous < 0 ? c->nothing : p->previous + own}};
        done += count;
        b->count += count;
        if (b->count == TILE) FN(finish_batch)(c, s);
    }
}

INLINE void FN(context_pass)(const struct context *c, const struct plane *p, int first_y, int first_x, int step, int kind,
                             int distance) {
    struct FN(pass) s = {p, first_y, first_x, step, kind, distance};
    int start, stop;
    FN(rows_of_pass)(c, &s, &start, &stop);
    for (int r = start; r < stop; r++) FN(context_row)(c, &s, r);
    FN(finish_batch)(c, &s);
}

/* All symbols of a plane, a kind for every parity of y and x: row by row, so that what they see stays in the cache. */
TARGET static void FN(context_parities)(const struct context *c, const struct plane *p) {
    struct FN(pass) passes[4];
    int start[4], stop[4], last = 0;
    for (int kind = 0; kind < 4; kind++) {
        passes[kind] = (struct FN(pass)){p, kind / 2, kind % 2, 2, kind, 1};
        FN(rows_of_pass)(c, passes + kind, start + kind, stop + kind);
        if (stop[kind] > last) last = stop[kind];
    }
    for (int r = start[0] < start[2] ? start[0] : start[2]; r < last; r++)
        for (int kind = 0; kind < 4; kind++)
            if (r >= start[kind] && r < stop[kind]) FN(context_row)(c, passes + kind, r);
    for (int kind = 0; kind < 4; kind++) FN(finish_batch)(c, passes + kind);
}

/* All passes of all planes, as in inrcodec.passes. INTERLACED: kind 0 at distance 8, kinds 1-3 at 4 and 2, 4-6 at 1. WAVEFRONT:
 * a kind for every parity of y and x. */
TARGET static void FN(context)(const struct context *c, const struct plane *planes, int count) {
    for (const struct plane *p = planes; p < planes + count; p++) {
        if (c->wavefront) {
            FN(context_parities)(c, p);
            continue;
        }
        FN(context_pass)(c, p, 0, 0, 8, 0, 8);
        for (int d = 4; d; d /= 2) {
            const int kind = d == 1 ? 4 : 1;
            FN(context_pass)(c, p, d, d, 2 * d, kind, d);
            FN(context_pass)(c, p, 0, d, 2 * d, kind + 1, d);
            FN(context_pass)(c, p, d, 0, 2 * d, kind + 2, d);
        }
    }
}
