/* Passes and diagonals of a pyramid's planes (inrcodec.passes), tile by tile: only the symbols of tiles that are coded are
 * predicted. */

#ifndef INRCODEC_PASSES
#define INRCODEC_PASSES
#include <stdint.h>

#define SLOPE 3 /* as in inrcodec.passes */
#define TILE_SIDE 32 /* samples of a plane; a multiple of every pass's step. As in inrcodec.entropy.tiles */

struct network {               /* of the symbols of one kind of one plane */
    const int *bias;           /* (width + 2) */
    const unsigned char *logs; /* by magnitude */
    const int *entry, *second, *last; /* (width + 2, inputs), (width, width), (2, width): in pairs along a row */
    const int *second_bias;    /* (width) */
    const short *weights;      /* (LOGS, symbols): of the symbols' magnitudes in each logarithm */
    int near, inputs, width;   /* near: of the inputs, which come first */
};

struct prediction {            /* one pass of one plane */
    struct network network;
    short *plain, *split;      /* padded planes, as in struct context, of clipped symbols */
    const int *offsets;        /* (near, 2): y and x of the neighbors, in units of `distance` */
    const uint8_t *tiles;      /* (tiles down, tiles across): whether they are coded */
    int *whole;                /* of the means of coded symbols, in order */
    unsigned char *table;      /* of the same */
    int plain_base, base, stride, parent, parent_stride, previous, nothing; /* as in struct plane and context */
    int first_y, first_x, step, distance, rows, columns, tiles_across;
};

struct sheared {               /* a plane's diagonals, one after the other, as inrcodec.kernels.padding says */
    long base;                 /* of its first symbol; where there is no plane, of zeros, with a stride of 0 */
    int stride, width;
};

struct diagonals {             /* one plane */
    struct network kinds[4];
    short *symbols;            /* sheared planes of clipped symbols */
    const int *offsets;        /* as in struct prediction, by a distance of 1 */
    const uint8_t *tiles;
    int *whole;                /* of the means of a diagonal's coded symbols; those of a plane, where all are given */
    unsigned char *table;      /* of the same */
    int *coded;                /* (rows): those in which a diagonal has coded symbols */
    const short *summaries;    /* sheared like planes of the parent's size, `summary_size` apart */
    long summary_size;
    struct sheared own, parent, previous; /* parent: of the first summary, if there are any */
    int rows, columns, tiles_across, summary_count;
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

/* To s->coded: the rows of a diagonal's coded symbols, from the top; how many there are. */
static inline int coded_rows(const struct diagonals *s, int diagonal) {
    const int beyond = diagonal - s->columns + 1, last = diagonal / SLOPE;
    const int end = last < s->rows ? last + 1 : s->rows;
    int count = 0;
    for (int y = beyond > 0 ? (beyond + SLOPE - 1) / SLOPE : 0, stop; y < end; y = stop) { /* tile by tile */
        const int x = diagonal - SLOPE * y, across = x % TILE_SIDE / SLOPE + 1, down = TILE_SIDE - y % TILE_SIDE;
        stop = y + (across < down ? across : down);
        stop = stop < end ? stop : end;
        if (!s->tiles[y / TILE_SIDE * s->tiles_across + x / TILE_SIDE]) continue;
        for (int row = y; row < stop; row++) s->coded[count++] = row;
    }
    return count;
}

/* Where the symbol of row 0 on a diagonal lies, or would lie; the next rows' follow. */
static inline long diagonal_at(const struct sheared *s, int diagonal) {
    const int beyond = diagonal - s->width + 1, first = beyond > 0 ? (beyond + SLOPE - 1) / SLOPE : 0;
    return s->base + (long)diagonal * s->stride - first;
}

struct unseen {                /* predictions of symbols that see nothing but zeros, by kind */
    int whole[4], table[4];
};

void inrcodec_predict(const struct prediction *p, int start, int stop);
void inrcodec_predict_unseen(const struct diagonals *s, struct unseen *unseen);
int inrcodec_predict_diagonal(const struct diagonals *s, int diagonal, const struct unseen *unseen, int *whole,
                              unsigned char *table);
#endif
