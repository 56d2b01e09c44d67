// Sixteen floats at a time, in one register (AVX-512) or two (AVX2), and the three functions that
// the cells and the softmax need. Another instruction set is another version of this file's first
// part and of the tile sizes in product.h.
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

constexpr int W = 16;  // floats in a vec: one cache line

#if defined __AVX512F__

using vec = __m512;

static inline vec load(const float* p) { return _mm512_load_ps(p); }
static inline void store(float* p, vec x) { _mm512_store_ps(p, x); }
static inline vec all(float x) { return _mm512_set1_ps(x); }
static inline vec fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }    // a b + c
static inline vec fnma(vec a, vec b, vec c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a b
static inline vec add(vec a, vec b) { return _mm512_add_ps(a, b); }
static inline vec sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
static inline vec mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
// 1 / x, x neither 0 nor infinite, to 1e-7: an estimate and one step of Newton's method, in half the
// time of a division.
static inline vec reciprocal(vec x) {
    const vec r = _mm512_rcp14_ps(x);
    return _mm512_mul_ps(r, _mm512_fnmadd_ps(x, r, _mm512_set1_ps(2.f)));
}
static inline vec root(vec x) { return _mm512_sqrt_ps(x); }
static inline vec larger(vec a, vec b) { return _mm512_max_ps(a, b); }
static inline vec smaller(vec a, vec b) { return _mm512_min_ps(a, b); }
static inline vec rounded(vec x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vec times_power_of_two(vec x, vec n) { return _mm512_scalef_ps(x, n); }

// The first n floats of a row-major array, zeros after them (n >= W means all; n <= 0 none).
static inline __mmask16 first(int n) { return n >= W ? 0xffff : n <= 0 ? 0 : (1u << n) - 1; }
static inline vec load_first(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
static inline void store_first(float* p, int n, vec x) { _mm512_mask_storeu_ps(p, first(n), x); }
// x where a bit is set, else 0.
static inline vec choose(uint16_t bits, float x) { return _mm512_maskz_mov_ps(bits, all(x)); }
// p[0], p[ld], ...: the first n elements of a column.
static inline vec load_column(const float* p, int ld, int n) {
    const __m512i at = _mm512_mullo_epi32(_mm512_set1_epi32(ld),
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), first(n), at, p, 4);
}

static inline float sum(vec x) { return _mm512_reduce_add_ps(x); }
static inline float largest(vec x) { return _mm512_reduce_max_ps(x); }

#else

struct vec {
    __m256 a, b;
};

static inline vec load(const float* p) { return {_mm256_load_ps(p), _mm256_load_ps(p + 8)}; }
static inline void store(float* p, vec x) { _mm256_store_ps(p, x.a), _mm256_store_ps(p + 8, x.b); }
static inline vec all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline vec fma(vec a, vec b, vec c) { return {_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)}; }
static inline vec fnma(vec a, vec b, vec c) { return {_mm256_fnmadd_ps(a.a, b.a, c.a), _mm256_fnmadd_ps(a.b, b.b, c.b)}; }
static inline vec add(vec a, vec b) { return {_mm256_add_ps(a.a, b.a), _mm256_add_ps(a.b, b.b)}; }
static inline vec sub(vec a, vec b) { return {_mm256_sub_ps(a.a, b.a), _mm256_sub_ps(a.b, b.b)}; }
static inline vec mul(vec a, vec b) { return {_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)}; }
static inline vec reciprocal(vec x) {
    return {_mm256_div_ps(_mm256_set1_ps(1.f), x.a), _mm256_div_ps(_mm256_set1_ps(1.f), x.b)};
}
static inline vec root(vec x) { return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
static inline vec larger(vec a, vec b) { return {_mm256_max_ps(a.a, b.a), _mm256_max_ps(a.b, b.b)}; }
static inline vec smaller(vec a, vec b) { return {_mm256_min_ps(a.a, b.a), _mm256_min_ps(a.b, b.b)}; }
static inline vec rounded(vec x) {
    constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(x.a, nearest), _mm256_round_ps(x.b, nearest)};
}
static inline vec times_power_of_two(vec x, vec n) {  // by adding n to the exponent
    const auto scale = [](__m256 x, __m256 n) {
        return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23)));
    };
    return {scale(x.a, n.a), scale(x.b, n.b)};
}

static inline __m256i first(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vec load_first(const float* p, int n) {
    return {_mm256_maskload_ps(p, first(n)), _mm256_maskload_ps(p + 8, first(n - 8))};
}
static inline void store_first(float* p, int n, vec x) {
    _mm256_maskstore_ps(p, first(n), x.a), _mm256_maskstore_ps(p + 8, first(n - 8), x.b);
}
static inline vec choose(uint16_t bits, float x) {
    const auto half = [x](int bits) {
        const __m256i one = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        const __m256i set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(bits), one), one);
        return _mm256_and_ps(_mm256_castsi256_ps(set), _mm256_set1_ps(x));
    };
    return {half(bits), half(bits >> 8)};
}
static inline vec load_column(const float* p, int ld, int n) {
    alignas(64) float x[W] = {};
    for (int i = 0; i < W && i < n; i++) x[i] = p[size_t(i) * ld];
    return load(x);
}

static inline float sum(vec x) {
    const __m256 y = _mm256_add_ps(x.a, x.b);
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_shuffle_ps(z, z, 1)));
}
static inline float largest(vec x) {
    const __m256 y = _mm256_max_ps(x.a, x.b);
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_shuffle_ps(z, z, 1)));
}

#endif

// The second operand of max and min is what comes out if either is NaN: a NaN must stay visible.
static inline vec clamp(vec x, float low, float high) { return smaller(all(high), larger(all(low), x)); }

// tanh as x P(x^2) / Q(x^2), the ratio fitted on [-LIMIT, LIMIT] for the least relative error (6e-9,
// and 4e-7 with float32 rounding). Beyond LIMIT the value stays at its last, 1 - 1e-7; it never exceeds
// 1. Fewer terms will not do, even where products are of bfloat16: with an error of 2e-5 the gradient of
// a saturated cell, 1 - tanh^2, does not vanish, RMSProp makes much of it, and LSTM 1 x 64 ends 0.03
// nats worse.
constexpr float LIMIT = 8;
constexpr float TANH_P[] = {1.f, 1.34444952e-01f, 3.57159507e-03f, 2.18946154e-05f, 1.52303572e-08f};
constexpr float TANH_Q[] = {1.f, 4.67778236e-01f, 2.61644311e-02f, 3.41128733e-04f, 8.52241964e-07f};

// scale (c[0] + c[1] (u / shrink) + c[2] (u / shrink)^2 ...)
template <int N>
static inline vec polynomial(const float (&c)[N], vec u, float shrink, float scale) {
    vec sum = all(0);
    float power = scale;
    for (int k = 1; k < N; k++) power /= shrink;
    _Pragma("GCC unroll 8") for (int k = N - 1; k >= 0; k--, power *= shrink)
        sum = k == N - 1 ? all(c[k] * power) : fma(sum, u, all(c[k] * power));
    return sum;
}

static inline vec tanh(vec x) {
    x = clamp(x, -LIMIT, LIMIT);
    const vec u = mul(x, x);
    return mul(mul(x, polynomial(TANH_P, u, 1, 1)), reciprocal(polynomial(TANH_Q, u, 1, 1)));
}

// (1 + tanh(x / 2)) / 2, the factors taken into the coefficients.
static inline vec sigmoid(vec x) {
    x = clamp(x, -2 * LIMIT, 2 * LIMIT);
    const vec u = mul(x, x);
    return fma(mul(x, polynomial(TANH_P, u, 4, .25f)), reciprocal(polynomial(TANH_Q, u, 4, 1)), all(.5f));
}

// exp for x <= 0: 2^n e^r with |r| <= log(2) / 2; below e^-87 the value stays there.
static inline vec exp(vec x) {
    x = larger(all(-87.f), x);
    const vec n = rounded(mul(x, all(1.44269504f)));
    vec r = fnma(n, all(.693359375f), x);  // log(2) in two parts, the first exact times n
    r = fnma(n, all(-2.12194440e-4f), r);
    vec q = fma(all(1.37513818e-03f), r, all(8.36892333e-03f));
    q = fma(q, r, all(4.16695327e-02f));
    q = fma(q, r, all(1.66665182e-01f));
    q = fma(q, r, all(4.99999881e-01f));
    q = fma(mul(r, r), q, add(r, all(1.f)));
    return times_power_of_two(q, n);
}
