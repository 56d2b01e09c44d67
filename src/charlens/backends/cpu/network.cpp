// Stacks of RNN, LSTM or GRU layers and the n-NN: log-probabilities, loss and gradients.
// One window of T steps of S streams at a time; row t R + s of every matrix is stream s at step t,
// where R is S rounded up to an even number. README.md draws the layout and says how the loop goes;
// src/charlens/cells has the same equations in plain torch.
#include <sys/mman.h>

#include <cmath>
#include <cstdint>
#include <new>
#include <vector>

#include "product.h"

namespace {

enum Kind { RNN, LSTM, GRU, NN };

// Rows that go through the softmax together: their logits stay in the L2 cache.
constexpr int CHUNK = 480;
// Of these, rows that take the output weights in the same rounding: whole pairs of tiles, and whole blocks of registers.
constexpr int TURN = 96;
// Panels of gates that a product makes at a time: they are still in the L1 cache when it is their turn.
constexpr int SIDE_BY_SIDE = 4;

// If a layer keeps more bytes of a window than this, no near cache has them any more when they are read.
constexpr size_t FAR = 20'000'000;

// What forward keeps for backward of every unit and step: not its gates, but the factors by which
// gradients are multiplied there, while all that makes them is in registers.
namespace lstm {
enum { I, F, O, G, CELL, OUTPUT, FACTORS };  // da = dc I, dc F, dh O, dc G; dc' = dc CELL; dc += dh OUTPUT
}
namespace gru {  // in two parts, as they come
enum { R, RESET, EARLY };  // da = d(r h') R; dh' += d(r h') RESET
enum { Z, G, PAST, LATE };  // da = dh Z, dh G; dh' += dh PAST
enum { FACTORS = EARLY + LATE };
}
namespace rnn {
enum { A, FACTORS };  // da = dh A
}

struct Layer {
    // Parameters, packed for the products once per call.
    float* lookup;       // [gate panels][K][16]: row k is w_x[k] + b, layer 0 only
    float* bias;         // [gate panels][16], the layers above
    // Right operands: gates side by side, in all roundings, and, transposed, gate after gate.
    float *w_x, *w_x_t;  // the layers above
    float *w_h, *w_h_t;  // the recurrent weights (RNN 1 gate, LSTM 4, GRU r and z)
    float *w_g, *w_g_t;  // GRU: the candidate's recurrent weights
    // Their gradients, float32 panels.
    Matrix dw_x, dw_h, dw_g;
    float* db;
    // History of the window.
    Operand h;      // [H, (T + 1) R] output: the first R rows are the incoming state
    Operand r_h;    // [H, T R] GRU: r * h', the input of the candidate
    Operand y;      // [H, T R] output after dropout
    Kept* kept;     // [T][panel of H][R][factor][16]; GRU: early ones of all R, then late ones
    // Now.
    Matrix value;   // [H, R] h in float32: GRU, and after the last step
    Matrix c;       // [H, R] LSTM cell
};

struct Network {
    Kind kind;
    int layers, H, K, S, T, n;  // n: characters of context of an n-NN
    int R;                      // rows per step
    int gates, recurrent;       // gates in all, and gates whose recurrent weights are w_h
    int states;                 // per layer: h, or h and c
    int factors;                // kept for the backward pass, per unit and step
    bool far;                   // whether a layer keeps more than FAR of T steps
    int U, KP;                  // panels of H and of K
    std::vector<Layer> layer;
    float *out_w, *out_w_t, *out_b, *dout_b;
    Matrix dout_w;
    float *w_x, *b;               // n-NN: [panels][n K + 1][16], the last row zero: no character
    Matrix dw_x, db;
    Matrix a;                     // [some gates of some units, R] what the products give
    Matrix z;                     // [H, R] GRU
    Operand da;                   // [gates x H, T R] gradients of gates before their nonlinearity
    float* turned;                // room for transposed products
    Matrix logits;                // [K, CHUNK]
    Operand dlogits;
    Matrix dy, dx;                // [H, T R] gradient of a layer's outputs, and of the layer's below
    Matrix dh, dc, dr_h;          // [H, R] what flows to the step before: through the products; past them
    Matrix past;                  // GRU: the part of dh that no product makes
    Operand hidden;               // n-NN: [H, CHUNK]
    Matrix value, dhidden;        // n-NN: the same in float32, and its gradient
    int *codes, *targets;         // [T R] (codes of an n-NN: [T R, n])
    char* memory;
    size_t bytes;

    template <class X>
    X* take(size_t count) {
        X* at = reinterpret_cast<X*>(memory + bytes);
        bytes += (count * sizeof(X) + 63) / 64 * 64;
        return at;
    }
    // An odd number of rows, so that panels do not fall on the same cache sets.
    Matrix matrix(int column_panels, int rows) {
        const size_t stride = size_t(rows | 1) * P;
        return {take<float>(column_panels * stride), stride};
    }
    // `left_rows` may be fewer than `rows` where only a step is needed as left operand.
    Operand operand(int gates, int columns, int rows, int left_rows) {
        const Matrix left = matrix(gates * panels(words(columns)), left_rows);
        if (PER_WORD == 1) return {left.data, left.stride, left.data, left.stride};
        const Matrix along = matrix(gates * panels(columns), panels(words(rows)) * P);
        return {left.data, left.stride, along.data, along.stride};
    }
    float* weights(int columns, int inner, int count) { return take<float>(size_t(panels(columns)) * height(inner) * P * count); }

    // What layer l keeps at step t of the units of panel p: [R][factor][16].
    Kept* kept(int l, int t, int p) const { return layer[l].kept + (size_t(t) * U + p) * R * factors * P; }

    // Lays everything out; run once without memory to learn the size, once to take it.
    void lay_out() {
        bytes = 0;
        const int rows = T * R, G = gates;
        factors = kind == LSTM ? int(lstm::FACTORS) : kind == GRU ? int(gru::FACTORS) : int(rnn::FACTORS);
        for (int l = 0; l < layers && kind != NN; l++) {
            Layer& at = layer[l];
            if (l == 0) {
                at.lookup = take<float>(size_t(G) * U * K * P);
                at.dw_x = matrix(G * U, K);
            } else {
                at.bias = take<float>(size_t(G) * U * P);
                at.w_x = take_gates(G * ROUNDINGS), at.w_x_t = take_gates(G);
                at.dw_x = matrix(G * U, U * P);
            }
            at.db = take<float>(size_t(G) * U * P);
            at.w_h = take_gates(recurrent * ROUNDINGS), at.w_h_t = take_gates(recurrent);
            at.dw_h = matrix(recurrent * U, U * P);
            if (kind == GRU) {
                at.w_g = take_gates(ROUNDINGS), at.w_g_t = take_gates(1);
                at.dw_g = matrix(U, U * P);
                at.r_h = operand(1, H, rows, rows);
            }
            at.h = operand(1, H, rows + R, rows + R);
            at.y = operand(1, H, rows, rows);
            at.kept = take<Kept>(size_t(U) * rows * factors * P);
            at.value = matrix(U, R);
            if (kind == LSTM) at.c = matrix(U, R);
        }
        if (kind == NN) {
            w_x = take<float>(size_t(U) * (n * K + 1) * P);
            b = take<float>(size_t(U) * P);
            dw_x = matrix(U, n * K + 1);
            db = matrix(U, 1);
            hidden = operand(1, H, CHUNK, CHUNK);
            value = matrix(U, CHUNK);
            dhidden = matrix(U, CHUNK);
        } else {
            a = matrix(SIDE_BY_SIDE, R);
            z = matrix(U, R);
            da = operand(G, H, rows, PER_WORD > 1 ? R : rows);  // of left operands in bfloat16 a step's
            dy = matrix(U, rows);
            dx = matrix(U, rows);
            dh = matrix(U, R);
            dc = matrix(U, R);
            dr_h = matrix(U, R);
            past = matrix(U, R);
        }
        out_w = weights(K, H, ROUNDINGS);
        out_w_t = weights(H, K, 1);
        dout_w = matrix(KP, U * P);
        out_b = take<float>(size_t(KP) * P);
        dout_b = take<float>(size_t(KP) * P);
        turned = take<float>(U * TURNED);
        logits = matrix(KP, CHUNK);
        dlogits = operand(1, K, CHUNK, CHUNK);
        codes = take<int>(size_t(rows) * (kind == NN ? n : 1));
        targets = take<int>(rows);
    }
    float* take_gates(int count) { return weights(H, H, count); }
};

// What a panel of a layer's outputs at a step is multiplied by, of stream s. A row past the last stream has nothing.
struct Dropout {
    const uint8_t* kept;  // of stream 0: two bytes, a bit per unit
    int stride, streams;  // bytes from one stream to the next
    float scale;
    vec of(int s) const {
        if (s >= streams) return all(0);
        uint16_t bits;
        memcpy(&bits, kept + s * stride, sizeof bits);
        return choose(bits, scale);
    }
};

// One call's arguments. Parameters and gradients are row-major, in the order: per layer w_x, b, w_h
// (GRU: w_g, b_g after these), then out.w, out.b; an n-NN has w_x, b, out.w, out.b.
struct Call {
    const float* const* params;
    float* const* grads;          // or null: forward only
    const uint8_t* kept;          // dropout: [layers, T, S, 2 U], a bit per unit, or null
    float scale;                  // on what is kept
    const uint8_t *x, *y;         // [S, T] ([S, T, n] for an n-NN); y or null
    float *state;                 // [layers, states, S, H]
    float *log_probs, *targets;   // [S, T, K], [S, T], or null
    int T;

    Dropout dropout(const Network& net, int l, int t, int p) const {
        return {kept + ((size_t(l) * T + t) * net.S * net.U + p) * 2, 2 * net.U, net.S, scale};
    }
};

// sums [16] += rows of a panel.
void add_rows(const float* panel, int rows, float* sums) {
    vec a = load(sums);
    for (int r = 0; r < rows; r++) a = add(a, load(panel + size_t(r) * P));
    store(sums, a);
}

void clear(float* p, size_t count) { memset(p, 0, count * sizeof(float)); }
void clear(Matrix m, int panels) { clear(m.data, panels * m.stride); }

// ---- parameters in, gradients out ----

void pack_gates(float* to, const float* w, int gates, int H) {
    const size_t size = size_t(panels(H)) * height(H) * P;
    for (int g = 0; g < gates; g++)
        pack_right(to + g * size, w + size_t(g) * H, H, H, size_t(gates) * H, gates * size);
}
void pack_gates_transposed(float* to, const float* w, int gates, int H) {
    const size_t size = size_t(panels(H)) * height(H) * P;
    for (int g = 0; g < gates; g++, to += size) pack_right_transposed(to, w + size_t(g) * H, H, H, size_t(gates) * H);
}
void unpack_gates(float* w, Matrix from, int rows, int gates, int H) {
    for (int g = 0; g < gates; g++)
        unpack(w + size_t(g) * H, size_t(gates) * H, {from.at(g * panels(H), 0), from.stride}, rows, H);
}

void pack_parameters(Network& net, const float* const* param, bool backward) {
    const int H = net.H, K = net.K, G = net.gates, U = net.U;
    if (net.kind == NN) {
        const int rows = net.n * K;
        pack({net.w_x, size_t(rows + 1) * P}, *param++, rows, H, H);
        for (int p = 0; p < U; p++) clear(net.w_x + (size_t(p) * (rows + 1) + rows) * P, P);
        pack({net.b, P}, *param++, 1, H, H);
    }
    for (Layer& at : net.layer) {
        const bool bottom = &at == &net.layer[0];
        const float *w_x = *param++, *b = *param++, *w_h = *param++;
        const float *w_g = net.kind == GRU ? *param++ : nullptr;
        const float *b_g = net.kind == GRU ? *param++ : nullptr;
        float* bias = bottom ? at.db : at.bias;  // db is free until the backward pass
        for (int g = 0; g < G; g++) pack({bias + size_t(g) * U * P, P}, b + size_t(g) * H, 1, H, H);
        if (b_g)  // both biases of the candidate add up
            for (int j = 0; j < H; j++) bias[size_t(2) * U * P + j] += b_g[j];
        if (bottom) {
            for (int g = 0; g < G; g++)
                pack({at.lookup + size_t(g) * U * K * P, size_t(K) * P}, w_x + size_t(g) * H, K, H, size_t(G) * H);
            for (int p = 0; p < G * U; p++)
                for (int k = 0; k < K; k++) {
                    float* row = at.lookup + (size_t(p) * K + k) * P;
                    store(row, add(load(row), load(bias + size_t(p) * P)));
                }
        } else {
            pack_gates(at.w_x, w_x, G, H);
            if (backward) pack_gates_transposed(at.w_x_t, w_x, G, H);
        }
        pack_gates(at.w_h, w_h, net.recurrent, H);
        if (backward) pack_gates_transposed(at.w_h_t, w_h, net.recurrent, H);
        if (w_g) pack_gates(at.w_g, w_g, 1, H);
        if (w_g && backward) pack_gates_transposed(at.w_g_t, w_g, 1, H);
    }
    pack_right(net.out_w, *param, H, K, K, size_t(net.KP) * height(H) * P);
    if (backward) pack_right_transposed(net.out_w_t, *param, H, K, K);
    pack({net.out_b, P}, *++param, 1, K, K);
}

void unpack_gradients(const Network& net, float* const* grad) {
    const int H = net.H, K = net.K, G = net.gates;
    if (net.kind == NN) {
        unpack(*grad++, H, net.dw_x, net.n * K, H);
        unpack(*grad++, H, net.db, 1, H);
    }
    for (const Layer& at : net.layer) {
        unpack_gates(*grad++, at.dw_x, &at == &net.layer[0] ? K : H, G, H);
        unpack_gates(*grad++, {at.db, P}, 1, G, H);
        unpack_gates(*grad++, at.dw_h, H, net.recurrent, H);
        if (net.kind == GRU) {
            unpack(*grad++, H, at.dw_g, H, H);
            unpack(*grad++, H, {at.db + size_t(2) * net.U * P, P}, 1, H);
        }
    }
    unpack(*grad++, K, net.dout_w, H, K);
    unpack(*grad, K, {net.dout_b, P}, 1, K);
}

// ---- one layer, forward over the window ----

// Pointers below are taken out of structs before loops: as far as a compiler knows, what a loop stores
// may be those structs.

// A gate before its nonlinearity: the product, and the bias or the row that the character picks.
struct Input {
    const float *product, *add;
    const int* codes;  // null: the bias
    vec of(int s) const { return ::add(load(product + s * P), load(codes ? add + size_t(codes[s]) * P : add)); }
};

void forward_layer(Network& net, int l, const Call& call) {
    Layer& at = net.layer[l];
    const int R = net.R, H = net.H, K = net.K, U = net.U, k = words(H);
    const vec one = all(1.f);
    const size_t panel = size_t(height(H)) * P;
    for (int t = 0; t < call.T; t++) {
        const int from = t * R, to = from + R;
        const int* codes = net.codes + from;
        const int turn = t % ROUNDINGS * U;
        const float* const w_h = at.w_h + turn * net.recurrent * panel;
        // net.a = the products of `count` panels of gates, `apart` panels from one another, from the first on.
        const auto products = [&](int first, int apart, int count, const Operand& h, const float* w) {
            Segment s[2];
            int n = 0;
            if (l) {
                const Layer& low = net.layer[l - 1];
                const Operand below = call.kept ? low.y.from(from) : low.h.from(to);
                s[n++] = {below.left, below.left_stride, at.w_x + (turn * net.gates + first) * panel, apart * panel, k};
            }
            s[n++] = {h.left, h.left_stride, w, apart * panel, k};
            product(R, s, n, net.a, count);
        };
        // Panel i of net.a and what is added to it to make panel p of the gates.
        const auto gate = [&](int i, int p) {
            return Input{net.a.at(i, 0), l ? at.bias + size_t(p) * P : at.lookup + size_t(p) * K * P, l ? nullptr : codes};
        };
        const auto kept = [&](int p) { return net.kept(l, t, p); };
        const bool keep = call.grads, far = net.far, of_use = net.kind == GRU || t == call.T - 1;
        // h of all streams, two by two.
        const auto outputs = [&](int p, auto&& unit) {
            const Place h = place(at.h, p, to), after_dropout = place(at.y, p, from);
            float* value = at.value.at(p, 0);
            const bool drop = call.kept;
            const Dropout dropout = call.dropout(net, l, t, p);
            for (int s = 0; s < R; s += 2) {
                const vec x = unit(s), y = unit(s + 1);
                h.store(s, x, y, far);
                if (of_use) store(value + s * P, x), store(value + (s + 1) * P, y);
                if (drop) after_dropout.store(s, mul(x, dropout.of(s)), mul(y, dropout.of(s + 1)), far);
            }
        };
        // Products of one gate, some panels at a time, and with(i, p) for each, panel i of net.a being panel p.
        const auto by_panels = [&](const Operand& h, const float* w, int first, auto&& with) {
            for (int begin = 0; begin < U; begin += SIDE_BY_SIDE) {
                const int count = U - begin < SIDE_BY_SIDE ? U - begin : SIDE_BY_SIDE;
                products(first + begin, 1, count, h, w + begin * panel);
                for (int i = 0; i < count; i++) with(i, begin + i);
            }
        };
        const Operand h = at.h.from(from);
        if (net.kind == RNN) {
            by_panels(h, w_h, 0, [&](int i, int p) {
                const Input a = gate(i, p);
                Kept* const k = kept(p);
                outputs(p, [=](int s) {
                    const vec x = tanh(a.of(s));
                    if (keep) store(k + s * P, fnma(x, x, one), far);
                    return x;
                });
            });
        } else if (net.kind == LSTM) {
            for (int p = 0; p < U; p++) {
                products(p, U, 4, h, w_h + p * panel);
                const Input ai = gate(0, p), af = gate(1, U + p), ao = gate(2, 2 * U + p), ag = gate(3, 3 * U + p);
                Kept* const all_kept = kept(p);
                float* const cell = at.c.at(p, 0);
                outputs(p, [=](int s) {
                    const vec i = sigmoid(ai.of(s)), f = sigmoid(af.of(s)), o = sigmoid(ao.of(s)), g = tanh(ag.of(s));
                    const vec i_g = mul(i, g), f_c = mul(f, load(cell + s * P));
                    const vec c = add(f_c, i_g), tanh_c = tanh(c), x = mul(o, tanh_c);
                    store(cell + s * P, c);
                    if (keep) {
                        Kept* const k = all_kept + s * lstm::FACTORS * P;
                        store(k + lstm::I * P, fnma(i_g, i, i_g), far), store(k + lstm::F * P, fnma(f_c, f, f_c), far);
                        store(k + lstm::O * P, fnma(x, o, x), far), store(k + lstm::G * P, fnma(i_g, g, i), far);
                        store(k + lstm::CELL * P, f, far), store(k + lstm::OUTPUT * P, fnma(x, tanh_c, o), far);
                    }
                    return x;
                });
            }
        } else {
            for (int p = 0; p < U; p++) {
                products(p, U, 2, h, w_h + p * panel);
                const Input ar = gate(0, p), az = gate(1, U + p);
                Kept* const all_kept = kept(p);
                const float* const value = at.value.at(p, 0);
                float* const z = net.z.at(p, 0);
                const Place r_h = place(at.r_h, p, from);
                const auto unit = [=](int s) {
                    const vec r = sigmoid(ar.of(s)), x = mul(r, load(value + s * P));
                    store(z + s * P, sigmoid(az.of(s)));
                    Kept* const k = all_kept + s * gru::EARLY * P;
                    if (keep) store(k + gru::R * P, fnma(x, r, x), far), store(k + gru::RESET * P, r, far);
                    return x;
                };
                for (int s = 0; s < R; s += 2) {
                    const vec x = unit(s), y = unit(s + 1);
                    r_h.store(s, x, y);
                }
            }
            // The candidate needs r * h' of every unit.
            by_panels(at.r_h.from(from), at.w_g + turn * panel, 2 * U, [&](int i, int p) {
                const Input a = gate(i, 2 * U + p);
                Kept* const all_kept = kept(p) + R * gru::EARLY * P;
                const float *const gz = net.z.at(p, 0), *const value = at.value.at(p, 0);
                outputs(p, [=](int s) {
                    const vec g = tanh(a.of(s)), z = load(gz + s * P), before = load(value + s * P), change = mul(z, sub(g, before));
                    Kept* const k = all_kept + s * gru::LATE * P;
                    if (keep) {
                        store(k + gru::Z * P, fnma(change, z, change), far), store(k + gru::G * P, fnma(mul(z, g), g, z), far);
                        store(k + gru::PAST * P, sub(one, z), far);
                    }
                    return add(before, change);
                });
            });
        }
    }
}

// ---- one layer, backward over the window; net.dy holds the gradient of its outputs ----

// A gate's gradient of two streams: kept for the products, and added to that of the bias or of the
// rows of w_x that the characters pick.
struct Gate {
    const Place da;
    float* const dw;  // [K][16] or, above layer 0, one row
    const int* const codes;
    const bool far;
    void keep(int s, vec x, vec y) const {
        da.store(s, x, y, far);
        if (!codes) return store(dw, add(load(dw), add(x, y)));
        float* row = dw + size_t(codes[s]) * P;
        store(row, add(load(row), x));
        row = dw + size_t(codes[s + 1]) * P;
        store(row, add(load(row), y));
    }
};

// da of step t, from the gradient of its output and what flows back from step t + 1; then what flows
// to step t - 1 and to the layer below. The gradient of the incoming state is dropped.
void backward_step(Network& net, int l, int t, const Call& call) {
    Layer& at = net.layer[l];
    const int R = net.R, H = net.H, U = net.U, G = net.gates, now = t * R, k = words(H), LU = panels(k);
    const size_t panel = size_t(height(H)) * P;
    Operand da = net.da.from(now);
    if (PER_WORD > 1) da.left = net.da.left;
    const auto gate = [&](int g, int p) {
        const Operand its = {da.left + g * LU * da.left_stride, da.left_stride, da.along + g * U * da.along_stride, da.along_stride};
        return Gate{place(its, p, 0), l ? at.db + (size_t(g) * U + p) * P : at.dw_x.at(g * U + p, 0), l ? nullptr : net.codes + now, net.far};
    };
    const auto kept = [&](int p) { return net.kept(l, t, p); };
    for (int p = 0; p < U; p++) {
        const float *const dy = net.dy.at(p, now), *const dh = net.dh.at(p, 0);
        const Kept* const all_kept = kept(p);
        const bool drop = call.kept;
        const Dropout dropout = call.dropout(net, l, t, p);
        const auto d_output = [=](int s) {  // of the output, in all
            vec d = load(dy + s * P);
            if (drop) d = mul(d, dropout.of(s));
            return add(d, load(dh + s * P));
        };
        if (net.kind == RNN) {
            const Gate a = gate(0, p);
            const auto unit = [&](int s) { return mul(d_output(s), load(all_kept + s * P)); };
            for (int s = 0; s < R; s += 2) {
                const vec x = unit(s), y = unit(s + 1);
                a.keep(s, x, y);
            }
        } else if (net.kind == LSTM) {
            const Gate ai = gate(0, p), af = gate(1, p), ao = gate(2, p), ag = gate(3, p);
            float* const flow = net.dc.at(p, 0);
            struct Four {
                vec i, f, o, g;
            };
            const auto unit = [&](int s) -> Four {
                const Kept* const k = all_kept + s * lstm::FACTORS * P;
                const vec d = d_output(s), dc = fma(d, load(k + lstm::OUTPUT * P), load(flow + s * P));
                store(flow + s * P, mul(dc, load(k + lstm::CELL * P)));
                return {mul(dc, load(k + lstm::I * P)), mul(dc, load(k + lstm::F * P)), mul(d, load(k + lstm::O * P)), mul(dc, load(k + lstm::G * P))};
            };
            for (int s = 0; s < R; s += 2) {
                const Four x = unit(s), y = unit(s + 1);
                ai.keep(s, x.i, y.i), af.keep(s, x.f, y.f), ao.keep(s, x.o, y.o), ag.keep(s, x.g, y.g);
            }
        } else {
            const Gate az = gate(1, p), ag = gate(2, p);
            float* const past = net.past.at(p, 0);
            struct Two {
                vec z, g;
            };
            const auto unit = [&](int s) -> Two {
                const Kept* const k = all_kept + (R * gru::EARLY + s * gru::LATE) * P;
                const vec d = add(d_output(s), load(past + s * P));
                store(past + s * P, mul(d, load(k + gru::PAST * P)));
                return {mul(d, load(k + gru::Z * P)), mul(d, load(k + gru::G * P))};
            };
            for (int s = 0; s < R; s += 2) {
                const Two x = unit(s), y = unit(s + 1);
                az.keep(s, x.z, y.z), ag.keep(s, x.g, y.g);
            }
        }
    }
    const auto segment = [&](int g, const float* w) {
        return Segment{da.left + g * LU * da.left_stride, da.left_stride, w, panel, k};
    };
    if (net.kind == GRU) {
        const Segment s = segment(2, at.w_g_t);
        product(R, &s, 1, net.dr_h, U);
        for (int p = 0; p < U; p++) {
            const Gate ar = gate(0, p);
            const Kept* const all_kept = kept(p);
            const float* const dr_h = net.dr_h.at(p, 0);
            float* const past = net.past.at(p, 0);
            const auto unit = [&](int s) {
                const Kept* const k = all_kept + s * gru::EARLY * P;
                const vec d = load(dr_h + s * P);
                store(past + s * P, fma(d, load(k + gru::RESET * P), load(past + s * P)));
                return mul(d, load(k + gru::R * P));
            };
            for (int s = 0; s < R; s += 2) {
                const vec x = unit(s), y = unit(s + 1);
                ar.keep(s, x, y);
            }
        }
    }
    Segment s[4];
    if (t) {
        for (int g = 0; g < net.recurrent; g++) s[g] = segment(g, at.w_h_t + g * U * panel);
        product(R, s, net.recurrent, net.dh, U);
    }
    if (l) {
        for (int g = 0; g < G; g++) s[g] = segment(g, at.w_x_t + g * U * panel);
        product(R, s, G, {net.dx.at(0, now), net.dx.stride}, U);
    }
}

void backward_layer(Network& net, int l, const Call& call) {
    Layer& at = net.layer[l];
    const int H = net.H, K = net.K, U = net.U, G = net.gates, rows = call.T * net.R;
    for (Matrix m : {net.dh, net.dc, net.past}) clear(m, U);
    clear(at.db, size_t(G) * U * P);
    clear(at.dw_x, G * U);
    for (int t = call.T - 1; t >= 0; t--) backward_step(net, l, t, call);

    clear(at.dw_h, net.recurrent * U);
    add_transposed_product(at.h, H, net.da, net.recurrent * U, rows, at.dw_h, net.turned);
    if (net.kind == GRU) {
        const Operand candidate = {nullptr, 0, net.da.along + 2 * U * net.da.along_stride, net.da.along_stride};
        clear(at.dw_g, U);
        add_transposed_product(at.r_h, H, candidate, U, rows, at.dw_g, net.turned);
    }
    if (l == 0) {  // one-hot inputs: every row of da was added to one row of dw_x
        for (int p = 0; p < G * U; p++) add_rows(at.dw_x.at(p, 0), K, at.db + size_t(p) * P);
        return;
    }
    const Layer& low = net.layer[l - 1];
    add_transposed_product(call.kept ? low.y : low.h.from(net.R), H, net.da, G * U, rows, at.dw_x, net.turned);
    const Matrix swap = net.dy;
    net.dy = net.dx, net.dx = swap;
}

// ---- output product, softmax, cross entropy of rows `at` ... at + n - 1 of the window ----

// y and dy start at those rows. Returns the sum of -log p of the targets (0 if there are none).
double output(Network& net, const Call& call, const Operand& y, Matrix dy, int at, int n) {
    const int H = net.H, K = net.K, KP = net.KP;
    const Matrix logits = net.logits;
    for (int r = 0; r < n; r += TURN) {
        const size_t panel = size_t(height(H)) * P;
        const float* const w = net.out_w + (at + r) / TURN % ROUNDINGS * KP * panel;
        const Segment s = {y.from(r).left, y.left_stride, w, panel, words(H)};
        product(n - r < TURN ? n - r : TURN, &s, 1, {logits.at(0, r), logits.stride}, KP);
    }
    // Past K the logits are 0 + 0: push them out of every maximum and sum.
    alignas(64) float beyond[P];
    for (int i = 0; i < P; i++) beyond[i] = (KP - 1) * P + i < K ? 0.f : -INFINITY;
    store(beyond, add(load(beyond), load(net.out_b + (KP - 1) * P)));
    const vec last_bias = load(beyond);
    double total = 0;
    double wholes = 1;  // product of the exponentials' sums, each 1 ... 256, of no more rows than a double holds
    // Its factor for the exponentials in place of the logits: together, the gradient.
    const auto row = [&](int r) {
        const int s = (at + r) % net.R, t = (at + r) / net.R;
        float* const z = logits.at(0, r);
        if (s >= net.S) {  // not a stream
            for (int v = 0; v < KP; v++) store(z + v * logits.stride, all(0));
            return all(0);
        }
        vec most = all(-INFINITY);
        for (int v = 0; v < KP; v++) {
            const vec x = add(load(z + v * logits.stride), v < KP - 1 ? load(net.out_b + v * P) : last_bias);
            store(z + v * logits.stride, x);
            most = larger(most, x);
        }
        const float top = largest(most);
        const int target = call.y ? net.targets[at + r] : 0;
        float& of_target = z[(target / P) * logits.stride + target % P];
        const float chosen = of_target;
        const size_t place = size_t(s) * call.T + t;
        vec sums = all(0);
        for (int v = 0; v < KP; v++) {
            const vec e = exp(sub(load(z + v * logits.stride), all(top)));
            sums = add(sums, e);
            if (call.grads) store(z + v * logits.stride, e);
        }
        const float whole = sum(sums);
        total += double(top) - chosen;
        wholes *= whole;
        const double normaliser = call.targets || call.log_probs ? double(top) + std::log(double(whole)) : 0;
        if (call.targets) call.targets[place] = float(chosen - normaliser);
        if (call.log_probs)
            for (int v = 0; v < KP; v++)
                store_first(call.log_probs + place * K + v * P, K - v * P,
                            sub(load(z + v * logits.stride), all(float(normaliser))));
        if (call.grads) of_target -= whole;
        return all(1.f / (net.S * whole));
    };
    for (int r = 0; r < n; r += 2) {
        const vec x = row(r), y = row(r + 1);
        if (r % TURN == 0) total += std::log(wholes), wholes = 1;
        if (!call.grads) continue;
        for (int v = 0; v < KP; v++) {
            const vec dx = mul(load(logits.at(v, r)), x), dy = mul(load(logits.at(v, r + 1)), y);
            place(net.dlogits, v, 0).store(r, dx, dy);
            float* db = net.dout_b + v * P;
            store(db, add(load(db), add(dx, dy)));
        }
    }
    if (call.grads) {
        const Segment s = {net.dlogits.left, net.dlogits.left_stride, net.out_w_t, size_t(height(K)) * P, words(K)};
        product(n, &s, 1, dy, net.U);
        add_transposed_product(y, H, net.dlogits, KP, n, net.dout_w, net.turned);
    }
    return total + std::log(wholes);
}

// ---- whole networks ----

double run_recurrent(Network& net, const Call& call) {
    const int S = net.S, R = net.R, H = net.H, U = net.U, rows = call.T * R;
    const auto state = [&](int l, int i) { return call.state + size_t(l * net.states + i) * S * H; };
    for (int l = 0; l < net.layers; l++) {
        Layer& at = net.layer[l];
        pack(at.value, state(l, 0), S, H, H);
        for (int p = 0; p < U; p++) {
            if (R > S) store(at.value.at(p, S), all(0));
            for (int s = 0; s < R; s += 2) place(at.h, p, 0).store(s, load(at.value.at(p, s)), load(at.value.at(p, s + 1)));
        }
        if (net.kind == LSTM) {
            pack(at.c, state(l, 1), S, H, H);
            for (int p = 0; p < U && R > S; p++) store(at.c.at(p, S), all(0));
        }
        forward_layer(net, l, call);
        unpack(state(l, 0), H, at.value, S, H);
        if (net.kind == LSTM) unpack(state(l, 1), H, at.c, S, H);
    }
    const Layer& top = net.layer.back();
    const Operand y = call.kept ? top.y : top.h.from(R);
    double total = 0;
    for (int row = 0; row < rows; row += CHUNK)
        total += output(net, call, y.from(row), {net.dy.at(0, row), net.dy.stride}, row, rows - row < CHUNK ? rows - row : CHUNK);
    for (int l = net.layers - 1; l >= 0 && call.grads; l--) backward_layer(net, l, call);
    return total;
}

double run_context(Network& net, const Call& call) {
    const int U = net.U, n = net.n, rows = call.T * net.R, inputs = n * net.K + 1;
    if (call.grads) clear(net.dw_x, U), clear(net.db, U);
    double total = 0;
    for (int row = 0; row < rows; row += CHUNK) {
        const int now = rows - row < CHUNK ? rows - row : CHUNK;
        const int* codes = net.codes + size_t(row) * n;
        for (int p = 0; p < U; p++) {
            const float* w = net.w_x + size_t(p) * inputs * P;
            const vec b = load(net.b + p * P);
            const Place hidden = place(net.hidden, p, 0);
            const auto unit = [&](int r) {
                vec a = b;
                for (int j = 0; j < n; j++) a = add(a, load(w + size_t(codes[r * n + j]) * P));
                a = tanh(a);
                store(net.value.at(p, r), a);
                return a;
            };
            for (int r = 0; r < now; r += 2) {
                const vec x = unit(r), y = unit(r + 1);
                hidden.store(r, x, y);
            }
        }
        total += output(net, call, net.hidden, net.dhidden, row, now);
        if (!call.grads) continue;
        for (int p = 0; p < U; p++) {
            float* d = net.dhidden.at(p, 0);
            const float* h = net.value.at(p, 0);
            for (int r = 0; r < now; r++) {
                const vec hv = load(h + r * P);
                store(d + r * P, mul(load(d + r * P), fnma(hv, hv, all(1.f))));
            }
            add_rows(d, now, net.db.at(p, 0));
            for (int j = 0; j < n; j++)  // the K rows of one place stay in L1
                for (int r = 0; r < now; r++) {
                    float* to = net.dw_x.at(p, codes[r * n + j]);
                    store(to, add(load(to), load(d + r * P)));
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

// Asks the system for what needs its leave and tries it; 0 if the library is not to be used.
int charlens_ready() {
#if defined __AMX_BF16__
    return tiles_work();
#else
    return 1;
#endif
}

// Null if there is no memory.
Network* charlens_create(int kind, int layers, int hidden, int symbols, int streams, int unroll, int context) {
    Network* net = new (std::nothrow) Network{};
    if (!net) return nullptr;
    net->kind = Kind(kind), net->layers = layers, net->H = hidden, net->K = symbols;
    net->S = streams, net->T = unroll, net->n = context, net->R = (streams + 1) / 2 * 2;
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
    return net;
}

void charlens_destroy(Network* net) {
    munmap(net->memory, net->bytes);
    delete net;
}

// Mean of -log p of the targets y (0 without y). See Call for the arguments.
double charlens_run(Network* net, const float* const* params, float* const* grads, const uint8_t* x,
                    const uint8_t* y, int T, float* state, const uint8_t* kept, float scale, float* log_probs,
                    float* targets) {
    const FloatingPointMode mode;
#if defined __AMX_BF16__
    const TilesReleased at_the_end;
#endif
    const Call call = {params, grads, kept, scale, x, y, state, log_probs, targets, T};
    const int S = net->S, R = net->R, n = net->kind == NN ? net->n : 1;
    for (int s = 0; s < R; s++)
        for (int t = 0; t < T; t++) {
            const size_t row = size_t(t) * R + s, at = size_t(s) * T + t;
            const bool stream = s < S;
            if (y) net->targets[row] = stream ? y[at] : 0;
            for (int j = 0; j < n; j++) {
                const int code = stream ? x[at * n + j] : 0;
                net->codes[row * n + j] =
                    net->kind == NN ? (code == 255 ? n * net->K : j * net->K + code) : code;
            }
        }
    // Factors; h, r h' and what dropout leaves of h, each in two forms of half a word.
    const size_t kept_bytes = net->factors * sizeof(Kept) + (1 + (net->kind == GRU) + (kept != nullptr)) * sizeof(float);
    net->far = kept_bytes * net->U * P * net->T * R > FAR;
    pack_parameters(*net, params, grads);
    if (grads) {
        clear(net->dout_w, net->KP);
        clear(net->dout_b, size_t(net->KP) * P);
    }
    const double total = net->kind == NN ? run_context(*net, call) : run_recurrent(*net, call);
    if (grads) unpack_gradients(*net, grads);
    return y ? total / (double(T) * S) : 0;
}

// RMSProp on `count` parameters of `sizes` floats: gradients clipped to [-clip, clip], `fresh` is
// 1 - smoothing, epsilon is added after the root.
void charlens_rmsprop(int count, float* const* params, const float* const* grads, float* const* squares, const size_t* sizes,
                      float rate, float smoothing, float fresh, float epsilon, float clip) {
    const FloatingPointMode mode;
    for (int i = 0; i < count; i++)
        for (size_t at = 0; at < sizes[i]; at += P) {
            const int n = sizes[i] - at < P ? int(sizes[i] - at) : P;
            const vec grad = clamp(load_first(grads[i] + at, n), -clip, clip);
            const vec square = fma(mul(all(fresh), grad), grad, mul(all(smoothing), load_first(squares[i] + at, n)));
            const vec step = mul(grad, reciprocal(add(root(square), all(epsilon))));
            store_first(squares[i] + at, n, square);
            store_first(params[i] + at, n, fnma(all(rate), step, load_first(params[i] + at, n)));
        }
}

}  // extern "C"
