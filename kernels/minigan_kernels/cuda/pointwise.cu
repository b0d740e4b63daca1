// Functions of each entry by itself: activations, their gradients, and the bias that goes before them.
//
// Each reads its inputs once and writes its result once: 4 bytes an entry and array, and no more than a
// few dozen operations, so all are bound by memory. Four entries are loaded at a time where all the
// arrays are aligned to 16 bytes, else one by one.

#include "common.cuh"

// y[i] = f(x[i], ...) for n entries.
template <class F, class... Inputs>
__device__ void map(int64 n, float *y, F f, const Inputs *...x) {
    int64 quads = (aligned(y) && ... && aligned(x)) ? n / 4 : 0;
    for (int64 i = thread_index(); i < quads; i += thread_count()) {
        reinterpret_cast<float4 *>(y)[i] = [&](auto... v) {
            return make_float4(f(v.x...), f(v.y...), f(v.z...), f(v.w...));
        }(reinterpret_cast<const float4 *>(x)[i]...);
    }
    for (int64 i = 4 * quads + thread_index(); i < n; i += thread_count()) y[i] = f(x[i]...);
}

extern "C" __global__ void leaky_relu(
    const float *__restrict__ x, float *__restrict__ y, int64 n, float slope
) {
    map(n, y, [=](float v) { return leaky(v, slope); }, x);
}

// gy where y is positive, else slope·gy. y is the value of leaky_relu.
extern "C" __global__ void leaky_relu_backward(
    const float *__restrict__ gy, const float *__restrict__ y, float *__restrict__ gx, int64 n, float slope
) {
    map(n, gx, [=](float g, float v) { return leaky_backward(g, v, slope); }, gy, y);
}

// 1 / (1 + e⁻ˣ), no exponent being positive: about 20 operations an entry.
extern "C" __global__ void sigmoid(const float *__restrict__ x, float *__restrict__ y, int64 n) {
    map(
        n, y,
        [](float v) {
            float e = expf(-fabsf(v));
            return (v >= 0 ? 1.0f : e) / (1.0f + e);
        },
        x
    );
}

// gy·(1 - y²), y = tanh x.
extern "C" __global__ void tanh_backward(
    const float *__restrict__ gy, const float *__restrict__ y, float *__restrict__ gx, int64 n
) {
    map(n, gx, [](float g, float v) { return g * (1.0f - v * v); }, gy, y);
}

// Which channel an entry of an image has, as a thread goes through memory where the channel's axis has P
// entries after it: channel = i / P % C. Two divisions for a thread, then additions, and a division
// of 32 bits an entry where P > 1.
struct Channel {
    uint32 P, period, at, step;

    __device__ Channel(int64 i, int64 stride, int C, int P)
        : P(P), period((uint32)C * P), at(i % period), step(stride % period) {}
    __device__ uint32 operator[](int ahead) const {
        uint32 there = at + ahead;
        there = there < period ? there : there % period;
        return P == 1 ? there : there / P;
    }
    __device__ void advance() {
        at += step;
        if (at >= period) at -= period;
    }
};

// y = leaky(y + bias of the channel), in place: reads and writes n entries. P: entries after the channel's
// axis.
extern "C" __global__ void add_bias(
    float *__restrict__ y, const float *__restrict__ bias, int64 n, int C, int P, float slope
) {
    int64 quads = aligned(y) ? n / 4 : 0;
    Channel channel(4 * thread_index(), 4 * thread_count(), C, P);
    for (int64 i = thread_index(); i < quads; i += thread_count(), channel.advance()) {
        float4 v = reinterpret_cast<float4 *>(y)[i];
        v.x = leaky(v.x + bias[channel[0]], slope);
        v.y = leaky(v.y + bias[channel[1]], slope);
        v.z = leaky(v.z + bias[channel[2]], slope);
        v.w = leaky(v.w + bias[channel[3]], slope);
        reinterpret_cast<float4 *>(y)[i] = v;
    }
    Channel last(4 * quads + thread_index(), thread_count(), C, P);
    for (int64 i = 4 * quads + thread_index(); i < n; i += thread_count(), last.advance())
        y[i] = leaky(y[i] + bias[last[0]], slope);
}
