// Later cells: minGRU, minLSTM and RG-LRU, whose gates do not see the state, and sLSTM. Forward and
// backward; charlens.networks.cells has the same equations in plain torch, with their sources.
#pragma once
#include "cells.h"

namespace {

// ---- forward: Unit(step, p) gives the outputs of panel p ----

template <class Unit>
void forward_panels(const ForwardStep& step) {
    const Network& net = step.net;
    const int gates = net.gates(), panels_of_gate = net.unit_panels;
    for (int p = 0; p < panels_of_gate; p++) {
        const float* const w =
            net.recurrent_gates() ? step.weights(step.layer.w_h, gates, p) : nullptr;
        step.multiply(p, panels_of_gate, gates, step.last_h(), w);
        store_outputs(step, p, Unit(step, p));
    }
}

// Gate g of panel p, where net.gate_sums holds all gates of that panel.
inline GateInput gate_of(const ForwardStep& step, int g, int p) {
    return step.gate(g, g * step.net.unit_panels + p);
}

struct MinGruUnit {
    GateInput gate_z, gate_g;
    const float* last_h;
    FactorWriter<mingru::FACTORS> factors;
    MinGruUnit(const ForwardStep& step, int p)
        : gate_z(gate_of(step, 0, p)),
          gate_g(gate_of(step, 1, p)),
          last_h(step.layer.h_now.at(p, 0)),
          factors(step.factors<mingru::FACTORS>(p)) {}
    vec operator()(int s) const {
        const vec z = sigmoid(gate_z.at(s)), before = load(last_h + s * PANEL);
        const vec change = mul(z, sub(gate_g.at(s), before));
        if (factors.wanted) {
            factors.store(s, mingru::TO_Z, storable(fnma(change, z, change)));
            factors.store(s, mingru::TO_G, z);
            factors.store(s, mingru::TO_PAST, sub(all(1.f), z));
        }
        return add(before, change);
    }
};

// The share f / (f + i) of two sigmoids, and that of i. With sigm(x) = e^min(x, 0) / (1 + e^-|x|)
// no exponential overflows, and the larger of the two terms is never 0.
struct MinLstmUnit {
    GateInput gate_f, gate_i, gate_g;
    const float* last_h;
    FactorWriter<minlstm::FACTORS> factors;
    MinLstmUnit(const ForwardStep& step, int p)
        : gate_f(gate_of(step, 0, p)),
          gate_i(gate_of(step, 1, p)),
          gate_g(gate_of(step, 2, p)),
          last_h(step.layer.h_now.at(p, 0)),
          factors(step.factors<minlstm::FACTORS>(p)) {}
    vec operator()(int s) const {
        const vec f = gate_f.at(s), i = gate_i.at(s), none = all(0);
        const vec ahead = sub(smaller(none, f), smaller(none, i));  // log of the ratio of e^min
        const vec f_term =
            mul(exp(smaller(none, ahead)), add(all(1.f), exp(sub(none, absolute(i)))));
        const vec i_term =
            mul(exp(smaller(none, sub(none, ahead))), add(all(1.f), exp(sub(none, absolute(f)))));
        const vec over = reciprocal(add(f_term, i_term));
        const vec share = mul(f_term, over), other = mul(i_term, over);
        const vec before = load(last_h + s * PANEL), g = gate_g.at(s);
        if (factors.wanted) {
            const vec to_ratio = mul(mul(share, other), sub(before, g));
            factors.store(s, minlstm::TO_F, storable(mul(to_ratio, sigmoid(sub(none, f)))));
            factors.store(s, minlstm::TO_I,
                          storable(sub(none, mul(to_ratio, sigmoid(sub(none, i))))));
            factors.store(s, minlstm::TO_G, other);
            factors.store(s, minlstm::TO_PAST, share);
        }
        return fma(share, before, mul(other, g));
    }
};

struct RgLruUnit {
    GateInput gate_r, gate_i, gate_x;
    const float *decay, *last_h;
    FactorWriter<rglru::FACTORS> factors;
    RgLruUnit(const ForwardStep& step, int p)
        : gate_r(gate_of(step, 0, p)),
          gate_i(gate_of(step, 1, p)),
          gate_x(gate_of(step, 2, p)),
          decay(step.layer.decay + size_t(p) * PANEL),
          last_h(step.layer.h_now.at(p, 0)),
          factors(step.factors<rglru::FACTORS>(p)) {}
    vec operator()(int s) const {
        // (where r is small, 1 - a^2 is proportional to it)
        const vec r = exact_sigmoid(gate_r.at(s)), i = sigmoid(gate_i.at(s)), x = gate_x.at(s);
        const vec log_a = mul(load(decay), r), a = exp(log_a);
        // 1 - a^2 without cancellation, by tanh(y) = (1 - e^-2y) / (1 + e^-2y)
        const vec t = tanh(sub(all(0), log_a));
        const vec rest = mul(add(t, t), reciprocal(add(all(1.f), t)));
        const vec square = larger(all(RGLRU_LEAST), rest), scale = root(square);
        const vec kept = mul(a, load(last_h + s * PANEL)), added = mul(scale, mul(i, x));
        if (factors.wanted) {
            // 0 where the square is at its least, which no gradient passes, else 1
            const vec free = smaller(all(1), mul(sub(square, all(RGLRU_LEAST)), all(1e30f)));
            const vec to_log_a = fnma(mul(free, mul(a, a)), mul(added, reciprocal(square)), kept);
            const vec to_decay = mul(to_log_a, r);
            factors.store(s, rglru::TO_R,
                          storable(mul(mul(to_decay, load(decay)), sub(all(1.f), r))));
            factors.store(s, rglru::TO_I, storable(fnma(added, i, added)));
            factors.store(s, rglru::TO_X, mul(scale, i));
            factors.store(s, rglru::TO_DECAY, storable(to_decay));
            factors.store(s, rglru::TO_PAST, a);
        }
        return add(kept, added);
    }
};

struct SlstmUnit {
    GateInput gate_i, gate_f, gate_o, gate_g;
    float *ratio, *normaliser, *stabiliser;
    FactorWriter<slstm::FACTORS> factors;
    SlstmUnit(const ForwardStep& step, int p)
        : gate_i(gate_of(step, 0, p)),
          gate_f(gate_of(step, 1, p)),
          gate_o(gate_of(step, 2, p)),
          gate_g(gate_of(step, 3, p)),
          ratio(step.layer.other[0].at(p, 0)),
          normaliser(step.layer.other[1].at(p, 0)),
          stabiliser(step.layer.other[2].at(p, 0)),
          factors(step.factors<slstm::FACTORS>(p)) {}
    vec operator()(int s) const {
        float *const c_at = ratio + s * PANEL, *const n_at = normaliser + s * PANEL,
                     *const m_at = stabiliser + s * PANEL;
        const vec i = gate_i.at(s), f = gate_f.at(s), o = sigmoid(gate_o.at(s));
        const vec g = tanh(gate_g.at(s)), before = load(c_at);
        const vec forgotten = add(log_sigmoid(f), load(m_at)), m = larger(forgotten, i);
        const vec input = exp(sub(i, m));
        const vec n = fma(exp(sub(forgotten, m)), load(n_at), input);
        const vec share = mul(input, reciprocal(n)), to_share = mul(share, sub(g, before));
        const vec c = add(before, to_share), h = mul(o, c);
        store(c_at, c), store(n_at, n), store(m_at, m);
        if (factors.wanted) {
            const vec rest = sub(all(1.f), share);
            factors.store(s, slstm::TO_CELL, o);
            factors.store(s, slstm::TO_SHARE, to_share);
            factors.store(s, slstm::SHARE, share);
            factors.store(s, slstm::TO_F, mul(rest, sigmoid(sub(all(0), f))));
            factors.store(s, slstm::TO_O, fnma(h, o, h));
            factors.store(s, slstm::TO_G, fnma(mul(share, g), g, share));
        }
        return h;
    }
};

// ---- backward ----

// Of minGRU, minLSTM and RG-LRU: the gradient of gate g is dh times factor g; dh times the last
// factor bypasses the weights to the previous step. also(s, even, odd): what else is made of the dh
// of rows s and s + 1.
template <int GATES, int COUNT, class Also>
void backward_direct(const BackwardStep& step, int p, const Also also) {
    const OutputGradient output = step.output(p);
    const auto factors = step.factors<COUNT>(p);
    float* const dh_direct = step.net.dh_direct.at(p, 0);
    GateGradient gates[GATES];
    for (int g = 0; g < GATES; g++) gates[g] = step.gate(g, p);
    const auto unit = [=](int s) {
        const vec dh = add(output.at(s), load(dh_direct + s * PANEL));
        store(dh_direct + s * PANEL, mul(dh, factors.at(s, COUNT - 1)));
        return dh;
    };
    for (int s = 0, R = step.net.R; s < R; s += 2) {
        const vec even = unit(s), odd = unit(s + 1);
        for (int g = 0; g < GATES; g++)
            gates[g].store(s, mul(even, factors.at(s, g)), mul(odd, factors.at(s + 1, g)));
        also(s, even, odd);
    }
}

inline void backward_mingru(const BackwardStep& step, int p) {
    backward_direct<2, mingru::FACTORS>(step, p, [](int, vec, vec) {});
}

inline void backward_minlstm(const BackwardStep& step, int p) {
    backward_direct<3, minlstm::FACTORS>(step, p, [](int, vec, vec) {});
}

inline void backward_rglru(const BackwardStep& step, int p) {
    const auto factors = step.factors<rglru::FACTORS>(p);
    float* const d_decay = step.layer.d_decay + size_t(p) * PANEL;
    backward_direct<3, rglru::FACTORS>(step, p, [=](int s, vec even, vec odd) {
        const vec sum = fma(even, factors.at(s, rglru::TO_DECAY), load(d_decay));
        store(d_decay, fma(odd, factors.at(s + 1, rglru::TO_DECAY), sum));
    });
}

inline void backward_slstm(const BackwardStep& step, int p) {
    const OutputGradient output = step.output(p);
    const auto factors = step.factors<slstm::FACTORS>(p);
    float *const dc_next = step.net.dc.at(p, 0), *const dn_next = step.net.dn.at(p, 0);
    const auto unit = [=](int s) -> LstmGradients {
        const vec dh = output.at(s), share = factors.at(s, slstm::SHARE);
        const vec dc = fma(dh, factors.at(s, slstm::TO_CELL), load(dc_next + s * PANEL));
        const vec to_share = mul(dc, factors.at(s, slstm::TO_SHARE));
        const vec dn = sub(load(dn_next + s * PANEL), to_share);
        store(dc_next + s * PANEL, fnma(dc, share, dc));
        store(dn_next + s * PANEL, fnma(dn, share, dn));
        return {fma(dn, share, to_share), mul(dn, factors.at(s, slstm::TO_F)),
                mul(dh, factors.at(s, slstm::TO_O)), mul(dc, factors.at(s, slstm::TO_G))};
    };
    store_lstm_gradients(step, p, unit);
}

}  // namespace
