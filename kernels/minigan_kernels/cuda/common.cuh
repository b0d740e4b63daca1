// What all kernels share: names of integers, the threads of a grid, sums over a warp and a block, and
// sums over the middle axis of an array (Columns).

#pragma once

using int64 = long long;
using uint32 = unsigned int;
using uint64 = unsigned long long;

constexpr int WARP = 32;
constexpr uint32 ALL_LANES = 0xffffffffu;

// DYNAMIC_SHARED(float, tile): `float *tile`, the block's dynamic shared memory, aligned to 16 bytes.
#ifdef MINIGAN_EMULATED
#define DYNAMIC_SHARED(type, name) type *name = static_cast<type *>(emulated::dynamic_shared())
#else
#define DYNAMIC_SHARED(type, name)                                  \
    extern __shared__ __align__(16) unsigned char dynamic_shared[]; \
    type *name = reinterpret_cast<type *>(dynamic_shared)
#endif

__device__ inline float infinity() { return __uint_as_float(0x7f800000u); }
__device__ inline float not_a_number() { return __uint_as_float(0x7fc00000u); }

// A grid-stride loop: entry i of n is the business of one thread, and neighbours are of neighbours.
__device__ inline int64 thread_index() { return (int64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline int64 thread_count() { return (int64)gridDim.x * blockDim.x; }

// Whether four numbers from p on can be loaded as one float4.
__device__ inline bool aligned(const void *p) { return (uint64)p % sizeof(float4) == 0; }

// LeakyReLU, by itself or at the end of a pass: v where it is positive, else slope·v; for a slope of 0
// exactly 0 there, also of -∞. A slope of 1 changes nothing: so a pass is told that no activation follows.
__device__ inline float leaky(float v, float slope) {
    return v > 0 || v != v ? v : slope == 0 ? 0.0f : slope * v;
}

// The gradient before it, of g behind it; v is the value on either side of it, of which the sign counts.
__device__ inline float leaky_backward(float g, float v, float slope) { return g * (v > 0 ? 1.0f : slope); }

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

// Numbers that one accumulator adds up one after the other, before it is added to the next: of a longer sum
// too much would be lost.
constexpr int RUN = 32;

// Columns: an array of shape (S, R, C) in memory, whose numbers are to be combined over R. Column (s, c)
// has the R numbers x[(s * R + r) * C + c]. A block takes `wide` neighbouring columns, each by `deep`
// threads that share its rows, and of the rows the chunk number blockIdx.x % chunks. Neighbouring
// threads read neighbouring numbers: those of neighbouring columns for C > 1, of one column for C = 1.

constexpr int MOST_THREADS = 512;  // of a block that works so: wide * deep, rounded up to whole warps

struct Plus {
    template <class T> __device__ T operator()(T a, T b) const { return a + b; }
};

struct Columns {
    int64 S, R, C;
    int64 rows;       // of a chunk; the last ones may have fewer, or none
    int64 s, c;       // the column of this thread
    int64 from, to;   // its rows of this chunk: from + lane, from + lane + deep, ... below `to`
    int chunk, chunks;
    int lane, deep, step;  // step: from a thread to the one of the next lane
    bool inside;           // outside there is no column: the thread waits at barriers, and no more

    __device__ Columns(int64 S, int64 R, int64 C, int wide, int deep, int chunks)
        : S(S), R(R), C(C), rows((R + chunks - 1) / chunks), chunks(chunks), deep(deep) {
        int thread = threadIdx.x;
        uint32 tile = blockIdx.x / (uint32)chunks;
        chunk = blockIdx.x % (uint32)chunks;
        if (C > 1) {
            uint32 tiles = (C + wide - 1) / wide;
            s = tile / tiles;
            c = (int64)(tile % tiles) * wide + thread % wide;
            lane = thread / wide;
            step = wide;
        } else {
            s = (int64)tile * wide + thread / deep;
            c = 0;
            lane = thread % deep;
            step = 1;
        }
        inside = thread < wide * deep && s < S && c < C;
        from = chunk_start(chunk);
        to = inside ? chunk_start(chunk + 1) : from;
    }

    __device__ int64 chunk_start(int64 i) const { return i * rows < R ? i * rows : R; }
    __device__ int64 at(int64 r) const { return (s * R + r) * C + c; }
    __device__ int64 column() const { return s * C + c; }
    __device__ int64 part(int64 i) const { return i * S * C + column(); }  // what chunk i found of the column
    __device__ bool leads() const { return inside && lane == 0; }

    // Σ of(r) over the rows of this thread, in runs of T, which are added up as Total; loads for LOADS rows are
    // on their way at once.
    template <class T, class Total, int LOADS = 4, class Of> __device__ Total sum(Of of) const {
        Total all = {};
        for (int64 first = from + lane; first < to; first += (int64)RUN * deep) {
            int64 beyond = first + (int64)RUN * deep;
            T run = {};
#pragma unroll LOADS
            for (int64 r = first; r < (beyond < to ? beyond : to); r += deep) run = run + of(r);
            all = all + run;
        }
        return all;
    }

    // The values of the lanes of a column put together, by + or by `f`, as all of them get it. The order is
    // fixed: half of the lanes take the values of the other half. room: shared, one T for each thread.
    template <class T, class F = Plus> __device__ T together(T mine, T *room, F f = F()) const {
        int thread = threadIdx.x;
        room[thread] = mine;
        for (int n = deep; n > 1; n = (n + 1) / 2) {
            int half = (n + 1) / 2;
            __syncthreads();
            if (inside && lane + half < n) room[thread] = f(room[thread], room[thread + half * step]);
        }
        __syncthreads();
        T all = inside ? room[thread - lane * step] : mine;
        __syncthreads();  // before the room is used again
        return all;
    }
};
