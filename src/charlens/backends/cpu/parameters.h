// Parameters into the layout of the products, and gradients out of it.
#pragma once
#include <cmath>

#include "workspace.h"

namespace {

// w [H, gates H]: gate after gate, each a right operand; one rounding of all gates, then the next.
inline void pack_gates(float* to, const float* w, int gates, int H) {
    const size_t size = right_size(H, H);
    for (int g = 0; g < gates; g++)
        pack_right(to + g * size, w + size_t(g) * H, H, H, size_t(gates) * H, gates * size);
}
inline void pack_gates_transposed(float* to, const float* w, int gates, int H) {
    for (int g = 0; g < gates; g++)
        pack_right_transposed(to + g * right_size(H, H), w + size_t(g) * H, H, H,
                              size_t(gates) * H);
}
inline void unpack_gates(float* w, Matrix from, int rows, int gates, int H) {
    for (int g = 0; g < gates; g++)
        unpack(w + size_t(g) * H, size_t(gates) * H, {from.at(g * panels(H), 0), from.stride}, rows,
               H);
}

// Rows of the lookup table: w_x [K, gates H] plus the bias.
inline void pack_lookup(const Network& net, const Layer& layer, const float* w_x,
                        const float* bias) {
    const int H = net.H, K = net.K, gates = net.gates();
    for (int g = 0; g < gates; g++) {
        float* const table = layer.lookup + size_t(g) * net.unit_panels * K * PANEL;
        pack({table, size_t(K) * PANEL}, w_x + size_t(g) * H, K, H, size_t(gates) * H);
    }
    for (int p = 0; p < gates * net.unit_panels; p++)
        for (int k = 0; k < K; k++) {
            float* const row = layer.lookup + (size_t(p) * K + k) * PANEL;
            store(row, add(load(row), load(bias + size_t(p) * PANEL)));
        }
}

// log(sigm(x)), which is x where e^-x would exceed the range of a double or 1 is lost beside it.
inline double log_sigmoid_of(double x) { return x < -30 ? x : -std::log1p(std::exp(-x)); }

inline void pack_gain(float* to, const float* gain, int H) { pack({to, PANEL}, gain, 1, H, H); }

// Returns the first parameter after the block's.
inline const float* const* pack_block(const Network& net, const Layer& layer,
                                      const float* const* param, bool backward) {
    const int H = net.H, M = net.mlp_width();
    pack_gain(layer.gain, *param++, H);
    pack_gain(layer.mlp_gain, *param++, H);
    const float *const w_in = *param++, *const w_out = *param++;
    for (int i = 0; i < 2; i++) {  // the columns of a, then those of b
        pack_right(layer.w_in + i * right_size(H, M), w_in + i * M, H, M, 2 * M,
                   2 * right_size(H, M));
        if (backward)
            pack_right_transposed(layer.w_in_t + i * right_size(M, H), w_in + i * M, H, M, 2 * M);
    }
    pack_right(layer.w_out, w_out, M, H, H, right_size(M, H));
    if (backward) pack_right_transposed(layer.w_out_t, w_out, M, H, H);
    return param;
}

// Returns the first parameter after this layer's.
inline const float* const* pack_layer(const Network& net, int l, const float* const* param,
                                      bool backward) {
    const Layer& layer = net.layer[l];
    const int H = net.H, gates = net.gates();
    const float *const w_x = *param++, *const b = *param++;
    const float* const w_h = net.recurrent_gates() ? *param++ : nullptr;
    const bool looks_up = net.looks_up(l);
    float* const bias = looks_up ? layer.db : layer.bias;  // db is free until the backward pass
    for (int g = 0; g < gates; g++)
        pack({bias + size_t(g) * net.unit_panels * PANEL, PANEL}, b + size_t(g) * H, 1, H, H);
    if (net.kind == GRU) {
        const float *const w_g = *param++, *const b_g = *param++;
        pack_gates(layer.w_g, w_g, 1, H);
        if (backward) pack_gates_transposed(layer.w_g_t, w_g, 1, H);
        float* const candidate = bias + size_t(2) * net.unit_panels * PANEL;  // has two biases
        for (int j = 0; j < H; j++) candidate[j] += b_g[j];
    }
    if (net.kind == RGLRU) {
        const float* const lambda = *param++;
        for (int j = 0; j < net.unit_panels * PANEL; j++)
            layer.decay[j] = j < H ? float(RGLRU_C * log_sigmoid_of(lambda[j])) : 0;
    }
    pack_gates(layer.w_h, w_h, net.recurrent_gates(), H);
    if (backward) pack_gates_transposed(layer.w_h_t, w_h, net.recurrent_gates(), H);
    if (looks_up) {
        pack_lookup(net, layer, w_x, bias);
    } else {
        pack_gates(layer.w_x, w_x, gates, H);
        if (backward) pack_gates_transposed(layer.w_x_t, w_x, gates, H);
    }
    return net.block ? pack_block(net, layer, param, backward) : param;
}

inline void pack_parameters(const Network& net, const float* const* param, bool backward) {
    const int H = net.H, K = net.K;
    if (net.kind == NN) {
        const int inputs = net.context * K;
        pack({net.nn_w, size_t(inputs + 1) * PANEL}, *param++, inputs, H, H);
        for (int p = 0; p < net.unit_panels; p++)
            clear(net.nn_w + (size_t(p) * (inputs + 1) + inputs) * PANEL, PANEL);
        pack({net.nn_b, PANEL}, *param++, 1, H, H);
    }
    if (net.block) pack(net.embed, *param++, K, H, H);
    for (size_t l = 0; l < net.layer.size(); l++) param = pack_layer(net, int(l), param, backward);
    if (net.block) pack_gain(net.top_gain, *param++, H);
    pack_right(net.out_w, *param, H, K, K, right_size(H, K));
    if (backward) pack_right_transposed(net.out_w_t, *param, H, K, K);
    pack({net.out_b, PANEL}, *++param, 1, K, K);
}

// Returns the first gradient after the block's.
inline float* const* unpack_block(const Network& net, const Layer& layer, float* const* grad) {
    const int H = net.H, M = net.mlp_width();
    unpack(*grad++, H, {layer.d_gain, PANEL}, 1, H);
    unpack(*grad++, H, {layer.d_mlp_gain, PANEL}, 1, H);
    for (int i = 0; i < 2; i++)
        unpack(*grad + i * M, 2 * M, {layer.dw_in.at(i * panels(M), 0), layer.dw_in.stride}, H, M);
    unpack(*++grad, H, layer.dw_out, M, H);
    return ++grad;
}

inline void unpack_gradients(const Network& net, float* const* grad) {
    const int H = net.H, K = net.K, gates = net.gates();
    if (net.kind == NN) {
        unpack(*grad++, H, net.nn_dw, net.context * K, H);
        unpack(*grad++, H, net.nn_db, 1, H);
    }
    if (net.block) unpack(*grad++, H, net.d_embed, K, H);
    for (size_t l = 0; l < net.layer.size(); l++) {
        const Layer& layer = net.layer[l];
        unpack_gates(*grad++, layer.dw_x, net.looks_up(int(l)) ? K : H, gates, H);
        unpack_gates(*grad++, {layer.db, PANEL}, 1, gates, H);
        if (net.recurrent_gates()) unpack_gates(*grad++, layer.dw_h, H, net.recurrent_gates(), H);
        if (net.kind == GRU) {
            unpack(*grad++, H, layer.dw_g, H, H);
            unpack(*grad++, H, {layer.db + size_t(2) * net.unit_panels * PANEL, PANEL}, 1, H);
        }
        // d log(sigm(Lambda)) / d Lambda = 1 - sigm(Lambda) = 1 - e^(decay / C)
        for (int j = 0; j < H && net.kind == RGLRU; j++)
            (*grad)[j] = float(-RGLRU_C * std::expm1(layer.decay[j] / RGLRU_C)) * layer.d_decay[j];
        if (net.kind == RGLRU) grad++;
        if (net.block) grad = unpack_block(net, layer, grad);
    }
    if (net.block) unpack(*grad++, H, {net.d_top_gain, PANEL}, 1, H);
    unpack(*grad++, K, net.out_dw, H, K);
    unpack(*grad, K, {net.out_db, PANEL}, 1, K);
}

}  // namespace
