// The gradient of a table whose rows were read by index: row v gets the sum of the gradients of its readers.
//
// Reads gy once and writes the table once: 4 bytes an entry of each, for one addition. A block makes
// WIDTH columns of ROWS rows of the table, a warp each, and all of its warps go through the whole index
// together, a chunk at a time in shared memory; so the indices are read V / ROWS times for WIDTH columns,
// mostly from the cache. That is little for a table of classes, and for a vocabulary of 50,000 and 10,000
// readers still only some 500 MB of it. No atomics and no sorting: a row adds up its readers in their order,
// in float64, for all may read the same.

#include "common.cuh"

constexpr int ROWS = 8;
constexpr int CHUNK = ROWS * WARP;
constexpr int EACH = 4;  // sums of a lane
constexpr int WIDTH = EACH * WARP;

// table (V, D), with row v = Σ gy[i] over the i with index[i] = v: gy (n, D), index (n).
extern "C" __global__ void embedding_weight(
    const float *__restrict__ gy, const int64 *__restrict__ index, float *__restrict__ table, int64 n,
    int64 V, int64 D
) {
    __shared__ int64 chunk[CHUNK];
    int lane = threadIdx.x % WARP;
    int64 row = (int64)blockIdx.x * ROWS + threadIdx.x / WARP;
    int64 column = (int64)blockIdx.y * WIDTH + lane;
    double sums[EACH] = {};
    for (int64 first = 0; first < n; first += CHUNK) {
        int64 i = first + threadIdx.x;
        chunk[threadIdx.x] = i < n ? index[i] : -1;
        __syncthreads();
        for (int some = 0; some < CHUNK; some += WARP) {
            uint32 readers = __ballot_sync(ALL_LANES, chunk[some + lane] == row);
            for (; readers; readers &= readers - 1) {  // the lowest bit goes
                const float *g = gy + (first + some + __ffs(readers) - 1) * D;
#pragma unroll
                for (int k = 0; k < EACH; ++k)
                    if (column + k * WARP < D) sums[k] += g[column + k * WARP];
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int k = 0; k < EACH; ++k)
        if (row < V && column + k * WARP < D) table[row * D + column + k * WARP] = sums[k];
}
