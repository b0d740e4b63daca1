// The wrappers of ptx.cuh as kernels, one warp each, for test_ptx.py; and how much shared memory a block of
// the main loop takes, for test_cuda_products.py.
#include "mainloop.cuh"

extern "C" __global__ void tf32(const float *x, float *rounded, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x)
        rounded[i] = __uint_as_float(to_tf32(__float_as_uint(x[i])));
}

extern "C" __global__ void bf16x2(const float *x, unsigned *rounded, int pairs) {
    for (int i = threadIdx.x; i < pairs; i += blockDim.x)
        rounded[i] = to_bf16x2(x[2 * i], x[2 * i + 1]);
}

// Lane l gives the address of words[4 rows[l]...], and gets fragment[4 l...].
extern "C" __global__ void load_matrices(const unsigned *words, const int *rows, unsigned *fragment,
                                         int transposed) {
    __shared__ __align__(16) unsigned tile[128 * 4];
    for (int i = threadIdx.x; i < 128 * 4; i += 32)
        tile[i] = words[i];
    __syncwarp();
    const unsigned *row = tile + 4 * rows[threadIdx.x];
    unsigned found[4];
    transposed ? ldmatrix_transposed(found, row) : ldmatrix(found, row);
    for (int i = 0; i < 4; i++)
        fragment[4 * threadIdx.x + i] = found[i];
}

// a (32, 4), b (32, 2), d (32, 4): the registers of each lane.
extern "C" __global__ void multiply(const unsigned *a, const unsigned *b, float *d, int bf16) {
    const int lane = threadIdx.x;
    unsigned x[4];
    float sums[4];
    for (int i = 0; i < 4; i++) {
        x[i] = a[4 * lane + i];
        sums[i] = d[4 * lane + i];
    }
    if (bf16)
        mma_bf16(sums, x, b[2 * lane], b[2 * lane + 1]);
    else
        mma_tf32(sums, x, b[2 * lane], b[2 * lane + 1]);
    for (int i = 0; i < 4; i++)
        d[4 * lane + i] = sums[i];
}

// Twice: thread i copies the four numbers at 4 i, or zeros where there[i] is 0. Each copy is a group, and the
// first is looked at while the second may be on its way.
extern "C" __global__ void copy_ahead(const float *from, const int *there, float *to, int bytes) {
    __shared__ __align__(16) float tile[2][4 * 32];
    const int i = 4 * threadIdx.x;
    for (int stage = 0; stage < 2; stage++) {
        const bool inside = there[threadIdx.x];
        const float *source = inside ? from + stage * 128 + i : nullptr;
        if (bytes == 16)
            cp_async<16>(tile[stage] + i, source, inside);
        else
            for (int e = 0; e < 4; e++)
                cp_async<4>(tile[stage] + i + e, source + e, inside);
        cp_async_commit();
    }
    cp_async_wait<1>();
    __syncthreads();
    for (int e = 0; e < 4; e++)
        to[i + e] = tile[0][(i + 4 + e) % 128];  // what a neighbour copied
    cp_async_wait<0>();
    __syncthreads();
    for (int e = 0; e < 4; e++)
        to[128 + i + e] = tile[1][(i + 4 + e) % 128];
}

extern "C" __global__ void shared_bytes(int *bytes) {
    bytes[0] = Product<Matrix<ALONG_K>, Matrix<ALONG_K>>::SHARED;
    bytes[1] = Product<Matrix<ALONG_K>, Matrix<ALONG_MN>>::SHARED;
    bytes[2] = Product<Matrix<ALONG_MN>, Matrix<ALONG_K>>::SHARED;
    bytes[3] = Product<Matrix<ALONG_MN>, Matrix<ALONG_MN>>::SHARED;
    bytes[4] = THREADS;
}
