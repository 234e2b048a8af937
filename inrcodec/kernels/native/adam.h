/* Adam (Kingma and Ba, arXiv 1412.6980, algorithm 1) of values [start, stop). */
TARGET static void FN(adam)(const struct adam *a, long start, long stop) {
    for (long i = start; i < stop; i += VL) {
        const int count = stop - i < VL ? stop - i : VL;
        const vf gradient = FN(load_some)(a->gradient + i, count), mean = FN(load_some)(a->mean + i, count);
        const vf square = FN(load_some)(a->square + i, count), value = FN(load_some)(a->values + i, count);
        const vf first = mean + (gradient - mean) * (1 - a->keeps_mean);
        const vf second = square * a->keeps_square + gradient * gradient * (1 - a->keeps_square);
        FN(store_some)(a->mean + i, first, count);
        FN(store_some)(a->square + i, second, count);
        FN(store_some)(a->values + i, value - a->rate * first / (FN(root)(second) * a->root_factor + a->epsilon), count);
    }
}
