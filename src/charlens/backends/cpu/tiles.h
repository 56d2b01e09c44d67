// The two products on AMX tiles: registers of 16 rows of 64 bytes, multiplied 16 x 32 x 16 at a
// time in bfloat16, summed in float32. The panels of layout.h are made of tiles: 16 rows of a left
// operand, and 16 words of a right one, are contiguous. Included by product.h.
#pragma once
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

// Linux grants tile registers to a process that asks for them (XFEATURE_XTILEDATA).
static bool tiles_allowed() {
    constexpr int ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
}

// Makes the compiler complete its stores before tiles are loaded: it does not know that tile loads
// read memory.
static inline void compiler_barrier() { asm volatile("" ::: "memory"); }

// Tiles 0 ... 3 hold C, 4 and 5 A, 6 and 7 B. C and A have `rows` rows, at most 16.
static void configure_tiles(int rows) {
    struct {
        uint8_t palette = 1, start_row = 0, reserved[14] = {};
        uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        uint8_t rows[16] = {};
    } config;
    for (int tile = 0; tile < 8; tile++) config.rows[tile] = tile < 6 ? rows : 16;
    asm volatile("" : : "r"(&config) : "memory");  // all of it is read, not only its first bytes
    _tile_loadconfig(&config);
}

static thread_local int tile_rows = 0;  // as configured

static void use_tiles_of(int rows) {
    if (rows != tile_rows) configure_tiles(tile_rows = rows);
}
// Gives the registers back at the end of a call.
struct TilesReleased {
    ~TilesReleased() {
        if (tile_rows) _tile_release();
        tile_rows = 0;
    }
};

// Tiles along the inner dimension that are multiplied at a time: the parts of A and B that 2 x 2
// tiles of C read then stay in the L1 cache for the next ones.
constexpr int MAX_DEPTH = 8;
// The depth of the slices, as even as possible, into which so many tiles are divided.
static inline int slice_depth(int tiles) {
    const int slices = (tiles + MAX_DEPTH - 1) / MAX_DEPTH;
    return (tiles + slices - 1) / slices;
}

// The operands of 2 x 2 tiles of C in one slice of the inner dimension: tiles of two blocks of rows
// of A and of two panels of B.
struct Slice {
    const float *a[2][MAX_DEPTH], *b[2][MAX_DEPTH];
    int depth;
};
struct TilesOfC {
    float* at[2][2];  // [block of rows][panel]
};

// ROWS x PANELS tiles: to = from + A B, where a null `from` means zeros.
template <int ROWS, int PANELS>
static void tile_product(const Slice& s, const TilesOfC* from, const TilesOfC& to) {
    compiler_barrier();
    if (from) {
        _tile_loadd(0, from->at[0][0], 64);
        if constexpr (PANELS > 1) _tile_loadd(1, from->at[0][1], 64);
        if constexpr (ROWS > 1) _tile_loadd(2, from->at[1][0], 64);
        if constexpr (ROWS > 1 && PANELS > 1) _tile_loadd(3, from->at[1][1], 64);
    } else {
        _tile_zero(0);
        if constexpr (PANELS > 1) _tile_zero(1);
        if constexpr (ROWS > 1) _tile_zero(2);
        if constexpr (ROWS > 1 && PANELS > 1) _tile_zero(3);
    }
    for (int k = 0; k < s.depth; k++) {
        _tile_loadd(4, s.a[0][k], 64);
        _tile_loadd(6, s.b[0][k], 64);
        if constexpr (PANELS > 1) _tile_loadd(7, s.b[1][k], 64);
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (PANELS > 1) _tile_dpbf16ps(1, 4, 7);
        if constexpr (ROWS > 1) {
            _tile_loadd(5, s.a[1][k], 64);
            _tile_dpbf16ps(2, 5, 6);
            if constexpr (PANELS > 1) _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, to.at[0][0], 64);
    if constexpr (PANELS > 1) _tile_stored(1, to.at[0][1], 64);
    if constexpr (ROWS > 1) _tile_stored(2, to.at[1][0], 64);
    if constexpr (ROWS > 1 && PANELS > 1) _tile_stored(3, to.at[1][1], 64);
}

static void tile_product(int row_blocks, int c_panels, const Slice& s, const TilesOfC* from,
                         const TilesOfC& to) {
    if (row_blocks > 1)
        (c_panels > 1 ? tile_product<2, 2> : tile_product<2, 1>)(s, from, to);
    else
        (c_panels > 1 ? tile_product<1, 2> : tile_product<1, 1>)(s, from, to);
}

// The operands of C's first block of rows and `c_panels` panels, in the next slice of the tiles of
// all segments. The slice begins at `segment` and `tile`, which move to its end.
static void take_slice(const Segment*& segment, int& tile, int panel, int c_panels, Slice& slice) {
    for (int i = 0; i < slice.depth; i++, tile++) {
        if (tile == panels(segment->words)) {
            segment++;
            tile = 0;
        }
        slice.a[0][i] = segment->a + tile * segment->a_stride;
        for (int v = 0; v < c_panels; v++)
            slice.b[v][i] =
                segment->b + (panel + v) * segment->b_stride + size_t(tile) * PANEL * PANEL;
    }
}

// C = sum over segments of A B, for `rows` rows of `c_panels` panels of C.
static void product(int rows, const Segment* segments, int count, Matrix c, int c_panels) {
    const int block_rows = std::min(rows, 16), blocks = (rows + 15) / 16;
    // The last block of rows overlaps the one before it; its sums are kept elsewhere until they are
    // complete.
    const bool overlaps = blocks > 1 && rows % 16;
    alignas(64) float elsewhere[2][PANEL * PANEL];
    int tiles = 0;
    for (int i = 0; i < count; i++) tiles += panels(segments[i].words);
    const int depth = slice_depth(tiles);
    use_tiles_of(block_rows);
    for (int panel = 0; panel < c_panels; panel += 2) {
        const int now_panels = std::min(c_panels - panel, 2);
        const Segment* segment = segments;
        for (int done = 0, tile = 0; done < tiles; done += depth) {
            Slice all_rows, slice;
            all_rows.depth = std::min(tiles - done, depth);
            take_slice(segment, tile, panel, now_panels, all_rows);
            slice = all_rows;
            const bool last_slice = done + depth >= tiles;
            for (int block = 0; block < blocks; block += 2) {
                const int now_blocks = std::min(blocks - block, 2);
                TilesOfC from, to;
                for (int r = 0; r < now_blocks; r++) {
                    const bool last_block = block + r == blocks - 1;
                    const int row = last_block ? rows - block_rows : 16 * (block + r);
                    for (int i = 0; i < slice.depth; i++)
                        slice.a[r][i] = all_rows.a[0][i] + size_t(row) * PANEL;
                    for (int v = 0; v < now_panels; v++) {
                        float* const at = c.at(panel + v, row);
                        from.at[r][v] = last_block && overlaps ? elsewhere[v] : at;
                        to.at[r][v] = last_block && overlaps && !last_slice ? elsewhere[v] : at;
                    }
                }
                tile_product(now_blocks, now_panels, slice, done ? &from : nullptr, to);
            }
        }
    }
}

// Transposes 16 x 16 words; rows from `rows` on are taken as zeros.
static void transpose(float* to, const float* from, int rows) {
    __m512 r[16], t[16];
    for (int i = 0; i < 16; i++) r[i] = i < rows ? load(from + i * PANEL) : all(0);
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    const auto low = [](__m512 x, __m512 y) {
        return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(x), _mm512_castps_pd(y)));
    };
    const auto high = [](__m512 x, __m512 y) {
        return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(x), _mm512_castps_pd(y)));
    };
    for (int i = 0; i < 16; i += 4) {  // r[i + c], quarter q: column 4 q + c of rows i ... i + 3
        r[i] = low(t[i], t[i + 2]), r[i + 1] = high(t[i], t[i + 2]);
        r[i + 2] = low(t[i + 1], t[i + 3]), r[i + 3] = high(t[i + 1], t[i + 3]);
    }
    for (int c = 0; c < 4; c++) {
        const __m512 x = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x44),
                     y = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x44);
        const __m512 z = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xee),
                     w = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xee);
        store(to + c * PANEL, _mm512_shuffle_f32x4(x, y, 0x88)),
            store(to + (4 + c) * PANEL, _mm512_shuffle_f32x4(x, y, 0xdd));
        store(to + (8 + c) * PANEL, _mm512_shuffle_f32x4(z, w, 0x88)),
            store(to + (12 + c) * PANEL, _mm512_shuffle_f32x4(z, w, 0xdd));
    }
}

// Tiles of rows of both operands that a transposed product takes at a time: those of A then stay in
// the L2 cache.
constexpr int TRANSPOSED_TILES = 32;
constexpr size_t TRANSPOSED_PANEL = TRANSPOSED_TILES * PANEL * PANEL;

// Block of words begin ... begin + count - 1 of A^T B. scratch: room for A's transposed panels.
static void add_transposed_block(const Operand& a, int a_panels, const Operand& b, int b_panels,
                                 int begin, int count, Matrix c, float* scratch) {
    alignas(64) float padded[2][PANEL * PANEL];
    const int tiles = panels(count), last = count - (tiles - 1) * PANEL, depth = slice_depth(tiles);
    for (int m = 0; m < a_panels; m++)
        for (int k = 0; k < tiles; k++)
            transpose(scratch + m * TRANSPOSED_PANEL + size_t(k) * PANEL * PANEL,
                      a.rows_inner + m * a.rows_inner_stride + size_t(begin + k * PANEL) * PANEL,
                      k < tiles - 1 ? PANEL : last);
    for (int p = 0; p < b_panels; p += 2) {
        const int now_panels = std::min(b_panels - p, 2);
        for (int done = 0; done < tiles; done += depth) {
            Slice slice;
            slice.depth = std::min(tiles - done, depth);
            for (int v = 0; v < now_panels; v++) {
                const float* const b_words = b.rows_inner + (p + v) * b.rows_inner_stride;
                for (int k = 0; k < slice.depth; k++)
                    slice.b[v][k] = b_words + size_t(begin + (done + k) * PANEL) * PANEL;
                if (done + slice.depth < tiles || last == PANEL) continue;
                const float*& end = slice.b[v][slice.depth - 1];  // beyond the last row may be NaNs
                memset(padded[v], 0, sizeof padded[v]);
                memcpy(padded[v], end, size_t(last) * PANEL * sizeof(float));
                end = padded[v];
            }
            for (int m = 0; m < a_panels; m += 2) {
                const int now_blocks = std::min(a_panels - m, 2);
                TilesOfC to;
                for (int r = 0; r < now_blocks; r++) {
                    for (int k = 0; k < slice.depth; k++)
                        slice.a[r][k] =
                            scratch + (m + r) * TRANSPOSED_PANEL + size_t(done + k) * PANEL * PANEL;
                    for (int v = 0; v < now_panels; v++) to.at[r][v] = c.at(p + v, (m + r) * PANEL);
                }
                tile_product(now_blocks, now_panels, slice, &to, to);
            }
        }
    }
}

// c [panels of B][columns of A][16] += A^T B over the first `rows` rows; c has room for whole
// panels of A's columns. scratch: TRANSPOSED_PANEL floats for each of A's panels.
static void add_transposed_product(const Operand& a, int columns, const Operand& b, int b_panels,
                                   int rows, Matrix c, float* scratch) {
    constexpr int BLOCK = TRANSPOSED_TILES * PANEL;
    use_tiles_of(16);
    for (int begin = 0, end = words(rows); begin < end; begin += BLOCK)
        add_transposed_block(a, panels(columns), b, b_panels, begin, std::min(end - begin, BLOCK),
                             c, scratch);
}

// Both products on small whole numbers, which are exact, against plain loops.
static bool tiles_are_right() {
    // Two overlapping blocks of rows, two slices of the inner dimension.
    constexpr int rows = 22, inner = 340, k = inner / 2, left_rows = 32,
                  right_words = (k + PANEL - 1) / PANEL * PANEL;
    static_assert(k > MAX_DEPTH * PANEL && k % PANEL,
                  "more than a slice, and the last tile not full");
    const auto number = [](int i) { return float(i * 7 % 11 % 7 - 3); };
    const auto half = [&](int i) {  // the same in bfloat16
        const float x = number(i);
        uint32_t bits;
        memcpy(&bits, &x, 4);
        return bits >> 16;
    };
    const auto word = [&](float* to, int low, int high) {
        const uint32_t bits = half(low) | half(high) << 16;
        memcpy(to, &bits, 4);
    };
    alignas(64) static float a[right_words * left_rows], b[2 * right_words * PANEL],
        c[2 * 2 * PANEL * PANEL];
    alignas(64) static float scratch[2 * TRANSPOSED_PANEL];
    for (int r = 0; r < rows; r++)
        for (int w = 0; w < k; w++)
            word(a + (w / PANEL * left_rows + r) * PANEL + w % PANEL, r * 50 + 2 * w,
                 r * 50 + 2 * w + 1);
    for (int p = 0; p < 2; p++)
        for (int w = 0; w < k; w++)
            for (int j = 0; j < PANEL; j++)
                word(b + (p * right_words + w) * PANEL + j, 2 * w + 90 * (p * PANEL + j),
                     2 * w + 1 + 90 * (p * PANEL + j));
    const Segment s = {a, size_t(left_rows) * PANEL, b, size_t(right_words) * PANEL, k};
    product(rows, &s, 1, {c, size_t(left_rows) * PANEL}, 2);
    bool right = true;
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < 2 * PANEL; j++) {
            float sum = 0;
            for (int i = 0; i < inner; i++) sum += number(r * 50 + i) * number(i + 90 * j);
            right &= sum == c[(j / PANEL * left_rows + r) * PANEL + j % PANEL];
        }
    memset(c, 0, sizeof c);  // b^T b: 32 columns
    const Operand along = {nullptr, 0, b, size_t(right_words) * PANEL};
    add_transposed_product(along, 2 * PANEL, along, 2, inner, {c, size_t(2 * PANEL) * PANEL},
                           scratch);
    for (int m = 0; m < 2 * PANEL; m++)
        for (int j = 0; j < 2 * PANEL; j++) {
            float sum = 0;
            for (int i = 0; i < inner; i++) sum += number(i + 90 * m) * number(i + 90 * j);
            right &= sum == c[(j / PANEL * 2 * PANEL + m) * PANEL + j % PANEL];
        }
    return right;
}

// Whether tiles may be used and compute correctly: tried in a child process, which may crash.
static bool tiles_work() {
    if (!tiles_allowed()) return false;
    const pid_t child = fork();
    if (child == 0) _exit(!tiles_are_right());
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

}  // namespace
