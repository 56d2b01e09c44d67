// Stacks of RNN, LSTM or GRU layers and the n-NN: log-probabilities, loss and gradients in float32.
// One window of T steps of S streams at a time; row t * S + s of every matrix is stream s at step t.
// README.md draws the layout and says how the loop goes; src/charlens/cells has the same equations
// in plain torch.
#include <sys/mman.h>

#include <cmath>
#include <cstdint>
#include <new>
#include <vector>

#include "product.h"

namespace {

enum Kind { RNN, LSTM, GRU, NN };

// Rows that go through the softmax together: their logits stay in the L2 cache.
constexpr int CHUNK = 240;

struct Layer {
    // Parameters, packed for the products once per call (one panel: [rows][16]).
    float* lookup;        // [gate panels][K]: row k is w_x[k] + b, layer 0 only
    float* bias;          // [gate panels][16], the layers above
    float *w_x, *w_x_t;   // [gate panels][H] and, transposed, [gate][panels][H], the layers above
    float *w_h, *w_h_t;   // the same for the recurrent weights (RNN 1 gate, LSTM 4, GRU r and z)
    float *w_g, *w_g_t;   // GRU: the candidate's recurrent weights
    // Their gradients, in the same panels.
    float *dw_x, *db, *dw_h, *dw_g;
    // History of the window.
    Matrix a;       // [gates x H, T S] gate values; the backward pass puts their gradients in place
    Matrix h;       // [H, (T + 1) S] output: rows 0 ... S-1 are the incoming state
    Matrix c;       // [H, (T + 1) S] LSTM cell, likewise
    Matrix tanh_c;  // [H, T S] LSTM
    Matrix r_h;     // [H, T S] GRU: r * h', the input of the candidate
    Matrix y;       // [H, T S] output after dropout
};

struct Network {
    Kind kind;
    int layers, H, K, S, T, n;  // n: characters of context of an n-NN
    int gates, recurrent;       // gates in all, and gates whose recurrent weights are w_h
    int states;                 // per layer: h, or h and c
    int U, KP;                  // panels of H and of K
    std::vector<Layer> layer;
    float *out_w, *out_w_t, *out_b, *dout_w, *dout_b;
    float *w_x, *b, *dw_x, *db;   // n-NN: [panels][n K + 1], the last row zero: no character
    Matrix logits;                // [K, CHUNK]
    Matrix dy, dx;                // [H, (T + 1) S] gradient of a layer's outputs: row (t + 1) S + s
    Matrix dc, dr_h;              // [H, S]
    Matrix hidden, dhidden;       // n-NN: [H, CHUNK]
    float* zero;                  // one panel row of zeros
    int *codes, *targets;         // [T S] (codes of an n-NN: [T S, n])
    int *same, *first;            // index arrays of the products: 0, 1, 2, ... and 0, 0, 0, ...
    char* memory;
    size_t bytes;

    template <class X>
    X* take(size_t count) {
        X* at = reinterpret_cast<X*>(memory + bytes);
        bytes += (count * sizeof(X) + 63) / 64 * 64;
        return at;
    }
    // An odd number of rows, so that panels do not fall on the same cache sets.
    Matrix matrix(int columns, int rows) {
        const size_t stride = size_t(rows | 1) * P;
        return {take<float>(panels(columns) * stride), stride};
    }
    Matrix gate_matrix(int rows) {
        const size_t stride = size_t(rows | 1) * P;
        return {take<float>(size_t(gates) * U * stride), stride};
    }

    // Lays everything out; run once without memory to learn the size, once to take it.
    void lay_out() {
        bytes = 0;
        const int rows = T * S, most = rows > CHUNK ? rows : CHUNK;
        const size_t weights = size_t(U) * H * P;  // one gate's
        for (int l = 0; l < layers && kind != NN; l++) {
            Layer& at = layer[l];
            if (l == 0) {
                at.lookup = take<float>(size_t(gates) * U * K * P);
                at.dw_x = take<float>(size_t(gates) * U * K * P);
            } else {
                at.bias = take<float>(size_t(gates) * U * P);
                at.w_x = take<float>(gates * weights);
                at.w_x_t = take<float>(gates * weights);
                at.dw_x = take<float>(gates * weights);
            }
            at.db = take<float>(size_t(gates) * U * P);
            at.w_h = take<float>(recurrent * weights);
            at.w_h_t = take<float>(recurrent * weights);
            at.dw_h = take<float>(recurrent * weights);
            if (kind == GRU) {
                at.w_g = take<float>(weights);
                at.w_g_t = take<float>(weights);
                at.dw_g = take<float>(weights);
                at.r_h = matrix(H, rows);
            }
            at.a = gate_matrix(rows);
            at.h = matrix(H, rows + S);
            if (kind == LSTM) {
                at.c = matrix(H, rows + S);
                at.tanh_c = matrix(H, rows);
            }
            at.y = matrix(H, rows);
        }
        if (kind == NN) {
            w_x = take<float>(size_t(U) * (n * K + 1) * P);
            dw_x = take<float>(size_t(U) * (n * K + 1) * P);
            b = take<float>(size_t(U) * P);
            db = take<float>(size_t(U) * P);
            hidden = matrix(H, CHUNK);
            dhidden = matrix(H, CHUNK);
        } else {
            dy = matrix(H, rows + S);
            dx = matrix(H, rows + S);
            dc = matrix(H, S);
            dr_h = matrix(H, S);
        }
        out_w = take<float>(size_t(KP) * H * P);
        dout_w = take<float>(size_t(KP) * H * P);
        out_w_t = take<float>(size_t(U) * K * P);
        out_b = take<float>(size_t(KP) * P);
        dout_b = take<float>(size_t(KP) * P);
        logits = matrix(K, CHUNK);
        zero = take<float>(P);
        codes = take<int>(size_t(rows) * (kind == NN ? n : 1));
        targets = take<int>(rows);
        same = take<int>(most);
        first = take<int>(most);
    }
};

// One call's arguments. Parameters and gradients are row-major, in the order: per layer w_x, b, w_h
// (GRU: w_g, b_g after these), then out.w, out.b; an n-NN has w_x, b, out.w, out.b.
struct Call {
    const float* const* params;
    float* const* grads;          // or null: forward only
    const float* masks;           // [layers, T, S, H] or null
    const uint8_t *x, *y;         // [S, T] ([S, T, n] for an n-NN); y or null
    float *state;                 // [layers, states, S, H]
    float *log_probs, *targets;   // [S, T, K], [S, T], or null
    int T;
};

// Runs f(offset) for every vector of a panel's first `rows` rows that holds units.
template <class F>
inline __attribute__((always_inline)) void each(int rows, int vectors, F f) {
    const size_t end = size_t(rows) * P, step = vectors == 2 ? W : P;
    for (size_t i = 0; i < end; i += step) f(i);
}

// to = from * mask, row by row; the mask is row-major [rows, H].
void multiply_mask(Matrix to, int to_row, Matrix from, int from_row, const float* mask, int rows, int H) {
    for (int p = 0; p < panels(H); p++)
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors(H, p); v++) {
                const int at = p * P + v * W;
                const float* m = mask + size_t(r) * H + at;
                const vec mv = H - at >= W ? load_unaligned(m) : load_first(m, H - at);
                store(to.at(p, to_row + r) + v * W, mul(load(from.at(p, from_row + r) + v * W), mv));
            }
}

// sums [16] += the rows of a panel.
void add_rows(const float* panel, int rows, float* sums) {
    vec a = load(sums), b = load(sums + W);
    for (int r = 0; r < rows; r++, panel += P) {
        a = add(a, load(panel));
        b = add(b, load(panel + W));
    }
    store(sums, a);
    store(sums + W, b);
}

void clear(float* p, size_t count) { memset(p, 0, count * sizeof(float)); }

// ---- parameters in, gradients out ----

void pack_gates(float* to, const float* w, int rows, int gates, int H) {
    for (int g = 0; g < gates; g++)
        pack(to + size_t(g) * panels(H) * rows * P, size_t(rows) * P, w + size_t(g) * H, rows, H,
             size_t(gates) * H);
}
void pack_gates_transposed(float* to, const float* w, int H, int gates) {
    for (int g = 0; g < gates; g++)
        pack_transposed(to + size_t(g) * panels(H) * H * P, w + size_t(g) * H, H, H, size_t(gates) * H);
}
void unpack_gates(float* w, const float* from, int rows, int gates, int H) {
    for (int g = 0; g < gates; g++)
        unpack(w + size_t(g) * H, size_t(gates) * H, from + size_t(g) * panels(H) * rows * P,
               size_t(rows) * P, rows, H);
}

void pack_parameters(Network& net, const float* const* param, bool backward) {
    const int H = net.H, K = net.K, G = net.gates, U = net.U;
    if (net.kind == NN) {
        const int rows = net.n * K;
        pack(net.w_x, size_t(rows + 1) * P, *param++, rows, H, H);
        for (int p = 0; p < U; p++) clear(net.w_x + (size_t(p) * (rows + 1) + rows) * P, P);
        pack(net.b, P, *param++, 1, H, H);
    }
    for (Layer& at : net.layer) {
        const bool bottom = &at == &net.layer[0];
        const float *w_x = *param++, *b = *param++, *w_h = *param++;
        const float *w_g = net.kind == GRU ? *param++ : nullptr;
        const float *b_g = net.kind == GRU ? *param++ : nullptr;
        float* bias = bottom ? at.db : at.bias;  // db is free until the backward pass
        pack_gates(bias, b, 1, G, H);
        if (b_g)  // both biases of the candidate add up
            for (int j = 0; j < H; j++) bias[size_t(2) * U * P + j] += b_g[j];
        if (bottom) {
            pack_gates(at.lookup, w_x, K, G, H);
            for (int p = 0; p < G * U; p++)
                for (int k = 0; k < K; k++)
                    for (int i = 0; i < P; i += W) {
                        float* row = at.lookup + (size_t(p) * K + k) * P + i;
                        store(row, add(load(row), load(bias + size_t(p) * P + i)));
                    }
        } else {
            pack_gates(at.w_x, w_x, H, G, H);
            if (backward) pack_gates_transposed(at.w_x_t, w_x, H, G);
        }
        pack_gates(at.w_h, w_h, H, net.recurrent, H);
        if (backward) pack_gates_transposed(at.w_h_t, w_h, H, net.recurrent);
        if (w_g) pack_gates(at.w_g, w_g, H, 1, H);
        if (w_g && backward) pack_gates_transposed(at.w_g_t, w_g, H, 1);
    }
    pack(net.out_w, size_t(H) * P, *param, H, K, K);
    if (backward) pack_transposed(net.out_w_t, *param, H, K, K);
    pack(net.out_b, P, *++param, 1, K, K);
}

void unpack_gradients(const Network& net, float* const* grad) {
    const int H = net.H, K = net.K, G = net.gates;
    if (net.kind == NN) {
        unpack(*grad++, H, net.dw_x, size_t(net.n * K + 1) * P, net.n * K, H);
        unpack(*grad++, H, net.db, P, 1, H);
    }
    for (const Layer& at : net.layer) {
        unpack_gates(*grad++, at.dw_x, &at == &net.layer[0] ? K : H, G, H);
        unpack_gates(*grad++, at.db, 1, G, H);
        unpack_gates(*grad++, at.dw_h, H, net.recurrent, H);
        if (net.kind == GRU) {
            unpack(*grad++, H, at.dw_g, size_t(H) * P, H, H);
            unpack(*grad++, H, at.db + size_t(2) * net.U * P, P, 1, H);
        }
    }
    unpack(*grad++, K, net.dout_w, size_t(H) * P, H, K);
    unpack(*grad, K, net.dout_b, P, 1, K);
}

// ---- one layer, forward over the window ----

// Without history the gates and the cell of every step take the place of the last step's.
void forward_layer(Network& net, int l, int T, bool history, const float* masks) {
    Layer& at = net.layer[l];
    const int S = net.S, H = net.H, K = net.K, U = net.U;
    const Matrix below = l ? (masks ? net.layer[l - 1].y : net.layer[l - 1].h) : Matrix{};
    for (int t = 0; t < T; t++) {
        const int now = history ? t * S : 0, from = t * S, to = from + S;
        const int c_to = history ? to : 0;
        const Segment input = {l ? Matrix{below.at(0, masks ? from : to), below.stride} : Matrix{}, nullptr, H};
        const Segment carried = {{at.h.at(0, from), at.h.stride}, nullptr, H};
        // Panel p of gate g: its input, bias and recurrent product.
        const auto gate = [&](int g, int p, Segment recurrent, const float* w, float* c) {
            const size_t panel = size_t(g) * U + p;
            Segment s[2] = {input, recurrent};
            if (l) s[0].b = at.w_x + panel * H * P;
            s[1].b = w;
            const float* init = l ? at.bias + panel * P : at.lookup + panel * K * P;
            product(S, s + (l == 0), 1 + (l > 0), init, l ? net.first : net.codes + from, c, vectors(H, p));
        };
        for (int p = 0; p < U; p++) {
            const int V = vectors(H, p);
            float* h = at.h.at(p, to);
            for (int g = 0; g < net.recurrent; g++)
                gate(g, p, carried, at.w_h + (size_t(g) * U + p) * H * P,
                     net.kind == RNN ? h : at.a.at(g * U + p, now));
            if (net.kind == RNN) {
                each(S, V, [&](size_t i) { store(h + i, tanh(load(h + i))); });
            } else if (net.kind == LSTM) {
                float *gi = at.a.at(p, now), *gf = at.a.at(U + p, now);
                float *go = at.a.at(2 * U + p, now), *gg = at.a.at(3 * U + p, now);
                const float* c_old = at.c.at(p, now);
                float *c_new = at.c.at(p, c_to), *tanh_c = at.tanh_c.at(p, now);
                each(S, V, [&](size_t k) {
                    const vec i = sigmoid(load(gi + k)), f = sigmoid(load(gf + k));
                    const vec o = sigmoid(load(go + k)), g = tanh(load(gg + k));
                    const vec c = fma(f, load(c_old + k), mul(i, g)), tc = tanh(c);
                    store(gi + k, i), store(gf + k, f), store(go + k, o), store(gg + k, g);
                    store(c_new + k, c), store(tanh_c + k, tc);
                    store(h + k, mul(o, tc));
                });
            } else {
                float *gr = at.a.at(p, now), *gz = at.a.at(U + p, now), *r_h = at.r_h.at(p, now);
                const float* h_old = at.h.at(p, from);
                each(S, V, [&](size_t k) {
                    const vec r = sigmoid(load(gr + k));
                    store(gr + k, r), store(gz + k, sigmoid(load(gz + k)));
                    store(r_h + k, mul(r, load(h_old + k)));
                });
            }
        }
        if (net.kind == GRU) {  // the candidate needs r * h' of every unit
            const Segment reset = {{at.r_h.at(0, now), at.r_h.stride}, nullptr, H};
            for (int p = 0; p < U; p++) {
                float *gz = at.a.at(U + p, now), *gg = at.a.at(2 * U + p, now), *h = at.h.at(p, to);
                const float* h_old = at.h.at(p, from);
                gate(2, p, reset, at.w_g + size_t(p) * H * P, gg);
                each(S, vectors(H, p), [&](size_t k) {
                    const vec z = load(gz + k), g = tanh(load(gg + k)), old = load(h_old + k);
                    store(gg + k, g);
                    store(h + k, fma(z, sub(g, old), old));
                });
            }
        }
        if (masks) multiply_mask(at.y, from, at.h, to, masks + size_t(l * T + t) * S * H, S, H);
    }
}

// ---- one layer, backward over the window; net.dy holds the gradient of its outputs ----

// Gradients of step t: dA, the gradient of what goes into the gates' nonlinearities, takes the place
// of the gates; what flows to the step before is added to its output's gradient. Rows 0 ... S-1 of
// dy, the gradient of the incoming state, end here.
void backward_step(Network& net, Layer& at, int t) {
    const int S = net.S, H = net.H, U = net.U, now = t * S, next = now + S;
    const vec one = all(1.f);
    for (int p = 0; p < U; p++) {
        const int V = vectors(H, p);
        const float* dh = net.dy.at(p, next);
        if (net.kind == RNN) {
            const float* h = at.h.at(p, next);
            float* da = at.a.at(p, now);
            each(S, V, [&](size_t k) {
                const vec hv = load(h + k);
                store(da + k, mul(load(dh + k), fnma(hv, hv, one)));
            });
        } else if (net.kind == LSTM) {
            float *gi = at.a.at(p, now), *gf = at.a.at(U + p, now);
            float *go = at.a.at(2 * U + p, now), *gg = at.a.at(3 * U + p, now);
            const float *c_old = at.c.at(p, now), *tanh_c = at.tanh_c.at(p, now);
            float* dc = net.dc.at(p, 0);
            each(S, V, [&](size_t k) {
                const vec i = load(gi + k), f = load(gf + k), o = load(go + k), g = load(gg + k);
                const vec tc = load(tanh_c + k), d = load(dh + k), d_o = mul(d, o);
                const vec dcv = add(load(dc + k), mul(d_o, fnma(tc, tc, one)));
                const vec dci = mul(dcv, i), dcf = mul(dcv, f);
                store(dc + k, dcf);
                store(gi + k, mul(mul(dci, g), sub(one, i)));
                store(gf + k, mul(mul(dcf, load(c_old + k)), sub(one, f)));
                store(go + k, mul(mul(d_o, tc), sub(one, o)));
                store(gg + k, mul(dci, fnma(g, g, one)));
            });
        } else {
            float *gz = at.a.at(U + p, now), *gg = at.a.at(2 * U + p, now), *dh_old = net.dy.at(p, now);
            const float* h_old = at.h.at(p, now);
            each(S, V, [&](size_t k) {
                const vec z = load(gz + k), g = load(gg + k), d = load(dh + k), dz = mul(d, z);
                store(gz + k, mul(mul(dz, sub(one, z)), sub(g, load(h_old + k))));
                store(gg + k, mul(dz, fnma(g, g, one)));
                store(dh_old + k, add(load(dh_old + k), sub(d, dz)));
            });
        }
    }
    if (net.kind == GRU)
        for (int p = 0; p < U; p++) {
            const Segment s = {{at.a.at(2 * U, now), at.a.stride}, at.w_g_t + size_t(p) * H * P, H};
            float *drh = net.dr_h.at(p, 0), *gr = at.a.at(p, now), *dh_old = net.dy.at(p, now);
            const float* h_old = at.h.at(p, now);
            product(S, &s, 1, net.zero, net.first, drh, vectors(H, p));
            each(S, vectors(H, p), [&](size_t k) {
                const vec r = load(gr + k), d = load(drh + k), dr = mul(d, r);
                store(gr + k, mul(mul(dr, sub(one, r)), load(h_old + k)));
                store(dh_old + k, add(load(dh_old + k), dr));
            });
        }
    if (t == 0) return;
    for (int p = 0; p < U; p++) {
        Segment s[4];
        for (int g = 0; g < net.recurrent; g++)
            s[g] = {{at.a.at(g * U, now), at.a.stride}, at.w_h_t + (size_t(g) * U + p) * H * P, H};
        product(S, s, net.recurrent, net.dy.at(p, now), net.same, net.dy.at(p, now), vectors(H, p));
    }
}

void backward_layer(Network& net, int l, int T, const float* masks) {
    Layer& at = net.layer[l];
    const int S = net.S, H = net.H, K = net.K, U = net.U, G = net.gates, rows = T * S;
    const size_t weights = size_t(U) * H * P;
    for (int p = 0; p < U; p++) {
        clear(net.dy.at(p, 0), size_t(S) * P);
        clear(net.dc.at(p, 0), size_t(S) * P);
    }
    for (int t = T - 1; t >= 0; t--) backward_step(net, at, t);

    const auto gate = [&](int g) { return Matrix{at.a.at(g * U, 0), at.a.stride}; };
    clear(at.db, size_t(G) * U * P);
    for (int p = 0; p < G * U; p++) add_rows(at.a.at(p, 0), rows, at.db + size_t(p) * P);
    clear(at.dw_h, net.recurrent * weights);
    for (int g = 0; g < net.recurrent; g++)
        add_transposed_product(at.h, H, gate(g), H, rows, at.dw_h + g * weights);
    if (net.kind == GRU) {
        clear(at.dw_g, weights);
        add_transposed_product(at.r_h, H, gate(2), H, rows, at.dw_g);
    }
    if (l == 0) {  // one-hot inputs: each row of dA belongs to one row of w_x
        clear(at.dw_x, size_t(G) * U * K * P);
        for (int p = 0; p < G * U; p++) {
            const float* da = at.a.at(p, 0);
            float* dw = at.dw_x + size_t(p) * K * P;
            for (int r = 0; r < rows; r++, da += P) {
                float* to = dw + size_t(net.codes[r]) * P;
                store(to, add(load(to), load(da)));
                store(to + W, add(load(to + W), load(da + W)));
            }
        }
        return;
    }
    const Layer& low = net.layer[l - 1];
    const Matrix below = masks ? low.y : Matrix{low.h.at(0, S), low.h.stride};
    clear(at.dw_x, G * weights);
    for (int g = 0; g < G; g++) add_transposed_product(below, H, gate(g), H, rows, at.dw_x + g * weights);
    for (int row = 0; row < rows; row += CHUNK) {
        const int n = rows - row < CHUNK ? rows - row : CHUNK;
        for (int p = 0; p < U; p++) {
            Segment s[4];
            for (int g = 0; g < G; g++)
                s[g] = {{at.a.at(g * U, row), at.a.stride}, at.w_x_t + (size_t(g) * U + p) * H * P, H};
            product(n, s, G, net.zero, net.first, net.dx.at(p, row + S), vectors(H, p));
        }
    }
    if (masks) multiply_mask(net.dx, S, net.dx, S, masks + size_t(l - 1) * rows * H, rows, H);
    const Matrix swap = net.dy;
    net.dy = net.dx, net.dx = swap;
}

// ---- output product, softmax, cross entropy of rows `at` ... at + n - 1 of the window ----

// y and dy start at those rows. Returns the sum of -log p of the targets (0 if there are none).
double output(Network& net, const Call& call, Matrix y, Matrix dy, int at, int n) {
    const int H = net.H, K = net.K, S = net.S, last = (K - 1) / W;
    const Matrix logits = net.logits;
    for (int p = 0; p < net.KP; p++) {
        const Segment s = {y, net.out_w + size_t(p) * H * P, H};
        product(n, &s, 1, net.out_b + size_t(p) * P, net.first, logits.at(p, 0), vectors(K, p));
    }
    // Past K the logits are 0 + 0: push them out of every maximum and sum.
    alignas(32) float out_of_range[W];
    for (int i = 0; i < W; i++) out_of_range[i] = last * W + i < K ? 0.f : -INFINITY;
    const vec past = load(out_of_range), none = all(-INFINITY), scale = all(1.f / S);
    double total = 0;
    for (int r = 0; r < n; r++) {
        const int row = at + r, s = row % S, t = row / S;
        float* const z = logits.at(0, r);
        const auto part = [&](int v) { return z + (v / 2) * logits.stride + (v % 2) * W; };
        store(part(last), add(load(part(last)), past));
        vec most = none;
        for (int v = 0; v <= last; v++) most = larger(most, load(part(v)));
        const float top = largest(most);
        const int target = call.y ? net.targets[row] : 0;
        const float chosen = z[(target / P) * logits.stride + target % P];
        vec sums = all(0.f);
        for (int v = 0; v <= last; v++) {
            const vec e = exp(sub(load(part(v)), all(top)));
            sums = add(sums, e);
            if (call.grads) store(part(v), e);
        }
        const float whole = sum(sums);
        const double normaliser = double(top) + std::log(double(whole));
        total += normaliser - chosen;
        const size_t place = size_t(s) * call.T + t;
        if (call.targets) call.targets[place] = float(chosen - normaliser);
        if (call.log_probs)
            for (int v = 0; v <= last; v++)
                store_first(call.log_probs + place * K + v * W, K - v * W, sub(load(part(v)), all(float(normaliser))));
        if (call.grads) {  // of the logits, in their place
            const vec by = div(scale, all(whole));
            for (int v = 0; v <= last; v++) store(part(v), mul(load(part(v)), by));
            z[(target / P) * logits.stride + target % P] -= 1.f / S;
        }
    }
    if (call.grads) {
        for (int p = 0; p < net.U; p++) {
            const Segment s = {logits, net.out_w_t + size_t(p) * K * P, K};
            product(n, &s, 1, net.zero, net.first, dy.at(p, 0), vectors(H, p));
        }
        add_transposed_product(y, H, logits, K, n, net.dout_w);
        for (int p = 0; p < net.KP; p++) add_rows(logits.at(p, 0), n, net.dout_b + size_t(p) * P);
    }
    return total;
}

// ---- whole networks ----

double run_recurrent(Network& net, const Call& call) {
    const int S = net.S, H = net.H, T = call.T, rows = T * S;
    const bool history = call.grads;
    const auto state = [&](int l, int i) { return call.state + size_t(l * net.states + i) * S * H; };
    for (int l = 0; l < net.layers; l++) {
        Layer& at = net.layer[l];
        pack(at.h.data, at.h.stride, state(l, 0), S, H, H);
        if (net.kind == LSTM) pack(at.c.data, at.c.stride, state(l, 1), S, H, H);
        forward_layer(net, l, T, history, call.masks);
        unpack(state(l, 0), H, at.h.at(0, rows), at.h.stride, S, H);
        if (net.kind == LSTM) unpack(state(l, 1), H, at.c.at(0, history ? rows : 0), at.c.stride, S, H);
    }
    const Layer& top = net.layer.back();
    const Matrix y = call.masks ? top.y : Matrix{top.h.at(0, S), top.h.stride};
    double total = 0;
    for (int row = 0; row < rows; row += CHUNK)
        total += output(net, call, {y.at(0, row), y.stride}, {net.dy.at(0, S + row), net.dy.stride}, row,
                        rows - row < CHUNK ? rows - row : CHUNK);
    if (call.grads) {
        if (call.masks)
            multiply_mask(net.dy, S, net.dy, S, call.masks + size_t(net.layers - 1) * rows * H, rows, H);
        for (int l = net.layers - 1; l >= 0; l--) backward_layer(net, l, T, call.masks);
    }
    return total;
}

double run_context(Network& net, const Call& call) {
    const int H = net.H, U = net.U, n = net.n, rows = call.T * net.S, inputs = n * net.K + 1;
    if (call.grads) {
        clear(net.dw_x, size_t(U) * inputs * P);
        clear(net.db, size_t(U) * P);
    }
    double total = 0;
    for (int row = 0; row < rows; row += CHUNK) {
        const int now = rows - row < CHUNK ? rows - row : CHUNK;
        const int* codes = net.codes + size_t(row) * n;
        for (int p = 0; p < U; p++) {
            const float* w = net.w_x + size_t(p) * inputs * P;
            const vec b0 = load(net.b + p * P), b1 = load(net.b + p * P + W);
            for (int r = 0; r < now; r++) {
                vec a0 = b0, a1 = b1;
                for (int j = 0; j < n; j++) {
                    const float* from = w + size_t(codes[r * n + j]) * P;
                    a0 = add(a0, load(from)), a1 = add(a1, load(from + W));
                }
                store(net.hidden.at(p, r), tanh(a0)), store(net.hidden.at(p, r) + W, tanh(a1));
            }
        }
        total += output(net, call, net.hidden, net.dhidden, row, now);
        if (!call.grads) continue;
        for (int p = 0; p < U; p++) {
            float* dw = net.dw_x + size_t(p) * inputs * P;
            float* const d = net.dhidden.at(p, 0);
            const float* h = net.hidden.at(p, 0);
            each(now, vectors(H, p), [&](size_t k) {
                const vec hv = load(h + k);
                store(d + k, mul(load(d + k), fnma(hv, hv, all(1.f))));
            });
            add_rows(d, now, net.db + size_t(p) * P);
            for (int j = 0; j < n; j++)  // the K rows of one place stay in L1
                for (int r = 0; r < now; r++) {
                    float* to = dw + size_t(codes[r * n + j]) * P;
                    store(to, add(load(to), load(d + r * P)));
                    store(to + W, add(load(to + W), load(d + r * P + W)));
                }
        }
    }
    return total;
}

// Flushes denormals and fixes the rounding for one call, whatever the process has set.
struct FloatingPointMode {
    const unsigned before = _mm_getcsr();
    FloatingPointMode() { _mm_setcsr(0x1f80 | 0x8000 | 0x0040); }
    ~FloatingPointMode() { _mm_setcsr(before); }
};

}  // namespace

extern "C" {

int charlens_supported() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

// Null if there is no memory.
Network* charlens_create(int kind, int layers, int hidden, int symbols, int streams, int unroll, int context) {
    Network* net = new (std::nothrow) Network{};
    if (!net) return nullptr;
    net->kind = Kind(kind), net->layers = layers, net->H = hidden, net->K = symbols;
    net->S = streams, net->T = unroll, net->n = context;
    net->gates = kind == LSTM ? 4 : kind == GRU ? 3 : 1;
    net->recurrent = kind == GRU ? 2 : net->gates;
    net->states = kind == LSTM ? 2 : 1;
    net->U = panels(hidden), net->KP = panels(symbols);
    net->layer.resize(kind == NN ? 0 : layers);
    net->lay_out();
    const size_t huge = size_t(1) << 21, bytes = (net->bytes + huge - 1) / huge * huge;
    void* at = mmap(nullptr, bytes + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        delete net;
        return nullptr;
    }
    // Zero pages until touched. Keep the part that starts on a huge page.
    char* start = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(at) + huge - 1) / huge * huge);
    if (start > at) munmap(at, start - static_cast<char*>(at));
    if (const size_t rest = static_cast<char*>(at) + huge - start) munmap(start + bytes, rest);
#ifdef MADV_HUGEPAGE
    madvise(start, bytes, MADV_HUGEPAGE);
#endif
    net->memory = start;
    net->lay_out();
    net->bytes = bytes;
    const int most = streams * unroll > CHUNK ? streams * unroll : CHUNK;
    for (int i = 0; i < most; i++) net->same[i] = i;
    return net;
}

void charlens_destroy(Network* net) {
    munmap(net->memory, net->bytes);
    delete net;
}

// Mean of -log p of the targets y (0 without y). See Call for the arguments.
double charlens_run(Network* net, const float* const* params, float* const* grads, const uint8_t* x,
                    const uint8_t* y, int T, float* state, const float* masks, float* log_probs,
                    float* targets) {
    const FloatingPointMode mode;
    const Call call = {params, grads, masks, x, y, state, log_probs, targets, T};
    const int S = net->S, n = net->kind == NN ? net->n : 1;
    for (int s = 0; s < S; s++)
        for (int t = 0; t < T; t++) {
            const size_t row = size_t(t) * S + s, at = size_t(s) * T + t;
            if (y) net->targets[row] = y[at];
            for (int j = 0; j < n; j++) {
                const int code = x[at * n + j];
                net->codes[row * n + j] =
                    net->kind == NN ? (code == 255 ? n * net->K : j * net->K + code) : code;
            }
        }
    pack_parameters(*net, params, grads);
    if (grads) {
        clear(net->dout_w, size_t(net->KP) * net->H * P);
        clear(net->dout_b, size_t(net->KP) * P);
    }
    const double total = net->kind == NN ? run_context(*net, call) : run_recurrent(*net, call);
    if (grads) unpack_gradients(*net, grads);
    return y ? total / (double(T) * S) : 0;
}

}  // extern "C"
