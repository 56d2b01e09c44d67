// The AMX instructions in plain C++: paths.py compiles this ahead of the library's sources where a
// processor lacks them. Sums are rounded after every product, pairs in order.
#pragma once
#include <immintrin.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#undef _tile_loadconfig
#define _tile_loadconfig emulated_loadconfig
#undef _tile_loadd
#define _tile_loadd emulated_loadd
#undef _tile_stored
#define _tile_stored emulated_stored
#undef _tile_zero
#define _tile_zero emulated_zero
#undef _tile_dpbf16ps
#define _tile_dpbf16ps emulated_dpbf16ps
#undef _tile_release
#define _tile_release emulated_release

// The system's leave to use tiles.
#define syscall(...) 0

struct EmulatedTiles {
    uint8_t config[64];
    float tile[8][16][16];
    int rows(int t) const { return config[48 + t]; }
    void check(int t) const {  // a tile that is not configured is a fault
        if (config[0] != 1 || rows(t) < 1 || rows(t) > 16 || config[16 + 2 * t] != 64) abort();
    }
    // Half i of a word, a bfloat16, as float32.
    static float number(float word, int i) {
        uint32_t bits;
        memcpy(&bits, &word, 4);
        bits = i ? bits & 0xffff0000 : bits << 16;
        memcpy(&word, &bits, 4);
        return word;
    }
    void multiply(int c, int a, int b) {
        check(c), check(a), check(b);
        if (rows(c) != rows(a) || rows(b) != 16) abort();
        for (int k = 0; k < 16; k++)
            for (int i = 0; i < 2; i++) {
                float right[16];
                for (int n = 0; n < 16; n++) right[n] = number(tile[b][k][n], i);
                for (int m = 0; m < rows(c); m++) {
                    const float left = number(tile[a][m][k], i);
                    for (int n = 0; n < 16; n++) tile[c][m][n] += left * right[n];
                }
            }
    }
};
static thread_local EmulatedTiles emulated;

static void emulated_loadconfig(const void* from) {
    memcpy(emulated.config, from, 64), memset(emulated.tile, 0, sizeof emulated.tile);
}
static void emulated_release() { memset(&emulated, 0, sizeof emulated); }
static void emulated_zero(int t) { emulated.check(t), memset(emulated.tile[t], 0, 1024); }
static void emulated_loadd(int t, const void* from, int stride) {
    emulated.check(t);
    for (int r = 0; r < emulated.rows(t); r++)
        memcpy(emulated.tile[t][r], (const char*)from + r * stride, 64);
}
static void emulated_stored(int t, void* to, int stride) {
    emulated.check(t);
    for (int r = 0; r < emulated.rows(t); r++)
        memcpy((char*)to + r * stride, emulated.tile[t][r], 64);
}
static void emulated_dpbf16ps(int c, int a, int b) { emulated.multiply(c, a, b); }
