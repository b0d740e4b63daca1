// L1 distances of all pairs of two sets of points, x (B, N, C) and y (B, M, C), and their derivatives.
//
// Reads x and y, mostly from the caches, as they are small beside the result of N·M numbers a set, which is
// written once: 4 bytes and 3·C operations an entry. For a few coordinates bound by memory, as an exponential
// of the result would be; so no tiles in shared memory. In the gradient the distances' gradients are what is
// read. Sums go to float64 after RUN numbers.

#include "common.cuh"

// 1, 0, -1, and NaN of NaN.
__device__ inline float sign(float v) { return v > 0 ? 1.0f : v < 0 ? -1.0f : v; }

// Σ of(c) over the C coordinates.
template <class Of> __device__ inline float over(int64 C, Of of) {
    double all = 0;
    for (int64 first = 0; first < C; first += RUN) {
        float run = 0;
        for (int64 c = first; c < (first + RUN < C ? first + RUN : C); ++c) run += of(c);
        all += run;
    }
    return (float)all;
}

// Entry (b, i, j) is the business of one thread: of the points i of x and j of y.
struct Pair {
    int64 i, j;  // counted over all sets

    __device__ Pair(int64 entry, int64 N, int64 M) : i(entry / M), j(entry / M / N * M + entry % M) {}
};

// d[b, i, j] = Σ_c |x[b, i, c] - y[b, j, c]|
extern "C" __global__ void l1_distances(
    const float *__restrict__ x, const float *__restrict__ y, float *__restrict__ d, int64 B, int64 N,
    int64 M, int64 C
) {
    for (int64 entry = thread_index(); entry < B * N * M; entry += thread_count()) {
        Pair pair(entry, N, M);
        const float *p = x + pair.i * C, *q = y + pair.j * C;
        d[entry] = over(C, [&](int64 c) { return fabsf(p[c] - q[c]); });
    }
}

// d[b, i, j] = Σ_c u[b, i, c] · sign(x[b, i, c] - y[b, j, c])
extern "C" __global__ void l1_distances_along(
    const float *__restrict__ u, const float *__restrict__ x, const float *__restrict__ y,
    float *__restrict__ d, int64 B, int64 N, int64 M, int64 C
) {
    for (int64 entry = thread_index(); entry < B * N * M; entry += thread_count()) {
        Pair pair(entry, N, M);
        const float *p = x + pair.i * C, *q = y + pair.j * C, *along = u + pair.i * C;
        d[entry] = over(C, [&](int64 c) { return along[c] * sign(p[c] - q[c]); });
    }
}

// gx[b, i, c] = Σ_j gy[b, i, j] · sign(x[b, i, c] - y[b, j, c]): a warp for each point of x.
extern "C" __global__ void l1_distances_backward(
    const float *__restrict__ gy, const float *__restrict__ x, const float *__restrict__ y,
    float *__restrict__ gx, int64 B, int64 N, int64 M, int64 C
) {
    int lane = threadIdx.x % WARP;
    for (int64 i = thread_index() / WARP; i < B * N; i += thread_count() / WARP) {
        const float *g = gy + i * M, *others = y + i / N * M * C;
        for (int64 c = 0; c < C; ++c) {
            float p = x[i * C + c];
            double all = 0;
            for (int64 first = lane; first < M; first += RUN * WARP) {
                int64 beyond = first + RUN * WARP < M ? first + RUN * WARP : M;
                float run = 0;
                for (int64 j = first; j < beyond; j += WARP) run += g[j] * sign(p - others[j * C + c]);
                all += run;
            }
            float sum = warp_sum((float)all);
            if (lane == 0) gx[i * C + c] = sum;
        }
    }
}
