// One recurrent layer over a window, forward and backward. charlens.networks.cells has the same
// equations in plain torch.
//
// Pointers are copied out of structs before a loop (small structs are passed by value): for all the
// compiler knows, the loop's stores could overwrite those structs.
#pragma once
#include <algorithm>

#include "workspace.h"

namespace {

// Step t of layer l.
struct Step {
    Network& net;
    Layer& layer;
    const Call& call;
    int l, t;
    int row;  // the step's first row in the window

    Step(Network& network, int layer_index, int step, const Call& the_call)
        : net(network),
          layer(network.layer[layer_index]),
          call(the_call),
          l(layer_index),
          t(step),
          row(step * network.R) {}
};

// ---- forward ----

// The factors by which dropout multiplies one panel of a layer's outputs at one step.
struct Dropout {
    const uint8_t* mask;  // of stream 0: two bytes, a bit per unit; null: no dropout
    int stride, streams;  // bytes from one stream to the next
    float scale;

    Dropout(const Network& net, const Call& call, int l, int t, int p)
        : mask(call.mask), stride(2 * net.unit_panels), streams(net.S), scale(call.scale) {
        if (mask) mask += ((size_t(l) * call.T + t) * net.S * net.unit_panels + p) * 2;
    }
    vec at(int s) const {
        if (s >= streams) return all(0);  // the row that makes their number even
        uint16_t bits;
        memcpy(&bits, mask + size_t(s) * stride, sizeof bits);
        return choose(bits, scale);
    }
};

// One panel of a gate before its nonlinearity: the product, and the bias or the row that the
// character selects.
struct GateInput {
    const float *sums, *added;
    const int* codes;  // null: `added` is the bias
    vec at(int s) const {
        const float* const row = codes ? added + size_t(codes[s]) * PANEL : added;
        return add(load(sums + s * PANEL), load(row));
    }
};

// Stores one panel's factors, COUNT of them per row.
template <int COUNT>
struct FactorWriter {
    Factor* factors;
    bool wanted;  // false if there is no backward pass
    bool bypass_cache;
    void store(int s, int which, vec x) const {
        store_factor(factors + (size_t(s) * COUNT + which) * PANEL, x, bypass_cache);
    }
};

struct ForwardStep : Step {
    int rounding;  // of the weights

    ForwardStep(Network& network, int layer_index, int step, const Call& the_call)
        : Step(network, layer_index, step, the_call), rounding(step % ROUNDINGS) {}

    Operand last_h() const { return layer.h.from(row); }

    // The right operand of gate panel `first`, in weights of `gates` gates.
    const float* weights(const float* all_roundings, int gates, int first) const {
        const size_t panel = size_t(padded_words(net.H)) * PANEL;
        return all_roundings + (size_t(rounding) * gates * net.unit_panels + first) * panel;
    }
    // net.gate_sums = the products of `count` panels of gates, `apart` panels from each other, the
    // first being panel `first`: h times w and, above layer 0, the layer below times w_x.
    void multiply(int first, int apart, int count, const Operand& h, const float* w) const {
        const size_t b_stride = apart * size_t(padded_words(net.H)) * PANEL;
        const int inner = words(net.H);
        Segment segments[2];
        int n = 0;
        if (l) {
            const Layer& below = net.layer[l - 1];
            const Operand input = call.mask ? below.y.from(row) : below.h.from(row + net.R);
            const float* const w_x = weights(layer.w_x, net.gates(), first);
            segments[n++] = {input.left, input.left_stride, w_x, b_stride, inner};
        }
        segments[n++] = {h.left, h.left_stride, w, b_stride, inner};
        product(net.R, segments, n, net.gate_sums, count);
    }
    // Panel `at` of net.gate_sums as panel p of the gates.
    GateInput gate(int at, int p) const {
        const float* const sums = net.gate_sums.at(at, 0);
        if (l) return {sums, layer.bias + size_t(p) * PANEL, nullptr};
        return {sums, layer.lookup + size_t(p) * net.K * PANEL, net.codes + row};
    }
    template <int COUNT>
    FactorWriter<COUNT> factors(int p, size_t offset = 0) const {
        return {net.factors_at(l, t, p) + offset * PANEL, call.grads != nullptr, net.bypass_cache};
    }
};

// Panel p of the layer's outputs, from unit(s) for every row.
template <class Unit>
void store_outputs(const ForwardStep& step, int p, const Unit unit) {
    const Network& net = step.net;
    const PairWriter h = pair_writer(step.layer.h, p, step.row + net.R);
    const PairWriter y = pair_writer(step.layer.y, p, step.row);
    float* const h_now = step.layer.h_now.at(p, 0);
    const bool needs_h_now = net.kind == GRU || step.t == step.call.T - 1;
    const bool bypass_cache = net.bypass_cache;
    const Dropout dropout(net, step.call, step.l, step.t, p);
    for (int s = 0, R = net.R; s < R; s += 2) {
        const vec even = unit(s), odd = unit(s + 1);
        h.store(s, even, odd, bypass_cache);
        if (needs_h_now) {
            store(h_now + s * PANEL, even);
            store(h_now + (s + 1) * PANEL, odd);
        }
        if (dropout.mask)
            y.store(s, mul(even, dropout.at(s)), mul(odd, dropout.at(s + 1)), bypass_cache);
    }
}

// Computes the products of one gate with weights w, some panels at a time, and calls use(at, p) for
// each: panel `at` of net.gate_sums is panel p of the gate.
template <class Use>
void for_gate_panels(const ForwardStep& step, int gate, const Operand& h, const float* w,
                     const Use& use) {
    const Network& net = step.net;
    const size_t panel = size_t(padded_words(net.H)) * PANEL;
    for (int begin = 0; begin < net.unit_panels; begin += PANELS_AT_ONCE) {
        const int count = std::min(net.unit_panels - begin, PANELS_AT_ONCE);
        step.multiply(gate * net.unit_panels + begin, 1, count, h, w + begin * panel);
        for (int at = 0; at < count; at++) use(at, begin + at);
    }
}

struct RnnUnit {
    GateInput gate;
    FactorWriter<rnn::FACTORS> factors;
    vec operator()(int s) const {
        const vec h = tanh(gate.at(s));
        if (factors.wanted) factors.store(s, 0, fnma(h, h, all(1.f)));
        return h;
    }
};

inline void forward_rnn(const ForwardStep& step) {
    const float* const w_h = step.weights(step.layer.w_h, 1, 0);
    for_gate_panels(step, 0, step.last_h(), w_h, [&](int at, int p) {
        store_outputs(step, p, RnnUnit{step.gate(at, p), step.factors<rnn::FACTORS>(p)});
    });
}

struct LstmUnit {
    GateInput gate_i, gate_f, gate_o, gate_g;
    float* cell_state;
    FactorWriter<lstm::FACTORS> factors;
    vec operator()(int s) const {
        const vec i = sigmoid(gate_i.at(s)), f = sigmoid(gate_f.at(s)), o = sigmoid(gate_o.at(s));
        const vec g = tanh(gate_g.at(s));
        const vec i_g = mul(i, g), f_c = mul(f, load(cell_state + s * PANEL));
        const vec c = add(f_c, i_g), tanh_c = tanh(c), h = mul(o, tanh_c);
        store(cell_state + s * PANEL, c);
        if (factors.wanted) {
            factors.store(s, lstm::TO_I, fnma(i_g, i, i_g));
            factors.store(s, lstm::TO_F, fnma(f_c, f, f_c));
            factors.store(s, lstm::TO_O, fnma(h, o, h));
            factors.store(s, lstm::TO_G, fnma(i_g, g, i));
            factors.store(s, lstm::TO_PAST, f);
            factors.store(s, lstm::TO_CELL, fnma(h, tanh_c, o));
        }
        return h;
    }
};

inline void forward_lstm(const ForwardStep& step) {
    const int panels_of_gate = step.net.unit_panels;
    for (int p = 0; p < panels_of_gate; p++) {
        step.multiply(p, panels_of_gate, 4, step.last_h(), step.weights(step.layer.w_h, 4, p));
        const auto gate = [&](int g) { return step.gate(g, g * panels_of_gate + p); };
        store_outputs(step, p,
                      LstmUnit{gate(0), gate(1), gate(2), gate(3), step.layer.c.at(p, 0),
                               step.factors<lstm::FACTORS>(p)});
    }
}

// r and z. Returns r h', the candidate's recurrent input; z goes to net.update_gate.
struct GruGates {
    GateInput gate_r, gate_z;
    const float* last_h;
    float* update_gate;
    FactorWriter<gru::RESET_FACTORS> factors;
    vec operator()(int s) const {
        const vec r = sigmoid(gate_r.at(s)), reset_h = mul(r, load(last_h + s * PANEL));
        store(update_gate + s * PANEL, sigmoid(gate_z.at(s)));
        if (factors.wanted) {
            factors.store(s, gru::TO_R, fnma(reset_h, r, reset_h));
            factors.store(s, gru::TO_RESET, r);
        }
        return reset_h;
    }
};

struct GruUnit {
    GateInput gate_g;
    const float *update_gate, *last_h;
    FactorWriter<gru::OUTPUT_FACTORS> factors;
    vec operator()(int s) const {
        const vec g = tanh(gate_g.at(s)), z = load(update_gate + s * PANEL),
                  before = load(last_h + s * PANEL);
        const vec change = mul(z, sub(g, before));
        if (factors.wanted) {
            factors.store(s, gru::TO_Z, fnma(change, z, change));
            factors.store(s, gru::TO_G, fnma(mul(z, g), g, z));
            factors.store(s, gru::TO_PAST, sub(all(1.f), z));
        }
        return add(before, change);
    }
};

inline void forward_gru(const ForwardStep& step) {
    const Network& net = step.net;
    const Layer& layer = step.layer;
    const int R = net.R, panels_of_gate = net.unit_panels;
    for (int p = 0; p < panels_of_gate; p++) {
        step.multiply(p, panels_of_gate, 2, step.last_h(), step.weights(layer.w_h, 2, p));
        const GruGates gates = {step.gate(0, p), step.gate(1, panels_of_gate + p),
                                layer.h_now.at(p, 0), net.update_gate.at(p, 0),
                                step.factors<gru::RESET_FACTORS>(p)};
        const PairWriter reset_h = pair_writer(layer.reset_h, p, step.row);
        for (int s = 0; s < R; s += 2) {
            const vec even = gates(s), odd = gates(s + 1);
            reset_h.store(s, even, odd);
        }
    }
    // The candidate needs r h' of every unit.
    const float* const w_g = step.weights(layer.w_g, 1, 0);
    for_gate_panels(step, 2, layer.reset_h.from(step.row), w_g, [&](int at, int p) {
        const auto factors = step.factors<gru::OUTPUT_FACTORS>(p, size_t(R) * gru::RESET_FACTORS);
        store_outputs(step, p,
                      GruUnit{step.gate(at, 2 * panels_of_gate + p), net.update_gate.at(p, 0),
                              layer.h_now.at(p, 0), factors});
    });
}

inline void forward_layer(Network& net, int l, const Call& call) {
    for (int t = 0; t < call.T; t++) {
        const ForwardStep step(net, l, t, call);
        if (net.kind == RNN) forward_rnn(step);
        if (net.kind == LSTM) forward_lstm(step);
        if (net.kind == GRU) forward_gru(step);
    }
}

// ---- backward; net.dy holds the gradient of the layer's outputs ----

// Gradients of one panel of a gate: stored for the products, and added to the gradient of the bias
// or of the rows of w_x that the characters select.
struct GateGradient {
    PairWriter writer;
    float* dw;         // [K][16] or, above layer 0, one row
    const int* codes;  // null above layer 0
    bool bypass_cache;
    void store(int s, vec even, vec odd) const {
        writer.store(s, even, odd, bypass_cache);
        if (codes) {
            add_to(dw + size_t(codes[s]) * PANEL, even);
            add_to(dw + size_t(codes[s + 1]) * PANEL, odd);
        } else {
            add_to(dw, add(even, odd));
        }
    }

  private:
    static void add_to(float* row, vec x) { ::store(row, add(load(row), x)); }
};

// Gradient of one panel of outputs, from the layer above and from the next step.
struct OutputGradient {
    const float *dy, *dh;
    Dropout dropout;
    vec at(int s) const {
        vec d = load(dy + s * PANEL);
        if (dropout.mask) d = mul(d, dropout.at(s));
        return add(d, load(dh + s * PANEL));
    }
};

template <int COUNT>
struct FactorReader {
    const Factor* factors;
    vec at(int s, int which) const {
        return load_factor(factors + (size_t(s) * COUNT + which) * PANEL);
    }
};

struct BackwardStep : Step {
    Operand d_gates;  // of this step

    BackwardStep(Network& network, int layer_index, int step, const Call& the_call)
        : Step(network, layer_index, step, the_call), d_gates(network.d_gates.from(row)) {
        if (PER_WORD > 1) d_gates.left = network.d_gates.left;  // holds one step only
    }
    float* left_of_gate(int g) const {
        return d_gates.left + g * panels(words(net.H)) * d_gates.left_stride;
    }

    GateGradient gate(int g, int p) const {
        const Operand own = {left_of_gate(g), d_gates.left_stride,
                             d_gates.rows_inner + g * net.unit_panels * d_gates.rows_inner_stride,
                             d_gates.rows_inner_stride};
        const int panel = g * net.unit_panels + p;
        if (l)
            return {pair_writer(own, p, 0), layer.db + size_t(panel) * PANEL, nullptr,
                    net.bypass_cache};
        return {pair_writer(own, p, 0), layer.dw_x.at(panel, 0), net.codes + row, net.bypass_cache};
    }
    OutputGradient output(int p) const {
        return {net.dy.at(p, row), net.dh.at(p, 0), Dropout(net, call, l, t, p)};
    }
    template <int COUNT>
    FactorReader<COUNT> factors(int p, size_t offset = 0) const {
        return {net.factors_at(l, t, p) + offset * PANEL};
    }
    // to = d_gates times the transposed weights of gates first ... first + count - 1.
    void multiply(int first, int count, const float* w_t, Matrix to) const {
        const size_t b_stride = size_t(padded_words(net.H)) * PANEL;
        Segment segments[4];
        for (int g = 0; g < count; g++)
            segments[g] = {left_of_gate(first + g), d_gates.left_stride,
                           w_t + g * net.unit_panels * b_stride, b_stride, words(net.H)};
        product(net.R, segments, count, to, net.unit_panels);
    }
};

inline void backward_rnn(const BackwardStep& step, int p) {
    const OutputGradient output = step.output(p);
    const auto factors = step.factors<rnn::FACTORS>(p);
    const GateGradient gate = step.gate(0, p);
    const auto unit = [=](int s) { return mul(output.at(s), factors.at(s, 0)); };
    for (int s = 0, R = step.net.R; s < R; s += 2) {
        const vec even = unit(s), odd = unit(s + 1);
        gate.store(s, even, odd);
    }
}

struct LstmGradients {
    vec i, f, o, g;
};

inline void backward_lstm(const BackwardStep& step, int p) {
    const OutputGradient output = step.output(p);
    const auto factors = step.factors<lstm::FACTORS>(p);
    const GateGradient gate_i = step.gate(0, p), gate_f = step.gate(1, p);
    const GateGradient gate_o = step.gate(2, p), gate_g = step.gate(3, p);
    float* const dc_next = step.net.dc.at(p, 0);
    const auto unit = [=](int s) -> LstmGradients {
        const vec dh = output.at(s);
        const vec dc = fma(dh, factors.at(s, lstm::TO_CELL), load(dc_next + s * PANEL));
        store(dc_next + s * PANEL, mul(dc, factors.at(s, lstm::TO_PAST)));
        return {mul(dc, factors.at(s, lstm::TO_I)), mul(dc, factors.at(s, lstm::TO_F)),
                mul(dh, factors.at(s, lstm::TO_O)), mul(dc, factors.at(s, lstm::TO_G))};
    };
    for (int s = 0, R = step.net.R; s < R; s += 2) {
        const LstmGradients even = unit(s), odd = unit(s + 1);
        gate_i.store(s, even.i, odd.i);
        gate_f.store(s, even.f, odd.f);
        gate_o.store(s, even.o, odd.o);
        gate_g.store(s, even.g, odd.g);
    }
}

struct GruGradients {
    vec z, g;
};

// Gradients of z and the candidate.
inline void backward_gru(const BackwardStep& step, int p) {
    const int R = step.net.R;
    const OutputGradient output = step.output(p);
    const auto factors = step.factors<gru::OUTPUT_FACTORS>(p, size_t(R) * gru::RESET_FACTORS);
    const GateGradient gate_z = step.gate(1, p), gate_g = step.gate(2, p);
    float* const dh_direct = step.net.dh_direct.at(p, 0);
    const auto unit = [=](int s) -> GruGradients {
        const vec dh = add(output.at(s), load(dh_direct + s * PANEL));
        store(dh_direct + s * PANEL, mul(dh, factors.at(s, gru::TO_PAST)));
        return {mul(dh, factors.at(s, gru::TO_Z)), mul(dh, factors.at(s, gru::TO_G))};
    };
    for (int s = 0; s < R; s += 2) {
        const GruGradients even = unit(s), odd = unit(s + 1);
        gate_z.store(s, even.z, odd.z);
        gate_g.store(s, even.g, odd.g);
    }
}

// Gradient of r, from that of r h' (which the candidate's weights give).
inline void backward_gru_reset(const BackwardStep& step, int p) {
    const auto factors = step.factors<gru::RESET_FACTORS>(p);
    const GateGradient gate_r = step.gate(0, p);
    const float* const d_reset_h = step.net.d_reset_h.at(p, 0);
    float* const dh_direct = step.net.dh_direct.at(p, 0);
    const auto unit = [=](int s) {
        const vec d = load(d_reset_h + s * PANEL);
        const vec direct = load(dh_direct + s * PANEL);
        store(dh_direct + s * PANEL, fma(d, factors.at(s, gru::TO_RESET), direct));
        return mul(d, factors.at(s, gru::TO_R));
    };
    for (int s = 0, R = step.net.R; s < R; s += 2) {
        const vec even = unit(s), odd = unit(s + 1);
        gate_r.store(s, even, odd);
    }
}

// d_gates of one step, from the gradient of its output and what flows back from the next step;
// then what flows to the previous step and to the layer below. (Truncated: the gradient of the
// incoming state is dropped.)
inline void backward_step(const BackwardStep& step) {
    const Network& net = step.net;
    const Layer& layer = step.layer;
    for (int p = 0; p < net.unit_panels; p++) {
        if (net.kind == RNN) backward_rnn(step, p);
        if (net.kind == LSTM) backward_lstm(step, p);
        if (net.kind == GRU) backward_gru(step, p);
    }
    if (net.kind == GRU) {
        step.multiply(2, 1, layer.w_g_t, net.d_reset_h);
        for (int p = 0; p < net.unit_panels; p++) backward_gru_reset(step, p);
    }
    if (step.t) step.multiply(0, net.recurrent_gates(), layer.w_h_t, net.dh);
    if (step.l) step.multiply(0, net.gates(), layer.w_x_t, {net.dx.at(0, step.row), net.dx.stride});
}

// Leaves the gradient of the outputs of the layer below in net.dy.
inline void backward_layer(Network& net, int l, const Call& call) {
    Layer& layer = net.layer[l];
    const int H = net.H, rows = call.T * net.R, gate_panels = net.gates() * net.unit_panels;
    const int recurrent_panels = net.recurrent_gates() * net.unit_panels;
    for (Matrix m : {net.dh, net.dc, net.dh_direct}) clear(m, net.unit_panels);
    clear(layer.db, size_t(gate_panels) * PANEL);
    clear(layer.dw_x, gate_panels);
    for (int t = call.T - 1; t >= 0; t--) backward_step(BackwardStep(net, l, t, call));

    clear(layer.dw_h, recurrent_panels);
    add_transposed_product(layer.h, H, net.d_gates, recurrent_panels, rows, layer.dw_h,
                           net.scratch);
    if (net.kind == GRU) {
        Operand candidate = net.d_gates;
        candidate.rows_inner += recurrent_panels * candidate.rows_inner_stride;
        clear(layer.dw_g, net.unit_panels);
        add_transposed_product(layer.reset_h, H, candidate, net.unit_panels, rows, layer.dw_g,
                               net.scratch);
    }
    if (l == 0) {  // one-hot inputs: every row of d_gates was added to one row of dw_x
        for (int p = 0; p < gate_panels; p++)
            add_rows(layer.dw_x.at(p, 0), net.K, layer.db + size_t(p) * PANEL);
        return;
    }
    const Layer& below = net.layer[l - 1];
    const Operand input = call.mask ? below.y : below.h.from(net.R);
    add_transposed_product(input, H, net.d_gates, gate_panels, rows, layer.dw_x, net.scratch);
    std::swap(net.dy, net.dx);
}

}  // namespace
