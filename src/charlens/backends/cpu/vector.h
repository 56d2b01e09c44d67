// Sixteen floats at a time, in one register (AVX-512), two (AVX2) or four (NEON); conversions to
// bfloat16 and half precision; tanh, sigmoid, exp and gelu. To
// support another instruction set, add its
// version of the first two parts of this file and its block sizes in product.h.
#pragma once
#if defined __aarch64__
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

constexpr int PANEL = 16;  // floats in a vec, one cache line; words in a row of a panel (product.h)

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
// 1 / x, x neither 0 nor infinite, to 1e-7: an estimate and one step of Newton's method, in half
// the time of a division.
static inline vec reciprocal(vec x) {
    const vec r = _mm512_rcp14_ps(x);
    return _mm512_mul_ps(r, _mm512_fnmadd_ps(x, r, _mm512_set1_ps(2.f)));
}
static inline vec root(vec x) { return _mm512_sqrt_ps(x); }
static inline vec larger(vec a, vec b) { return _mm512_max_ps(a, b); }
static inline vec smaller(vec a, vec b) { return _mm512_min_ps(a, b); }
static inline vec rounded(vec x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vec times_power_of_two(vec x, vec n) { return _mm512_scalef_ps(x, n); }

// The first n floats of a row-major array, zeros after them (n >= PANEL means all; n <= 0 none).
static inline __mmask16 first(int n) { return n >= PANEL ? 0xffff : n <= 0 ? 0 : (1u << n) - 1; }
static inline vec load_first(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
static inline void store_first(float* p, int n, vec x) { _mm512_mask_storeu_ps(p, first(n), x); }
// x where a bit is set, else 0.
static inline vec choose(uint16_t bits, float x) { return _mm512_maskz_mov_ps(bits, all(x)); }
// p[0], p[ld], ...: the first n elements of a column.
static inline vec load_column(const float* p, int ld, int n) {
    const __m512i at =
        _mm512_mullo_epi32(_mm512_set1_epi32(ld),
                           _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), first(n), at, p, 4);
}

static inline float sum(vec x) { return _mm512_reduce_add_ps(x); }
static inline float largest(vec x) { return _mm512_reduce_max_ps(x); }

#elif defined __aarch64__

struct vec {
    float32x4_t q[4];
};

template <class Quarter>
static inline vec each(const Quarter& quarter) {
    return {{quarter(0), quarter(1), quarter(2), quarter(3)}};
}

static inline vec load(const float* p) {
    return each([p](int i) { return vld1q_f32(p + 4 * i); });
}
static inline void store(float* p, vec x) {
    for (int i = 0; i < 4; i++) vst1q_f32(p + 4 * i, x.q[i]);
}
static inline vec all(float x) {
    return each([x](int) { return vdupq_n_f32(x); });
}
static inline vec fma(vec a, vec b, vec c) {
    return each([&](int i) { return vfmaq_f32(c.q[i], a.q[i], b.q[i]); });
}
static inline vec fnma(vec a, vec b, vec c) {
    return each([&](int i) { return vfmsq_f32(c.q[i], a.q[i], b.q[i]); });
}
static inline vec add(vec a, vec b) {
    return each([&](int i) { return vaddq_f32(a.q[i], b.q[i]); });
}
static inline vec sub(vec a, vec b) {
    return each([&](int i) { return vsubq_f32(a.q[i], b.q[i]); });
}
static inline vec mul(vec a, vec b) {
    return each([&](int i) { return vmulq_f32(a.q[i], b.q[i]); });
}
static inline vec reciprocal(vec x) {
    return each([&](int i) { return vdivq_f32(vdupq_n_f32(1), x.q[i]); });
}
static inline vec root(vec x) {
    return each([&](int i) { return vsqrtq_f32(x.q[i]); });
}
static inline vec larger(vec a, vec b) {
    return each([&](int i) { return vmaxq_f32(a.q[i], b.q[i]); });
}
static inline vec smaller(vec a, vec b) {
    return each([&](int i) { return vminq_f32(a.q[i], b.q[i]); });
}
static inline vec rounded(vec x) {
    return each([&](int i) { return vrndnq_f32(x.q[i]); });
}
static inline vec times_power_of_two(vec x, vec n) {  // by adding n to the exponent
    return each([&](int i) {
        const int32x4_t added = vshlq_n_s32(vcvtnq_s32_f32(n.q[i]), 23);
        return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x.q[i]), added));
    });
}

static inline vec load_column(const float* p, int ld, int n) {
    alignas(64) float x[PANEL] = {};
    for (int i = 0; i < PANEL && i < n; i++) x[i] = p[size_t(i) * ld];
    return load(x);
}
static inline vec load_first(const float* p, int n) {
    return n >= PANEL ? load(p) : load_column(p, 1, n);
}
static inline void store_first(float* p, int n, vec x) {
    if (n >= PANEL) return store(p, x);
    alignas(64) float all_of_it[PANEL];
    store(all_of_it, x);
    for (int i = 0; i < n; i++) p[i] = all_of_it[i];
}
static inline vec choose(uint16_t bits, float x) {
    return each([=](int i) {
        const uint32x4_t bit = {1, 2, 4, 8};
        const uint32x4_t set = vtstq_u32(vdupq_n_u32(uint32_t(bits) >> 4 * i), bit);
        return vbslq_f32(set, vdupq_n_f32(x), vdupq_n_f32(0));
    });
}

static inline float sum(vec x) {
    return vaddvq_f32(vaddq_f32(vaddq_f32(x.q[0], x.q[1]), vaddq_f32(x.q[2], x.q[3])));
}
static inline float largest(vec x) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.q[0], x.q[1]), vmaxq_f32(x.q[2], x.q[3])));
}

#else

struct vec {
    __m256 a, b;
};

static inline vec load(const float* p) { return {_mm256_load_ps(p), _mm256_load_ps(p + 8)}; }
static inline void store(float* p, vec x) { _mm256_store_ps(p, x.a), _mm256_store_ps(p + 8, x.b); }
static inline vec all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline vec fma(vec a, vec b, vec c) {
    return {_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)};
}
static inline vec fnma(vec a, vec b, vec c) {
    return {_mm256_fnmadd_ps(a.a, b.a, c.a), _mm256_fnmadd_ps(a.b, b.b, c.b)};
}
static inline vec add(vec a, vec b) { return {_mm256_add_ps(a.a, b.a), _mm256_add_ps(a.b, b.b)}; }
static inline vec sub(vec a, vec b) { return {_mm256_sub_ps(a.a, b.a), _mm256_sub_ps(a.b, b.b)}; }
static inline vec mul(vec a, vec b) { return {_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)}; }
static inline vec reciprocal(vec x) {
    return {_mm256_div_ps(_mm256_set1_ps(1.f), x.a), _mm256_div_ps(_mm256_set1_ps(1.f), x.b)};
}
static inline vec root(vec x) { return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
static inline vec larger(vec a, vec b) {
    return {_mm256_max_ps(a.a, b.a), _mm256_max_ps(a.b, b.b)};
}
static inline vec smaller(vec a, vec b) {
    return {_mm256_min_ps(a.a, b.a), _mm256_min_ps(a.b, b.b)};
}
static inline vec rounded(vec x) {
    constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(x.a, nearest), _mm256_round_ps(x.b, nearest)};
}
static inline vec times_power_of_two(vec x, vec n) {  // by adding n to the exponent
    const auto scale = [](__m256 half, __m256 exponent) {
        const __m256i added = _mm256_slli_epi32(_mm256_cvtps_epi32(exponent), 23);
        return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(half), added));
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
    const auto half = [x](int eight) {
        const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        const __m256i set =
            _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(eight), bit), bit);
        return _mm256_and_ps(_mm256_castsi256_ps(set), _mm256_set1_ps(x));
    };
    return {half(bits), half(bits >> 8)};
}
static inline vec load_column(const float* p, int ld, int n) {
    alignas(64) float x[PANEL] = {};
    for (int i = 0; i < PANEL && i < n; i++) x[i] = p[size_t(i) * ld];
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

// ---- words: what products read ----
//
// A word is 32 bits: one float or, where the processor multiplies pairs of bfloat16 (AVX512-BF16,
// AMX), two bfloat16 that are neighbours along the inner dimension of a product.
//
// Also here: the type in which the forward pass stores factors for the backward pass. It is half
// precision where products are bfloat16, which rounds eight times as coarsely. (Half precision ends
// at 65,504. The only factor that can exceed 1, an LSTM's c' f (1 - f), reaches that with a cell
// state of 262,000, and a cell state grows by at most 1 per step. Cells without a bound on their
// state store what is `storable`.)
//
// bypass_cache: the data would be evicted from every cache before it is read, so the store skips
// the caches.

#if defined __AVX512BF16__

constexpr int PER_WORD = 2;

// Two rows of sixteen, rounded to nearest: x in the lower half, y in the upper half.
static inline __m512i to_bfloat16(vec x, vec y) { return (__m512i)_mm512_cvtne2ps_pbh(y, x); }
// x[0], y[0], x[1], y[1], ...: sixteen words.
static inline __m512i interleaved(__m512i xy) {
    alignas(64) static const uint16_t order[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                   21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                   11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(order), xy);
}
// Rows x and y, sixteen columns as eight words each, at `x_to` and `y_to`.
static inline void store_as_rows(float* x_to, float* y_to, vec x, vec y) {
    const __m512i xy = to_bfloat16(x, y);
    _mm256_store_si256((__m256i*)x_to, _mm512_castsi512_si256(xy));
    _mm256_store_si256((__m256i*)y_to, _mm512_extracti64x4_epi64(xy, 1));
}
// Rows x and y as sixteen words, column by column.
static inline void store_interleaved(float* to, vec x, vec y, bool bypass_cache = false) {
    const __m512i words = interleaved(to_bfloat16(x, y));
    bypass_cache ? _mm512_stream_si512((__m512i*)to, words)
                 : _mm512_store_si512((__m512i*)to, words);
}
// x rounded to bfloat16 (in a float) in one of four ways: away from zero if x is more than 1/8,
// more than 5/8, at least 3/8 or at least 7/8 of the way, else towards it. To 1/8 the mean of the
// four is exact, and ties go both ways (values that were in half precision have many).
constexpr int ROUNDINGS = 4;
static inline vec rounded_to_bfloat16(vec x, int way) {
    constexpr int added[ROUNDINGS] = {0xdfff, 0x5fff, 0xa000, 0x2000};
    const __m512i sum = _mm512_add_epi32((__m512i)x, _mm512_set1_epi32(added[way]));
    return (vec)_mm512_and_si512(sum, _mm512_set1_epi32(~0xffff));
}
// acc + the products of one word with sixteen words.
static inline vec dot(const float* word, vec words, vec acc) {
    return _mm512_dpbf16_ps(acc, (__m512bh)_mm512_set1_ps(*word), (__m512bh)words);
}

using Factor = uint16_t;
constexpr float LARGEST_FACTOR = 65504;
static inline void store_factor(Factor* to, vec x, bool bypass_cache) {
    const __m256i half = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
    bypass_cache ? _mm256_stream_si256((__m256i*)to, half) : _mm256_store_si256((__m256i*)to, half);
}
static inline vec load_factor(const Factor* from) {
    return _mm512_cvtph_ps(_mm256_load_si256((const __m256i*)from));
}

#else

constexpr int PER_WORD = 1;
constexpr int ROUNDINGS = 1;

static inline vec dot(const float* word, vec words, vec acc) { return fma(all(*word), words, acc); }

using Factor = float;
constexpr float LARGEST_FACTOR = 3.4e38f;
static inline void store_factor(Factor* to, vec x, bool) { store(to, x); }
static inline vec load_factor(const Factor* from) { return load(from); }

#endif

// ---- functions ----

// On x86, max and min return their second operand if either is NaN: in this order a NaN stays
// visible.
static inline vec clamp(vec x, float low, float high) {
    return smaller(all(high), larger(all(low), x));
}

static inline vec absolute(vec x) { return larger(sub(all(0), x), x); }
// A factor that may be of any size, such as a cell without a bound on its state has.
static inline vec storable(vec x) { return clamp(x, -LARGEST_FACTOR, LARGEST_FACTOR); }

// tanh as x P(x^2) / Q(x^2), the ratio fitted on [-LIMIT, LIMIT] for the least relative error
// (6e-9, and 4e-7 with float32 rounding). Beyond LIMIT the value stays at its last, 1 - 1e-7; it
// never exceeds 1. Fewer terms do not suffice, even where products are bfloat16: with an error of
// 2e-5 the gradient of a saturated unit, 1 - tanh^2, does not vanish, RMSProp amplifies it, and
// LSTM 1 x 64 ends 0.03 nats worse.
constexpr float LIMIT = 8;
constexpr float TANH_P[] = {1.f, 1.34444952e-01f, 3.57159507e-03f, 2.18946154e-05f,
                            1.52303572e-08f};
constexpr float TANH_Q[] = {1.f, 4.67778236e-01f, 2.61644311e-02f, 3.41128733e-04f,
                            8.52241964e-07f};

// scale (c[0] + c[1] (u / shrink) + c[2] (u / shrink)^2 ...)
template <int N>
static inline vec polynomial(const float (&c)[N], vec u, float shrink, float scale) {
    vec sum = all(0);
    float power = scale;
    for (int k = 1; k < N; k++) power /= shrink;
    _Pragma("GCC unroll 8") for (int k = N - 1; k >= 0; k--, power *= shrink) sum =
        k == N - 1 ? all(c[k] * power) : fma(sum, u, all(c[k] * power));
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
    return fma(mul(x, polynomial(TANH_P, u, 4, .25f)), reciprocal(polynomial(TANH_Q, u, 4, 1)),
               all(.5f));
}

// exp for x <= 0: 2^n e^r with |r| <= log(2) / 2; never below e^-87.
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

// 2^x for x <= 0, never below 2^-125: 2^n 2^r with |r| <= 1/2, the polynomial fitted for the least
// relative error (9e-8, and 2e-7 with float32 rounding).
static inline vec exp2(vec x) {
    x = larger(all(-125.f), x);
    const vec n = rounded(x), r = sub(x, n);
    vec q = fma(all(1.32647273e-03f), r, all(9.67151299e-03f));
    q = fma(q, r, all(5.55073358e-02f));
    q = fma(q, r, all(2.40222424e-01f));
    q = fma(q, r, all(6.93147004e-01f));
    return times_power_of_two(fma(q, r, all(1.f)), n);
}

// The sigmoid with a small relative error near 0, too, where the one above has an absolute one.
static inline vec exact_sigmoid(vec x) {
    const vec e = exp(sub(all(0), absolute(x)));
    return mul(exp(smaller(all(0), x)), reciprocal(add(all(1.f), e)));
}

// x Phi(x) and its derivative, Phi(x) + x phi(x), with Phi and phi of the normal distribution. By
// Abramowitz and Stegun 7.1.26, Phi(-|x|) = e^(-x^2/2) times a polynomial of 1 / (1 + 0.23 |x|),
// with an error below 1e-7.
struct Gelu {
    vec value, slope;
};
static inline Gelu gelu(vec x) {
    const vec size = absolute(x), e = exp(mul(all(-.5f), mul(x, x)));
    const vec t = reciprocal(fma(all(.3275911f * .70710678f), size, all(1.f)));
    vec q = fma(all(1.061405429f), t, all(-1.453152027f));
    q = fma(q, t, all(1.421413741f));
    q = fma(q, t, all(-.284496736f));
    q = fma(q, t, all(.254829592f));
    const vec tail = mul(mul(all(.5f), mul(q, t)), e);
    // x Phi(x) is max(x, 0) - |x| Phi(-|x|)
    const vec value = fnma(size, tail, larger(all(0), x));
    const vec positive = smaller(all(1.f), larger(all(0), mul(x, all(1e30f))));
    const vec phi = add(positive, mul(fnma(add(positive, positive), all(1.f), all(1.f)), tail));
    return {value, fma(mul(x, all(.39894228f)), e, phi)};
}

// log(sigm(x)) = min(x, 0) - log(1 + e), e = e^-|x|, where log(1 + e) = 2 artanh(e / (2 + e)), the
// series of which ends here at 5e-9.
static inline vec log_sigmoid(vec x) {
    const vec e = exp(sub(all(0), absolute(x)));
    const vec y = mul(e, reciprocal(add(all(2.f), e))), u = mul(y, y);
    vec sum = all(2.f / 13);
    for (int k = 11; k >= 1; k -= 2) sum = fma(sum, u, all(2.f / float(k)));
    return fnma(sum, y, smaller(all(0), x));
}

}  // namespace
