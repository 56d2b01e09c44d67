// The library as a program that is called through pipes, so that a path of another processor can be
// tested in an emulator of it (served.py). A call is one byte, its numbers and its arrays; the
// answer is what it returns, then every array that it may have written.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "network.cpp"
#include "selective_scan.cpp"

namespace {

template <class X>
X get() {
    X value;
    if (fread(&value, sizeof value, 1, stdin) != 1) exit(0);
    return value;
}
template <class X>
void put(X value) {
    fwrite(&value, sizeof value, 1, stdout);
}

// An array argument: its length in bytes, -1 for null, and its content.
struct Argument {
    std::vector<char> bytes;
    bool null = false;
    Argument() {
        const auto size = get<int64_t>();
        null = size < 0;
        bytes.resize(null ? 0 : size);
        if (size > 0 && fread(bytes.data(), bytes.size(), 1, stdin) != 1) exit(1);
    }
    template <class X>
    X* as() {
        return null ? nullptr : reinterpret_cast<X*>(bytes.data());
    }
    void put_back() const { fwrite(bytes.data(), 1, bytes.size(), stdout); }
};

// Arrays by parameter. Not null as a whole unless there are none.
struct Arguments {
    std::vector<Argument> each;
    std::vector<float*> pointers;
    explicit Arguments(int count) : each(count) {
        for (Argument& one : each) pointers.push_back(one.as<float>());
    }
    float** data() { return pointers.empty() ? nullptr : pointers.data(); }
    void put_back() const {
        for (const Argument& one : each) one.put_back();
    }
};

void create() {
    int sizes[8];
    for (int& size : sizes) size = get<int>();
    put<int64_t>(reinterpret_cast<int64_t>(charlens_create(
        sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], sizes[7])));
}

void run() {
    const auto net = reinterpret_cast<Network*>(get<int64_t>());
    const int count = get<int>(), steps = get<int>();
    const float scale = get<float>();
    Arguments params(count), grads(get<int>());
    Argument x, y, state, mask, log_probs, targets;
    put<double>(charlens_run(net, params.data(), grads.data(), x.as<uint16_t>(), y.as<uint16_t>(),
                             steps, state.as<float>(), mask.as<uint8_t>(), scale,
                             log_probs.as<float>(), targets.as<float>()));
    grads.put_back();
    for (const Argument* written : {&state, &log_probs, &targets}) written->put_back();
}

void rmsprop() {
    const int count = get<int>();
    float numbers[5];  // as the last arguments of charlens_rmsprop
    for (float& number : numbers) number = get<float>();
    Arguments params(count), grads(count), squares(count);
    std::vector<size_t> sizes;
    for (const Argument& one : params.each) sizes.push_back(one.bytes.size() / sizeof(float));
    charlens_rmsprop(count, params.data(), grads.data(), squares.data(), sizes.data(), numbers[0],
                     numbers[1], numbers[2], numbers[3], numbers[4]);
    params.put_back(), squares.put_back();
}

void scan() {
    int sizes[3];
    for (int& size : sizes) size = get<int>();
    Arguments in(8);
    Argument y, after;
    put<int>(
        charlens_scan(sizes[0], sizes[1], sizes[2], in.data(), y.as<float>(), after.as<float>()));
    y.put_back(), after.put_back();
}

void scan_backward() {
    int sizes[3];
    for (int& size : sizes) size = get<int>();
    Arguments in(8);
    Argument dy;
    Arguments grads(7);
    put<int>(charlens_scan_backward(sizes[0], sizes[1], sizes[2], in.data(), dy.as<float>(),
                                    grads.data()));
    grads.put_back();
}

}  // namespace

int main() {
    for (;;) {
        const char call = get<char>();
        if (call == 'c') create();
        if (call == 'd') charlens_destroy(reinterpret_cast<Network*>(get<int64_t>()));
        if (call == 'r') run();
        if (call == 'u') rmsprop();
        if (call == 's') scan();
        if (call == 'b') scan_backward();
        fflush(stdout);
    }
}
