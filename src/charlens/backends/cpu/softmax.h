// The output layer: logits, softmax, cross-entropy, and their gradients.
#pragma once
#include <algorithm>
#include <cmath>

#include "workspace.h"

namespace {

// logits = y times the output weights. The rounding of the weights changes every ROWS_PER_ROUNDING
// rows of the window.
inline void compute_logits(const Network& net, const Operand& y, int first_row, int rows) {
    for (int r = 0; r < rows; r += ROWS_PER_ROUNDING) {
        const int rounding = (first_row + r) / ROWS_PER_ROUNDING % ROUNDINGS;
        const float* const w = net.out_w + rounding * right_size(net.H, net.K);
        const Segment s = segment_of(y.from(r), w, net.H);
        product(std::min(rows - r, ROWS_PER_ROUNDING), &s, 1, net.logits.from(r),
                net.symbol_panels);
    }
}

struct Softmax {
    const Network& net;
    const Call& call;
    int first_row;     // of these rows, in the window
    vec last_bias;     // of the last panel of symbols
    double total = 0;  // sum of -log p of the targets, still without log(wholes)
    // Product of the sums of exponentials of some rows, at most K each: a double holds the product
    // of 96 where K is 256, and for a larger K that of fewer.
    double wholes = 1;

    Softmax(const Network& network, const Call& call_, int first)
        : net(network), call(call_), first_row(first) {
        // Beyond K the logits are 0: a bias of -infinity keeps them out of every maximum and sum.
        alignas(64) float bias[PANEL];
        const int last = net.symbol_panels - 1;
        for (int i = 0; i < PANEL; i++) bias[i] = last * PANEL + i < net.K ? 0.f : -INFINITY;
        last_bias = add(load(bias), load(net.out_b + last * PANEL));
    }

    // Adds log(wholes) to the total: one logarithm for many rows.
    void settle() {
        total += std::log(wholes);
        wholes = 1;
    }

    // Row r: writes log-probabilities and leaves exponentials in net.logits, at the target minus
    // their sum. Returns the factor that turns these into the gradient.
    vec row(int r) {
        const int s = (first_row + r) % net.R, t = (first_row + r) / net.R,
                  count = net.symbol_panels;
        float* const z = net.logits.at(0, r);
        const size_t stride = net.logits.stride;
        if (s >= net.S) {  // the row that makes the number of streams even
            for (int v = 0; v < count; v++) store(z + v * stride, all(0));
            return all(0);
        }
        const float most = add_bias(z);
        const int target = call.y ? net.targets[first_row + r] : 0;
        float& of_target = z[(target / PANEL) * stride + target % PANEL];
        const float target_logit = of_target;
        const float whole = exponentials(z, most);
        total += double(most) - target_logit;
        wholes *= whole;
        store_log_probs(z, size_t(s) * call.T + t, target_logit, most, whole);
        if (call.grads) of_target -= whole;
        return all(1.f / (net.S * whole));
    }

  private:
    // Adds the bias to a row of logits and returns the largest.
    float add_bias(float* z) const {
        const size_t stride = net.logits.stride;
        vec most = all(-INFINITY);
        for (int v = 0, last = net.symbol_panels - 1; v <= last; v++) {
            const vec x =
                add(load(z + v * stride), v < last ? load(net.out_b + v * PANEL) : last_bias);
            store(z + v * stride, x);
            most = larger(most, x);
        }
        return largest(most);
    }
    // Returns the sum of exp(logit - most); these replace the logits where gradients are wanted.
    float exponentials(float* z, float most) const {
        const size_t stride = net.logits.stride;
        vec sums = all(0);
        for (int v = 0; v < net.symbol_panels; v++) {
            const vec e = exp(sub(load(z + v * stride), all(most)));
            sums = add(sums, e);
            if (call.grads) store(z + v * stride, e);
        }
        return sum(sums);
    }
    void store_log_probs(const float* z, size_t place, float target_logit, float most,
                         float whole) const {
        if (!call.targets && !call.log_probs) return;
        const double log_sum = double(most) + std::log(double(whole));
        if (call.targets) call.targets[place] = float(target_logit - log_sum);
        if (!call.log_probs) return;
        float* const to = call.log_probs + place * net.K;
        for (int v = 0; v < net.symbol_panels; v++)
            store_first(to + v * PANEL, net.K - v * PANEL,
                        sub(load(z + v * net.logits.stride), all(float(log_sum))));
    }
};

// Rows first_row ... first_row + rows - 1 of the window; y and dy start at first_row. Returns the
// sum of -log p of the targets (meaningless without targets).
inline double output(const Network& net, const Call& call, const Operand& y, Matrix dy,
                     int first_row, int rows) {
    compute_logits(net, y, first_row, rows);
    Softmax softmax(net, call, first_row);
    for (int r = 0; r < rows; r += 2) {
        const vec even = softmax.row(r), odd = softmax.row(r + 1);
        if (r % ROWS_PER_ROUNDING == 0 || softmax.wholes > 1e240) softmax.settle();
        if (!call.grads) continue;
        for (int v = 0; v < net.symbol_panels; v++) {
            const vec d_even = mul(load(net.logits.at(v, r)), even);
            const vec d_odd = mul(load(net.logits.at(v, r + 1)), odd);
            pair_writer(net.d_logits, v, 0).store(r, d_even, d_odd);
            float* const db = net.out_db + v * PANEL;
            store(db, add(load(db), add(d_even, d_odd)));
        }
    }
    softmax.settle();
    if (call.grads) {
        const Segment s = segment_of(net.d_logits, net.out_w_t, net.K);
        product(rows, &s, 1, dy, net.unit_panels);
        add_transposed_product(y, net.H, net.d_logits, net.symbol_panels, rows, net.out_dw,
                               net.scratch);
    }
    return softmax.total;
}

}  // namespace
