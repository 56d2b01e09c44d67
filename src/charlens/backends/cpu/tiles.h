// The two products on AMX tiles: registers of 16 rows of 64 bytes, multiplied 16 x 32 x 16 at a time
// in bfloat16, summed in float32. The panels of product.h are made of tiles: 16 rows of a left
// operand, and 16 words of a right one, lie in one piece.
#pragma once
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Linux grants tile registers to a process that asks for them (XFEATURE_XTILEDATA).
static bool tiles_allowed() {
    constexpr int ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
}

// What was written so far is in memory when tiles are loaded: compilers do not see that those read it.
static inline void settle_memory() { asm volatile("" ::: "memory"); }

// Tiles 0 ... 3 hold C, 4 and 5 A, 6 and 7 B. C and A have `rows` rows, 16 or all there are.
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

static void want_tiles(int rows) {
    if (rows != tile_rows) configure_tiles(tile_rows = rows);
}
// Gives the registers back at the end of a call.
struct TilesReleased {
    ~TilesReleased() {
        if (tile_rows) _tile_release();
        tile_rows = 0;
    }
};

// So many tiles along the inner dimension are taken at a time: what 2 x 2 tiles of C read of A and B
// then stays in the L1 cache for the next that need it.
constexpr int DEPTH = 8;
// Of so many tiles, in pieces as even as can be.
static inline int depth_of_pieces(int tiles) {
    const int pieces = (tiles + DEPTH - 1) / DEPTH;
    return (tiles + pieces - 1) / pieces;
}

// What 2 x 2 tiles of C are made of in such a piece: tiles of two blocks of rows of A, of two panels of B.
struct Piece {
    const float *a[2][DEPTH], *b[2][DEPTH];
    int depth;
};
struct Tiles {  // of C
    float* at[4];  // block 0: panel 0, 1; block 1: panel 0, 1
};

// R x V tiles: to = from + A B, from null meaning zeros.
template <int R, int V>
static void tile_product(const Piece& s, const Tiles* from, const Tiles& to) {
    settle_memory();
    if (from) {
        _tile_loadd(0, from->at[0], 64);
        if constexpr (V > 1) _tile_loadd(1, from->at[1], 64);
        if constexpr (R > 1) _tile_loadd(2, from->at[2], 64);
        if constexpr (R > 1 && V > 1) _tile_loadd(3, from->at[3], 64);
    } else {
        _tile_zero(0);
        if constexpr (V > 1) _tile_zero(1);
        if constexpr (R > 1) _tile_zero(2);
        if constexpr (R > 1 && V > 1) _tile_zero(3);
    }
    for (int k = 0; k < s.depth; k++) {
        _tile_loadd(4, s.a[0][k], 64);
        _tile_loadd(6, s.b[0][k], 64);
        if constexpr (V > 1) _tile_loadd(7, s.b[1][k], 64);
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (V > 1) _tile_dpbf16ps(1, 4, 7);
        if constexpr (R > 1) {
            _tile_loadd(5, s.a[1][k], 64);
            _tile_dpbf16ps(2, 5, 6);
            if constexpr (V > 1) _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, to.at[0], 64);
    if constexpr (V > 1) _tile_stored(1, to.at[1], 64);
    if constexpr (R > 1) _tile_stored(2, to.at[2], 64);
    if constexpr (R > 1 && V > 1) _tile_stored(3, to.at[3], 64);
}

static void tile_product(int row_blocks, int column_panels, const Piece& s, const Tiles* from, const Tiles& to) {
    (row_blocks > 1 ? column_panels > 1 ? tile_product<2, 2> : tile_product<2, 1>
                    : column_panels > 1 ? tile_product<1, 2> : tile_product<1, 1>)(s, from, to);
}

// C = sum over segments of A B, `count` panels of C.
static void product(int rows, const Segment* segments, int n, Matrix c, int count) {
    const int most = rows < 16 ? rows : 16, blocks = (rows + 15) / 16;
    // The last block of rows overlaps the one before it; until its sums are whole they lie apart.
    const bool overlaps = blocks > 1 && rows % 16;
    alignas(64) float apart[2][P * P];
    int tiles = 0;
    for (int i = 0; i < n; i++) tiles += panels(segments[i].k);
    const int depth = depth_of_pieces(tiles);
    want_tiles(most);
    for (int panel = 0; panel < count; panel += 2) {
        const int two_panels = panel + 1 < count ? 2 : 1;
        const Segment* s = segments;
        for (int done = 0, k = 0; done < tiles; done += depth) {
            const float *a[DEPTH];
            Piece piece;
            piece.depth = tiles - done < depth ? tiles - done : depth;
            for (int i = 0; i < piece.depth; i++, k++) {
                if (k == panels(s->k)) s++, k = 0;
                a[i] = s->a + k * s->a_stride;
                piece.b[0][i] = s->b + panel * s->b_stride + size_t(k) * P * P;
                piece.b[1][i] = piece.b[0][i] + s->b_stride;
            }
            const bool last = done + depth >= tiles;
            for (int block = 0; block < blocks; block += 2) {
                const int two_rows = block + 1 < blocks ? 2 : 1;
                Tiles from, to;
                for (int r = 0; r < two_rows; r++) {
                    const bool end = block + r == blocks - 1;
                    const int row = end ? rows - most : 16 * (block + r);
                    for (int i = 0; i < piece.depth; i++) piece.a[r][i] = a[i] + size_t(row) * P;
                    for (int v = 0; v < two_panels; v++) {
                        float* const at = c.at(panel + v, row);
                        from.at[2 * r + v] = end && overlaps ? apart[v] : at;
                        to.at[2 * r + v] = end && overlaps && !last ? apart[v] : at;
                    }
                }
                tile_product(two_rows, two_panels, piece, done ? &from : nullptr, to);
            }
        }
    }
}

// Sixteen rows of 16 words into 16 columns; only `rows` of them count, the others are zeros.
static void transpose(float* to, const float* from, int rows) {
    __m512 r[16], t[16];
    for (int i = 0; i < 16; i++) r[i] = i < rows ? load(from + i * P) : all(0);
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    const auto low = [](__m512 x, __m512 y) { return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(x), _mm512_castps_pd(y))); };
    const auto high = [](__m512 x, __m512 y) { return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(x), _mm512_castps_pd(y))); };
    for (int i = 0; i < 16; i += 4) {  // r[i + c], quarter q: column 4 q + c of rows i ... i + 3
        r[i] = low(t[i], t[i + 2]), r[i + 1] = high(t[i], t[i + 2]);
        r[i + 2] = low(t[i + 1], t[i + 3]), r[i + 3] = high(t[i + 1], t[i + 3]);
    }
    for (int c = 0; c < 4; c++) {
        const __m512 x = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x44), y = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x44);
        const __m512 z = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xee), w = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xee);
        store(to + c * P, _mm512_shuffle_f32x4(x, y, 0x88)), store(to + (4 + c) * P, _mm512_shuffle_f32x4(x, y, 0xdd));
        store(to + (8 + c) * P, _mm512_shuffle_f32x4(z, w, 0x88)), store(to + (12 + c) * P, _mm512_shuffle_f32x4(z, w, 0xdd));
    }
}

// c [panels of B][columns of A][16] += A^T B over the first `rows` rows; c has room for whole panels
// of A's columns. turned: room for A's panels, TURNED floats each.
static void add_transposed_product(const Operand& a, int columns, const Operand& b, int b_panels, int rows, Matrix c, float* turned) {
    want_tiles(16);
    alignas(64) float padded[2][P * P];
    const int a_panels = panels(columns), all_words = words(rows);
    // A block of rows, small enough for A's to lie in the L2 cache, is turned; then, for two panels of B
    // at a time, piece by piece.
    for (int begin = 0; begin < all_words; begin += AT_ONCE * P) {
        const int left = all_words - begin < AT_ONCE * P ? all_words - begin : AT_ONCE * P;
        const int tiles = panels(left), last = left - (tiles - 1) * P;
        for (int m = 0; m < a_panels; m++)
            for (int k = 0; k < tiles; k++)
                transpose(turned + m * TURNED + size_t(k) * P * P, a.along + m * a.along_stride + size_t(begin + k * P) * P, k < tiles - 1 ? P : last);
        const int depth = depth_of_pieces(tiles);
        for (int p = 0; p < b_panels; p += 2) {
            const int two_panels = p + 1 < b_panels ? 2 : 1;
            for (int done = 0; done < tiles; done += depth) {
                Piece piece;
                piece.depth = tiles - done < depth ? tiles - done : depth;
                for (int i = 0; i < two_panels; i++) {
                    for (int k = 0; k < piece.depth; k++) piece.b[i][k] = b.along + (p + i) * b.along_stride + size_t(begin + (done + k) * P) * P;
                    if (done + piece.depth < tiles || last == P) continue;
                    const float*& end = piece.b[i][piece.depth - 1];  // past the last row lies what may not even be finite
                    memset(padded[i], 0, sizeof padded[i]);
                    memcpy(padded[i], end, size_t(last) * P * sizeof(float));
                    end = padded[i];
                }
                for (int m = 0; m < a_panels; m += 2) {
                    const int two_rows = m + 1 < a_panels ? 2 : 1;
                    Tiles to;
                    for (int r = 0; r < two_rows; r++) {
                        for (int k = 0; k < piece.depth; k++) piece.a[r][k] = turned + (m + r) * TURNED + size_t(done + k) * P * P;
                        for (int v = 0; v < two_panels; v++) to.at[2 * r + v] = c.at(p + v, (m + r) * P);
                    }
                    tile_product(two_rows, two_panels, piece, &to, to);
                }
            }
        }
    }
}

// Both products on small whole numbers, which are exact, against plain loops.
static bool tiles_are_right() {
    // Two overlapping blocks of rows, two pieces of the inner dimension.
    constexpr int rows = 22, inner = 340, k = inner / 2, left_rows = 32, right_words = (k + P - 1) / P * P;
    static_assert(k > DEPTH * P && k % P, "more than a piece, and the last tile not full");
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
    alignas(64) static float a[right_words * left_rows], b[2 * right_words * P], c[2 * 2 * P * P];
    alignas(64) static float turned[2 * TURNED];
    for (int r = 0; r < rows; r++)
        for (int w = 0; w < k; w++) word(a + (w / P * left_rows + r) * P + w % P, r * 50 + 2 * w, r * 50 + 2 * w + 1);
    for (int p = 0; p < 2; p++)
        for (int w = 0; w < k; w++)
            for (int j = 0; j < P; j++) word(b + (p * right_words + w) * P + j, 2 * w + 90 * (p * P + j), 2 * w + 1 + 90 * (p * P + j));
    const Segment s = {a, size_t(left_rows) * P, b, size_t(right_words) * P, k};
    product(rows, &s, 1, {c, size_t(left_rows) * P}, 2);
    bool right = true;
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < 2 * P; j++) {
            float sum = 0;
            for (int i = 0; i < inner; i++) sum += number(r * 50 + i) * number(i + 90 * j);
            right &= sum == c[(j / P * left_rows + r) * P + j % P];
        }
    memset(c, 0, sizeof c);  // b^T b: 32 columns
    const Operand along = {nullptr, 0, b, size_t(right_words) * P};
    add_transposed_product(along, 2 * P, along, 2, inner, {c, size_t(2 * P) * P}, turned);
    for (int m = 0; m < 2 * P; m++)
        for (int j = 0; j < 2 * P; j++) {
            float sum = 0;
            for (int i = 0; i < inner; i++) sum += number(i + 90 * m) * number(i + 90 * j);
            right &= sum == c[(j / P * 2 * P + m) * P + j % P];
        }
    return right;
}

// Whether tiles may be used and give what they should: tried in a process of its own, which may die.
static bool tiles_work() {
    if (!tiles_allowed()) return false;
    const pid_t child = fork();
    if (child == 0) _exit(!tiles_are_right());
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
