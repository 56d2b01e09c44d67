// Trains and scores random small networks of every kind with the library compiled in, so that
// sanitizers see all memory that it touches: test_sanitizers.py builds and runs this for every
// path. Every argument has an allocation of its own, of just the size that the interface documents.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>

#include "network.cpp"
#include "selective_scan.cpp"

namespace {

struct Random {
    std::mt19937 engine;
    int up_to(int most) { return int(engine() % unsigned(most + 1)); }
    int one_of(std::initializer_list<int> values) {
        return values.begin()[up_to(int(values.size()) - 1)];
    }
    float number() { return float(engine()) / 4294967296.f - .5f; }
};

template <class X>
struct Array {
    std::unique_ptr<X[]> data;
    size_t size;
    explicit Array(size_t count) : data(new X[count]), size(count) {}
    void fill(Random& random) {
        for (size_t i = 0; i < size; i++) data[i] = random.number();
    }
    void codes(Random& random, int most) {
        for (size_t i = 0; i < size; i++) data[i] = X(random.up_to(most));
    }
};

std::vector<size_t> parameter_sizes(const Sizes& of) {
    const size_t H = of.H, K = of.K, M = of.mlp_width(), width = of.gates() * H;
    std::vector<size_t> sizes;
    if (of.block) sizes = {K * H};
    if (of.kind == NN) sizes = {of.context * K * H, H};
    for (int l = 0; l < of.layers && of.kind != NN; l++) {
        sizes.insert(sizes.end(), {(of.looks_up(l) ? K : H) * width, width});
        if (of.recurrent_gates()) sizes.push_back(of.recurrent_gates() * H * H);
        if (of.kind == GRU) sizes.insert(sizes.end(), {H * H, H});
        if (of.kind == RGLRU) sizes.push_back(H);
        if (of.block) sizes.insert(sizes.end(), {H, H, H * 2 * M, M * H});
    }
    if (of.block) sizes.push_back(H);
    sizes.insert(sizes.end(), {H * K, K});
    return sizes;
}

Sizes random_sizes(Random& random, Kind kind, bool block) {
    Sizes sizes;
    sizes.kind = kind;
    sizes.layers = kind == NN ? 1 : 1 + random.up_to(2);
    sizes.H = random.one_of({1, 2, 7, 15, 16, 17, 31, 33, 48, 65});
    sizes.K = random.one_of({2, 3, 15, 16, 17, kind == NN ? 255 : 256});
    sizes.S = random.one_of({1, 2, 3, 6, 11, 16, 17, 37});
    sizes.T = random.one_of({1, 2, 5, 9});
    sizes.context = kind == NN ? 1 + random.up_to(4) : 0;
    sizes.block = kind != NN && block;
    return sizes;
}

// One network: an update with and without dropout, and a forward pass of a part of a window.
void exercise(Random& random, const Sizes& sizes) {
    const int S = sizes.S, T = sizes.T, H = sizes.H, K = sizes.K,
              context = std::max(sizes.context, 1);
    Network* const net =
        charlens_create(sizes.kind, sizes.layers, H, K, S, T, sizes.context, sizes.block);
    if (!net) abort();
    const std::vector<size_t> counts = parameter_sizes(sizes);
    std::vector<Array<float>> params, grads, squares;
    std::vector<float*> param, grad, square;
    for (const size_t count : counts) {
        params.emplace_back(count), grads.emplace_back(count), squares.emplace_back(count);
        params.back().fill(random);
        std::fill_n(squares.back().data.get(), count, 0.f);
        param.push_back(params.back().data.get());
        grad.push_back(grads.back().data.get());
        square.push_back(squares.back().data.get());
    }
    Array<float> state(size_t(sizes.layers) * sizes.states() * S * H);
    state.fill(random);
    for (const bool dropout : {false, true})
        for (const bool train : {true, false}) {
            if (dropout && sizes.kind == NN) continue;
            const int steps = train ? T : (T + 1) / 2;
            Array<uint16_t> x(size_t(S) * steps * context), y(size_t(S) * steps);
            x.codes(random, K - 1), y.codes(random, K - 1);
            if (sizes.kind == NN) x.data[0] = UINT16_MAX;  // no character
            Array<uint8_t> mask(size_t(sizes.layers) * steps * S * 2 * panels(H));
            mask.codes(random, 255);
            Array<float> log_probs(size_t(S) * steps * K), targets(size_t(S) * steps);
            charlens_run(
                net, param.data(), train ? grad.data() : nullptr, x.data.get(), y.data.get(), steps,
                sizes.kind == NN ? nullptr : state.data.get(), dropout ? mask.data.get() : nullptr,
                2.f, train ? nullptr : log_probs.data.get(), train ? nullptr : targets.data.get());
            if (train)
                charlens_rmsprop(int(counts.size()), param.data(), grad.data(), square.data(),
                                 counts.data(), 1e-3f, .95f, .05f, 1e-8f, 5.f);
        }
    charlens_destroy(net);
}

// One selective scan, forward and backward.
void exercise_scan(Random& random) {
    const size_t T = random.one_of({1, 2, 9}), S = random.one_of({1, 3});
    const size_t E = random.one_of({1, 2, 15, 16, 17, 34, 66}), states = E * N;
    const size_t window = T * S * E, inputs = T * S * N;
    const size_t counts[] = {window, window, window, inputs, inputs, states, E, S * states};
    std::vector<Array<float>> in, grads;
    std::vector<float*> of_in, of_grads;
    for (const size_t count : counts) {
        in.emplace_back(count), grads.emplace_back(count);
        in.back().fill(random);
        of_in.push_back(in.back().data.get()), of_grads.push_back(grads.back().data.get());
    }
    for (size_t i = 0; i < states; i++) of_in[5][i] = -std::abs(of_in[5][i]);
    Array<float> y(window), after(S * states);
    if (!charlens_scan(int(T), int(S), int(E), of_in.data(), y.data.get(), after.data.get()) ||
        !charlens_scan_backward(int(T), int(S), int(E), of_in.data(), y.data.get(),
                                of_grads.data()))
        abort();
}

}  // namespace

int main(int argc, char** argv) {
    const int networks = argc > 1 ? atoi(argv[1]) : 48;
    Random random;
    if (!charlens_ready()) return 1;
    for (int i = 0; i < networks; i++) {
        const int kinds = NN + 1;  // in each round every second one in a block, then the others
        const Sizes sizes = random_sizes(random, Kind(i % kinds), (i + i / kinds) % 2);
        printf("kind %d, %d x %d, %d symbols, %d x %d, context %d, block %d\n", sizes.kind,
               sizes.layers, sizes.H, sizes.K, sizes.S, sizes.T, sizes.context, sizes.block);
        fflush(stdout);
        exercise(random, sizes);
        exercise_scan(random);
    }
    // More than a slice of tiles and than a block of rows along each inner dimension.
    if (argc == 1)
        for (const int block : {0, 1}) exercise(random, {RNN, 1, 258, 3, 37, 15, 0, block});
    // Sizes whose products overflow are refused.
    if (charlens_create(LSTM, 1, 8, 8, 1 << 24, 1 << 24, 0, 0)) return 1;
    if (charlens_create(LSTM, INT32_MIN, 8, 8, 1, 1, 0, 0)) return 1;
    puts("done");
}
