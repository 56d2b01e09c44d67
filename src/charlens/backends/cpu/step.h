// One step of a layer, forward and backward: the products of its gates, where a cell reads and
// writes what, and dropout. The cells themselves are in cells.h and later_cells.h.
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

// The factors by which dropout multiplies one panel of a cell's outputs at one step.
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
    // first being panel `first`: h times w and, where no character is looked up, the layer's input
    // times w_x. w: null for gates that do not see h; without either product net.gate_sums stays
    // as it is, zero.
    void multiply(int first, int apart, int count, const Operand& h, const float* w) const {
        Segment segments[2];
        int n = 0;
        if (!net.looks_up(l)) {
            const Operand input = net.input(l, call.mask != nullptr).from(row);
            const float* const w_x = weights(layer.w_x, net.gates(), first);
            segments[n++] = segment_of(input, w_x, net.H, apart);
        }
        if (w) segments[n++] = segment_of(h, w, net.H, apart);
        if (n) product(net.R, segments, n, net.gate_sums, count);
    }
    // Panel `at` of net.gate_sums as panel p of the gates.
    GateInput gate(int at, int p) const {
        const float* const sums = net.gate_sums.at(at, 0);
        if (!net.looks_up(l)) return {sums, layer.bias + size_t(p) * PANEL, nullptr};
        return {sums, layer.lookup + size_t(p) * net.K * PANEL, net.codes + row};
    }
    template <int COUNT>
    FactorWriter<COUNT> factors(int p, size_t offset = 0) const {
        return {net.factors_at(l, t, p) + offset * PANEL, call.grads != nullptr, net.bypass_cache};
    }
};

// Panel p of the cell's outputs, from unit(s) for every row; in a block, added to the layer's
// input.
template <class Unit>
void store_outputs(const ForwardStep& step, int p, const Unit unit) {
    const Network& net = step.net;
    const PairWriter h = pair_writer(step.layer.h, p, step.row + net.R);
    const PairWriter y = pair_writer(step.layer.y, p, step.row);
    float* const h_now = step.layer.h_now.at(p, 0);
    const bool needs_h_now = net.reads_h() || step.t == step.call.T - 1;
    const bool bypass_cache = net.bypass_cache;
    const Dropout dropout(net, step.call, step.l, step.t, p);
    const bool block = net.block;
    const float* const u = block ? step.layer.u.at(p, step.row) : nullptr;
    float* const residual = block ? step.layer.residual.at(p, step.row) : nullptr;
    for (int s = 0, R = net.R; s < R; s += 2) {
        vec even = unit(s), odd = unit(s + 1);
        h.store(s, even, odd, bypass_cache);
        if (needs_h_now) {
            store(h_now + s * PANEL, even);
            store(h_now + (s + 1) * PANEL, odd);
        }
        if (dropout.mask) {
            even = mul(even, dropout.at(s)), odd = mul(odd, dropout.at(s + 1));
            if (!block) y.store(s, even, odd, bypass_cache);
        }
        if (block) {
            store(residual + s * PANEL, add(load(u + s * PANEL), even));
            store(residual + (s + 1) * PANEL, add(load(u + (s + 1) * PANEL), odd));
        }
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

// ---- backward; net.dy holds the gradient of the cell's outputs ----

// Gradients of one panel of a gate: stored for the products, and added to the gradient of the bias
// or of the rows of w_x that the characters select.
struct GateGradient {
    PairWriter writer;
    float* dw;         // [K][16] or, where no character is looked up, one row
    const int* codes;  // null there
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
    GateGradient gate(int g, int p) const {
        const PairWriter writer = pair_writer(d_gates.part(g, net.H), p, 0);
        const int panel = g * net.unit_panels + p;
        if (!net.looks_up(l))
            return {writer, layer.db + size_t(panel) * PANEL, nullptr, net.bypass_cache};
        return {writer, layer.dw_x.at(panel, 0), net.codes + row, net.bypass_cache};
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
        Segment segments[4];
        for (int g = 0; g < count; g++)
            segments[g] = segment_of(d_gates.part(first + g, net.H),
                                     w_t + g * right_size(net.H, net.H), net.H);
        product(net.R, segments, count, to, net.unit_panels);
    }
};

}  // namespace
