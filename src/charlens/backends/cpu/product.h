// The two matrix products that everything else is made of, and the layouts they read.
//
// Sums are always float32. What is multiplied is float32, or bfloat16 where the processor multiplies
// pairs of those (AVX512-BF16, AMX). A WORD is 32 bits: one float, or two bfloat16 that neighbour
// along the inner dimension of a product. Seen in words, both cases lie the same way in memory, in
// panels 16 words wide, one cache line a row:
//
//     left operand [rows, k]       panel of 16 words along k, all rows of it, next panel
//     right operand [k, columns]   panel of 16 columns, the words of k one after the other, next panel
//     result [rows, columns]       panel of 16 columns (float32), all rows of it, next panel
//
// In float32 a result is at the same time a left operand, and a right operand with its rows as k.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "vector.h"

constexpr int P = 16;  // words, or columns, in a panel
#if defined __AVX512BF16__
constexpr int PER_WORD = 2;
#else
constexpr int PER_WORD = 1;
#endif

// The forward pass takes its weights in this many roundings by turns, so that on average each is
// nearly exact: the same small error at every step of every stream adds up in the gradients.
constexpr int ROUNDINGS = PER_WORD == 1 ? 1 : 4;

static inline int panels(int columns) { return (columns + P - 1) / P; }
static inline int words(int inner) { return (inner + PER_WORD - 1) / PER_WORD; }

// float32 [rows, columns], in panels of columns.
struct Matrix {
    float* data;
    size_t stride;  // floats from one panel to the next
    float* at(int panel, int row) const { return data + panel * stride + size_t(row) * P; }
};

// What is kept for the backward pass: in half precision where products are of bfloat16, which rounds
// eight times as coarsely. (Half precision ends at 65,504. The only factor that is not below 1, an LSTM's
// c' f (1 - f), gets there with a cell of 262,000, and a cell grows by 1 a step.) `far`: it will not be
// in a cache when it is read, and need not pass through one.
#if defined __AVX512BF16__
using Kept = uint16_t;
static inline void store(Kept* to, vec x, bool far) {
    const __m256i half = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
    far ? _mm256_stream_si256((__m256i*)to, half) : _mm256_store_si256((__m256i*)to, half);
}
static inline vec load(const Kept* from) { return _mm512_cvtph_ps(_mm256_load_si256((const __m256i*)from)); }
#else
using Kept = float;
static inline void store(Kept* to, vec x, bool) { store(to, x); }
#endif

// What products read of a matrix of activations: as left operand, its columns being the inner
// dimension, and along its rows, as either operand of a transposed product. In float32 these are
// the same memory.
struct Operand {
    float* left;  // [panel of 16 words of columns][row][16]
    size_t left_stride;
    float* along;  // [panel of 16 columns][word of rows][16]
    size_t along_stride;
    // The same operand from another row (even) on.
    Operand from(int row) const {
        return {left + size_t(row) * P, left_stride, along + size_t(row / PER_WORD) * P, along_stride};
    }
};

// ---- words: two rows of 16 columns, as the inner dimension of a product has them ----

#if defined __AVX512BF16__
static inline __m512i both(vec x, vec y) { return (__m512i)_mm512_cvtne2ps_pbh(y, x); }
static inline __m512i interleaved(__m512i xy) {
    alignas(64) static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                   8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(order), xy);
}
// One panel of an operand, from an even row on.
struct Place {
    float *left, *along;
    void store(int row, vec x, vec y, bool far = false) const {  // that row and the next
        const __m512i xy = both(x, y);
        float* at = left + size_t(row) * P;
        _mm256_store_si256((__m256i*)at, _mm512_castsi512_si256(xy));
        _mm256_store_si256((__m256i*)(at + P), _mm512_extracti64x4_epi64(xy, 1));
        auto* const words = (__m512i*)(along + size_t(row / 2) * P);
        far ? _mm512_stream_si512(words, interleaved(xy)) : _mm512_store_si512(words, interleaved(xy));
    }
};
static inline Place place(const Operand& of, int p, int row) {
    return {of.left + (p / 2) * of.left_stride + size_t(row) * P + p % 2 * 8, of.along + p * of.along_stride + size_t(row / 2) * P};
}
// Inner indices 2 k and 2 k + 1 of a right operand.
static inline void store_word(float* to, vec x, vec y) { _mm512_store_si512(to, interleaved(both(x, y))); }
// Away from zero if x is more than 1/8, more than 5/8, at least 3/8 or at least 7/8 of the way, else
// towards it: to 1/8 the mean of all four, and ties go both ways (what was in half precision has many).
static inline vec rounding(vec x, int turn) {
    constexpr int add[ROUNDINGS] = {0xdfff, 0x5fff, 0xa000, 0x2000};
    const __m512i sum = _mm512_add_epi32((__m512i)x, _mm512_set1_epi32(add[turn]));
    return (vec)_mm512_and_si512(sum, _mm512_set1_epi32(~0xffff));
}
// acc + the products of a word of the left operand with 16 words of the right one.
static inline vec dot(const float* a, vec b, vec acc) {
    return _mm512_dpbf16_ps(acc, (__m512bh)_mm512_set1_ps(*a), (__m512bh)b);
}
#else
struct Place {
    float* at;
    void store(int row, vec x, vec y, bool = false) const { ::store(at + size_t(row) * P, x), ::store(at + size_t(row + 1) * P, y); }
};
static inline Place place(const Operand& of, int p, int row) { return {of.left + p * of.left_stride + size_t(row) * P}; }
static inline void store_word(float* to, vec x, vec y) { store(to, x), store(to + P, y); }
static inline vec rounding(vec x, int) { return x; }
static inline vec dot(const float* a, vec b, vec acc) { return fma(all(*a), b, acc); }
#endif

// ---- weights: row-major, `ld` floats from row to row, into panels and back ----

// A right operand takes this many words of every panel: whole tiles.
static inline int height(int inner) { return panels(words(inner)) * P; }

// src [rows, columns] as right operand with its rows as inner dimension, in every rounding, `next`
// floats apart.
static void pack_right(float* to, const float* src, int rows, int columns, size_t ld, size_t next) {
    for (int p = 0; p < panels(columns); p++, to += size_t(height(rows)) * P)
        for (int r = 0; r < rows; r += 2) {
            const float* from = src + r * ld + p * P;
            const vec x = load_first(from, columns - p * P);
            const vec y = r + 1 < rows ? load_first(from + ld, columns - p * P) : all(0);
            for (int turn = 0; turn < ROUNDINGS; turn++)
                store_word(to + turn * next + size_t(r / PER_WORD) * P, rounding(x, turn), rounding(y, turn));
        }
}
// The transpose of src [rows, columns], its columns being the inner dimension, rounded to nearest.
static void pack_right_transposed(float* to, const float* src, int rows, int columns, size_t ld) {
    for (int p = 0; p < panels(rows); p++, to += size_t(height(columns)) * P)
        for (int c = 0; c < columns; c += 2) {
            const float* from = src + p * P * ld + c;
            const int n = rows - p * P;
            store_word(to + size_t(c / PER_WORD) * P, load_column(from, ld, n), c + 1 < columns ? load_column(from + 1, ld, n) : all(0));
        }
}
// float32 panels of any stride.
static void pack(Matrix to, const float* src, int rows, int columns, size_t ld) {
    for (int p = 0; p < panels(columns); p++)
        for (int r = 0; r < rows; r++) store(to.at(p, r), load_first(src + r * ld + p * P, columns - p * P));
}
static void unpack(float* dst, size_t ld, Matrix from, int rows, int columns) {
    for (int p = 0; p < panels(columns); p++)
        for (int r = 0; r < rows; r++) store_first(dst + r * ld + p * P, columns - p * P, load(from.at(p, r)));
}

struct Segment {
    const float* a;  // left operand, from its first row on
    size_t a_stride;
    const float* b;  // right operand
    size_t b_stride;  // from one of the panels wanted to the next
    int k;            // words
};

#if defined __AMX_BF16__
constexpr int AT_ONCE = 32;  // tiles along the rows that a transposed product takes at a time
constexpr size_t TURNED = AT_ONCE * P * P;
#include "tiles.h"
#else
constexpr size_t TURNED = 0;

// ---- C = sum over segments of A B ----

#define UNROLL _Pragma("GCC unroll 16")  // the accumulators must become registers
#if defined __AVX512F__
constexpr int ROWS = 12, PANELS = 2;  // of C in registers: 24 of 32
constexpr int COLUMNS = 8;            // of A in a transposed product, times two panels
#else
constexpr int ROWS = 6, PANELS = 1;  // 12 of 16 registers
constexpr int COLUMNS = 4;
#endif

// acc += a b for one word of the inner dimension; a: R words, APART apart.
template <int R, int V, int APART>
static inline __attribute__((always_inline)) void multiply_add(vec (&acc)[R][V], const float* a, const float* b, size_t stride) {
    vec bv[V];
    UNROLL for (int v = 0; v < V; v++) bv[v] = load(b + v * stride);
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < V; v++) acc[r][v] = dot(a + r * APART, bv[v], acc[r][v]);
}

// R rows of V panels of C.
template <int R, int V>
static void kernel(const Segment* s, int n, int row, int panel, Matrix c) {
    vec acc[R][V];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < V; v++) acc[r][v] = all(0);
    for (; n--; s++) {
        const float* a = s->a + size_t(row) * P;
        const float* b = s->b + panel * s->b_stride;
        const size_t next = s->a_stride - P, stride = s->b_stride;
        int k = s->k;
        for (; k >= P; k -= P, a += next)
            for (const float* end = a + P; a < end; a += 4, b += 4 * P) {
                multiply_add<R, V, P>(acc, a, b, stride);
                multiply_add<R, V, P>(acc, a + 1, b + P, stride);
                multiply_add<R, V, P>(acc, a + 2, b + 2 * P, stride);
                multiply_add<R, V, P>(acc, a + 3, b + 3 * P, stride);
            }
        for (; k; k--, a++, b += P) multiply_add<R, V, P>(acc, a, b, stride);
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < V; v++) store(c.at(panel + v, row + r), acc[r][v]);
}

// All rows of `count` panels of C, the rows dealt evenly.
static void product(int rows, const Segment* s, int n, Matrix c, int count) {
    using Kernel = void (*)(const Segment*, int, int, int, Matrix);
#define KERNELS(V) \
    {nullptr, kernel<1, V>, kernel<2, V>, kernel<3, V>, kernel<4, V>, kernel<5, V>, kernel<6, V>, \
     AVX512_KERNELS(V)}
#if defined __AVX512F__
#define AVX512_KERNELS(V) kernel<7, V>, kernel<8, V>, kernel<9, V>, kernel<10, V>, kernel<11, V>, kernel<12, V>
#else
#define AVX512_KERNELS(V)
#endif
    static constexpr Kernel kernels[PANELS][ROWS + 1] = {
        KERNELS(1),
#if defined __AVX512F__
        KERNELS(2),
#endif
    };
    for (int p = 0; p < count;) {
        const int v = count - p < PANELS ? count - p : PANELS;
        int row = 0;
        for (int blocks = (rows + ROWS - 1) / ROWS; blocks; blocks--) {
            const int r = (rows - row + blocks - 1) / blocks;
            kernels[v - 1][r](s, n, row, p, c);
            row += r;
        }
        p += v;
    }
}

// ---- C += A^T B, the rows of both being the inner dimension: weight gradients ----

template <int M, int V>
static void kernel_transposed(const float* a, const float* b, size_t b_stride, int k, float* c, size_t c_stride) {
    vec acc[M][V];
    UNROLL for (int m = 0; m < M; m++)
        UNROLL for (int v = 0; v < V; v++) acc[m][v] = load(c + v * c_stride + m * P);
    for (; k >= 2; k -= 2, a += 2 * P, b += 2 * P) {
        multiply_add<M, V, 1>(acc, a, b, b_stride);
        multiply_add<M, V, 1>(acc, a + P, b + P, b_stride);
    }
    if (k) multiply_add<M, V, 1>(acc, a, b, b_stride);
    UNROLL for (int m = 0; m < M; m++)
        UNROLL for (int v = 0; v < V; v++) store(c + v * c_stride + m * P, acc[m][v]);
}

// c [panels of B][columns of A][16] += A^T B over the first `rows` rows; c has room for whole panels
// of A's columns.
static void add_transposed_product(const Operand& a, int columns, const Operand& b, int b_panels, int rows, Matrix c, float*) {
    constexpr int block = 256;  // words: a panel of A and two of B are then 48 KiB at most
    for (int row = 0, all_words = words(rows); row < all_words; row += block) {
        const int k = all_words - row < block ? all_words - row : block;
        for (int p = 0; p < b_panels; p += PANELS)
            for (int m = 0; m < columns; m += COLUMNS) {
                const float* from = a.along + (m / P) * a.along_stride + size_t(row) * P + m % P;
                const float* with = b.along + p * b.along_stride + size_t(row) * P;
                if (PANELS == 1 || p + 1 < b_panels)
                    kernel_transposed<COLUMNS, PANELS>(from, with, b.along_stride, k, c.at(p, m), c.stride);
                else
                    kernel_transposed<COLUMNS, 1>(from, with, b.along_stride, k, c.at(p, m), c.stride);
            }
    }
}
#endif
