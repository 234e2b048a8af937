/* A reference frame looked up at displaced places: Keys' cubic kernel (a = -1/2) over 4x4 samples, the border repeated. */

/* Weights of the 4 taps at a distance f in [0, 1) behind the second one, and their derivatives by f. */
INLINE void FN(cubic_taps)(float f, float *weight, float *slope) {
    weight[0] = ((-0.5f * f + 1) * f - 0.5f) * f;
    weight[1] = (1.5f * f - 2.5f) * f * f + 1;
    weight[2] = ((-1.5f * f + 2) * f + 0.5f) * f;
    weight[3] = (0.5f * f - 0.5f) * f * f;
    if (!slope) return;
    slope[0] = (-1.5f * f + 2) * f - 0.5f;
    slope[1] = (4.5f * f - 5) * f;
    slope[2] = (-4.5f * f + 4) * f + 0.5f;
    slope[3] = (1.5f * f - 1) * f;
}

#ifndef ROOM
#define ROOM (TILE + 16) /* a tile, and what a vector writes behind it */
#endif

typedef float FN(pixel) __attribute__((vector_size(16)));

/* Places side by side: the 4 rows of samples that they take, from the first one's on, channels `plane` floats apart; how far
 * they are behind their samples; where their values go, channels ROOM floats apart, and up to VL - 1 too many. */
struct FN(stretch) {
    const float *row[4];
    long plane;
    const float *down, *along;
    float *found;
    int count, width;
};

/* A tile of places: the row of the sample before each; its column, less the place's own in the tile; how far places are
 * behind. */
struct FN(places) {
    int row[ROOM] ALIGNED, column[ROOM] ALIGNED;
    float down[ROOM] ALIGNED, along[ROOM] ALIGNED;
};

/* Places along an axis as the sample before each, less `step` for every place of the tile, and the rest in [0, 1). */
INLINE void FN(split_places)(const float *place, int count, int step, int *sample, float *rest) {
    const int numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vi number;
    __builtin_memcpy(&number, numbers, sizeof number);
    for (int n = 0; n < TILE; n += VL) {
        const vf at = FN(within)(FN(load)(place + n), -4, count + 3);
        const vi whole = __builtin_convertvector(at + 8, vi) - 8; /* floor */
        FN(store)(rest + n, at - __builtin_convertvector(whole, vf));
        FN(store_ints)(sample + n, whole - step * (number + n));
    }
}

/* Where the run of places that begins at n ends: places whose samples lie side by side. */
INLINE int FN(run_end)(const struct FN(places) *p, int n, int columns) {
    const int row = p->row[n], column = p->column[n];
    int end = n + 1;
    while (end + VL <= columns && !FN(holds)((FN(load_ints)(p->row + end) ^ row) | (FN(load_ints)(p->column + end) ^ column)))
        end += VL;
    while (end < columns && p->row[end] == row && p->column[end] == column) end++;
    return end;
}

/* Weights of the 4 taps around places, as `cubic_taps` says: they reproduce constants and straight lines. */
INLINE void FN(weights)(vf f, vf *weight) {
    const vf g = 1 - f, half = -0.5f * f * g;
    weight[0] = half * g;
    weight[3] = half * f;
    weight[2] = f + weight[0] - 2 * weight[3];
    weight[1] = 1 - weight[0] - weight[3] - weight[2];
}

INLINE vf FN(across)(const float *at, const vf *x) {
    return x[0] * FN(load)(at) + x[1] * FN(load)(at + 1) + (x[2] * FN(load)(at + 2) + x[3] * FN(load)(at + 3));
}

INLINE vf FN(below)(const struct FN(stretch) *s, long at, const vf *y) {
    return y[0] * FN(load)(s->row[0] + at) + y[1] * FN(load)(s->row[1] + at)
           + (y[2] * FN(load)(s->row[2] + at) + y[3] * FN(load)(s->row[3] + at));
}

/* A run of places at any distance behind their samples. */
INLINE void FN(run_anywhere)(const struct FN(stretch) *s, const int channels) {
    for (int n = 0; n < s->count; n += VL) {
        vf y[4], x[4];
        FN(weights)(FN(load)(s->down + n), y);
        FN(weights)(FN(load)(s->along + n), x);
        for (int c = 0; c < channels; c++) {
            const long at = c * s->plane + n;
            FN(store)(s->found + c * ROOM + n, y[0] * FN(across)(s->row[0] + at, x) + y[1] * FN(across)(s->row[1] + at, x)
                      + (y[2] * FN(across)(s->row[2] + at, x) + y[3] * FN(across)(s->row[3] + at, x)));
        }
    }
}

/* One that is at the same distance below its samples all along: columns first, which neighbors share. */
INLINE void FN(run_level)(const struct FN(stretch) *s, const int channels) {
    float column[ROOM + VL] ALIGNED;
    vf y[4], x[4];
    FN(weights)(FN(all)(*s->down), y);
    for (int c = 0; c < channels; c++) {
        for (int n = 0; n < s->count + 3; n += VL) FN(store)(column + n, FN(below)(s, c * s->plane + n, y));
        for (int n = 0; n < s->count; n += VL) {
            FN(weights)(FN(load)(s->along + n), x);
            FN(store)(s->found + c * ROOM + n, FN(across)(column + n, x));
        }
    }
}

/* One below samples. */
INLINE void FN(run_below)(const struct FN(stretch) *s, const int channels) {
    for (int n = 0; n < s->count; n += VL) {
        vf y[4];
        FN(weights)(FN(load)(s->down + n), y);
        for (int c = 0; c < channels; c++) FN(store)(s->found + c * ROOM + n, FN(below)(s, c * s->plane + n + 1, y));
    }
}

/* One between samples of a row. */
INLINE void FN(run_between)(const struct FN(stretch) *s, const int channels) {
    for (int n = 0; n < s->count; n += VL) {
        vf x[4];
        FN(weights)(FN(load)(s->along + n), x);
        for (int c = 0; c < channels; c++)
            FN(store)(s->found + c * ROOM + n, FN(across)(s->row[1] + c * s->plane + n, x));
    }
}

INLINE void FN(run_on_samples)(const struct FN(stretch) *s, const int channels) {
    for (int n = 0; n < s->count; n += VL)
        for (int c = 0; c < channels; c++)
            FN(store)(s->found + c * ROOM + n, FN(load)(s->row[1] + c * s->plane + n + 1));
}

/* One vector's places near a border, which is repeated. */
INLINE void FN(near_border)(const struct FN(stretch) *s, const int channels, int column, int width) {
    float border[MAX_CHANNELS][4][2 * VL + 4];
    struct FN(stretch) copy = *s;
    for (int c = 0; c < channels; c++)
        for (int r = 0; r < 4; r++)
            for (int i = 0; i < VL + 3; i++)
                border[c][r][i] = s->row[r][c * s->plane + FN(inside)(column + i, width) - column];
    for (int r = 0; r < 4; r++) copy.row[r] = border[0][r];
    copy.plane = sizeof border[0] / sizeof(float);
    FN(run_anywhere)(&copy, channels);
}

INLINE void FN(evaluate_run)(const struct FN(stretch) *s, const int channels) {
    vi down = {0}, along = {0}, steep = {0};
    const vf first = FN(all)(*s->down);
    for (int n = 0; n < s->count; n += VL) {
        down |= (vi)FN(load)(s->down + n);
        along |= (vi)FN(load)(s->along + n);
        steep |= FN(load)(s->down + n) != first;
        for (int c = 0; c < channels; c++) __builtin_prefetch(s->row[3] + c * s->plane + s->width + n + 8);
    }
    if (FN(holds)(along)) {
        if (!FN(holds)(down)) FN(run_between)(s, channels);
        else if (s->count > 2 * VL && !FN(holds)(steep)) FN(run_level)(s, channels);
        else FN(run_anywhere)(s, channels);
    } else if (FN(holds)(down)) FN(run_below)(s, channels);
    else FN(run_on_samples)(s, channels);
}

TARGET __attribute__((noinline)) static void FN(evaluate_run_of_3)(const struct FN(stretch) *s) { FN(evaluate_run)(s, 3); }
TARGET __attribute__((noinline)) static void FN(evaluate_run_of_any)(const struct FN(stretch) *s, int channels) {
    FN(evaluate_run)(s, channels);
}

/* Values of a tile's first `columns` places in a reference (channels, height, width): found (channels, ROOM). */
INLINE void FN(look_up)(const float *reference, long plane, const int channels, int height, int width, const struct FN(places) *p,
                        int columns, float *found) {
    struct FN(stretch) run = {.plane = plane, .width = width};
    for (int n = 0, end; n < columns; n = end) {
        end = FN(run_end)(p, n, columns);
        for (int m = n, stop; m < end; m = stop) { /* what a run writes too much is overwritten by the next one */
            const int column = p->column[n] + m - 1, room = width - column - 3;
            /* a run reads up to a vector behind its last sample */
            const int whole = column < 0 ? 0 : room >= end - m + VL - 1 ? end - m : (room - VL + 3) / VL * VL;
            for (int r = 0; r < 4; r++) run.row[r] = reference + (long)FN(inside)(p->row[n] + r - 1, height) * width + column;
            run.down = p->down + m, run.along = p->along + m, run.found = found + m;
            if (whole > 0) {
                run.count = whole;
                if (channels == 3) FN(evaluate_run_of_3)(&run);
                else FN(evaluate_run_of_any)(&run, channels);
            } else {
                run.count = end - m < VL ? end - m : VL;
                FN(near_border)(&run, channels, column, width);
            }
            stop = m + run.count;
        }
    }
}

/* Motion of a tile's points of row y, from column x on, to fields (., TILE); beyond the last column of a row that of the last. */
INLINE void FN(gather_motion)(const struct film *f, int fields, int y, int x, int columns, float motion[][TILE]) {
    for (int m = 0; m < fields; m++) {
        const float *map = f->motion + (long)m * f->vertices * f->columns + x;
        const int *index = f->index + (long)y * f->taps;
        const float *weight = f->weight + (long)y * f->taps;
        for (int n = 0; n < columns; n++) motion[m][n] = weight[0] * map[(long)index[0] * f->columns + n];
        for (int t = 1; t < f->taps; t++)
            for (int n = 0; n < columns; n++) motion[m][n] += weight[t] * map[(long)index[t] * f->columns + n];
        for (int n = columns; n < TILE; n++) motion[m][n] = motion[m][columns - 1];
    }
}

/* Where the points of a tile look at a reference, from the displacement in motion (2, TILE). */
INLINE void FN(find_places)(const struct film *f, int y, int x, int columns, float motion[][TILE], struct FN(places) *p) {
    const vf row = FN(all)(f->y[y]);
    for (int n = 0; n < TILE; n += VL) {
        FN(store)(motion[0] + n, FN(load)(motion[0] + n) + row);
        FN(store)(motion[1] + n, FN(load)(motion[1] + n) + FN(load_some)(f->x + x + n, columns - n));
    }
    FN(split_places)(motion[0], f->height, 0, p->row, p->down);
    FN(split_places)(motion[1], f->width, 1, p->column, p->along);
}

/* A tile's values (C, TILE): what was found in the references, blended, and `sums` (C, TILE), which they replace; within
 * +-1/2. */
INLINE void FN(blend)(const struct film *f, const int C, float found[][MAX_CHANNELS * ROOM], const float *weight, float *sums) {
    for (int c = 0; c < C; c++)
        for (int n = 0; n < TILE; n += VL) {
            vf total = FN(load)(sums + c * TILE + n);
            if (f->references == 1) total += FN(load)(found[0] + c * ROOM + n);
            if (f->references == 2) {
                const vf other = FN(load)(found[1] + c * ROOM + n);
                total += other + FN(load)(weight + n) * (FN(load)(found[0] + c * ROOM + n) - other);
            }
            FN(store)(sums + c * TILE + n, FN(within)(total, -0.5f, 0.5f));
        }
}

/* Buffers of a tile. */
struct FN(desk) {
    float motion[5][TILE] ALIGNED, found[2][MAX_CHANNELS * ROOM] ALIGNED, values[MAX_CHANNELS * TILE] ALIGNED;
    float features[MAX_INPUTS * TILE] ALIGNED;
    struct FN(places) places;
};

/* `columns` points of row y of a film's frame of C channels, from column x on: their references at the places that motion says,
 * blended, and what the frame adds. */
INLINE void FN(film_tile)(const struct film *f, const int C, int y, int x, int columns, struct FN(desk) *d) {
    const long at = (long)y * f->columns + x;
    if (f->references) FN(gather_motion)(f, f->references == 2 ? 5 : 2, y, x, columns, d->motion);
    for (int r = 0; r < f->references; r++) {
        FN(find_places)(f, y, x, columns, d->motion + 2 * r, &d->places);
        FN(look_up)(f->reference[r], f->plane[r], C, f->height, f->width, &d->places, columns, d->found[r]);
    }
    if (f->own) FN(sum_some_features)(f->own, y, x, columns, d->features, d->values);
    else __builtin_memset(d->values, 0, sizeof d->values);
    FN(blend)(f, C, d->found, d->motion[4], d->values);
    for (int c = 0; f->out && c < C; c++)
        for (int n = 0; n < columns; n += VL)
            FN(store_some)(f->out + c * f->out_plane + at + n, FN(load)(d->values + c * TILE + n), columns - n);
    if (f->picture) FN(rgb_tile)(d->values, TILE, f->picture, at, columns);
}

/* As many bands of rows as are left when their turn comes, so that nobody waits for a thread that was interrupted. In a band a
 * tile's rows follow each other: they look at nearly the same samples. */
INLINE void FN(film_bands)(const struct film *f, const int C) {
    struct FN(desk) desk;
    __builtin_memset(&desk, 0, sizeof desk);
    for (int band; (band = BAND * __atomic_fetch_add(f->bands, 1, __ATOMIC_RELAXED)) < f->rows;)
        for (int x = 0; x < f->columns; x += TILE)
            for (int y = band; y < band + BAND && y < f->rows; y++)
                FN(film_tile)(f, C, y, x, f->columns - x < TILE ? f->columns - x : TILE, &desk);
}

TARGET static void FN(film)(const struct film *f) {
    if (f->channels == 3) FN(film_bands)(f, 3); /* a number that the compiler knows: sums stay in registers */
    else FN(film_bands)(f, f->channels);
}

/* Places [start, stop): reference (height, width, 4) at (y, x) in samples → values (., 4), and where `by_y` is given the
 * derivatives by y and by x, (., 4) each. */
TARGET static void FN(warp)(const float *reference, int height, int width, const float *y, const float *x, float *values,
                            float *by_y, float *by_x, long start, long stop) {
    typedef FN(pixel) vp;
    for (long i = start; i < stop; i++) {
        float fy = y[i] < -4 ? -4 : y[i] > height + 3 ? height + 3 : y[i];
        float fx = x[i] < -4 ? -4 : x[i] > width + 3 ? width + 3 : x[i];
        int iy = (int)(fy + 8) - 8, ix = (int)(fx + 8) - 8; /* floor */
        float wy[4], wx[4], sy[4], sx[4];
        FN(cubic_taps)(fy - iy, wy, by_y ? sy : 0);
        FN(cubic_taps)(fx - ix, wx, by_y ? sx : 0);
        vp total = {}, total_y = {}, total_x = {};
        for (int r = 0; r < 4; r++) {
            const float *row = reference + (long)FN(inside)(iy - 1 + r, height) * width * 4;
            vp along = {}, along_x = {};
            for (int t = 0; t < 4; t++) {
                vp sample;
                __builtin_memcpy(&sample, row + 4 * FN(inside)(ix - 1 + t, width), sizeof sample);
                along += wx[t] * sample;
                if (by_y) along_x += sx[t] * sample;
            }
            total += wy[r] * along;
            if (by_y) total_y += sy[r] * along, total_x += wy[r] * along_x;
        }
        __builtin_memcpy(values + 4 * i, &total, sizeof total);
        if (!by_y) continue;
        __builtin_memcpy(by_y + 4 * i, &total_y, sizeof total_y);
        __builtin_memcpy(by_x + 4 * i, &total_x, sizeof total_x);
    }
}
