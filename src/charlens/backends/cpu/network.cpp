// Stacks of recurrent layers, bare or in blocks, and the n-NN: log-probabilities, loss, gradients,
// RMSProp.
// The C interface of the library and the order of work on a window. README.md draws the layout and
// describes the computation; workspace.h explains the names.
#include <sys/mman.h>

#include <cmath>
#include <cstdint>
#include <new>

#include "block.h"
#include "floating_point.h"
#include "parameters.h"
#include "softmax.h"

namespace {

// ---- recurrent networks ----

void load_state(const Network& net, int l, const float* state) {
    const Layer& layer = net.layer[l];
    const int S = net.S, R = net.R, H = net.H;
    pack(layer.h_now, state, S, H, H);
    for (int p = 0; p < net.unit_panels; p++) {
        float* const h = layer.h_now.at(p, 0);
        if (R > S) store(h + S * PANEL, all(0));
        const PairWriter writer = pair_writer(layer.h, p, 0);
        for (int s = 0; s < R; s += 2)
            writer.store(s, load(h + s * PANEL), load(h + (s + 1) * PANEL));
    }
    for (int i = 1; i < net.states(); i++) {
        const Matrix& other = layer.other[i - 1];
        pack(other, state + size_t(i) * S * H, S, H, H);
        for (int p = 0; p < net.unit_panels && R > S; p++) store(other.at(p, S), all(0));
    }
}

void store_state(const Network& net, int l, float* state) {
    const Layer& layer = net.layer[l];
    unpack(state, net.H, layer.h_now, net.S, net.H);
    for (int i = 1; i < net.states(); i++)
        unpack(state + size_t(i) * net.S * net.H, net.H, layer.other[i - 1], net.S, net.H);
}

// Calls forward(l) for each layer, with its state.
template <class Forward>
void forward_layers(const Network& net, const Call& call, const Forward& forward) {
    for (int l = 0; l < net.layers; l++) {
        float* const state = call.state + size_t(l) * net.states() * net.S * net.H;
        load_state(net, l, state);
        forward(l);
        store_state(net, l, state);
    }
}

double run_recurrent(Network& net, const Call& call) {
    forward_layers(net, call, [&](int l) { forward_layer(net, l, call); });
    const Layer& top = net.layer.back();
    const Operand y = call.mask ? top.y : top.h.from(net.R);
    double total = 0;
    for_rows(call.T * net.R, ROWS_AT_ONCE, [&](int row, int count) {
        total += output(net, call, y.from(row), net.dy.from(row), row, count);
    });
    for (int l = net.layers - 1; l >= 0 && call.grads; l--) {
        backward_layer(net, l, call);
        std::swap(net.dy, net.dx);
    }
    return total;
}

double run_in_blocks(Network& net, const Call& call) {
    const int rows = call.T * net.R;
    embed(net, rows);
    forward_layers(net, call, [&](int l) { forward_block(net, l, call); });
    normalise(net, net.top, net.top_gain, net.top_normed, rows);
    if (call.grads) {
        clear(net.d_top_gain, size_t(net.unit_panels) * PANEL);
        for (int p = 0; p < net.unit_panels; p++) clear(net.dy.at(p, 0), size_t(rows) * PANEL);
    }
    double total = 0;
    for_rows(rows, ROWS_AT_ONCE, [&](int row, int count) {
        total += output(net, call, net.top_normed.from(row), net.d_normed, row, count);
        if (call.grads)
            backward_normalise(net, net.top.from(row), net.top_gain, net.d_normed, net.dy.from(row),
                               net.d_top_gain, count);
    });
    for (int l = net.layers - 1; l >= 0 && call.grads; l--) backward_block(net, l, call);
    if (call.grads) backward_embed(net, rows);
    return total;
}

// ---- n-NN: one hidden layer over one-hot inputs, a sum of rows of its weights ----

// Panel p of the hidden layer, for `rows` positions.
void forward_nn(const Network& net, const int* codes, int p, int rows) {
    const int context = net.context;
    const float* const w = net.nn_w + size_t(p) * (context * net.K + 1) * PANEL;
    const vec bias = load(net.nn_b + p * PANEL);
    float* const h_now = net.nn_h_now.at(p, 0);
    const PairWriter h = pair_writer(net.nn_h, p, 0);
    const auto unit = [=](int r) {
        vec sum = bias;
        for (int j = 0; j < context; j++)
            sum = add(sum, load(w + size_t(codes[r * context + j]) * PANEL));
        const vec value = tanh(sum);
        store(h_now + r * PANEL, value);
        return value;
    };
    for (int r = 0; r < rows; r += 2) {
        const vec even = unit(r), odd = unit(r + 1);
        h.store(r, even, odd);
    }
}

void backward_nn(const Network& net, const int* codes, int p, int rows) {
    float* const d = net.nn_dh.at(p, 0);
    const float* const h = net.nn_h_now.at(p, 0);
    for (int r = 0; r < rows; r++) {
        const vec value = load(h + r * PANEL);
        store(d + r * PANEL, mul(load(d + r * PANEL), fnma(value, value, all(1.f))));
    }
    add_rows(d, rows, net.nn_db.at(p, 0));
    // The K rows of one character of context stay in the L1 cache.
    for (int j = 0; j < net.context; j++)
        for (int r = 0; r < rows; r++) {
            float* const dw = net.nn_dw.at(p, codes[r * net.context + j]);
            store(dw, add(load(dw), load(d + r * PANEL)));
        }
}

double run_nn(const Network& net, const Call& call) {
    const int rows = call.T * net.R;
    if (call.grads) {
        clear(net.nn_dw, net.unit_panels);
        clear(net.nn_db, net.unit_panels);
    }
    double total = 0;
    for_rows(rows, ROWS_AT_ONCE, [&](int row, int count) {
        const int* const codes = net.codes + size_t(row) * net.context;
        for (int p = 0; p < net.unit_panels; p++) forward_nn(net, codes, p, count);
        total += output(net, call, net.nn_h, net.nn_dh, row, count);
        for (int p = 0; p < net.unit_panels && call.grads; p++) backward_nn(net, codes, p, count);
    });
    return total;
}

// ---- any network ----

double run_network(Network& net, const Call& call) {
    if (net.kind == NN) return run_nn(net, call);
    return net.block ? run_in_blocks(net, call) : run_recurrent(net, call);
}

// Characters and targets from [S, T] into rows of the window. The row that makes the number of
// streams even has code 0.
void load_codes(const Network& net, const Call& call) {
    const bool nn = net.kind == NN;
    const int context = nn ? net.context : 1, no_character = context * net.K;
    for (int s = 0; s < net.R; s++)
        for (int t = 0; t < call.T; t++) {
            const size_t row = size_t(t) * net.R + s, from = size_t(s) * call.T + t;
            const bool stream = s < net.S;
            if (call.y) net.targets[row] = stream ? call.y[from] : 0;
            for (int j = 0; j < context; j++) {
                int code = stream ? call.x[from * context + j] : 0;
                if (nn) code = code >= net.K ? no_character : j * net.K + code;
                net.codes[row * context + j] = code;
            }
        }
}

// Bytes that a layer stores for a whole window: factors, h, a GRU's r h', and h after dropout; in a
// block, instead of the last, the residual stream before and after the cell, both normalised, and
// what the MLP's units, two for each of the cell's, put out.
size_t bytes_of_window(const Network& net, bool dropout) {
    const size_t operands = 1 + (net.kind == GRU) + (net.block ? 6 : dropout);
    const size_t factors = net.factors() + (net.block ? 2 * mlp::FACTORS : 0);
    const size_t per_unit = factors * sizeof(Factor) + operands * sizeof(float);
    return per_unit * net.unit_panels * PANEL * net.T * net.R;
}

constexpr size_t HUGE_PAGE = size_t(1) << 21;

// Zeroed pages, allocated when first touched and aligned to a huge page; null if out of memory.
char* map_memory(size_t bytes) {
    void* const mapped = mmap(nullptr, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    char* const begin = static_cast<char*>(mapped);
    const size_t before = (HUGE_PAGE - reinterpret_cast<uintptr_t>(mapped) % HUGE_PAGE) % HUGE_PAGE;
    if (before) munmap(begin, before);
    munmap(begin + before + bytes, HUGE_PAGE - before);
#ifdef MADV_HUGEPAGE
    madvise(begin + before, bytes, MADV_HUGEPAGE);
#endif
    return begin + before;
}

}  // namespace

extern "C" {

// Whether the library can be used; for AMX, asks the system for tiles and tries them.
int charlens_ready() {
#if defined __AMX_BF16__
    return tiles_work();
#else
    return 1;
#endif
}

// Null if a size is out of range or memory runs out.
Network* charlens_create(int kind, int layers, int hidden, int symbols, int streams, int unroll,
                         int context, int block) {
    const Sizes sizes = {Kind(kind), layers, hidden, symbols, streams, unroll, context, block};
    if (!sizes.valid()) return nullptr;
    Network* const net = new (std::nothrow) Network(sizes);
    if (!net) return nullptr;
    const size_t bytes = (net->bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    net->memory = map_memory(bytes);
    if (!net->memory) {
        delete net;
        return nullptr;
    }
    net->lay_out();
    net->bytes = bytes;
    return net;
}

void charlens_destroy(Network* net) {
#if defined __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(net->memory, net->bytes);
#endif
    munmap(net->memory, net->bytes);
    delete net;
}

// Mean of -log p of the targets y (0 without y); NaN if T is out of range. See Call for the
// arguments.
double charlens_run(Network* net, const float* const* params, float* const* grads,
                    const uint16_t* x, const uint16_t* y, int T, float* state, const uint8_t* mask,
                    float scale, float* log_probs, float* targets) {
    if (T < 1 || T > net->T) return NAN;
    const FloatingPointMode mode;
#if defined __AMX_BF16__
    const TilesReleased at_the_end;
#endif
    const Call call = {params, grads, mask, scale, x, y, state, log_probs, targets, T};
    net->bypass_cache = bytes_of_window(*net, mask != nullptr) > BYPASS_CACHE_ABOVE;
    load_codes(*net, call);
    pack_parameters(*net, params, grads != nullptr);
    if (grads) {
        clear(net->out_dw, net->symbol_panels);
        clear(net->out_db, size_t(net->symbol_panels) * PANEL);
    }
    const double total = run_network(*net, call);
    if (grads) unpack_gradients(*net, grads);
    return y ? total / (double(T) * net->S) : 0;
}

// RMSProp on `count` parameters of `sizes` floats: gradients are clipped to [-clip, clip], epsilon
// is added after the root. fresh: 1 - smoothing.
void charlens_rmsprop(int count, float* const* params, const float* const* grads,
                      float* const* squares, const size_t* sizes, float rate, float smoothing,
                      float fresh, float epsilon, float clip) {
    const FloatingPointMode mode;
    for (int i = 0; i < count; i++)
        for (size_t at = 0; at < sizes[i]; at += PANEL) {
            const int n = int(std::min(sizes[i] - at, size_t(PANEL)));
            const vec grad = clamp(load_first(grads[i] + at, n), -clip, clip);
            const vec old_square = load_first(squares[i] + at, n);
            const vec square = fma(mul(all(fresh), grad), grad, mul(all(smoothing), old_square));
            const vec step = mul(grad, reciprocal(add(root(square), all(epsilon))));
            store_first(squares[i] + at, n, square);
            store_first(params[i] + at, n, fnma(all(rate), step, load_first(params[i] + at, n)));
        }
}

}  // extern "C"
