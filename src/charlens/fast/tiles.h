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

// Up to 2 x 2 tiles of C: rows row[0] and row[1], panels `panel` and the next.
template <int R, int V>
static void tile_product(const Segment* s, int n, const int* row, int panel, Matrix c) {
    settle_memory();
    _tile_zero(0);
    if constexpr (V > 1) _tile_zero(1);
    if constexpr (R > 1) _tile_zero(2);
    if constexpr (R > 1 && V > 1) _tile_zero(3);
    for (; n--; s++) {
        const float* a = s->a;
        const float* b = s->b + panel * s->b_stride;
        for (int k = 0; k < s->k; k += P, a += s->a_stride, b += P * P) {
            _tile_loadd(4, a + row[0] * P, 64);
            _tile_loadd(6, b, 64);
            if constexpr (V > 1) _tile_loadd(7, b + s->b_stride, 64);
            _tile_dpbf16ps(0, 4, 6);
            if constexpr (V > 1) _tile_dpbf16ps(1, 4, 7);
            if constexpr (R > 1) {
                _tile_loadd(5, a + row[1] * P, 64);
                _tile_dpbf16ps(2, 5, 6);
                if constexpr (V > 1) _tile_dpbf16ps(3, 5, 7);
            }
        }
    }
    _tile_stored(0, c.at(panel, row[0]), 64);
    if constexpr (V > 1) _tile_stored(1, c.at(panel + 1, row[0]), 64);
    if constexpr (R > 1) _tile_stored(2, c.at(panel, row[1]), 64);
    if constexpr (R > 1 && V > 1) _tile_stored(3, c.at(panel + 1, row[1]), 64);
}

// C = sum over segments of A B, `count` panels of C. The last tile of rows overlaps the one before it.
static void product(int rows, const Segment* s, int n, Matrix c, int count) {
    const int most = rows < 16 ? rows : 16, blocks = (rows + 15) / 16;
    want_tiles(most);
    for (int panel = 0; panel < count; panel += 2)
        for (int block = 0; block < blocks; block += 2) {
            const int row[2] = {block < blocks - 1 ? 16 * block : rows - most, block < blocks - 2 ? 16 * block + 16 : rows - most};
            const bool two_rows = block + 1 < blocks, two_panels = panel + 1 < count;
            (two_rows ? two_panels ? tile_product<2, 2> : tile_product<2, 1>
                      : two_panels ? tile_product<1, 2> : tile_product<1, 1>)(s, n, row, panel, c);
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

// Up to 2 x 2 tiles of C += A^T B over `depth` tiles of words; a: their transposes, 16 a column panel.
template <int M, int V>
static void tile_transposed_product(const float (*a)[16][P * P], const float* const (*b)[16], int depth, Matrix c, int panel, int column) {
    settle_memory();
    _tile_loadd(0, c.at(panel, column), 64);
    if constexpr (V > 1) _tile_loadd(1, c.at(panel + 1, column), 64);
    if constexpr (M > 1) _tile_loadd(2, c.at(panel, column + 16), 64);
    if constexpr (M > 1 && V > 1) _tile_loadd(3, c.at(panel + 1, column + 16), 64);
    for (int k = 0; k < depth; k++) {
        _tile_loadd(4, a[0][k], 64);
        _tile_loadd(6, b[0][k], 64);
        if constexpr (V > 1) _tile_loadd(7, b[1][k], 64);
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (V > 1) _tile_dpbf16ps(1, 4, 7);
        if constexpr (M > 1) {
            _tile_loadd(5, a[1][k], 64);
            _tile_dpbf16ps(2, 5, 6);
            if constexpr (V > 1) _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, c.at(panel, column), 64);
    if constexpr (V > 1) _tile_stored(1, c.at(panel + 1, column), 64);
    if constexpr (M > 1) _tile_stored(2, c.at(panel, column + 16), 64);
    if constexpr (M > 1 && V > 1) _tile_stored(3, c.at(panel + 1, column + 16), 64);
}

// c [panels of B][columns of A][16] += A^T B over the first `rows` rows; c has room for whole panels
// of A's columns.
static void add_transposed_product(const Operand& a, int columns, const Operand& b, int b_panels, int rows, Matrix c) {
    alignas(64) float transposed[2][16][P * P], padded[2][P * P];
    want_tiles(16);
    for (int row = 0, end = words(rows); row < end; row += 16 * P) {
        const int left = end - row < 16 * P ? end - row : 16 * P, depth = (left + P - 1) / P, last = left - (depth - 1) * P;
        for (int m = 0; m < panels(columns); m += 2) {
            const bool two_columns = m + 1 < panels(columns);
            for (int i = 0; i < 1 + two_columns; i++)
                for (int k = 0; k < depth; k++)
                    transpose(transposed[i][k], a.along + (m + i) * a.along_stride + size_t(row + k * P) * P, k < depth - 1 ? P : last);
            for (int p = 0; p < b_panels; p += 2) {
                const bool two_panels = p + 1 < b_panels;
                const float* tile[2][16];
                for (int i = 0; i < 1 + two_panels; i++) {
                    for (int k = 0; k < depth; k++) tile[i][k] = b.along + (p + i) * b.along_stride + size_t(row + k * P) * P;
                    if (last == P) continue;  // what lies past the last row may not even be finite
                    memset(padded[i], 0, sizeof padded[i]);
                    memcpy(padded[i], tile[i][depth - 1], size_t(last) * P * sizeof(float));
                    tile[i][depth - 1] = padded[i];
                }
                (two_columns ? two_panels ? tile_transposed_product<2, 2> : tile_transposed_product<2, 1>
                             : two_panels ? tile_transposed_product<1, 2> : tile_transposed_product<1, 1>)(transposed, tile, depth, c, p, m * P);
            }
        }
    }
}

// Both products on small whole numbers, which are exact, against plain loops.
static bool tiles_are_right() {
    constexpr int rows = 22, inner = 40, k = inner / 2, depth = 32, left_panels = 2;
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
    alignas(64) static float a[left_panels * depth * P], b[2 * depth * P], c[2 * 2 * depth * P];
    for (int r = 0; r < rows; r++)
        for (int w = 0; w < k; w++) word(a + (w / P * depth + r) * P + w % P, r * 50 + 2 * w, r * 50 + 2 * w + 1);
    for (int p = 0; p < 2; p++)
        for (int w = 0; w < k; w++)
            for (int j = 0; j < P; j++) word(b + (p * depth + w) * P + j, 2 * w + 90 * (p * P + j), 2 * w + 1 + 90 * (p * P + j));
    const Segment s = {a, size_t(depth) * P, b, size_t(depth) * P, k};
    product(rows, &s, 1, {c, size_t(depth) * P}, 2);
    bool right = true;
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < 2 * P; j++) {
            float sum = 0;
            for (int i = 0; i < inner; i++) sum += number(r * 50 + i) * number(i + 90 * j);
            right &= sum == c[(j / P * depth + r) * P + j % P];
        }
    memset(c, 0, sizeof c);  // b^T b: 32 columns, 40 rows
    const Operand along = {nullptr, 0, b, size_t(depth) * P};
    add_transposed_product(along, 2 * P, along, 2, inner, {c, size_t(2 * P) * P});
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
