// The selective scan of Mamba over a window, forward and backward, with the softplus of the step
// sizes before it and the gate after it. charlens.networks.cells.mamba has the same equations in
// plain torch:
//
//     D_t = softplus(d_t)
//     s_t = exp(D_t A) * s_{t-1} + (D_t u_t) B_t       N numbers in each channel
//     y_t = (s_t C_t + D * u_t) * silu(z_t)
//
// All arrays are row-major float32, and need not be aligned. With T steps, S streams, E channels:
//
//     d, u, z, y [T, S, E]    B, C [T, S, N]    A [E, N], at most 0    D [E]    states [S, E, N]
//
// A vec holds sixteen channels of one stream, and each of their N states is one vec: [N][16]. Their
// part of the window is first copied into rows that are contiguous, [T][16]: steps lie S E floats
// apart, and in a copy many loads are in flight at once. The backward pass computes the states of
// all steps again, [T][N][16], for sixteen channels at a time.
#include <algorithm>
#include <memory>
#include <new>

#include "floating_point.h"
#include "vector.h"

namespace {

constexpr int N = 16;
constexpr int STATE = N * PANEL;  // floats of the states of sixteen channels
constexpr float LOG2_E = 1.44269504f, LOG_2 = .693147181f;

struct Window {
    int T, S, E;
    const float *d, *u, *z, *B, *C, *A, *D, *before;

    Window(int steps, int streams, int channels, const float* const* in)
        : T(steps),
          S(streams),
          E(channels),
          d(in[0]),
          u(in[1]),
          z(in[2]),
          B(in[3]),
          C(in[4]),
          A(in[5]),
          D(in[6]),
          before(in[7]) {}
    size_t row_of_BC(int t, int s) const { return (size_t(t) * S + s) * N; }
};

// Up to sixteen channels of stream s, the first of which is `first`.
struct Channels {
    const Window& window;
    int s, first, count;
    alignas(64) float A[STATE];  // times log2(e), so that 2^ is the exponential
    vec D;

    Channels(const Window& the_window, int stream, int first_channel)
        : window(the_window),
          s(stream),
          first(first_channel),
          count(std::min(window.E - first, PANEL)) {
        load_transposed(window.A + size_t(first) * N, A);
        for (int i = 0; i < STATE; i += PANEL) store(A + i, mul(all(LOG2_E), load(A + i)));
        D = load_first(window.D + first, count);
    }
    // All steps of [T, S, E], next to each other, and back.
    void gather(const float* from, float* to) const {
        for (int t = 0; t < window.T; t++)
            store(to + t * size_t(PANEL), load_first(from + at(t), count));
    }
    void scatter(float* to, const float* from) const {
        for (int t = 0; t < window.T; t++)
            store_first(to + at(t), count, load(from + t * size_t(PANEL)));
    }
    // [channel][N] as [N][16], and back.
    void load_transposed(const float* from, float* to) const {
        for (int n = 0; n < N; n++) store(to + n * PANEL, load_column(from + n, N, count));
    }
    void store_transposed(float* to, const float* from) const {
        for (int c = 0; c < count; c++)
            for (int n = 0; n < N; n++) to[c * N + n] = from[n * PANEL + c];
    }
    void load_state(float* to) const { load_transposed(window.before + state(), to); }
    void store_state(float* to, const float* from) const { store_transposed(to + state(), from); }

  private:
    size_t at(int t) const { return (size_t(t) * window.S + s) * window.E + first; }
    size_t state() const { return (size_t(s) * window.E + first) * N; }
};

// The numbers of sixteen channels over a window, [T][16] each.
struct Steps {
    float *d, *u, *z, *size, *sum;  // size: D_t; sum: s_t C_t + D u_t, in a forward pass then y_t

    static size_t floats(int T) { return size_t(T) * PANEL * 5; }
    Steps(float* memory, int T) {
        for (float** each : {&d, &u, &z, &size, &sum}) {
            *each = memory;
            memory += size_t(T) * PANEL;
        }
    }
    void gather(const Channels& channels) const {
        const Window& window = channels.window;
        channels.gather(window.d, d);
        channels.gather(window.u, u);
        channels.gather(window.z, z);
        for (int t = 0; t < window.T; t++)  // log(1 + e^d)
            store(size + t * size_t(PANEL),
                  sub(all(0), log_sigmoid(sub(all(0), load(d + t * size_t(PANEL))))));
    }
};

// The states after step t from those before it (which may be in the same place), and the step's
// sum. keep: where exp(D_t A) goes, or null.
inline void step(const Channels& channels, const Steps& steps, int t, const float* before,
                 float* after, float* keep) {
    const Window& window = channels.window;
    const float* const B = window.B + window.row_of_BC(t, channels.s);
    const float* const C = window.C + window.row_of_BC(t, channels.s);
    const size_t row = t * size_t(PANEL);
    const vec u = load(steps.u + row), size = load(steps.size + row), input = mul(size, u);
    vec sum = mul(channels.D, u);
    for (int n = 0; n < N; n++) {
        const vec kept = exp2(mul(size, load(channels.A + n * PANEL)));
        const vec s = fma(kept, load(before + n * PANEL), mul(input, all(B[n])));
        if (keep) store(keep + n * PANEL, kept);
        store(after + n * PANEL, s);
        sum = fma(s, all(C[n]), sum);
    }
    store(steps.sum + row, sum);
}

struct Gradients {
    float *d, *u, *z, *B, *C, *A, *D;
};

// What the backward pass of sixteen channels needs beside `Steps`, and its sums, whose sixteen
// lanes are added up at the end.
struct Backward {
    float *states, *keep;         // [T + 1][N][16], [T][N][16]
    float *sums_B, *sums_C;       // [T][N][16], over all channels of a stream
    float *sums_A, *sums_D;       // [panel of channels][N][16] and [..][16], over all streams
    float *dy, *d_d, *d_u, *d_z;  // [T][16]

    static size_t floats(int T, int panels) {
        return size_t(T) * (4 * STATE + 4 * PANEL) + STATE + size_t(panels) * (STATE + PANEL);
    }
    Backward(float* memory, int T, int panels) {
        const auto take = [&memory](size_t count) {
            float* const begin = memory;
            memory += count;
            return begin;
        };
        const size_t all_states = size_t(T) * STATE, row = size_t(T) * PANEL;
        states = take(all_states + STATE), keep = take(all_states);
        sums_B = take(all_states), sums_C = take(all_states);
        sums_A = take(size_t(panels) * STATE), sums_D = take(size_t(panels) * PANEL);
        dy = take(row), d_d = take(row), d_u = take(row), d_z = take(row);
    }
};

inline void backward(const Channels& channels, const Steps& steps, const Backward& to) {
    const Window& window = channels.window;
    float* const sums_A = to.sums_A + size_t(channels.first) * N;
    float* const sum_D = to.sums_D + channels.first;
    alignas(64) float ds[STATE] = {};  // by the states, from all later steps
    vec to_D = load(sum_D);
    for (int t = window.T - 1; t >= 0; t--) {
        const size_t row = t * size_t(PANEL), of_step = t * size_t(STATE);
        const vec u = load(steps.u + row), z = load(steps.z + row), grad = load(to.dy + row);
        const vec size = load(steps.size + row), input = mul(size, u);
        const vec gate = exact_sigmoid(z), silu = mul(z, gate);
        const vec to_silu = mul(grad, load(steps.sum + row)), to_sum = mul(grad, silu);
        store(to.d_z + row, mul(to_silu, fma(silu, sub(all(1.f), gate), gate)));
        to_D = fma(to_sum, u, to_D);

        const float *const before = to.states + of_step, *const keep = to.keep + of_step;
        float *const sums_B = to.sums_B + of_step, *const sums_C = to.sums_C + of_step;
        const float* const B = window.B + window.row_of_BC(t, channels.s);
        const float* const C = window.C + window.row_of_BC(t, channels.s);
        vec to_input = all(0), to_size = all(0);
        for (int n = 0; n < N; n++) {
            const int i = n * PANEL;
            store(sums_C + i, fma(to_sum, load(before + STATE + i), load(sums_C + i)));
            const vec to_state = fma(to_sum, all(C[n]), load(ds + i));
            store(sums_B + i, fma(to_state, input, load(sums_B + i)));
            to_input = fma(to_state, all(B[n]), to_input);
            const vec to_past = mul(to_state, load(keep + i));
            store(ds + i, to_past);
            const vec to_exponent = mul(to_past, load(before + i));
            to_size = fma(to_exponent, load(channels.A + i), to_size);
            store(sums_A + i, fma(to_exponent, size, load(sums_A + i)));
        }
        to_size = fma(to_input, u, mul(all(LOG_2), to_size));
        store(to.d_d + row, mul(to_size, exact_sigmoid(load(steps.d + row))));
        store(to.d_u + row, fma(to_sum, channels.D, mul(to_input, size)));
    }
    store(sum_D, to_D);
}

struct Free {
    void operator()(float* p) const { ::operator delete[](p, std::align_val_t(64)); }
};
// Aligned; null where memory runs out.
std::unique_ptr<float[], Free> floats(size_t count) {
    return std::unique_ptr<float[], Free>(new (std::align_val_t(64), std::nothrow) float[count]);
}

}  // namespace

extern "C" {

// in: d, u, z, B, C, A, D and the states before the window. Writes y and the states after it.
// Returns 0 where memory runs out, else 1.
int charlens_scan(int T, int S, int E, const float* const* in, float* y, float* after) {
    const FloatingPointMode mode;
    const Window window(T, S, E, in);
    const auto memory = floats(Steps::floats(T));
    if (!memory) return 0;
    const Steps steps(memory.get(), T);
    alignas(64) float states[STATE];
    for (int s = 0; s < S; s++)
        for (int first = 0; first < E; first += PANEL) {
            const Channels channels(window, s, first);
            steps.gather(channels);
            channels.load_state(states);
            for (int t = 0; t < T; t++) {
                step(channels, steps, t, states, states, nullptr);
                float* const sum = steps.sum + t * size_t(PANEL);
                const vec z = load(steps.z + t * size_t(PANEL));
                store(sum, mul(load(sum), mul(z, exact_sigmoid(z))));
            }
            channels.scatter(y, steps.sum);
            channels.store_state(after, states);
        }
    return 1;
}

// Gradients by d, u, z, B, C, A and D, from that by y. (Truncated: none by the states before the
// window.) Returns 0 where memory runs out, else 1.
int charlens_scan_backward(int T, int S, int E, const float* const* in, const float* dy,
                           float* const* out) {
    const FloatingPointMode mode;
    const Window window(T, S, E, in);
    const Gradients grads = {out[0], out[1], out[2], out[3], out[4], out[5], out[6]};
    const int panels = (E + PANEL - 1) / PANEL;
    const auto memory = floats(Steps::floats(T) + Backward::floats(T, panels));
    if (!memory) return 0;
    const Steps steps(memory.get(), T);
    const Backward to(memory.get() + Steps::floats(T), T, panels);
    std::fill_n(to.sums_A, size_t(panels) * STATE, 0.f);
    std::fill_n(to.sums_D, size_t(panels) * PANEL, 0.f);
    for (int s = 0; s < S; s++) {
        std::fill_n(to.sums_B, size_t(T) * STATE, 0.f);
        std::fill_n(to.sums_C, size_t(T) * STATE, 0.f);
        for (int first = 0; first < E; first += PANEL) {
            const Channels channels(window, s, first);
            steps.gather(channels);
            channels.gather(dy, to.dy);
            channels.load_state(to.states);
            for (int t = 0; t < T; t++) {
                float* const before = to.states + t * size_t(STATE);
                step(channels, steps, t, before, before + STATE, to.keep + t * size_t(STATE));
            }
            backward(channels, steps, to);
            channels.scatter(grads.d, to.d_d);
            channels.scatter(grads.u, to.d_u);
            channels.scatter(grads.z, to.d_z);
        }
        for (int t = 0; t < T; t++)
            for (int n = 0; n < N; n++) {
                const size_t from = t * size_t(STATE) + n * PANEL, at = window.row_of_BC(t, s) + n;
                grads.B[at] = sum(load(to.sums_B + from));
                grads.C[at] = sum(load(to.sums_C + from));
            }
    }
    for (int first = 0; first < E; first += PANEL) {
        const Channels channels(window, 0, first);
        channels.store_transposed(grads.A + size_t(first) * N, to.sums_A + size_t(first) * N);
        store_first(grads.D + first, channels.count, load(to.sums_D + first));
    }
    return 1;
}

}  // extern "C"
