/* SOAP (Vyas et al., arXiv 2409.11321): Adam of a tensor in the eigenbases of its gradients' second moments. All matrices but gradient
 * and values have rows of whole vectors, filled up with zeros. */

/* B rows and V vectors of a product, as below; B and V are constants. */
INLINE void FN(block_of_product)(const int B, const int V, int K, int wide, const float *X, int down, int across, const float *Y,
                                 float *out) {
    vf total[12];
#pragma GCC unroll 12
    for (int i = 0; i < B * V; i++) total[i] = FN(all)(0);
    for (int k = 0; k < K; k++) {
        vf y[2];
#pragma GCC unroll 2
        for (int j = 0; j < V; j++) y[j] = FN(load)(Y + k * wide + j * VL);
#pragma GCC unroll 6
        for (int i = 0; i < B; i++) {
            const vf x = FN(all)(X[i * down + k * across]);
#pragma GCC unroll 2
            for (int j = 0; j < V; j++) total[i * V + j] += x * y[j];
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < B * V; i++) FN(store)(out + i / V * wide + i % V * VL, total[i]);
}

/* out (M, wide) = X Y, of Y (K, wide) and X (M, K), whose entry (m, k) is X[m * down + k * across]. */
TARGET static void FN(product)(int M, int K, int wide, const float *X, int down, int across, const float *Y, float *out) {
    for (int n = 0; n < wide; n += 2 * VL) {
        const int pair = wide - n > VL;
        for (int m = 0; m < M;) {
            const int B = M - m >= 6 ? 6 : M - m >= 3 ? 3 : 1;
            const float *x = X + m * down, *y = Y + n;
            float *to = out + m * wide + n;
            switch (B + pair) {
            case 7: FN(block_of_product)(6, 2, K, wide, x, down, across, y, to); break;
            case 6: FN(block_of_product)(6, 1, K, wide, x, down, across, y, to); break;
            case 4: FN(block_of_product)(3, 2, K, wide, x, down, across, y, to); break;
            case 3: FN(block_of_product)(3, 1, K, wide, x, down, across, y, to); break;
            case 2: FN(block_of_product)(1, 2, K, wide, x, down, across, y, to); break;
            default: FN(block_of_product)(1, 1, K, wide, x, down, across, y, to);
            }
            m += B;
        }
    }
}

/* out (columns, tall) = in (rows, wide), its rows and columns exchanged. */
INLINE void FN(exchanged)(int rows, int columns, int wide, const float *in, int tall, float *out) {
    for (int k = 0; k < columns; k++) {
        for (int m = 0; m < rows; m++) out[k * tall + m] = in[m * wide + k];
        for (int m = rows; m < tall; m++) out[k * tall + m] = 0;
    }
}

/* values += share (others - values); count: of whole vectors. */
INLINE void FN(approach)(long count, float share, const float *others, float *values) {
    for (long i = 0; i < count; i += VL) {
        const vf value = FN(load)(values + i);
        FN(store)(values + i, value + (FN(load)(others + i) - value) * share);
    }
}

/* matrix (size, wide) -= v v^T matrix, of v (size), zero before `from`; columns of vectors before it stay as they are. */
INLINE void FN(reflect)(int size, int wide, int from, const float *v, float *matrix) {
    for (int n = from - from % VL; n < wide; n += VL) {
        vf along = FN(all)(0);
        for (int i = from; i < size; i++) along += v[i] * FN(load)(matrix + i * wide + n);
        for (int i = from; i < size; i++) FN(store)(matrix + i * wide + n, FN(load)(matrix + i * wide + n) - v[i] * along);
    }
}

/* v (size), zero before `from`, whose reflection brings the column `from` of matrix (size, wide) to that row. In doubles: of rows
 * that have no gradients squares may be too small for floats. */
INLINE void FN(reflector)(int size, int wide, int from, const float *matrix, float *v) {
    const double head = matrix[from * wide + from];
    double below = 0;
    for (int i = from + 1; i < size; i++) below += (double)matrix[i * wide + from] * matrix[i * wide + from];
    const double first = head + __builtin_copysign(__builtin_sqrt(head * head + below), head);
    const double factor = below > 0 ? __builtin_sqrt(2 / (first * first + below)) : 0;
    v[from] = factor * first;
    for (int i = from + 1; i < size; i++) v[i] = factor * matrix[i * wide + from];
}

/* basis (size, wide) = Q of moments times basis = QR, by Householder's reflections: a step of the power iteration. product and
 * reflectors: room for as much. */
TARGET static void FN(renew)(int size, int wide, const float *moments, float *basis, float *product, float *reflectors) {
    float trace = 0;
    for (int i = 0; i < size; i++) trace += moments[i * wide + i];
    const float scale = 1 / (trace / size > 1.17549435e-38f ? trace / size : 1.17549435e-38f);
    FN(product)(size, size, wide, moments, wide, 1, basis, product);
    for (int i = 0; i < size * wide; i += VL) FN(store)(product + i, FN(load)(product + i) * scale);
    for (int k = 0; k < size - 1; k++) {
        FN(reflector)(size, wide, k, product, reflectors + k * wide);
        FN(reflect)(size, wide, k, reflectors + k * wide, product);
    }
    for (int i = 0; i < size * wide; i += VL) FN(store)(basis + i, FN(all)(0));
    for (int i = 0; i < size; i++) basis[i * wide + i] = 1;
    for (int k = size - 2; k >= 0; k--) FN(reflect)(size, wide, k, reflectors + k * wide, basis);
}

/* out (rows, wide) = matrix (rows, wide) in the bases; work: room for as much. */
INLINE void FN(to_bases)(const struct rotated *r, const float *matrix, float *work, float *out) {
    FN(product)(r->rows, r->rows, r->wide, r->row_basis, 1, r->tall, matrix, work);
    FN(product)(r->rows, r->columns, r->wide, work, r->wide, 1, r->column_basis, out);
}

/* step (rows, wide), brought back from the bases; first and second: room. */
INLINE void FN(from_bases)(const struct rotated *r, float *first, float *second, float *step) {
    FN(product)(r->rows, r->rows, r->wide, r->row_basis, r->tall, 1, step, first);
    FN(exchanged)(r->columns, r->columns, r->wide, r->column_basis, r->wide, second);
    FN(product)(r->rows, r->columns, r->wide, first, r->wide, 1, second, step);
}

/* Second moments of rows and columns, and, if it `looks`, their bases; first and second: room. */
INLINE void FN(observe_sides)(const struct rotated *r, const float *gradient, int looks, float *first, float *second) {
    const int rows = r->rows, columns = r->columns, wide = r->wide, tall = r->tall;
    FN(exchanged)(rows, columns, wide, gradient, tall, first);
    FN(product)(rows, columns, tall, gradient, wide, 1, first, second);
    FN(approach)(rows * tall, 1 - r->keeps, second, r->row_moments);
    FN(product)(columns, rows, wide, gradient, 1, wide, gradient, second);
    FN(approach)(columns * wide, 1 - r->keeps, second, r->column_moments);
    if (looks) {
        FN(renew)(rows, tall, r->row_moments, r->row_basis, first, second);
        FN(renew)(columns, wide, r->column_moments, r->column_basis, first, second);
    }
}

/* Adam's step (count) of means in the bases, at most 1, which nothing exceeds while the bases rest: squares are not rotated with them.
 * count: of whole vectors. */
INLINE void FN(rotated_step)(const struct rotated *r, long count, const float *gradient, const float *mean, float *step) {
    for (long i = 0; i < count; i += VL) {
        const vf at = FN(load)(gradient + i), before = FN(load)(r->square + i);
        const vf square = before + (at * at - before) * (1 - r->keeps);
        FN(store)(r->square + i, square);
        const vf root = FN(root)(square / r->correction) + r->epsilon;
        const vf found = FN(load)(mean + i) / r->correction / root;
        FN(store)(step + i, FN(lesser)(FN(all)(1), FN(larger)(FN(all)(-1), found))); /* in this order what is no number stays none */
    }
}

TARGET static void FN(rotated)(const struct rotated *r, int looks) {
    const int columns = r->columns, wide = r->wide;
    const long count = (long)r->rows * wide;
    float *gradient = r->work, *first = gradient + r->room, *second = first + r->room, *step = second + r->room;
    for (int m = 0; m < r->rows; m++)
        for (int k = 0; k < wide; k += VL)
            FN(store)(gradient + m * wide + k, FN(load_some)(r->gradient + m * columns + k, columns - k));
    FN(approach)(count, 1 - r->keeps, gradient, r->mean);
    const float *mean = r->mean;
    if (r->row_basis) {
        FN(observe_sides)(r, gradient, looks, first, second);
        FN(to_bases)(r, gradient, first, gradient);
        FN(to_bases)(r, mean, first, step);
        mean = step;
    }
    FN(rotated_step)(r, count, gradient, mean, step);
    if (r->row_basis) FN(from_bases)(r, first, second, step);
    for (int m = 0; m < r->rows; m++)
        for (int k = 0; k < columns; k += VL) {
            float *at = r->values + m * columns + k;
            const vf value = FN(load_some)(at, columns - k) * r->kept;
            FN(store_some)(at, value - r->rate * FN(load)(step + m * wide + k), columns - k);
        }
}
