/* Passes and diagonals of a pyramid's planes (inrcodec.passes), tile by tile: only the symbols of tiles that are coded are
 * predicted. */

#ifndef INRCODEC_PASSES
#define INRCODEC_PASSES
#include <stdint.h>

#define SLOPE 3 /* as in inrcodec.passes */
#define TILE_SIDE 32 /* samples of a plane; a multiple of every pass's step. As in inrcodec.entropy.tiles */

struct prediction {            /* one pass of one plane; or all of a plane, for the symbols of one kind */
    const int *bias;           /* (width + 2) */
    short *plain, *split;      /* padded planes, as in struct context, of clipped symbols */
    const unsigned char *logs; /* by magnitude */
    const int *entry, *second, *last; /* (width + 2, symbols and logarithms), (width, width), (2, width): in pairs along a row */
    const int *second_bias;    /* (width) */
    const short *weights;      /* (LOGS, symbols): of the symbols' magnitudes in each logarithm */
    const int *offsets;        /* (near, 2): y and x of the neighbors, in units of `distance` */
    const uint8_t *tiles;      /* (tiles down, tiles across): whether they are coded */
    int *whole;                /* of the means of coded symbols, in order */
    unsigned char *table;      /* of the same */
    int near, width, plain_base, base, stride, parent, parent_stride, previous, nothing; /* as in struct plane and context */
    int first_y, first_x, step, distance, rows, columns, tiles_across;
};

/* The next run of coded symbols in row r of a pass, from *column on: [*column, the result); where they are equal, there is none.
 * A step takes `columns` columns of a row; without tiles all are coded. */
static inline int next_coded(const uint8_t *tiles, int across, int step, int columns, int r, int *column) {
    if (!tiles) return columns;
    const int side = TILE_SIDE / step;
    tiles += (long)(r / side) * across;
    int tile = *column / side;
    while (tile * side < columns && !tiles[tile]) tile++;
    int stop = *column = tile * side > *column ? tile * side : *column;
    while (stop < columns && tiles[tile]) stop = ++tile * side;
    *column = *column < columns ? *column : columns;
    return stop < columns ? stop : columns;
}

static inline int next_span(const struct prediction *p, int r, int *column) {
    return next_coded(p->tiles, p->tiles_across, p->step, p->columns, r, column);
}

/* How many coded symbols the rows before r have. */
static inline long coded_before(const struct prediction *p, int r) {
    const int side = TILE_SIDE / p->step;
    long count = 0;
    for (int first = 0; first < r; first += side) {
        long row = 0;
        for (int column = 0, stop; (stop = next_span(p, first, &column)) > column; column = stop) row += stop - column;
        count += row * (r - first < side ? r - first : side);
    }
    return count;
}

/* The row of the next coded symbol on a diagonal, from y on; `rows` or more if there is none. */
static inline int next_on_diagonal(const struct prediction *p, int diagonal, int y) {
    const int beyond = diagonal - p->columns + 1, least = beyond > 0 ? (beyond + SLOPE - 1) / SLOPE : 0;
    for (y = y > least ? y : least; y < p->rows && SLOPE * y <= diagonal; y++)
        if (p->tiles[y / TILE_SIDE * p->tiles_across + (diagonal - SLOPE * y) / TILE_SIDE]) return y;
    return p->rows;
}

struct unseen {                /* predictions of symbols that see nothing but zeros, by kind */
    int whole[4], table[4];
};

void inrcodec_predict(const struct prediction *p, int start, int stop);
void inrcodec_predict_unseen(const struct prediction *kinds, struct unseen *unseen);
long inrcodec_predict_diagonal(const struct prediction *kinds, int diagonal, const struct unseen *unseen, int *whole,
                               unsigned char *table);
#endif
