/* Symbols of a tensor in a byte each, and their CRC-32, in one pass. Most are zeros in long runs, which cost a look. */

#include <stdint.h>
#include <string.h>

#define BLOCK 64 /* symbols that are looked at together */
#define POLYNOMIAL 0xEDB88320u /* of zlib's crc32, reflected */

static uint32_t tables[8][256]; /* [k][b]: what a byte b, followed by k zero bytes, adds */
static uint32_t of_zeros[48][32]; /* [k][i]: what bit i becomes after 2^k blocks of zeros */

static uint32_t after_zeros(const uint32_t *matrix, uint32_t crc) {
    uint32_t sum = 0;
    for (int i = 0; crc; i++, crc >>= 1) sum ^= -(crc & 1) & matrix[i];
    return sum;
}

__attribute__((constructor)) static void prepare(void) {
    for (int b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int i = 0; i < 8; i++) crc = crc >> 1 ^ (-(crc & 1) & POLYNOMIAL);
        tables[0][b] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (int b = 0; b < 256; b++) tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 255];
    for (int i = 0; i < 32; i++) {
        uint32_t crc = 1u << i;
        for (int n = 0; n < 4 * BLOCK; n++) crc = crc >> 8 ^ tables[0][crc & 255];
        of_zeros[0][i] = crc;
    }
    for (int k = 1; k < 48; k++)
        for (int i = 0; i < 32; i++) of_zeros[k][i] = after_zeros(of_zeros[k - 1], of_zeros[k - 1][i]);
}

static uint32_t after_blocks_of_zeros(uint32_t crc, int64_t blocks) {
    for (int k = 0; blocks; k++, blocks >>= 1)
        if (blocks & 1) crc = after_zeros(of_zeros[k], crc);
    return crc;
}

#define BYTE(word, i) ((word) >> (8 * (i)) & 255)

/* An even number of symbols: eight bytes at a time. */
static uint32_t after_pairs(uint32_t crc, const uint32_t *symbols, int count) {
    for (int n = 0; n < count; n += 2) {
        const uint32_t low = symbols[n] ^ crc, high = symbols[n + 1];
        crc = tables[7][BYTE(low, 0)] ^ tables[6][BYTE(low, 1)] ^ tables[5][BYTE(low, 2)] ^ tables[4][BYTE(low, 3)]
              ^ tables[3][BYTE(high, 0)] ^ tables[2][BYTE(high, 1)] ^ tables[1][BYTE(high, 2)] ^ tables[0][BYTE(high, 3)];
    }
    return crc;
}

static uint32_t after_one(uint32_t crc, uint32_t symbol) {
    const uint32_t low = symbol ^ crc;
    return tables[3][BYTE(low, 0)] ^ tables[2][BYTE(low, 1)] ^ tables[1][BYTE(low, 2)] ^ tables[0][BYTE(low, 3)];
}

/* What `count` symbols are to bytes, if they fit; crc, that of what came before, goes on over them as little-endian words. Gives
 * -1 if all are zeros, else the bits that any of them has set or, if negative, not set: at most 127 if they fit. */
int inrcodec_narrow(const int32_t *symbols, int64_t count, signed char *bytes, uint32_t *crc) {
    uint32_t sum = ~*crc, bits = 0;
    int32_t ever = 0;
    int64_t n = 0, blocks = 0;
    for (; n + BLOCK <= count; n += BLOCK) {
        int32_t any = 0, used = 0;
        for (int i = 0; i < BLOCK; i++) any |= symbols[n + i];
        if (!any) {
            memset(bytes + n, 0, BLOCK);
            blocks++;
            continue;
        }
        sum = after_pairs(after_blocks_of_zeros(sum, blocks), (const uint32_t *)symbols + n, BLOCK);
        blocks = 0;
        for (int i = 0; i < BLOCK; i++) {
            used |= symbols[n + i] ^ symbols[n + i] >> 31;
            bytes[n + i] = (signed char)symbols[n + i];
        }
        bits |= used, ever = 1;
    }
    sum = after_blocks_of_zeros(sum, blocks);
    for (; n < count; n++) {
        bits |= symbols[n] ^ symbols[n] >> 31, ever |= symbols[n];
        bytes[n] = (signed char)symbols[n];
        sum = after_one(sum, symbols[n]);
    }
    *crc = ~sum;
    return ever ? (int)bits : -1;
}
