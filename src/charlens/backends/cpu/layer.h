// A recurrent layer over a window, forward and backward.
#pragma once
#include "later_cells.h"

namespace {

inline void forward_layer(Network& net, int l, const Call& call) {
    if (!net.recurrent_gates()) clear(net.gate_sums, PANELS_AT_ONCE);
    for (int t = 0; t < call.T; t++) {
        const ForwardStep step(net, l, t, call);
        switch (net.kind) {
            case RNN:
                forward_rnn(step);
                break;
            case LSTM:
                forward_lstm(step);
                break;
            case GRU:
                forward_gru(step);
                break;
            case MINGRU:
                forward_panels<MinGruUnit>(step);
                break;
            case MINLSTM:
                forward_panels<MinLstmUnit>(step);
                break;
            case RGLRU:
                forward_panels<RgLruUnit>(step);
                break;
            case SLSTM:
                forward_panels<SlstmUnit>(step);
                break;
            case NN:
                break;
        }
    }
}

// d_gates of one step, from the gradient of its output and what flows back from the next step;
// then what flows to the previous step and to the layer below. (Truncated: the gradient of the
// incoming state is dropped.)
inline void backward_step(const BackwardStep& step) {
    const Network& net = step.net;
    const Layer& layer = step.layer;
    for (int p = 0; p < net.unit_panels; p++) {
        switch (net.kind) {
            case RNN:
                backward_rnn(step, p);
                break;
            case LSTM:
                backward_lstm(step, p);
                break;
            case GRU:
                backward_gru(step, p);
                break;
            case MINGRU:
                backward_mingru(step, p);
                break;
            case MINLSTM:
                backward_minlstm(step, p);
                break;
            case RGLRU:
                backward_rglru(step, p);
                break;
            case SLSTM:
                backward_slstm(step, p);
                break;
            case NN:
                break;
        }
    }
    if (net.kind == GRU) {
        step.multiply(2, 1, layer.w_g_t, net.d_reset_h);
        for (int p = 0; p < net.unit_panels; p++) backward_gru_reset(step, p);
    }
    if (step.t && net.recurrent_gates())
        step.multiply(0, net.recurrent_gates(), layer.w_h_t, net.dh);
    if (!net.looks_up(step.l)) step.multiply(0, net.gates(), layer.w_x_t, net.dx.from(step.row));
}

// From the gradient of the cell's outputs, in net.dy. Leaves that of its input in net.dx, unless
// characters are looked up.
inline void backward_layer(Network& net, int l, const Call& call) {
    Layer& layer = net.layer[l];
    const int H = net.H, rows = call.T * net.R, gate_panels = net.gates() * net.unit_panels;
    const int recurrent_panels = net.recurrent_gates() * net.unit_panels;
    for (Matrix m : {net.dh, net.dc, net.dn, net.dh_direct}) clear(m, net.unit_panels);
    clear(layer.db, size_t(gate_panels) * PANEL);
    if (net.kind == RGLRU) clear(layer.d_decay, size_t(net.unit_panels) * PANEL);
    clear(layer.dw_x, gate_panels);
    for (int t = call.T - 1; t >= 0; t--) backward_step(BackwardStep(net, l, t, call));

    clear(layer.dw_h, recurrent_panels);
    add_transposed_product(layer.h, H, net.d_gates, recurrent_panels, rows, layer.dw_h,
                           net.scratch);
    if (net.kind == GRU) {
        clear(layer.dw_g, net.unit_panels);
        const Operand candidate = net.d_gates.part(2, H);
        add_transposed_product(layer.reset_h, H, candidate, net.unit_panels, rows, layer.dw_g,
                               net.scratch);
    }
    if (net.looks_up(l)) {  // every row of d_gates was added to one row of dw_x
        for (int p = 0; p < gate_panels; p++)
            add_rows(layer.dw_x.at(p, 0), net.K, layer.db + size_t(p) * PANEL);
        return;
    }
    add_transposed_product(net.input(l, call.mask != nullptr), H, net.d_gates, gate_panels, rows,
                           layer.dw_x, net.scratch);
}

}  // namespace
