// The processor's floating-point mode during a call.
#pragma once
#include <cstdint>

#if !defined __aarch64__
#include <immintrin.h>
#endif

namespace {

// Flushes denormals and rounds to nearest during one call, whatever the process has set.
struct FloatingPointMode {
#if defined __aarch64__
    uint64_t before;
    FloatingPointMode() {
        asm volatile("mrs %0, fpcr" : "=r"(before));
        set(uint64_t(1) << 24);
    }
    ~FloatingPointMode() { set(before); }
    static void set(uint64_t mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
    const unsigned before = _mm_getcsr();
    FloatingPointMode() { _mm_setcsr(0x1f80 | 0x8000 | 0x0040); }
    ~FloatingPointMode() { _mm_setcsr(before); }
#endif
};

}  // namespace
