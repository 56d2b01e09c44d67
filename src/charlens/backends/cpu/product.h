// The two matrix products on which everything else is built, in vector registers or on AMX tiles.
#pragma once
#include <algorithm>

#include "layout.h"

namespace {

// A B for one pair of operands; a product is the sum over its segments.
struct Segment {
    const float* a;   // left operand, at its first row
    size_t a_stride;  // floats from panel to panel
    const float* b;   // right operand, at the first wanted panel
    size_t b_stride;  // floats from one wanted panel to the next
    int words;        // of the inner dimension
};

// a times the weights b, of which every `apart`-th panel is wanted. inner: columns of a.
inline Segment segment_of(const Operand& a, const float* b, int inner, int apart = 1) {
    return {a.left, a.left_stride, b, apart * size_t(padded_words(inner)) * PANEL, words(inner)};
}

}  // namespace

#if defined __AMX_BF16__

#include "tiles.h"

#else

namespace {

constexpr size_t TRANSPOSED_PANEL = 0;  // the transposed product needs no scratch memory

// Unrolled, so that the sums are kept in registers.
#define FOR_UNROLLED(i, count) _Pragma("GCC unroll 16") for (int i = 0; i < count; i++)
#if defined __AVX512F__
constexpr int MAX_ROWS = 12, MAX_PANELS = 2;  // of C in registers: 24 of 32
constexpr int COLUMNS = 8;                    // of A in a transposed product, times two panels
#else
constexpr int MAX_ROWS = 6, MAX_PANELS = 1;  // 12 of 16 registers (NEON: 24 of 32)
constexpr int COLUMNS = 4;
#endif

// sums += a b for one word of the inner dimension; a: ROWS words, APART floats from one to the
// next.
template <int ROWS, int PANELS, int APART>
inline __attribute__((always_inline)) void multiply_add(vec (&sums)[ROWS][PANELS], const float* a,
                                                        const float* b, size_t b_stride) {
    vec b_words[PANELS];
    FOR_UNROLLED (p, PANELS) b_words[p] = load(b + p * b_stride);
    FOR_UNROLLED (r, ROWS)
        FOR_UNROLLED (p, PANELS) sums[r][p] = dot(a + r * APART, b_words[p], sums[r][p]);
}

// ---- C = sum over segments of A B ----

// ROWS rows of PANELS panels of C.
template <int ROWS, int PANELS>
static void product_block(const Segment* segments, int count, int row, int panel, Matrix c) {
    vec sums[ROWS][PANELS];
    FOR_UNROLLED (r, ROWS)
        FOR_UNROLLED (p, PANELS) sums[r][p] = all(0);
    for (const Segment* s = segments; s < segments + count; s++) {
        const float* a = s->a + size_t(row) * PANEL;
        const float* b = s->b + panel * s->b_stride;
        const size_t to_next_panel = s->a_stride - PANEL, b_stride = s->b_stride;
        int left = s->words;
        for (; left >= PANEL; left -= PANEL, a += to_next_panel)
            for (const float* end = a + PANEL; a < end; a += 4, b += 4 * PANEL) {
                multiply_add<ROWS, PANELS, PANEL>(sums, a, b, b_stride);
                multiply_add<ROWS, PANELS, PANEL>(sums, a + 1, b + PANEL, b_stride);
                multiply_add<ROWS, PANELS, PANEL>(sums, a + 2, b + 2 * PANEL, b_stride);
                multiply_add<ROWS, PANELS, PANEL>(sums, a + 3, b + 3 * PANEL, b_stride);
            }
        for (; left; left--, a++, b += PANEL)
            multiply_add<ROWS, PANELS, PANEL>(sums, a, b, b_stride);
    }
    FOR_UNROLLED (r, ROWS)
        FOR_UNROLLED (p, PANELS) store(c.at(panel + p, row + r), sums[r][p]);
}

using ProductBlock = void (*)(const Segment*, int, int, int, Matrix);

// product_block for each number of rows, from 1; none for 0.
template <int PANELS, int... ROWS>
struct ProductBlocks {
    static constexpr ProductBlock of_rows[] = {nullptr, product_block<ROWS, PANELS>...};
};
template <int PANELS>
#if defined __AVX512F__
using AllBlocks = ProductBlocks<PANELS, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12>;
#else
using AllBlocks = ProductBlocks<PANELS, 1, 2, 3, 4, 5, 6>;
#endif

// `rows` rows of `c_panels` panels of C; rows are divided evenly among blocks.
static void product(int rows, const Segment* segments, int count, Matrix c, int c_panels) {
    for (int p = 0; p < c_panels; p += MAX_PANELS) {
        const bool full = c_panels - p >= MAX_PANELS;
        const ProductBlock* const of_rows =
            full ? AllBlocks<MAX_PANELS>::of_rows : AllBlocks<1>::of_rows;
        int row = 0;
        for (int blocks = (rows + MAX_ROWS - 1) / MAX_ROWS; blocks; blocks--) {
            const int now = (rows - row + blocks - 1) / blocks;
            of_rows[now](segments, count, row, p, c);
            row += now;
        }
    }
}

// ---- C += A^T B, the rows of both being the inner dimension: weight gradients ----

template <int ROWS, int PANELS>
static void transposed_block(const float* a, const float* b, size_t b_stride, int words, float* c,
                             size_t c_stride) {
    vec sums[ROWS][PANELS];
    FOR_UNROLLED (r, ROWS)
        FOR_UNROLLED (p, PANELS) sums[r][p] = load(c + p * c_stride + r * PANEL);
    for (; words >= 2; words -= 2, a += 2 * PANEL, b += 2 * PANEL) {
        multiply_add<ROWS, PANELS, 1>(sums, a, b, b_stride);
        multiply_add<ROWS, PANELS, 1>(sums, a + PANEL, b + PANEL, b_stride);
    }
    if (words) multiply_add<ROWS, PANELS, 1>(sums, a, b, b_stride);
    FOR_UNROLLED (r, ROWS)
        FOR_UNROLLED (p, PANELS) store(c + p * c_stride + r * PANEL, sums[r][p]);
}

// c [panels of B][columns of A][16] += A^T B over the first `rows` rows; c has room for whole
// panels of A's columns.
static void add_transposed_product(const Operand& a, int columns, const Operand& b, int b_panels,
                                   int rows, Matrix c, float* /* scratch */) {
    constexpr int BLOCK = 256;  // words: a panel of A and two of B are then 48 KiB at most
    for (int word = 0, end = words(rows); word < end; word += BLOCK) {
        const int count = std::min(end - word, BLOCK);
        for (int p = 0; p < b_panels; p += MAX_PANELS)
            for (int m = 0; m < columns; m += COLUMNS) {
                const float* a_words = a.rows_inner + (m / PANEL) * a.rows_inner_stride;
                const float* b_words = b.rows_inner + p * b.rows_inner_stride;
                const auto block = b_panels - p >= MAX_PANELS
                                       ? transposed_block<COLUMNS, MAX_PANELS>
                                       : transposed_block<COLUMNS, 1>;
                block(a_words + size_t(word) * PANEL + m % PANEL, b_words + size_t(word) * PANEL,
                      b.rows_inner_stride, count, c.at(p, m), c.stride);
            }
    }
}

}  // namespace

#endif
