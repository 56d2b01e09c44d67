// Eight floats at a time (AVX2 + FMA), and the three functions that the cells and the softmax need.
// Another instruction set is another version of this file and of the tile sizes in product.h.
#pragma once
#include <immintrin.h>

using vec = __m256;
constexpr int W = 8;  // floats in a vector

static inline vec load(const float* p) { return _mm256_load_ps(p); }
static inline vec load_unaligned(const float* p) { return _mm256_loadu_ps(p); }
static inline void store(float* p, vec x) { _mm256_store_ps(p, x); }
static inline vec all(float x) { return _mm256_set1_ps(x); }
static inline vec copies_of(const float* p) { return _mm256_broadcast_ss(p); }
static inline vec fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }    // a b + c
static inline vec fnma(vec a, vec b, vec c) { return _mm256_fnmadd_ps(a, b, c); }  // c - a b
static inline vec add(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec div(vec a, vec b) { return _mm256_div_ps(a, b); }
static inline vec larger(vec a, vec b) { return _mm256_max_ps(a, b); }
// The second operand of max and min is what comes out if either is NaN: a NaN must stay visible.
static inline vec clamp(vec x, float low, float high) {
    return _mm256_min_ps(all(high), _mm256_max_ps(all(low), x));
}

// The first n floats of a vector (0 < n; n >= W means all): tails of row-major arrays.
static inline __m256i first(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vec load_first(const float* p, int n) { return _mm256_maskload_ps(p, first(n)); }
static inline void store_first(float* p, int n, vec x) { _mm256_maskstore_ps(p, first(n), x); }

static inline float sum(vec x) {
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_shuffle_ps(y, y, 1)));
}
static inline float largest(vec x) {
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_shuffle_ps(y, y, 1)));
}

// tanh as x P(x^2) / Q(x^2), the ratio fitted on [-8, 8] for the least relative error (6e-9, and
// 3e-7 with float32 rounding). Beyond 8 the value stays at its last, 1 - 6e-8; it never exceeds 1.
static inline vec tanh(vec x) {
    x = clamp(x, -8.f, 8.f);
    const vec u = mul(x, x);
    vec p = fma(all(1.52303572e-08f), u, all(2.18946154e-05f));
    vec q = fma(all(8.52241964e-07f), u, all(3.41128733e-04f));
    p = fma(p, u, all(3.57159507e-03f));
    q = fma(q, u, all(2.61644311e-02f));
    p = fma(p, u, all(1.34444952e-01f));
    q = fma(q, u, all(4.67778236e-01f));
    p = fma(p, u, all(1.f));
    q = fma(q, u, all(1.f));
    return div(mul(x, p), q);
}

static inline vec sigmoid(vec x) { return fma(all(.5f), tanh(mul(all(.5f), x)), all(.5f)); }

// exp for x <= 0: 2^n e^r with |r| <= log(2) / 2; below e^-87 the value stays there.
static inline vec exp(vec x) {
    x = _mm256_max_ps(all(-87.f), x);
    const vec n = _mm256_round_ps(mul(x, all(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    vec r = fnma(n, all(.693359375f), x);  // log(2) in two parts, the first exact times n
    r = fnma(n, all(-2.12194440e-4f), r);
    vec q = fma(all(1.37513818e-03f), r, all(8.36892333e-03f));
    q = fma(q, r, all(4.16695327e-02f));
    q = fma(q, r, all(1.66665182e-01f));
    q = fma(q, r, all(4.99999881e-01f));
    q = fma(mul(r, r), q, add(r, all(1.f)));
    const __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(q), power));
}
