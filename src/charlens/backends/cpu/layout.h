// How matrices lie in memory, and packing weights into that layout and back.
//
// Sums are always float32; operands are float32 or bfloat16 (vector.h). In words of 32 bits, both
// have the same layout, in panels 16 words wide, one cache line a row:
//
//     left operand [rows, inner]      panel of 16 words along a row, all rows of it, next panel
//     right operand [inner, columns]  panel of 16 columns, all words of `inner`, next panel
//     result [rows, columns]          panel of 16 columns (float32), all rows of it, next panel
//
// In float32 a result is at the same time a left operand, and a right operand with its rows as
// inner dimension.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "vector.h"

namespace {

static inline int panels(int columns) { return (columns + PANEL - 1) / PANEL; }
static inline int words(int inner) { return (inner + PER_WORD - 1) / PER_WORD; }

// float32 [rows, columns], in panels of columns.
struct Matrix {
    float* data;
    size_t stride;  // floats from one panel to the next
    float* at(int panel, int row) const { return data + panel * stride + size_t(row) * PANEL; }
    // The same matrix, starting at a row.
    Matrix from(int row) const { return {at(0, row), stride}; }
};

// A matrix of activations in the two forms that products read. In float32 both are the same memory.
struct Operand {
    float* left;  // left operand, columns as inner dimension: [panel of 16 words][row][16]
    size_t left_stride;
    // Operand of a transposed product, rows as inner dimension: [panel][word of rows][16].
    float* rows_inner;
    size_t rows_inner_stride;
    // The same operand, starting at an even row.
    Operand from(int row) const {
        return {left + size_t(row) * PANEL, left_stride,
                rows_inner + size_t(row / PER_WORD) * PANEL, rows_inner_stride};
    }
    // Part i of an operand of several parts, such as gates, each `columns` wide.
    Operand part(int i, int columns) const {
        return {left + size_t(i) * panels(words(columns)) * left_stride, left_stride,
                rows_inner + size_t(i) * panels(columns) * rows_inner_stride, rows_inner_stride};
    }
};

// Writes one panel of an operand, two rows at a time. In bfloat16 both forms are written.
struct PairWriter {
#if defined __AVX512BF16__
    float *left, *rows_inner;
    // Stores x and y in an even row and the next.
    void store(int row, vec x, vec y, bool bypass_cache = false) const {
        float* const to = left + size_t(row) * PANEL;
        store_as_rows(to, to + PANEL, x, y);
        store_interleaved(rows_inner + size_t(row / 2) * PANEL, x, y, bypass_cache);
    }
#else
    float* both;
    void store(int row, vec x, vec y, bool = false) const {
        float* const to = both + size_t(row) * PANEL;
        ::store(to, x);
        ::store(to + PANEL, y);
    }
#endif
};
static inline PairWriter pair_writer(const Operand& to, int panel, int row) {
#if defined __AVX512BF16__
    // Two panels of sixteen columns are one of sixteen words.
    float* const left = to.left + (panel / 2) * to.left_stride + panel % 2 * 8;
    return {left + size_t(row) * PANEL,
            to.rows_inner + panel * to.rows_inner_stride + size_t(row / 2) * PANEL};
#else
    return {to.left + panel * to.left_stride + size_t(row) * PANEL};
#endif
}

// ---- weights: row-major, `ld` floats from row to row, into panels and back ----

// Words per panel of a right operand, padded to whole tiles.
static inline int padded_words(int inner) { return panels(words(inner)) * PANEL; }
// The number of floats in a right operand.
static inline size_t right_size(int inner, int columns) {
    return size_t(panels(columns)) * padded_words(inner) * PANEL;
}

// Stores two neighbours along the inner dimension, for sixteen columns.
static inline void store_inner_pair(float* to, vec x, vec y) {
#if defined __AVX512BF16__
    store_interleaved(to, x, y);
#else
    store(to, x);
    store(to + PANEL, y);
#endif
}
static inline vec rounded_weight(vec x, [[maybe_unused]] int rounding) {
#if defined __AVX512BF16__
    return rounded_to_bfloat16(x, rounding);
#else
    return x;
#endif
}

// src [rows, columns] as right operand with its rows as inner dimension, in all ROUNDINGS,
// `rounding_stride` floats apart.
static void pack_right(float* to, const float* src, int rows, int columns, size_t ld,
                       size_t rounding_stride) {
    for (int p = 0; p < panels(columns); p++, to += size_t(padded_words(rows)) * PANEL)
        for (int r = 0; r < rows; r += 2) {
            const float* from = src + r * ld + p * PANEL;
            const int count = columns - p * PANEL;
            const vec x = load_first(from, count);
            const vec y = r + 1 < rows ? load_first(from + ld, count) : all(0);
            float* const word = to + size_t(r / PER_WORD) * PANEL;
            for (int i = 0; i < ROUNDINGS; i++)
                store_inner_pair(word + i * rounding_stride, rounded_weight(x, i),
                                 rounded_weight(y, i));
        }
}
// src [rows, columns], transposed, as right operand with its columns as inner dimension, rounded to
// nearest.
static void pack_right_transposed(float* to, const float* src, int rows, int columns, size_t ld) {
    for (int p = 0; p < panels(rows); p++, to += size_t(padded_words(columns)) * PANEL)
        for (int c = 0; c < columns; c += 2) {
            const float* from = src + p * PANEL * ld + c;
            const int count = rows - p * PANEL;
            const vec x = load_column(from, int(ld), count);
            const vec y = c + 1 < columns ? load_column(from + 1, int(ld), count) : all(0);
            store_inner_pair(to + size_t(c / PER_WORD) * PANEL, x, y);
        }
}
// src [rows, columns] into float32 panels, and back.
static void pack(Matrix to, const float* src, int rows, int columns, size_t ld) {
    for (int p = 0; p < panels(columns); p++)
        for (int r = 0; r < rows; r++)
            store(to.at(p, r), load_first(src + r * ld + p * PANEL, columns - p * PANEL));
}
static void unpack(float* dst, size_t ld, Matrix from, int rows, int columns) {
    for (int p = 0; p < panels(columns); p++)
        for (int r = 0; r < rows; r++)
            store_first(dst + r * ld + p * PANEL, columns - p * PANEL, load(from.at(p, r)));
}

}  // namespace
