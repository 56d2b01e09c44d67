// The paper's cells, forward and backward. charlens.networks.cells has the same equations in plain
// torch.
#pragma once
#include "step.h"

namespace {

// ---- forward ----

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
                      LstmUnit{gate(0), gate(1), gate(2), gate(3), step.layer.other[0].at(p, 0),
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

// ---- backward ----

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

// Panel p of all four, from unit(s) for every row.
template <class Unit>
void store_lstm_gradients(const BackwardStep& step, int p, const Unit unit) {
    const GateGradient gate_i = step.gate(0, p), gate_f = step.gate(1, p);
    const GateGradient gate_o = step.gate(2, p), gate_g = step.gate(3, p);
    for (int s = 0, R = step.net.R; s < R; s += 2) {
        const LstmGradients even = unit(s), odd = unit(s + 1);
        gate_i.store(s, even.i, odd.i);
        gate_f.store(s, even.f, odd.f);
        gate_o.store(s, even.o, odd.o);
        gate_g.store(s, even.g, odd.g);
    }
}

inline void backward_lstm(const BackwardStep& step, int p) {
    const OutputGradient output = step.output(p);
    const auto factors = step.factors<lstm::FACTORS>(p);
    float* const dc_next = step.net.dc.at(p, 0);
    const auto unit = [=](int s) -> LstmGradients {
        const vec dh = output.at(s);
        const vec dc = fma(dh, factors.at(s, lstm::TO_CELL), load(dc_next + s * PANEL));
        store(dc_next + s * PANEL, mul(dc, factors.at(s, lstm::TO_PAST)));
        return {mul(dc, factors.at(s, lstm::TO_I)), mul(dc, factors.at(s, lstm::TO_F)),
                mul(dh, factors.at(s, lstm::TO_O)), mul(dc, factors.at(s, lstm::TO_G))};
    };
    store_lstm_gradients(step, p, unit);
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

}  // namespace
