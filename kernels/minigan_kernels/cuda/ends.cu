// Convolutions at the image end of a network, where one side has 1 to 4 channels: grey or RGB pixels.
//
// They are bound by memory. The last layer of a generator, 64 channels at 32x32 -> 3 channels at 64x64 by
// kernel 4, stride 2, batch 128, reads 33.6 MB and writes 6.3 MB: 12 us on an H100; its 0.8 GFLOP take as
// long in plain float32. A tile of 64 x 64 of the matrix product would be empty in 61 of 64 columns, and
// would read every pixel 16 times, once for each tap. Here the filters lie in shared memory whole, and
// threads are dealt out so that neighbours read (to_few) or write (from_few) neighbouring channels.
//
//   to_few     many channels -> few: conv2d of few filters, conv2d_input for few-channel images
//   from_few   few channels -> many: conv2d of few-channel images, conv2d_input by few filters
//
// Either way the sum runs over the taps of an Axis (loaders.cuh), so one kernel makes the convolution
// (`adjoint` 0) and the input gradient (1, blockIdx.y being the phase). True float32 in any precision.
//
// Shared memory: filters as (tap, few, many), `many` padded to fours with zeros.
#include "loaders.cuh"

constexpr int THREADS = 128;
constexpr int LANES = 8;   // of to_few, that share a pixel: they read 128 neighbouring bytes at once
constexpr int PIXELS = 4;  // of from_few, in a row, that share what a thread reads of the filters

struct Layer {
    Images source;
    Axis rows, columns;
    Images result;  // whose data are written
    int pixels;     // of the result, in this phase
    int many, padded;

    __device__ Radix outputs() const { return {max(rows.count, 1), max(columns.count, 1)}; }

    __device__ float *output(const Digits &at) const {
        const int row = rows.output(at.middle), column = columns.output(at.low);
        return const_cast<float *>(result.at(at.high, row, column, 0).address);
    }
};

__device__ Layer layer_of(const float *source, float *result, GEOMETRY, int adjoint, bool few_outputs) {
    Layer layer;
    if (adjoint) {
        layer.source = {source, OH, OW, O};
        layer.rows = input_axis(blockIdx.y / SW, H, OH, KH, SH, PH, DH);
        layer.columns = input_axis(blockIdx.y % SW, W, OW, KW, SW, PW, DW);
        layer.result = {result, H, W, C};
    } else {
        layer.source = {source, H, W, C};
        layer.rows = forward_axis(H, OH, KH, SH, PH, DH);
        layer.columns = forward_axis(W, OW, KW, SW, PW, DW);
        layer.result = {result, OH, OW, O};
    }
    layer.pixels = N * layer.rows.count * layer.columns.count;
    layer.many = few_outputs ? layer.source.pitch : layer.result.pitch;
    layer.padded = (layer.many + 3) / 4 * 4;
    return layer;
}

// w (O, taps, C) to shared memory as (taps, few, many); `few` are the O or the C.
__device__ void share_filters(const float *w, float *filters, int O, int taps, int C, bool few_are_outputs) {
    const int few = few_are_outputs ? O : C, many = few_are_outputs ? C : O, padded = (many + 3) / 4 * 4;
    for (int i = threadIdx.x; i < taps * few * padded; i += THREADS) {
        const int m = i % padded, f = i / padded % few, tap = i / padded / few;
        const int o = few_are_outputs ? f : m, c = few_are_outputs ? m : f;
        filters[i] = m < many ? w[((int64)o * taps + tap) * C + c] : 0;
    }
    __syncthreads();
}

// Four neighbouring channels from m on, of `many`.
__device__ inline float4 four(const float *from, int m, int many, bool vector) {
    if (vector)
        return *(const float4 *)(from + m);
    return make_float4(from[m], m + 1 < many ? from[m + 1] : 0, m + 2 < many ? from[m + 2] : 0,
                       m + 3 < many ? from[m + 3] : 0);
}

// LANES threads share a pixel. Each sums over its own channels, then they add up.
template <int FEW> __device__ void sum_many(const Layer &layer, const float *filters, int KW, bool vector) {
    constexpr int TEAMS = THREADS / LANES;
    const int team = threadIdx.x / LANES, lane = threadIdx.x % LANES;
    for (int first = blockIdx.x * TEAMS; first < layer.pixels; first += gridDim.x * TEAMS) {
        const bool inside = first + team < layer.pixels;
        const Digits at = layer.outputs().split(first + team);
        float sums[FEW] = {};
        for (int a = 0; a < layer.rows.taps; a++)
            for (int b = 0; b < layer.columns.taps; b++) {
                const int row = layer.rows.window(at.middle) + layer.rows.d * a;
                const int column = layer.columns.window(at.low) + layer.columns.d * b;
                const Entry from = layer.source.at(at.high, row, column, 0);
                const int tap = layer.rows.tap(a) * KW + layer.columns.tap(b);
                const float *filter = filters + tap * FEW * layer.padded;
                for (int m = 4 * lane; inside && from.inside && m < layer.many; m += 4 * LANES) {
                    const float4 v = four(from.address, m, layer.many, vector);
#pragma unroll
                    for (int f = 0; f < FEW; f++) {
                        const float4 u = *(const float4 *)(filter + f * layer.padded + m);
                        sums[f] = fmaf(v.x, u.x, fmaf(v.y, u.y, fmaf(v.z, u.z, fmaf(v.w, u.w, sums[f]))));
                    }
                }
            }
#pragma unroll
        for (int f = 0; f < FEW; f++)
            for (int distance = LANES / 2; distance; distance /= 2)
                sums[f] += __shfl_xor_sync(ALL_LANES, sums[f], distance);
        if (inside && lane == 0) {
            float *to = layer.output(at);
            for (int f = 0; f < FEW; f++)
                to[f] = sums[f];
        }
    }
}

// A thread makes four neighbouring channels of PIXELS pixels.
template <int FEW> __device__ void spread_few(const Layer &layer, const float *filters, int KW, bool vector) {
    const int quads = layer.padded / 4;
    const int64 items = (int64)((layer.pixels + PIXELS - 1) / PIXELS) * quads;
    for (int64 item = thread_index(); item < items; item += thread_count()) {
        const int m = item % quads * 4, first = item / quads * PIXELS;
        Digits at[PIXELS];
        float sums[PIXELS][4] = {};
#pragma unroll
        for (int p = 0; p < PIXELS; p++)
            at[p] = layer.outputs().split(first + p);
        for (int a = 0; a < layer.rows.taps; a++)
            for (int b = 0; b < layer.columns.taps; b++) {
                Entry from[PIXELS];
#pragma unroll
                for (int p = 0; p < PIXELS; p++) {
                    const int row = layer.rows.window(at[p].middle) + layer.rows.d * a;
                    const int column = layer.columns.window(at[p].low) + layer.columns.d * b;
                    from[p] = layer.source.at(at[p].high, row, column, 0);
                    from[p].inside &= first + p < layer.pixels;
                }
                const int tap = layer.rows.tap(a) * KW + layer.columns.tap(b);
#pragma unroll
                for (int f = 0; f < FEW; f++) {
                    const float4 u = *(const float4 *)(filters + (tap * FEW + f) * layer.padded + m);
#pragma unroll
                    for (int p = 0; p < PIXELS; p++) {
                        const float v = from[p].inside ? from[p].address[f] : 0;
                        sums[p][0] = fmaf(v, u.x, sums[p][0]);
                        sums[p][1] = fmaf(v, u.y, sums[p][1]);
                        sums[p][2] = fmaf(v, u.z, sums[p][2]);
                        sums[p][3] = fmaf(v, u.w, sums[p][3]);
                    }
                }
            }
#pragma unroll
        for (int p = 0; p < PIXELS; p++) {
            if (first + p >= layer.pixels)
                break;
            float *to = layer.output(at[p]) + m;
            if (vector)
                *(float4 *)to = make_float4(sums[p][0], sums[p][1], sums[p][2], sums[p][3]);
            else
#pragma unroll
                for (int e = 0; e < 4; e++)
                    if (m + e < layer.many)
                        to[e] = sums[p][e];
        }
    }
}

// Few is a constant inside, so that its sums stay in registers; four blocks in a multiprocessor leave room
// for them, and with more the compiler would move some to memory and back.
#define END(name, FEW_OUTPUTS, body)                                                                       \
    extern "C" __global__ void __launch_bounds__(THREADS, 4)                                               \
        name(const float *__restrict__ source, const float *__restrict__ w, float *__restrict__ result,    \
             GEOMETRY, int adjoint, int vector) {                                                          \
        DYNAMIC_SHARED(float, filters);                                                                    \
        const bool few_are_outputs = FEW_OUTPUTS != (adjoint != 0); /* the O channels of a filter */       \
        const Layer layer = layer_of(source, result, N, C, H, W, O, OH, OW, KH, KW, SH, SW, PH, PW, DH,    \
                                     DW, groups, adjoint, FEW_OUTPUTS);                                    \
        share_filters(w, filters, O, KH * KW, C, few_are_outputs);                                         \
        switch (few_are_outputs ? O : C) {                                                                 \
            case 1: return body<1>(layer, filters, KW, vector);                                            \
            case 2: return body<2>(layer, filters, KW, vector);                                            \
            case 3: return body<3>(layer, filters, KW, vector);                                            \
            case 4: return body<4>(layer, filters, KW, vector);                                            \
        }                                                                                                  \
    }

END(to_few, true, sum_many)
END(from_few, false, spread_few)
