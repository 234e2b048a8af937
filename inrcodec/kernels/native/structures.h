/* What callers of the loops fill in (inrcodec.kernels), and the sizes that both must know. */

#ifndef INRCODEC_STRUCTURES
#define INRCODEC_STRUCTURES

#define LOOPS 2 /* as in inrcodec.kernels.native */
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

struct filter {                  /* of the vertices of a level, as vertices.h says */
    const float *in, *taps;      /* (planes, height, width), (half + 1) */
    const float *gradient;       /* by the filtered vertices, like in; or null */
    float *out;                  /* like in: filtered; or, with a gradient, that by `in` */
    double *sums;                /* (half + 1): the gradient by the taps, added to */
    float *work;                 /* 2 half + 6 rows of `width` as a multiple of 16 */
    int height, width, half, start, stop; /* rows [start, stop) of all planes, one below the other */
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
    int mirrored;                /* whether hidden units are pairs: `width` of them, second (2, width, width) for sums and differences */
    int summaries;               /* of all coarser levels, which symbols see in place of parent, previous channel and magnitudes */
    int start, stop, parts;      /* this call's share of every pass: [start, stop) of so many parts */
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

struct rotated {                 /* a tensor that soap.h steps */
    const float *gradient;       /* (rows, columns) */
    float *values;               /* (rows, columns) */
    float *mean, *square;        /* (rows, wide): moments, of which the square's is of rotated gradients */
    float *row_moments, *row_basis;       /* (rows, tall): of gradients' products; eigenvectors in columns. null: of no matrix */
    float *column_moments, *column_basis; /* (columns, wide) */
    float *work;                 /* (4, room) */
    int rows, columns, tall, wide; /* tall, wide: rows and columns filled up to whole vectors */
    int room;                    /* floats of the largest matrix */
    float keeps, correction;     /* share of the moments; what they have come to, of 1 */
    float kept, rate, epsilon;   /* values: kept times them, less rate times a step of at most 1 */
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

#endif
