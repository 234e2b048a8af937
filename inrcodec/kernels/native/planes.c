/* Decoding a plane of a pyramid: passes, or diagonals, are predicted, range decoded and stored in one call. */

#include "passes.h"
#include "ranges.h"

#define CLIP 64 /* SYMBOL_CLIP */
#define MAX_SYMBOL (1 << 20)

static inline int clipped(int symbol) { return symbol < -CLIP ? -CLIP : symbol > CLIP ? CLIP : symbol; }

/* Symbols [column, stop) of row r of a pass to both padded planes; symbols: the first one's place, `spacing` apart. */
static inline void store(const struct prediction *p, int r, int column, int stop, const int32_t *symbols, int spacing) {
    const int odd = p->first_x % 2, y = (p->first_y + r * p->step) * p->stride;
    short *plain = p->plain + p->plain_base + y + p->first_x;
    short *split = p->split + p->base + y + p->first_x / 2 + odd * (p->stride / 2);
    for (int i = column; i < stop; i++, symbols += spacing)
        plain[i * p->step] = split[i * (p->step / 2)] = (short)clipped(*symbols);
}

/* The whole pass of given symbols (rows, columns). */
void inrcodec_store(const struct prediction *p, const int32_t *symbols) {
    for (int r = 0; r < p->rows; r++) store(p, r, 0, p->columns, symbols + (long)r * p->columns, 1);
}

/* Coded symbols of a pass, row by row, to their places. */
static int spread(const struct decoding *d, const struct prediction *p) {
    const int32_t *symbol = p->whole;
    int32_t least = 0, most = 0;
    for (int r = 0; r < p->rows; r++) {
        int32_t *row = d->symbols + (int64_t)(p->first_y + r * p->step) * d->width + p->first_x;
        for (int column = 0, stop; (stop = next_span(p, r, &column)) > column; column = stop) {
            store(p, r, column, stop, symbol, 1);
            for (int i = column; i < stop; i++) {
                const int32_t found = *symbol++;
                row[i * p->step] = found;
                least = found < least ? found : least;
                most = found > most ? found : most;
            }
        }
    }
    return least < -MAX_SYMBOL || most > MAX_SYMBOL ? TOO_LARGE : FINE;
}

/* To `whole`, what `count` symbols are beyond it. */
static int decode_rest(struct decoding *d, const unsigned char *table, long count, int *whole) {
    return inrcodec_decode_runs(d->ranges, d->lookups, d->missing, table, count, d->order, whole);
}

static int decode_pass(struct decoding *d, const struct prediction *p, long count) {
    const int failure = decode_rest(d, p->table, count, p->whole);
    return failure ? failure : spread(d, p);
}

/* Passes [first, last) of a plane; those whose symbols are predicted already if `predicted`. */
int inrcodec_decode_passes(struct decoding *d, const struct prediction *passes, int first, int last, int predicted) {
    for (int i = first; i < last; i++) {
        const struct prediction *p = passes + i;
        const long count = coded_before(p, p->rows);
        if (!count) continue;
        if (!predicted) inrcodec_predict(p, 0, p->rows);
        const int failure = decode_pass(d, p, count);
        d->stopped = i;
        if (failure) return failure;
    }
    return FINE;
}

/* How many symbols of a pass are coded. */
long inrcodec_coded(const struct prediction *p) { return coded_before(p, p->rows); }

/* `count` coded symbols of a diagonal to their places. */
static int place(const struct decoding *d, const struct diagonals *s, int diagonal, int count) {
    short *const own = s->symbols + diagonal_at(&s->own, diagonal);
    int32_t *const symbols = d->symbols + diagonal;
    int32_t least = 0, most = 0;
    for (int i = 0; i < count; i++) {
        const int32_t y = s->coded[i], found = s->whole[i];
        symbols[(int64_t)y * (d->width - SLOPE)] = found;
        own[y] = (short)clipped(found);
        least = found < least ? found : least;
        most = found > most ? found : most;
    }
    return least < -MAX_SYMBOL || most > MAX_SYMBOL ? TOO_LARGE : FINE;
}

/* Diagonals [first, last) of a plane. */
int inrcodec_decode_diagonals(struct decoding *d, const struct diagonals *s, int first, int last) {
    struct unseen unseen;
    inrcodec_predict_unseen(s, &unseen);
    for (int diagonal = first; diagonal < last; diagonal++) {
        const int count = inrcodec_predict_diagonal(s, diagonal, &unseen, s->whole, s->table);
        if (!count) continue;
        int failure = decode_rest(d, s->table, count, s->whole);
        if (!failure) failure = place(d, s, diagonal, count);
        d->stopped = diagonal;
        if (failure) return failure;
    }
    return FINE;
}

/* All diagonals of a plane of given symbols (rows, columns): places and sizes of the diagonals' coded symbols; how many there
 * are in all. */
long inrcodec_predict_diagonals(const struct diagonals *s, const int32_t *symbols, int32_t *places, int32_t *sizes) {
    const int count = s->columns + SLOPE * (s->rows - 1);
    struct unseen unseen;
    long total = 0;
    inrcodec_predict_unseen(s, &unseen);
    for (int y = 0; y < s->rows; y++)
        for (int x = 0; x < s->columns; x++)
            s->symbols[diagonal_at(&s->own, x + SLOPE * y) + y] = (short)clipped(symbols[(long)y * s->columns + x]);
    for (int diagonal = 0; diagonal < count; diagonal++) {
        sizes[diagonal] = inrcodec_predict_diagonal(s, diagonal, &unseen, s->whole + total, s->table + total);
        for (int i = 0; i < sizes[diagonal]; i++) places[total++] = s->coded[i] * (s->columns - SLOPE) + diagonal;
    }
    return total;
}

/* Code lengths of `count` symbols, if each were one less, what it is, one more, to their places in three rows that lie `apart`. rest:
 * what is added to the predicted whole parts; known: lengths of -near ... near, table after table. Gives 0, with nothing said, if any is
 * further than they tell. */
int inrcodec_code_lengths(int64_t count, const int32_t *rest, const unsigned char *tables, const int32_t *places, const float *known,
                          int near, int64_t apart, float *found) {
    int32_t far = 0;
    for (int64_t n = 0; n < count; n++) far |= (rest[n] >= near) | (rest[n] <= -near);
    if (far) return 0;
    for (int64_t n = 0; n < count; n++) {
        const float *at = known + (int64_t)tables[n] * (2 * near + 1) + near + rest[n];
        for (int row = 0; row < 3; row++) found[row * apart + places[n]] = at[row - 1];
    }
    return 1;
}
