// Matrix products: c = leaky(a b + bias), with a (M, K) and b (K, N) as they lie, either of them transposed.
//
// Bytes: 4 (M K + K N + M N) must move at least. Operations: 2 M N K. At 1024^3 that is 12.6 MB and 2.1
// GFLOP, 170 operations a byte: on an H100 (3.3 TB/s; 67, about 400 and about 760 TFLOP/s in FP32, TF32 and
// BF16) bound by the arithmetic in FP32 and TF32, and near the balance in BF16. The product of a layer with
// 64 samples has M = 64: 30 operations a byte, bound by the weights it reads.
//
// How a block makes its tile of c is told in mainloop.cuh. Here: which tile, of which matrices.
//
// Grid: (tiles, parts of the sum, products). Matrices of a batch lie batch_a, batch_b entries apart (0: all
// the same one), those of c M N apart. Of several parts, c is a workspace of as many whole results one after
// the other. `vector`: 1 if chunks of a are aligned, 2 if those of b are, 4 if pairs of c are.
#include "mainloop.cuh"

template <Order ORDER_A, Order ORDER_B>
__device__ void gemm(const float *a, const float *b, const float *bias, float *c, int M, int N, int K,
                     int lda, int ldb, int64 batch_a, int64 batch_b, int slabs_each, int vector,
                     float slope) {
    using A = Matrix<ORDER_A>;
    using B = Matrix<ORDER_B>;
    constexpr bool IS_LAYER = ORDER_B == ALONG_K;  // b is the transpose of a layer's weights
    const Corner tile(M);
    const int64 product = blockIdx.z;
    const A rows{a + product * batch_a, M, K, lda, (vector & 1) != 0};
    const B columns{b + product * batch_b, N, K, ldb, (vector & 2) != 0};
    const Share share(K, slabs_each);
    const Sums sums = Product<A, B>::run(rows, columns, tile.m, tile.n, share.slab, share.slabs);

    c += ((int64)blockIdx.y * gridDim.z + product) * M * N;
    sums.each([&](int i, int j, float v0, float v1) {
        if (tile.m + i < M)
            store_pair(c + (int64)(tile.m + i) * N, tile.n + j, N, v0, v1, vector & 4,
                       IS_LAYER ? bias : nullptr, IS_LAYER ? slope : 1);
    });
}

// "n": rows of the matrix are contiguous, "t": columns are. Where those of b are not, there is no bias and no
// activation: the registers of the main loop are few.
#define GEMM(name, ORDER_A, ORDER_B)                                                                   \
    extern "C" __global__ void __launch_bounds__(THREADS)                                              \
        name(const float *__restrict__ a, const float *__restrict__ b, const float *__restrict__ bias, \
             float *__restrict__ c, int M, int N, int K, int lda, int ldb, int64 batch_a,              \
             int64 batch_b, int slabs_each, int vector, float slope) {                                 \
        gemm<ORDER_A, ORDER_B>(a, b, bias, c, M, N, K, lda, ldb, batch_a, batch_b, slabs_each, vector, \
                               slope);                                                                 \
    }

GEMM(gemm_nn, ALONG_K, ALONG_MN)
GEMM(gemm_nt, ALONG_K, ALONG_K)
GEMM(gemm_tn, ALONG_MN, ALONG_MN)
GEMM(gemm_tt, ALONG_MN, ALONG_K)
