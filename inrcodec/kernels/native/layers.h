/* Small dense layers on tiles: matrices of a few dozen rows and TILE columns, one column a pixel or symbol. */

#define VECTORS (TILE / VL)

/* Rows [m, m + B) of Y (M, TILE) = bias + W^T X (K, TILE), V vectors at a time; B and V are constants, B V at most 12. W is (K, M): the
 * weights of a block lie side by side, so that one pointer is enough for them. Rows below `relu` go through a ReLU; where `gate` (M, TILE)
 * is not positive, Y is zero. bias and gate may be null. */
INLINE void FN(rows_of_layer)(const int B, const int V, int m, int M, int K, const float *W, const float *X, const float *bias,
                              int relu, const float *gate, float *Y) {
    for (int n = 0; n < TILE; n += V * VL) {
        vf total[12];
#pragma GCC unroll 12
        for (int i = 0; i < B * V; i++) total[i] = FN(all)(bias ? bias[m + i / V] : 0.0f);
        const float *w = W + m;
        for (int k = 0; k < K; k++, w += M) {
            vf x[8];
#pragma GCC unroll 8
            for (int j = 0; j < V; j++) x[j] = FN(load)(X + k * TILE + n + j * VL);
#pragma GCC unroll 6
            for (int i = 0; i < B; i++) {
                vf weight = FN(all)(w[i]);
#pragma GCC unroll 8
                for (int j = 0; j < V; j++) total[i * V + j] += weight * x[j];
            }
        }
#pragma GCC unroll 12
        for (int i = 0; i < B * V; i++) {
            const int at = (m + i / V) * TILE + n + i % V * VL;
            if (m + i / V < relu) total[i] = FN(larger)(total[i], FN(all)(0));
            if (gate) total[i] = FN(pick)(FN(load)(gate + at) > 0.0f, total[i], FN(all)(0));
            FN(store)(Y + at, total[i]);
        }
    }
}

/* All M rows: as many sums at a time as there are registers for, since a sum waits for its last addition. */
INLINE void FN(blocks_of_layer)(int M, int K, const float *W, const float *X, const float *bias, int relu, const float *gate,
                                float *Y) {
    int m = 0;
    for (; m + 6 <= M; m += 6) FN(rows_of_layer)(6, 2, m, M, K, W, X, bias, relu, gate, Y);
    switch (M - m) {
    case 5: FN(rows_of_layer)(5, 2, m, M, K, W, X, bias, relu, gate, Y); break;
    case 4: FN(rows_of_layer)(4, 2, m, M, K, W, X, bias, relu, gate, Y); break;
    case 3: FN(rows_of_layer)(3, 4, m, M, K, W, X, bias, relu, gate, Y); break;
    case 2: FN(rows_of_layer)(2, 4, m, M, K, W, X, bias, relu, gate, Y); break;
    case 1: FN(rows_of_layer)(1, 8, m, M, K, W, X, bias, relu, gate, Y); break;
    }
}

/* Y (M, TILE) = bias + W^T X, of W (K, M) and X (K, TILE), the first `relu` rows through a ReLU; bias may be null. */
INLINE void FN(layer)(int M, int K, const float *W, const float *X, const float *bias, float *Y, int relu) {
    FN(blocks_of_layer)(M, K, W, X, bias, relu, 0, Y);
}

/* G (M, TILE) = W^T X, of W (K, M) and X (K, TILE), zero where the activations H (M, TILE) after a ReLU are. */
INLINE void FN(layer_through_relu)(int M, int K, const float *W, const float *X, const float *H, float *G) {
    FN(blocks_of_layer)(M, K, W, X, 0, 0, H, G);
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

/* out (count) += factor times partial sums (count, VL). */
INLINE void FN(collect)(int count, float factor, const float *sums, float *out) {
    for (int i = 0; i < count; i++) out[i] += factor * FN(sum)(FN(load)(sums + i * VL));
}

INLINE void FN(transpose)(int M, int K, const float *W, float *out) {
    for (int m = 0; m < M; m++)
        for (int k = 0; k < K; k++) out[k * M + m] = W[m * K + k];
}
