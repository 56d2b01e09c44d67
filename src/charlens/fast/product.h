// Matrices in panels, and the two products that everything else is made of.
//
// A matrix of any width lies in panels of 16 columns; in a panel the rows follow each other:
//
//     panel 0                panel 1                      an element (row, column) is at
//     row 0: 16 floats       row 0: columns 16 ... 31       panel(column / 16)
//     row 1: 16 floats       row 1                          + row * 16 + column % 16
//     ...                    ...
//
// So one layout serves as left operand (16 inner indices of a row are one cache line), as right
// operand of a weight gradient (a panel is 16 columns of every row, in order), and for the gates
// (units 0 ... 15 of all streams are adjacent, in every gate). Columns past the width are zero.
#pragma once
#include <cstddef>
#include <cstring>

#include "vector.h"

constexpr int P = 16;  // columns in a panel: two vectors
static inline int panels(int columns) { return (columns + P - 1) / P; }
// Vectors of panel p that hold any of `columns`: 2, or 1 in a last panel that is at most half full.
static inline int vectors(int columns, int p) { return columns - p * P > W ? 2 : 1; }

struct Matrix {
    float* data;
    size_t stride;  // floats from one panel to the next
    float* at(int panel, int row) const { return data + panel * stride + size_t(row) * P; }
};

// src [rows, columns] (row-major, `ld` floats from row to row) into panels of `rows` rows, and back.
static void pack(float* to, size_t stride, const float* src, int rows, int columns, size_t ld) {
    for (int p = 0; p < panels(columns); p++, to += stride) {
        const int n = columns - p * P < P ? columns - p * P : P;
        for (int r = 0; r < rows; r++) {
            memcpy(to + size_t(r) * P, src + r * ld + p * P, n * sizeof(float));
            for (int i = n; i < P; i++) to[size_t(r) * P + i] = 0;
        }
    }
}
static void unpack(float* dst, size_t ld, const float* from, size_t stride, int rows, int columns) {
    for (int p = 0; p < panels(columns); p++, from += stride) {
        const int n = columns - p * P < P ? columns - p * P : P;
        for (int r = 0; r < rows; r++)
            memcpy(dst + r * ld + p * P, from + size_t(r) * P, n * sizeof(float));
    }
}
// The transpose of src [rows, columns] into panels of `columns` rows.
static void pack_transposed(float* to, const float* src, int rows, int columns, size_t ld) {
    for (int p = 0; p < panels(rows); p++)
        for (int c = 0; c < columns; c++)
            for (int i = 0; i < P; i++, to++)
                *to = p * P + i < rows ? src[size_t(p * P + i) * ld + c] : 0;
}

// ---- C = init + sum over segments of A B: 16 columns of C, a few rows in registers at a time ----

struct Segment {
    Matrix a;        // left operand, from its first row on
    const float* b;  // right operand: one packed panel of k rows
    int k;           // inner length
};

// acc += a b for one inner index; a: R rows, 16 floats apart.
#define UNROLL _Pragma("GCC unroll 8")  // the accumulators must become registers
template <int R, int V, int APART>
static inline __attribute__((always_inline)) void multiply_add(vec (&acc)[R][V], const float* a, const float* b) {
    vec bv[V];
    UNROLL for (int v = 0; v < V; v++) bv[v] = load(b + v * W);
    UNROLL for (int r = 0; r < R; r++) {
        const vec ar = copies_of(a + r * APART);
        UNROLL for (int v = 0; v < V; v++) acc[r][v] = fma(ar, bv[v], acc[r][v]);
    }
}

// R rows by V vectors of C. Row r starts from init row index[r]: a bias (index 0), the row of an
// input character (the lookup x w_x + b), or C itself (index r, to accumulate).
template <int R, int V>
static void kernel(const Segment* s, int n, int row, const float* init, const int* index, float* c) {
    vec acc[R][V];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < V; v++) acc[r][v] = load(init + size_t(index[row + r]) * P + v * W);
    for (; n--; s++) {
        const float* a = s->a.data + size_t(row) * P;
        const float* b = s->b;
        const size_t next = s->a.stride - P;
        int k = s->k;
        for (; k >= P; k -= P, a += next)
            for (const float* end = a + P; a < end; a += 4, b += 4 * P) {
                multiply_add<R, V, P>(acc, a, b);
                multiply_add<R, V, P>(acc, a + 1, b + P);
                multiply_add<R, V, P>(acc, a + 2, b + 2 * P);
                multiply_add<R, V, P>(acc, a + 3, b + 3 * P);
            }
        for (; k; k--, a++, b += P) multiply_add<R, V, P>(acc, a, b);
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < V; v++) store(c + size_t(row + r) * P + v * W, acc[r][v]);
}

// All rows of one panel of C. Six rows of two vectors fill twelve of the sixteen registers; eight
// rows of one vector are the fewest that hide the latency of the multiply-add.
static void product(int rows, const Segment* s, int n, const float* init, const int* index, float* c,
                    int vectors) {
    using Kernel = void (*)(const Segment*, int, int, const float*, const int*, float*);
    static constexpr Kernel one[] = {nullptr,      kernel<1, 1>, kernel<2, 1>, kernel<3, 1>, kernel<4, 1>,
                                     kernel<5, 1>, kernel<6, 1>, kernel<7, 1>, kernel<8, 1>};
    static constexpr Kernel two[] = {nullptr,      kernel<1, 2>, kernel<2, 2>, kernel<3, 2>,
                                     kernel<4, 2>, kernel<5, 2>, kernel<6, 2>};
    const Kernel* kernels = vectors == 2 ? two : one;
    const int most = vectors == 2 ? 6 : 8;
    for (int row = 0; row < rows;) {
        const int r = rows - row < most ? rows - row : most;
        kernels[r](s, n, row, init, index, c);
        row += r;
    }
}

// ---- C += A^T B over many rows: weight gradients ----

// M columns of A against V vectors of B; C holds M rows of a packed panel.
template <int M, int V>
static void kernel_transposed(const float* a, const float* b, int rows, float* c) {
    vec acc[M][V];
    UNROLL for (int m = 0; m < M; m++)
        UNROLL for (int v = 0; v < V; v++) acc[m][v] = load(c + m * P + v * W);
    for (; rows >= 2; rows -= 2, a += 2 * P, b += 2 * P) {
        multiply_add<M, V, 1>(acc, a, b);
        multiply_add<M, V, 1>(acc, a + P, b + P);
    }
    if (rows) multiply_add<M, V, 1>(acc, a, b);
    UNROLL for (int m = 0; m < M; m++)
        UNROLL for (int v = 0; v < V; v++) store(c + m * P + v * W, acc[m][v]);
}

// c [panels of B][columns of A][16] += A^T B, `rows` rows from the first on. B has `width` columns.
static void add_transposed_product(Matrix a, int columns, Matrix b, int width, int rows, float* c) {
    using Kernel = void (*)(const float*, const float*, int, float*);
    static constexpr Kernel kernels[2][7] = {
        {nullptr, kernel_transposed<1, 1>, kernel_transposed<2, 1>, kernel_transposed<3, 1>,
         kernel_transposed<4, 1>, kernel_transposed<5, 1>, kernel_transposed<6, 1>},
        {nullptr, kernel_transposed<1, 2>, kernel_transposed<2, 2>, kernel_transposed<3, 2>,
         kernel_transposed<4, 2>, kernel_transposed<5, 2>, kernel_transposed<6, 2>}};
    constexpr int block = 256;  // rows: a panel of A and one of B are then 16 KiB each, half of L1
    for (int row = 0; row < rows; row += block) {
        const int n = rows - row < block ? rows - row : block;
        for (int p = 0; p < panels(width); p++)
            for (int m = 0; m < columns;) {
                const int left = (columns - m < P - m % P) ? columns - m : P - m % P;
                const int now = left < 6 ? left : 6;
                kernels[vectors(width, p) - 1][now](a.at(m / P, row) + m % P, b.at(p, row), n,
                                                    c + (size_t(p) * columns + m) * P);
                m += now;
            }
    }
}
