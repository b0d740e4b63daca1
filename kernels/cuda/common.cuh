// What all kernels share: names of integers, the threads of a grid, sums over a warp and a block, and
// sums over the middle axis of an array (Columns).

#pragma once

using int64 = long long;
using uint32 = unsigned int;
using uint64 = unsigned long long;

constexpr int WARP = 32;
constexpr uint32 ALL_LANES = 0xffffffffu;

// `name` points to the dynamic shared memory of the block, as numbers of `type`.
#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(type, name)                        \
    extern __shared__ __align__(16) unsigned char name##_bytes[]; \
    type *name = reinterpret_cast<type *>(name##_bytes)
#endif

// A grid-stride loop: entry i of n is the business of one thread, and neighbours are of neighbours.
__device__ inline int64 thread_index() { return (int64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline int64 thread_count() { return (int64)gridDim.x * blockDim.x; }

// Sums that come out the same in every lane or thread, and in every run: the order is fixed.

__device__ inline float warp_sum(float v) {
    for (int distance = WARP / 2; distance; distance /= 2) v += __shfl_xor_sync(ALL_LANES, v, distance);
    return v;
}

// All threads of a block of whole warps, at most 1024; `room` is shared memory for one number a warp.
__device__ inline float block_sum(float v, float *room) {
    v = warp_sum(v);
    if (threadIdx.x % WARP == 0) room[threadIdx.x / WARP] = v;
    __syncthreads();
    v = 0;
    for (int warp = 0; warp < (int)blockDim.x / WARP; ++warp) v += room[warp];
    __syncthreads();  // before the room is used again
    return v;
}
