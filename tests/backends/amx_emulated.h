// The AMX instructions in plain C++, so that the code for tiles can be tested on processors without
// them: compiled into the library by test_fast.py, ahead of its sources.
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
    void multiply(int c, int a, int b) {
        check(c), check(a), check(b);
        if (rows(c) != rows(a) || rows(b) != 16) abort();
        for (int m = 0; m < rows(c); m++)
            for (int n = 0; n < 16; n++)
                for (int k = 0; k < 16; k++)
                    for (int i = 0; i < 2; i++) {
                        const auto number = [i](float word) {
                            uint16_t half[2];
                            memcpy(half, &word, 4);
                            const uint32_t bits = uint32_t(half[i]) << 16;
                            float x;
                            memcpy(&x, &bits, 4);
                            return x;
                        };
                        tile[c][m][n] += number(tile[a][m][k]) * number(tile[b][k][n]);
                    }
    }
};
static thread_local EmulatedTiles emulated;

static void emulated_loadconfig(const void* from) { memcpy(emulated.config, from, 64), memset(emulated.tile, 0, sizeof emulated.tile); }
static void emulated_release() { memset(&emulated, 0, sizeof emulated); }
static void emulated_zero(int t) { emulated.check(t), memset(emulated.tile[t], 0, 1024); }
static void emulated_loadd(int t, const void* from, int stride) {
    emulated.check(t);
    for (int r = 0; r < emulated.rows(t); r++) memcpy(emulated.tile[t][r], (const char*)from + r * stride, 64);
}
static void emulated_stored(int t, void* to, int stride) {
    emulated.check(t);
    for (int r = 0; r < emulated.rows(t); r++) memcpy((char*)to + r * stride, emulated.tile[t][r], 64);
}
static void emulated_dpbf16ps(int c, int a, int b) { emulated.multiply(c, a, b); }
