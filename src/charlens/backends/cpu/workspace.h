// The workspace of a network: its sizes, and one mapping of memory that holds every array.
//
// Names, here and in the files that include this one:
//
//     T, S, R    steps of a window; streams; rows per step: S made even. Row t R + s of a matrix is
//                stream s at step t
//     H, K       hidden units per layer; symbols
//     panel      sixteen neighbouring columns (units of a gate, or symbols) of all rows (layout.h);
//                p counts panels, `unit_panels` is how many the units of one gate fill
//     gates      of a unit, in the order of the parameters: LSTM and sLSTM i f o g, GRU r z g,
//                minGRU z g, minLSTM f i g, RG-LRU r i x, RNN just one
//     w_x, w_h   weights of a layer's input and of its own last output (a GRU's candidate gate has
//                w_g); _t: transposed, for the backward pass
//     h, y       a cell's output before and after dropout; c: an LSTM's cell state; c, n, m: an
//                sLSTM's ratio, normaliser and stabiliser
//     d...       the gradient of the loss with respect to ...; d_gates: with respect to the gates
//                before their nonlinearity
//     factors    numbers that the forward pass stores for the backward pass: what gradients are
//                multiplied by on their way through a unit at a step
//     mask       which outputs dropout keeps
//     u          in a block (charlens.networks.block): a layer's input; residual: u + the cell's y
//     a, b       of the block's MLP, M = 2 H wide each: its product is gelu(a) b
#pragma once
#include <cstdint>
#include <vector>
#if defined __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "product.h"

namespace {

enum Kind : int { RNN, LSTM, GRU, MINGRU, MINLSTM, RGLRU, SLSTM, NN };

// Rows that the softmax takes at a time and, backward, a block's MLP: what is made of them stays in
// the L2 cache.
constexpr int ROWS_AT_ONCE = 480;
// Of these, rows that are multiplied by the same rounding of the output weights or of the MLP's:
// whole pairs of tiles, and whole blocks of registers.
constexpr int ROWS_PER_ROUNDING = 96;
// Panels of gates, or of the MLP, that one product computes: they are still in the L1 cache when
// they are used.
constexpr int PANELS_AT_ONCE = 4;
// Of RG-LRU: the exponent c, and the least 1 - a^2.
constexpr float RGLRU_C = 8, RGLRU_LEAST = 1e-8f;
// A layer that stores more bytes than this for a window bypasses the caches.
constexpr size_t BYPASS_CACHE_ABOVE = 20'000'000;

// Factors of one unit at one step, in the order in which they are stored.
namespace lstm {
// First dc += dh TO_CELL; then d_i = dc TO_I, d_f = dc TO_F, d_o = dh TO_O, d_g = dc TO_G;
// dc TO_PAST flows to the previous step.
enum { TO_I, TO_F, TO_O, TO_G, TO_PAST, TO_CELL, FACTORS };
}  // namespace lstm
namespace gru {
// d_r = d(r h') TO_R; d(r h') TO_RESET flows to the previous step.
enum { TO_R, TO_RESET, RESET_FACTORS };
// d_z = dh TO_Z, d_g = dh TO_G; dh TO_PAST flows to the previous step.
enum { TO_Z, TO_G, TO_PAST, OUTPUT_FACTORS };
constexpr int FACTORS = RESET_FACTORS + OUTPUT_FACTORS;
}  // namespace gru
namespace rnn {
constexpr int FACTORS = 1;  // d_gate = dh FACTOR
}  // namespace rnn
// Of these three: a factor for each gate, in the order of the gates; last TO_PAST, by which dh
// flows to the previous step.
namespace mingru {
enum { TO_Z, TO_G, TO_PAST, FACTORS };  // d_z = dh TO_Z, d_g = dh TO_G
}  // namespace mingru
namespace minlstm {
enum { TO_F, TO_I, TO_G, TO_PAST, FACTORS };  // d_f = dh TO_F, d_i = dh TO_I, d_g = dh TO_G
}  // namespace minlstm
namespace rglru {
// d_r = dh TO_R, d_i = dh TO_I, d_x = dh TO_X; dh TO_DECAY is added to the gradient of `decay`.
enum { TO_R, TO_I, TO_X, TO_DECAY, TO_PAST, FACTORS };
}  // namespace rglru
namespace slstm {
// First dc += dh TO_CELL, e = dc TO_SHARE, dn -= e (dn: with respect to log n + m); then
// d_i = e + dn SHARE, d_f = dn TO_F, d_o = dh TO_O, d_g = dc TO_G; (1 - SHARE) times dc and dn flow
// to the previous step.
enum { TO_CELL, TO_SHARE, SHARE, TO_F, TO_O, TO_G, FACTORS };
}  // namespace slstm
namespace mlp {
enum { TO_A, TO_B, FACTORS };  // with d, the gradient of gelu(a) b: d_a = d TO_A, d_b = d TO_B
}  // namespace mlp

// What a kind of network has per unit of a layer.
struct CellSizes {
    int gates, recurrent_gates;  // recurrent: those that w_h feeds
    int states, factors;         // states: h and others
};
constexpr CellSizes CELLS[] = {
    {1, 1, 1, rnn::FACTORS},     {4, 4, 2, lstm::FACTORS},
    {3, 2, 1, gru::FACTORS},     {2, 0, 1, mingru::FACTORS},
    {3, 0, 1, minlstm::FACTORS}, {3, 0, 1, rglru::FACTORS},
    {4, 4, 4, slstm::FACTORS},   {0, 0, 0, 0},
};

// Sizes of a network and its window; charlens_create refuses what would overflow.
struct Sizes {
    Kind kind;
    int layers, H, K, S, T, context;  // context: characters of an n-NN, else 0
    int block;                        // 1 if each cell stands in a block, else 0

    // With these limits an int holds every index of a row, a column or a code, even times PANEL,
    // and a size_t the bytes of all arrays. (LIMITS in __init__.py has the same, for messages that
    // name the size.)
    bool valid() const {
        const auto within = [](int size, int least, int most) {
            return least <= size && size <= most;
        };
        return within(kind, RNN, NN) && within(layers, 1, 1 << 10) && within(H, 1, 1 << 16) &&
               within(K, 2, (1 << 16) - 1) &&
               within(context, kind == NN ? 1 : 0, kind == NN ? 1 << 10 : 0) &&
               within(block, 0, kind == NN ? 0 : 1) && within(S, 1, 1 << 24) &&
               within(T, 1, 1 << 24) && (int64_t(S) + 1) * (int64_t(T) + 1) <= 1 << 27;
    }
    int rows_per_step() const { return S + S % 2; }
    int gates() const { return CELLS[kind].gates; }
    int recurrent_gates() const { return CELLS[kind].recurrent_gates; }
    int states() const { return CELLS[kind].states; }
    int factors() const { return CELLS[kind].factors; }
    // Whether a unit reads its own last h, beside what products make of it.
    bool reads_h() const { return recurrent_gates() < gates(); }
    // Whether characters select rows of a layer's w_x; else its input is a matrix.
    bool looks_up(int l) const { return l == 0 && !block; }
    int mlp_width() const { return 2 * H; }
};

struct Layer {
    // Parameters, packed once per call. Right operands hold gate after gate; `w_...` in all
    // roundings.
    float* lookup;           // where looks_up: [panel of gates][K][16], row k is w_x[k] + b
    float* bias;             // elsewhere: [panel of gates][16]
    float *w_x, *w_x_t;      // elsewhere
    float *w_h, *w_h_t;      // recurrent gates
    float *w_g, *w_g_t;      // GRU: the candidate's recurrent weights
    float *decay, *d_decay;  // RG-LRU: [panel of units][16] C log(sigm(Lambda)), and its gradient
    Matrix dw_x, dw_h, dw_g;
    float* db;  // [panel of gates][16]
    // The window.
    Operand h;        // [H, (T + 1) R]: the first R rows are the incoming state
    Operand reset_h;  // GRU: [H, T R] r h', the candidate's recurrent input
    Operand y;        // [H, T R]
    Factor* factors;  // [T][panel of units][R][factor][16]; GRU: [R][reset factor], then the others
    // The current step.
    Matrix h_now;     // [H, R] in float32: for cells that read it, and after the last step
    Matrix other[3];  // [H, R] each: LSTM c; sLSTM c, n, m
    // The block.
    float *gain, *d_gain;          // of the normalisation before the cell: [panel of units][16]
    float *mlp_gain, *d_mlp_gain;  // of that before the MLP
    float *w_in, *w_in_t;          // right operands: the columns of a, then those of b
    float *w_out, *w_out_t;
    Matrix dw_in, dw_out;
    Matrix u, residual;          // [H, T R]
    Operand normed, mlp_normed;  // [H, T R] of u, of the residual
    Operand mlp;                 // [M, T R] gelu(a) b
    Factor* mlp_factors;         // [panel of M][T R][factor][16]
};

struct Network : Sizes {
    int R;
    int unit_panels, symbol_panels;
    bool bypass_cache;         // whether a layer stores more than BYPASS_CACHE_ABOVE of this window
    std::vector<Layer> layer;  // none in an n-NN
    float *out_w, *out_w_t, *out_b, *out_db;
    Matrix out_dw;
    int *codes, *targets;  // [T R] (codes of an n-NN: [T R, context])
    Matrix logits;         // [K, ROWS_AT_ONCE]
    Operand d_logits;
    float* scratch;  // for transposed products
    // Recurrent networks.
    Matrix gate_sums;    // [panels of some gates, R]: the products' results
    Matrix update_gate;  // GRU: [H, R] z
    Operand d_gates;     // [gates x H, T R]
    Matrix dy, dx;       // [H, T R] of a cell's outputs and inputs; in a block dy is that of the
                         // residual stream, wherever the backward pass is on it
    Matrix dh, dc, dn;   // [H, R] what flows to the previous step
    Matrix dh_direct;    // [H, R] the part of dh that bypasses the weights
    Matrix d_reset_h;    // GRU: [H, R]
    // In a block.
    Matrix embed, d_embed;  // [H, K]: row k is what enters the first layer for character k
    Matrix top;             // [H, T R] the last layer's output
    Operand top_normed;     // [H, T R]
    float *top_gain, *d_top_gain;
    Matrix mlp_sums;      // [panels of some columns, ROWS_AT_ONCE]: the products' results
    Operand d_top, d_ab;  // [H, ROWS_AT_ONCE], [2 M, ROWS_AT_ONCE]
    Matrix d_normed;      // [H, ROWS_AT_ONCE]
    // n-NN.
    float *nn_w, *nn_b;  // [panel of units][context K + 1][16], the last row zero: no character
    Matrix nn_dw, nn_db;
    Operand nn_h;            // [H, ROWS_AT_ONCE]
    Matrix nn_h_now, nn_dh;  // the same in float32, and its gradient

    char* memory;
    size_t bytes;

    explicit Network(const Sizes& sizes);

    // The input of a layer that does not look it up, as the operand of its products.
    Operand input(int l, bool dropout) const {
        if (block) return layer[l].normed;
        return dropout ? layer[l - 1].y : layer[l - 1].h.from(R);
    }
    // In a block: the output of a layer.
    Matrix output(int l) const { return l + 1 < layers ? layer[l + 1].u : top; }
    Factor* factors_at(int l, int t, int p) const {
        return layer[l].factors + (size_t(t) * unit_panels + p) * R * factors() * PANEL;
    }
    // Lays out all arrays from `memory` on and counts their bytes; without memory it only counts.
    void lay_out();

  private:
    void lay_out_layer(int l);
    void lay_out_block(Layer& at);
    void lay_out_around_blocks();
    template <class X>
    X* take(size_t count);
    Matrix take_matrix(int column_panels, int rows);
    Operand take_operand(int gates, int columns, int rows, int left_rows);
    float* take_weights(int count) { return take<float>(count * right_size(H, H)); }
};

// Bytes between arrays that a sanitizer guards: nothing may touch them.
#if defined __SANITIZE_ADDRESS__
constexpr size_t GUARD_BYTES = 64;
#else
constexpr size_t GUARD_BYTES = 0;
#endif

template <class X>
X* Network::take(size_t count) {
    X* const begin = reinterpret_cast<X*>(memory + bytes);
    bytes += (count * sizeof(X) + 63) / 64 * 64;
#if defined __SANITIZE_ADDRESS__
    if (memory) __asan_poison_memory_region(memory + bytes, GUARD_BYTES);
#endif
    bytes += GUARD_BYTES;
    return begin;
}

// An odd number of rows, so that panels do not fall on the same cache sets.
inline Matrix Network::take_matrix(int column_panels, int rows) {
    const size_t stride = size_t(rows | 1) * PANEL;
    return {take<float>(column_panels * stride), stride};
}

// `left_rows` may be fewer than `rows` where only one step's left operand is needed.
inline Operand Network::take_operand(int gate_count, int columns, int rows, int left_rows) {
    const Matrix left = take_matrix(gate_count * panels(words(columns)), left_rows);
    if (PER_WORD == 1) return {left.data, left.stride, left.data, left.stride};
    const Matrix rows_inner =
        take_matrix(gate_count * panels(columns), panels(words(rows)) * PANEL);
    return {left.data, left.stride, rows_inner.data, rows_inner.stride};
}

inline Network::Network(const Sizes& sizes) : Sizes(sizes) {
    R = rows_per_step();
    unit_panels = panels(H);
    symbol_panels = panels(K);
    layer.resize(kind == NN ? 0 : layers);
    memory = nullptr;
    lay_out();
}

inline void Network::lay_out_layer(int l) {
    Layer& at = layer[l];
    const int rows = T * R, gate_panels = gates() * unit_panels;
    if (looks_up(l)) {
        at.lookup = take<float>(size_t(gate_panels) * K * PANEL);
        at.dw_x = take_matrix(gate_panels, K);
    } else {
        at.bias = take<float>(size_t(gate_panels) * PANEL);
        at.w_x = take_weights(gates() * ROUNDINGS);
        at.w_x_t = take_weights(gates());
        at.dw_x = take_matrix(gate_panels, unit_panels * PANEL);
    }
    at.db = take<float>(size_t(gate_panels) * PANEL);
    at.w_h = take_weights(recurrent_gates() * ROUNDINGS);
    at.w_h_t = take_weights(recurrent_gates());
    at.dw_h = take_matrix(recurrent_gates() * unit_panels, unit_panels * PANEL);
    if (kind == GRU) {
        at.w_g = take_weights(ROUNDINGS);
        at.w_g_t = take_weights(1);
        at.dw_g = take_matrix(unit_panels, unit_panels * PANEL);
        at.reset_h = take_operand(1, H, rows, rows);
    }
    at.h = take_operand(1, H, rows + R, rows + R);
    at.y = take_operand(1, H, rows, rows);
    at.factors = take<Factor>(size_t(unit_panels) * rows * factors() * PANEL);
    at.h_now = take_matrix(unit_panels, R);
    for (int i = 1; i < states(); i++) at.other[i - 1] = take_matrix(unit_panels, R);
    if (kind == RGLRU)
        for (float** each : {&at.decay, &at.d_decay})
            *each = take<float>(size_t(unit_panels) * PANEL);
    if (block) lay_out_block(at);
}

inline void Network::lay_out_block(Layer& at) {
    const int rows = T * R, M = mlp_width(), mlp_panels = panels(M);
    for (float** each : {&at.gain, &at.d_gain, &at.mlp_gain, &at.d_mlp_gain})
        *each = take<float>(size_t(unit_panels) * PANEL);
    at.w_in = take<float>(2 * ROUNDINGS * right_size(H, M));
    at.w_in_t = take<float>(2 * right_size(M, H));
    at.w_out = take<float>(ROUNDINGS * right_size(M, H));
    at.w_out_t = take<float>(right_size(H, M));
    at.dw_in = take_matrix(2 * mlp_panels, unit_panels * PANEL);
    at.dw_out = take_matrix(unit_panels, mlp_panels * PANEL);
    for (Matrix* each : {&at.u, &at.residual}) *each = take_matrix(unit_panels, rows);
    for (Operand* each : {&at.normed, &at.mlp_normed}) *each = take_operand(1, H, rows, rows);
    at.mlp = take_operand(1, M, rows, rows);
    at.mlp_factors = take<Factor>(size_t(mlp_panels) * rows * mlp::FACTORS * PANEL);
}

inline void Network::lay_out_around_blocks() {
    const int rows = T * R;
    for (Matrix* each : {&embed, &d_embed}) *each = take_matrix(unit_panels, K);
    top = take_matrix(unit_panels, rows);
    top_normed = take_operand(1, H, rows, rows);
    for (float** each : {&top_gain, &d_top_gain}) *each = take<float>(size_t(unit_panels) * PANEL);
    mlp_sums = take_matrix(std::max(unit_panels, PANELS_AT_ONCE), ROWS_AT_ONCE);
    d_top = take_operand(1, H, ROWS_AT_ONCE, ROWS_AT_ONCE);
    d_ab = take_operand(2, mlp_width(), ROWS_AT_ONCE, ROWS_AT_ONCE);
    d_normed = take_matrix(unit_panels, ROWS_AT_ONCE);
}

inline void Network::lay_out() {
    bytes = 0;
    const int rows = T * R;
    for (size_t l = 0; l < layer.size(); l++) lay_out_layer(int(l));
    if (kind == NN) {
        const int inputs = context * K + 1;
        nn_w = take<float>(size_t(unit_panels) * inputs * PANEL);
        nn_b = take<float>(size_t(unit_panels) * PANEL);
        nn_dw = take_matrix(unit_panels, inputs);
        nn_db = take_matrix(unit_panels, 1);
        nn_h = take_operand(1, H, ROWS_AT_ONCE, ROWS_AT_ONCE);
        nn_h_now = take_matrix(unit_panels, ROWS_AT_ONCE);
        nn_dh = take_matrix(unit_panels, ROWS_AT_ONCE);
    } else {
        gate_sums = take_matrix(PANELS_AT_ONCE, R);
        update_gate = take_matrix(unit_panels, R);
        d_gates = take_operand(gates(), H, rows, PER_WORD > 1 ? R : rows);
        dy = take_matrix(unit_panels, rows);
        dx = take_matrix(unit_panels, rows);
        for (Matrix* each : {&dh, &dc, &dn, &d_reset_h, &dh_direct})
            *each = take_matrix(unit_panels, R);
    }
    if (block) lay_out_around_blocks();
    out_w = take<float>(ROUNDINGS * right_size(H, K));
    out_w_t = take<float>(right_size(K, H));
    out_dw = take_matrix(symbol_panels, unit_panels * PANEL);
    out_b = take<float>(size_t(symbol_panels) * PANEL);
    out_db = take<float>(size_t(symbol_panels) * PANEL);
    scratch = take<float>(size_t(panels(block ? mlp_width() : H)) * TRANSPOSED_PANEL);
    logits = take_matrix(symbol_panels, ROWS_AT_ONCE);
    d_logits = take_operand(1, K, ROWS_AT_ONCE, ROWS_AT_ONCE);
    codes = take<int>(size_t(rows) * (kind == NN ? context : 1));
    targets = take<int>(rows);
}

// One call's arguments. Parameters and gradients are row-major, in the order: per layer w_x, b, w_h
// (GRU: w_g, b_g after these; cells whose gates do not see h have no w_h, an RG-LRU lambda), then
// out.w, out.b; an n-NN has w_x, b, out.w, out.b. With the block: first embed.w, per layer at the
// end the gains before the cell and the MLP, w_in, w_out, and out.norm before out.w.
struct Call {
    const float* const* params;
    float* const* grads;    // or null: forward only
    const uint8_t* mask;    // [layers, T, S, 2 unit panels], a bit per unit, or null: no dropout
    float scale;            // on outputs that dropout keeps
    const uint16_t *x, *y;  // [S, T] ([S, T, context] of an n-NN); y or null
    float* state;           // [layers, states, S, H]
    float *log_probs, *targets;  // [S, T, K], [S, T], or null
    int T;
};

// Calls use(row, count) for the rows of the window, at most `most` at a time.
template <class Use>
void for_rows(int rows, int most, const Use& use) {
    for (int row = 0; row < rows; row += most) use(row, std::min(rows - row, most));
}

inline void clear(float* p, size_t count) { memset(p, 0, count * sizeof(float)); }
inline void clear(Matrix m, int column_panels) { clear(m.data, column_panels * m.stride); }

// sums [16] += the rows of a panel.
inline void add_rows(const float* panel, int rows, float* sums) {
    vec total = load(sums);
    for (int r = 0; r < rows; r++) total = add(total, load(panel + size_t(r) * PANEL));
    store(sums, total);
}

}  // namespace
