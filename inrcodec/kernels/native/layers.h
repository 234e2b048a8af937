/* Small dense layers on tiles: matrices of a few dozen rows and TILE columns, one column a pixel or symbol. */

#define VECTORS (TILE / VL)

/* Rows [m, m + B) of Y (M, TILE) = bias + W (M, K) X (K, TILE); B is a constant of at most 6. */
INLINE void FN(rows_of_layer)(const int B, int m, int K, const float *W, const float *X, const float *bias, float *Y,
                              int relu) {
    for (int n = 0; n < TILE; n += 2 * VL) {
        vf low[6], high[6];
#pragma GCC unroll 6
        for (int i = 0; i < B; i++) low[i] = high[i] = FN(all)(bias ? bias[m + i] : 0.0f);
        for (int k = 0; k < K; k++) {
            vf x0 = FN(load)(X + k * TILE + n), x1 = FN(load)(X + k * TILE + n + VL);
#pragma GCC unroll 6
            for (int i = 0; i < B; i++) {
                vf w = FN(all)(W[(m + i) * K + k]);
                low[i] += w * x0;
                high[i] += w * x1;
            }
        }
#pragma GCC unroll 6
        for (int i = 0; i < B; i++) {
            if (m + i < relu) low[i] = FN(larger)(low[i], FN(all)(0)), high[i] = FN(larger)(high[i], FN(all)(0));
            FN(store)(Y + (m + i) * TILE + n, low[i]);
            FN(store)(Y + (m + i) * TILE + n + VL, high[i]);
        }
    }
}

/* Y (M, TILE) = bias + W (M, K) X (K, TILE), the first `relu` rows through a ReLU; bias may be null. */
INLINE void FN(layer)(int M, int K, const float *W, const float *X, const float *bias, float *Y, int relu) {
    int m = 0;
    for (; m + 6 <= M; m += 6) FN(rows_of_layer)(6, m, K, W, X, bias, Y, relu);
    switch (M - m) {
    case 5: FN(rows_of_layer)(5, m, K, W, X, bias, Y, relu); break;
    case 4: FN(rows_of_layer)(4, m, K, W, X, bias, Y, relu); break;
    case 3: FN(rows_of_layer)(3, m, K, W, X, bias, Y, relu); break;
    case 2: FN(rows_of_layer)(2, m, K, W, X, bias, Y, relu); break;
    case 1: FN(rows_of_layer)(1, m, K, W, X, bias, Y, relu); break;
    }
}

/* A block of B by D entries of the sums G (M, TILE) X (K, TILE)^T, each kept as VL partial sums. */
INLINE void FN(block_of_products)(const int B, const int D, int m, int k, int K, const float *G, const float *X,
                                  float *sums) {
    vf total[3][4];
#pragma GCC unroll 3
    for (int i = 0; i < B; i++)
#pragma GCC unroll 4
        for (int j = 0; j < D; j++) total[i][j] = FN(load)(sums + ((m + i) * K + k + j) * VL);
    for (int n = 0; n < TILE; n += VL) {
        vf x[4];
#pragma GCC unroll 4
        for (int j = 0; j < D; j++) x[j] = FN(load)(X + (k + j) * TILE + n);
#pragma GCC unroll 3
        for (int i = 0; i < B; i++) {
            vf g = FN(load)(G + (m + i) * TILE + n);
#pragma GCC unroll 4
            for (int j = 0; j < D; j++) total[i][j] += g * x[j];
        }
    }
#pragma GCC unroll 3
    for (int i = 0; i < B; i++)
#pragma GCC unroll 4
        for (int j = 0; j < D; j++) FN(store)(sums + ((m + i) * K + k + j) * VL, total[i][j]);
}

/* sums (M, K, VL) += products of the rows of G and X over a tile. */
INLINE void FN(products)(int M, int K, const float *G, const float *X, float *sums) {
    for (int m = 0; m < M; m += 3) {
        int B = M - m < 3 ? M - m : 3, k = 0;
        for (; k + 4 <= K; k += 4)
            switch (B) {
            case 3: FN(block_of_products)(3, 4, m, k, K, G, X, sums); break;
            case 2: FN(block_of_products)(2, 4, m, k, K, G, X, sums); break;
            default: FN(block_of_products)(1, 4, m, k, K, G, X, sums);
            }
        for (; k < K; k++)
            switch (B) {
            case 3: FN(block_of_products)(3, 1, m, k, K, G, X, sums); break;
            case 2: FN(block_of_products)(2, 1, m, k, K, G, X, sums); break;
            default: FN(block_of_products)(1, 1, m, k, K, G, X, sums);
            }
    }
}

/* sums (M, VL) += rows of G. */
INLINE void FN(row_sums)(int M, const float *G, float *sums) {
    for (int m = 0; m < M; m++) {
        vf total = FN(load)(sums + m * VL);
        for (int n = 0; n < TILE; n += VL) total += FN(load)(G + m * TILE + n);
        FN(store)(sums + m * VL, total);
    }
}

/* G (M, TILE) is zeroed where the activations H after a ReLU are zero. */
INLINE void FN(through_relu)(int M, const float *H, float *G) {
    for (int n = 0; n < M * TILE; n += VL)
        FN(store)(G + n, FN(pick)(FN(load)(H + n) > 0.0f, FN(load)(G + n), FN(all)(0.0f)));
}

/* out (count) += factor times partial sums (count, VL). */
INLINE void FN(collect)(int count, float factor, const float *sums, float *out) {
    for (int i = 0; i < count; i++) out[i] += factor * FN(sum)(FN(load)(sums + i * VL));
}

INLINE void FN(transpose)(int M, int K, const float *W, float *out) {
    for (int m = 0; m < M; m++)
        for (int k = 0; k < K; k++) out[k * M + m] = W[m * K + k];
}
