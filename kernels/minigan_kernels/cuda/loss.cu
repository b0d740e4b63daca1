// The loss of a discriminator on logits, and its gradient.
//
// Forward: reads x, and the target where it is an array: 4 or 8 bytes an entry for about 40 operations,
// bound by memory. Each block adds up what its threads find, and a second launch (reduce.cu) adds
// the blocks in order, so that the sum is the same in every run. Backward: 8 or 12 bytes an entry.

#include "common.cuh"

// sums[block] = scale · Σ log(1 + eˣ) - t·x over the entries of a block; target null: t is `number`.
extern "C" __global__ void bce_with_logits(
    const float *__restrict__ x, const float *__restrict__ target, float number, float *__restrict__ sums,
    int64 n, float scale
) {
    __shared__ float room[MOST_THREADS / WARP];
    float sum = 0;
    for (int64 i = thread_index(); i < n; i += thread_count()) {
        float v = x[i], t = target ? target[i] : number;
        sum += (v > 0 ? v : v != v ? v : 0.0f) + log1pf(expf(-fabsf(v))) - t * v;
    }
    sum = block_sum(sum, room);
    if (threadIdx.x == 0) sums[blockIdx.x] = scale * sum;
}

// gx = gy·scale·(σ(x) - t), gy being one number in memory.
extern "C" __global__ void bce_with_logits_backward(
    const float *__restrict__ gy, const float *__restrict__ x, const float *__restrict__ target, float number,
    float *__restrict__ gx, int64 n, float scale
) {
    float g = *gy * scale;
    for (int64 i = thread_index(); i < n; i += thread_count()) {
        float v = x[i], t = target ? target[i] : number, e = expf(-fabsf(v));
        gx[i] = g * ((v >= 0 ? 1.0f : e) / (1.0f + e) - t);
    }
}
