// AVX-512, with AVX512-BF16 if EMULATE_BF16 is defined, in AVX2: what vector.h, product.h and
// tiles.h use of it. paths.py compiles this ahead of the library's sources where a processor lacks
// the instructions, so that every path's arithmetic is tested everywhere.
//
// Results have the bits of the hardware's, except: the estimate of a reciprocal, here good to 2^-14
// as documented but with other bits (processors differ in them, too; one step of Newton's method
// follows), and products of bfloat16 whose two additions a processor may round once, not twice.
#pragma once
#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#define __AVX512F__ 1
#ifdef EMULATE_BF16
#define __AVX512BF16__ 1
#endif

// One type for all registers of 512 bits, so that casts between them are no operation.
struct Register512 {
    __m256 low, high;
};
#define __m512 Register512
#define __m512i Register512
#define __m512bh Register512

namespace in_avx2 {

using R = Register512;

inline __m256i ints(__m256 x) { return _mm256_castps_si256(x); }
inline __m256 floats(__m256i x) { return _mm256_castsi256_ps(x); }

template <class Function>
inline R each_half(R x, const Function& f) {
    return {f(x.low), f(x.high)};
}
template <class Function>
inline R each_half(R x, R y, const Function& f) {
    return {f(x.low, y.low), f(x.high, y.high)};
}

// ---- memory ----

inline R load(const void* from) {
    const float* p = static_cast<const float*>(from);
    return {_mm256_load_ps(p), _mm256_load_ps(p + 8)};
}
inline void store(void* to, R x) {
    float* p = static_cast<float*>(to);
    _mm256_store_ps(p, x.low), _mm256_store_ps(p + 8, x.high);
}
inline __m256i bits_to_mask(int bits) {
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(bits), bit), bit);
}
inline R masked_load(uint16_t mask, const float* p) {
    return {_mm256_maskload_ps(p, bits_to_mask(mask)),
            _mm256_maskload_ps(p + 8, bits_to_mask(mask >> 8))};
}
inline void masked_store(float* p, uint16_t mask, R x) {
    _mm256_maskstore_ps(p, bits_to_mask(mask), x.low);
    _mm256_maskstore_ps(p + 8, bits_to_mask(mask >> 8), x.high);
}
inline R masked(uint16_t mask, R x) {
    return {_mm256_and_ps(floats(bits_to_mask(mask)), x.low),
            _mm256_and_ps(floats(bits_to_mask(mask >> 8)), x.high)};
}
inline R masked_gather(R zeros, uint16_t mask, R index, const float* p, int) {
    alignas(64) int at[16];
    alignas(64) float x[16];
    store(at, index), store(x, zeros);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1) x[i] = p[at[i]];
    return load(x);
}

// ---- arithmetic ----

inline R set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline R set(int x) { return {floats(_mm256_set1_epi32(x)), floats(_mm256_set1_epi32(x))}; }
inline R fma(R x, R y, R z) {
    return {_mm256_fmadd_ps(x.low, y.low, z.low), _mm256_fmadd_ps(x.high, y.high, z.high)};
}
inline R fnma(R x, R y, R z) {
    return {_mm256_fnmadd_ps(x.low, y.low, z.low), _mm256_fnmadd_ps(x.high, y.high, z.high)};
}
#define EACH_HALF(name, intrinsic) \
    inline R name(R x, R y) { return {intrinsic(x.low, y.low), intrinsic(x.high, y.high)}; }
EACH_HALF(add, _mm256_add_ps)
EACH_HALF(sub, _mm256_sub_ps)
EACH_HALF(mul, _mm256_mul_ps)
EACH_HALF(max, _mm256_max_ps)
EACH_HALF(min, _mm256_min_ps)
EACH_HALF(bit_and, _mm256_and_ps)
EACH_HALF(unpack_low, _mm256_unpacklo_ps)
EACH_HALF(unpack_high, _mm256_unpackhi_ps)
#undef EACH_HALF
inline R add_ints(R x, R y) {
    return each_half(x, y,
                     [](__m256 a, __m256 b) { return floats(_mm256_add_epi32(ints(a), ints(b))); });
}
inline R mul_ints(R x, R y) {
    return each_half(
        x, y, [](__m256 a, __m256 b) { return floats(_mm256_mullo_epi32(ints(a), ints(b))); });
}
inline R root(R x) {
    return each_half(x, [](__m256 a) { return _mm256_sqrt_ps(a); });
}
inline R nearest(R x, int) {
    return each_half(x, [](__m256 a) {
        return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    });
}
inline R reciprocal_estimate(R x) {  // the quotient without its last 9 bits
    return each_half(x, [](__m256 a) {
        const __m256 quotient = _mm256_div_ps(_mm256_set1_ps(1.f), a);
        return _mm256_and_ps(quotient, floats(_mm256_set1_epi32(~0x1ff)));
    });
}
inline R scale(R x, R n) {  // x 2^n, n whole, without over- or underflow
    return each_half(x, n, [](__m256 a, __m256 b) {
        return floats(_mm256_add_epi32(ints(a), _mm256_slli_epi32(_mm256_cvtps_epi32(b), 23)));
    });
}
inline float sum(R x) {
    const __m256 y = _mm256_add_ps(x.low, x.high);
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_shuffle_ps(z, z, 1)));
}
inline float largest(R x) {
    const __m256 y = _mm256_max_ps(x.low, x.high);
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_shuffle_ps(z, z, 1)));
}

// ---- half precision and bfloat16 ----

inline __m256i to_half(R x, int) {
    const __m128i low = _mm256_cvtps_ph(x.low, _MM_FROUND_TO_NEAREST_INT);
    return _mm256_set_m128i(_mm256_cvtps_ph(x.high, _MM_FROUND_TO_NEAREST_INT), low);
}
inline R from_half(__m256i x) {
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(x)),
            _mm256_cvtph_ps(_mm256_extracti128_si256(x, 1))};
}
inline uint16_t to_bfloat16(float x) {  // to nearest, ties to even, denormals to zero
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (std::isnan(x)) return bits >> 16 | 0x40;
    if (!(bits & 0x7f800000)) return bits >> 16 & 0x8000;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
inline R to_bfloat16(R high, R low) {  // the second operand in the lower half
    alignas(64) float from[32];
    alignas(64) uint16_t to[32];
    store(from, low), store(from + 16, high);
    for (int i = 0; i < 32; i++) to[i] = to_bfloat16(from[i]);
    return load(to);
}
// acc + x1 y1 + x0 y0 of pairs of bfloat16, of which a float32 product is exact.
inline R dot(R acc, R x, R y) {
    const auto half = [](__m256 sum, __m256 a, __m256 b) {
        const __m256 upper = floats(_mm256_set1_epi32(0xffff0000));
        sum = _mm256_fmadd_ps(_mm256_and_ps(a, upper), _mm256_and_ps(b, upper), sum);
        return _mm256_fmadd_ps(floats(_mm256_slli_epi32(ints(a), 16)),
                               floats(_mm256_slli_epi32(ints(b), 16)), sum);
    };
    return {half(acc.low, x.low, y.low), half(acc.high, x.high, y.high)};
}

// ---- places within a register ----

inline R permute_shorts(R order, R x) {
    alignas(64) uint16_t at[32], from[32], to[32];
    store(at, order), store(from, x);
    for (int i = 0; i < 32; i++) to[i] = from[at[i] & 31];
    return load(to);
}
inline R unpack_low_doubles(R x, R y) {
    return each_half(x, y, [](__m256 a, __m256 b) {
        return _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
    });
}
inline R unpack_high_doubles(R x, R y) {
    return each_half(x, y, [](__m256 a, __m256 b) {
        return _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
    });
}
inline R shuffle_quarters(R x, R y, int which) {
    alignas(64) float from[2][16], to[16];
    store(from[0], x), store(from[1], y);
    for (int i = 0; i < 4; i++) memcpy(to + 4 * i, from[i / 2] + 4 * (which >> 2 * i & 3), 16);
    return load(to);
}

}  // namespace in_avx2

#define _mm512_load_ps in_avx2::load
#define _mm512_load_si512 in_avx2::load
#define _mm512_store_ps in_avx2::store
#define _mm512_store_si512 in_avx2::store
#define _mm512_stream_si512 in_avx2::store
#define _mm512_maskz_loadu_ps in_avx2::masked_load
#define _mm512_mask_storeu_ps in_avx2::masked_store
#define _mm512_maskz_mov_ps in_avx2::masked
#undef _mm512_mask_i32gather_ps
#define _mm512_mask_i32gather_ps in_avx2::masked_gather
#define _mm512_set1_ps(x) in_avx2::set(float(x))
#define _mm512_set1_epi32(x) in_avx2::set(int(x))
#define _mm512_setzero_ps() in_avx2::set(0.f)
#undef _mm512_setr_epi32
#define _mm512_setr_epi32(a, b, c, d, e, f, g, h, ...)              \
    Register512 {                                                   \
        in_avx2::floats(_mm256_setr_epi32(a, b, c, d, e, f, g, h)), \
            in_avx2::floats(_mm256_setr_epi32(__VA_ARGS__))         \
    }
#define _mm512_fmadd_ps in_avx2::fma
#define _mm512_fnmadd_ps in_avx2::fnma
#define _mm512_add_ps in_avx2::add
#define _mm512_sub_ps in_avx2::sub
#define _mm512_mul_ps in_avx2::mul
#define _mm512_max_ps in_avx2::max
#define _mm512_min_ps in_avx2::min
#define _mm512_and_si512 in_avx2::bit_and
#define _mm512_add_epi32 in_avx2::add_ints
#define _mm512_mullo_epi32 in_avx2::mul_ints
#define _mm512_sqrt_ps in_avx2::root
#undef _mm512_roundscale_ps
#define _mm512_roundscale_ps in_avx2::nearest
#define _mm512_rcp14_ps in_avx2::reciprocal_estimate
#define _mm512_scalef_ps in_avx2::scale
#define _mm512_reduce_add_ps in_avx2::sum
#define _mm512_reduce_max_ps in_avx2::largest
#undef _mm512_cvtps_ph
#define _mm512_cvtps_ph in_avx2::to_half
#define _mm512_cvtph_ps in_avx2::from_half
#define _mm512_cvtne2ps_pbh in_avx2::to_bfloat16
#define _mm512_dpbf16_ps in_avx2::dot
#define _mm512_permutexvar_epi16 in_avx2::permute_shorts
#define _mm512_castsi512_si256(x) in_avx2::ints((x).low)
#undef _mm512_extracti64x4_epi64
#define _mm512_extracti64x4_epi64(x, half) in_avx2::ints((x).high)
#define _mm512_unpacklo_ps in_avx2::unpack_low
#define _mm512_unpackhi_ps in_avx2::unpack_high
#define _mm512_castps_pd(x) (x)
#define _mm512_castpd_ps(x) (x)
#define _mm512_unpacklo_pd in_avx2::unpack_low_doubles
#define _mm512_unpackhi_pd in_avx2::unpack_high_doubles
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4 in_avx2::shuffle_quarters
