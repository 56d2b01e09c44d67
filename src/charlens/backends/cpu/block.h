// The block around each cell: normalisation, residual and gated MLP, forward and backward.
// charlens.networks.block has the same equations in plain torch, with their source.
//
// All but the cell works on rows by themselves, so that the MLP takes some of the window's rows at
// a time, which stay in the caches.
#pragma once
#include <cmath>

#include "layer.h"

namespace {

constexpr float NORM_EPSILON = 1e-6f;  // added to the mean square

// ---- the normalisation ----

// 1 / the root of the mean square of row r of x.
inline float over_norm(const Network& net, Matrix x, int r) {
    vec squares = all(0);
    for (int p = 0; p < net.unit_panels; p++) {
        const vec value = load(x.at(p, r));
        squares = fma(value, value, squares);
    }
    return 1 / std::sqrt(sum(squares) / float(net.H) + NORM_EPSILON);
}

// to = gain x / norm(x), for an even number of rows.
inline void normalise(const Network& net, Matrix x, const float* gain, const Operand& to,
                      int rows) {
    for (int r = 0; r < rows; r += 2) {
        const vec even = all(over_norm(net, x, r)), odd = all(over_norm(net, x, r + 1));
        for (int p = 0; p < net.unit_panels; p++) {
            const vec g = load(gain + p * PANEL);
            pair_writer(to, p, 0).store(r, mul(mul(g, load(x.at(p, r))), even),
                                        mul(mul(g, load(x.at(p, r + 1))), odd));
        }
    }
}

// From d, the gradient of the normalised rows: adds to dx that of x, to d_gain that of the gain.
inline void backward_normalise(const Network& net, Matrix x, const float* gain, Matrix d, Matrix dx,
                               float* d_gain, int rows) {
    for (int r = 0; r < rows; r++) {
        const float over = over_norm(net, x, r);
        vec dots = all(0);
        for (int p = 0; p < net.unit_panels; p++) {
            const vec to_gain = mul(load(d.at(p, r)), load(x.at(p, r)));
            dots = fma(load(gain + p * PANEL), to_gain, dots);
            float* const sums = d_gain + p * PANEL;
            store(sums, fma(to_gain, all(over), load(sums)));
        }
        const vec share = all(sum(dots) * over * over / float(net.H));
        for (int p = 0; p < net.unit_panels; p++) {
            float* const to = dx.at(p, r);
            const vec direct = mul(load(gain + p * PANEL), load(d.at(p, r)));
            store(to, fma(fnma(load(x.at(p, r)), share, direct), all(over), load(to)));
        }
    }
}

// ---- the MLP ----

// Rows of the window that are multiplied by the same rounding of the weights.
struct MlpRows {
    const Network& net;
    const Layer& layer;
    int row, count;

    const float* weights(const float* all_roundings, size_t size) const {
        return all_roundings + row / ROWS_PER_ROUNDING % ROUNDINGS * size;
    }
    Factor* factors(int p) const {
        const size_t rows = size_t(net.T) * net.R;
        return layer.mlp_factors + (p * rows + row) * mlp::FACTORS * PANEL;
    }
};

// gelu(a) b, from net.mlp_sums = a, b.
inline void forward_panel(const MlpRows& of, int p, bool wanted) {
    const Network& net = of.net;
    const float *const a = net.mlp_sums.at(0, 0), *const b = net.mlp_sums.at(1, 0);
    const FactorWriter<mlp::FACTORS> factors = {of.factors(p), wanted, net.bypass_cache};
    const PairWriter out = pair_writer(of.layer.mlp, p, of.row);
    const auto unit = [=](int r) {
        const vec times = load(b + r * PANEL);
        const Gelu of_a = gelu(load(a + r * PANEL));
        if (factors.wanted) {
            factors.store(r, mlp::TO_A, storable(mul(of_a.slope, times)));
            factors.store(r, mlp::TO_B, storable(of_a.value));
        }
        return mul(of_a.value, times);
    };
    for (int r = 0; r < of.count; r += 2) {
        const vec even = unit(r), odd = unit(r + 1);
        out.store(r, even, odd);
    }
}

// The layer's output, residual + gelu(a) b w_out, of some rows.
inline void forward_mlp(const MlpRows& of, Matrix to, bool wanted) {
    const Network& net = of.net;
    const Layer& layer = of.layer;
    const int H = net.H, M = net.mlp_width(), mlp_panels = panels(M);
    const Operand normed = layer.mlp_normed.from(of.row), gated = layer.mlp.from(of.row);
    normalise(net, layer.residual.from(of.row), layer.mlp_gain, normed, of.count);
    const float* const w_in = of.weights(layer.w_in, 2 * right_size(H, M));
    const size_t panel = size_t(padded_words(H)) * PANEL;
    for (int p = 0; p < mlp_panels; p++) {
        const Segment s = segment_of(normed, w_in + p * panel, H, mlp_panels);
        product(of.count, &s, 1, net.mlp_sums, 2);
        forward_panel(of, p, wanted);
    }
    const Segment s = segment_of(gated, of.weights(layer.w_out, right_size(M, H)), M);
    product(of.count, &s, 1, net.mlp_sums, net.unit_panels);
    for (int p = 0; p < net.unit_panels; p++)
        for (int r = 0; r < of.count; r++)
            store(to.at(p, of.row + r),
                  add(load(layer.residual.at(p, of.row + r)), load(net.mlp_sums.at(p, r))));
}

// d_a and d_b of panel p, from net.mlp_sums, whose panel `at` is the gradient of gelu(a) b. These
// rows start at row `begin` of net.d_ab.
inline void backward_panel(const MlpRows& of, int at, int p, int begin) {
    const float* const d = of.net.mlp_sums.at(at, 0);
    const FactorReader<mlp::FACTORS> factors = {of.factors(p)};
    const PairWriter d_a = pair_writer(of.net.d_ab, p, begin);
    const PairWriter d_b = pair_writer(of.net.d_ab.part(1, of.net.mlp_width()), p, begin);
    for (int r = 0; r < of.count; r += 2) {
        const vec even = load(d + r * PANEL), odd = load(d + (r + 1) * PANEL);
        d_a.store(r, mul(even, factors.at(r, mlp::TO_A)), mul(odd, factors.at(r + 1, mlp::TO_A)));
        d_b.store(r, mul(even, factors.at(r, mlp::TO_B)), mul(odd, factors.at(r + 1, mlp::TO_B)));
    }
}

// From net.d_top to net.d_ab and net.d_normed, of rows that start at row `begin` of these.
inline void backward_products(const MlpRows& of, int begin) {
    const Network& net = of.net;
    const int H = net.H, M = net.mlp_width();
    const Operand d_top = net.d_top.from(begin), d_ab = net.d_ab.from(begin);
    const size_t panel = size_t(padded_words(H)) * PANEL;
    for (int p = 0; p < panels(M); p += PANELS_AT_ONCE) {
        const int now = std::min(panels(M) - p, PANELS_AT_ONCE);
        const Segment s = segment_of(d_top, of.layer.w_out_t + p * panel, H);
        product(of.count, &s, 1, net.mlp_sums, now);
        for (int at = 0; at < now; at++) backward_panel(of, at, p + at, begin);
    }
    Segment segments[2];
    for (int i = 0; i < 2; i++)
        segments[i] = segment_of(d_ab.part(i, M), of.layer.w_in_t + i * right_size(M, H), M);
    product(of.count, segments, 2, net.d_normed.from(begin), net.unit_panels);
}

// Adds to net.dy, the gradient of the layer's output, what comes through the MLP: then it is that
// of the residual. Of some rows of the window.
inline void backward_mlp(Network& net, const Layer& layer, int first, int rows) {
    const Matrix dy = net.dy.from(first);
    for (int p = 0; p < net.unit_panels; p++) {
        const PairWriter d_top = pair_writer(net.d_top, p, 0);
        for (int r = 0; r < rows; r += 2) d_top.store(r, load(dy.at(p, r)), load(dy.at(p, r + 1)));
    }
    for_rows(rows, ROWS_PER_ROUNDING, [&](int begin, int count) {
        backward_products({net, layer, first + begin, count}, begin);
    });
    add_transposed_product(layer.mlp.from(first), net.mlp_width(), net.d_top, net.unit_panels, rows,
                           layer.dw_out, net.scratch);
    add_transposed_product(layer.mlp_normed.from(first), net.H, net.d_ab,
                           2 * panels(net.mlp_width()), rows, layer.dw_in, net.scratch);
    backward_normalise(net, layer.residual.from(first), layer.mlp_gain, net.d_normed, dy,
                       layer.d_mlp_gain, rows);
}

// ---- a layer, and what is before the first and after the last ----

inline void embed(const Network& net, int rows) {
    for (int p = 0; p < net.unit_panels; p++)
        for (int r = 0; r < rows; r++)
            store(net.layer[0].u.at(p, r), load(net.embed.at(p, net.codes[r])));
}

inline void backward_embed(const Network& net, int rows) {
    clear(net.d_embed, net.unit_panels);
    for (int p = 0; p < net.unit_panels; p++)
        for (int r = 0; r < rows; r++) {
            float* const row = net.d_embed.at(p, net.codes[r]);
            store(row, add(load(row), load(net.dy.at(p, r))));
        }
}

inline void forward_block(Network& net, int l, const Call& call) {
    const Layer& layer = net.layer[l];
    const int rows = call.T * net.R;
    normalise(net, layer.u, layer.gain, layer.normed, rows);
    forward_layer(net, l, call);
    for_rows(rows, ROWS_PER_ROUNDING, [&](int row, int count) {
        forward_mlp({net, layer, row, count}, net.output(l), call.grads != nullptr);
    });
}

// From the gradient of the layer's output to that of its input, both in net.dy.
inline void backward_block(Network& net, int l, const Call& call) {
    const Layer& layer = net.layer[l];
    const int rows = call.T * net.R;
    clear(layer.dw_in, 2 * panels(net.mlp_width()));
    clear(layer.dw_out, net.unit_panels);
    for (float* gain : {layer.d_gain, layer.d_mlp_gain})
        clear(gain, size_t(net.unit_panels) * PANEL);
    for_rows(rows, ROWS_AT_ONCE, [&](int row, int count) { backward_mlp(net, layer, row, count); });
    backward_layer(net, l, call);
    backward_normalise(net, layer.u, layer.gain, net.dx, net.dy, layer.d_gain, rows);
}

}  // namespace
