// Convolution and its two adjoints as matrix products whose patches are never written down.
//
//                 rows m                columns n          sum over k              C[m, n]
//   forward       outputs (n, i, j)     output channels    taps (a, b, c)          y
//   input         inputs (n, h, w)      input channels     taps (a, b, o)          gx
//   weight        output channels       taps (a, b, c)     outputs (n, i, j)       gw
//
// Operations: 2 N OH OW O C/G KH KW each, whatever the stride: an input gradient multiplies nothing by
// inserted zeros, for its inputs are dealt into SH*SW phases (loaders.cuh), blocks of one launch.
// Bytes: the images, the filters and the results, once, 4 each: 64 -> 128 channels, 16x16 -> 8x8, kernel 4,
// batch 128 is 2.1 GFLOP on 8.4 + 0.5 + 4.2 MB, 164 operations a byte. An image is read KH KW / (SH SW)
// times by every column of tiles, but from the caches.
//
// Images are channels-last (N, H, W, C), filters (O, KH, KW, C/G). Results are all written, zeros included.
// Grid: (tiles, parts of the sum, phases * groups). Of several parts, the result is a workspace of as many
// whole results one after the other. `vector` as in gemm.cu.
#include "mainloop.cuh"

// y = conv2d(x, w): patches of x, rows along k, by filters, rows along k.
extern "C" __global__ void __launch_bounds__(THREADS)
    conv_forward(const float *__restrict__ x, const float *__restrict__ w, float *__restrict__ y, GEOMETRY,
                 int slabs_each, int vector) {
    using A = Patches;
    using B = Matrix<ALONG_K>;
    const int group = blockIdx.z;
    const int CG = C / groups, OG = O / groups, K = KH * KW * CG, M = N * OH * OW;
    const Corner tile(M);
    const Axis rows = forward_axis(H, OH, KH, SH, PH, DH), columns = forward_axis(W, OW, KW, SW, PW, DW);
    const A patches{{x + group * CG, H, W, C}, rows, columns, N, CG, (vector & 1) != 0};
    const B filters{w + (int64)group * OG * K, OG, K, K, (vector & 2) != 0};
    const Share share(K, slabs_each);
    const Sums sums = Product<A, B>::run(patches, filters, tile.m, tile.n, share.slab, share.slabs);

    y += (int64)blockIdx.y * M * O + group * OG;
    sums.each([&](int i, int j, float v0, float v1) {
        if (tile.m + i < M)
            store_pair(y + (int64)(tile.m + i) * O, tile.n + j, OG, v0, v1, vector & 4);
    });
}

// gx = conv2d_input(gy, w), the transposed convolution: for each phase, patches of gy by the filters of
// that phase, rows along n. A phase without taps (a stride larger than the kernel) is zeros.
extern "C" __global__ void __launch_bounds__(THREADS)
    conv_input(const float *__restrict__ gy, const float *__restrict__ w, float *__restrict__ gx, GEOMETRY,
                 int slabs_each, int vector) {
    using A = Patches;
    using B = Filters;
    const int group = blockIdx.z % groups, phase = blockIdx.z / groups;
    const int CG = C / groups, OG = O / groups;
    const Axis rows = input_axis(phase / SW, H, OH, KH, SH, PH, DH);
    const Axis columns = input_axis(phase % SW, W, OW, KW, SW, PW, DW);
    const int M = N * rows.count * columns.count, K = rows.taps * columns.taps * OG;
    const Corner tile(N * ((H + SH - 1) / SH) * ((W + SW - 1) / SW));
    if (tile.m >= M)  // a phase may have a row or a column of pixels less than another
        return;
    const A patches{{gy + group * OG, OH, OW, O}, rows, columns, N, OG, (vector & 1) != 0};
    const B filters{w + (int64)group * OG * KH * KW * CG, rows, columns, KH, KW, OG, CG, (vector & 2) != 0};
    const Share share(K, slabs_each);
    const Sums sums = Product<A, B>::run(patches, filters, tile.m, tile.n, share.slab, share.slabs);

    gx += (int64)blockIdx.y * N * H * W * C + group * CG;
    const Radix radix = patches.outputs();
    sums.each([&](int i, int j, float v0, float v1) {
        if (tile.m + i < M) {
            const Digits at = radix.split(tile.m + i);
            const int64 pixel = (at.high * H + rows.output(at.middle)) * W + columns.output(at.low);
            store_pair(gx + pixel * C, tile.n + j, CG, v0, v1, vector & 4);
        }
    });
}

// gw = conv2d_weight(x, gy): gy, rows along m, by patches of x, rows along n. One block is enough for a
// multiprocessor: to fit in two, the compiler would move registers to memory and back in the main loop.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
    conv_weight(const float *__restrict__ x, const float *__restrict__ gy, float *__restrict__ gw, GEOMETRY,
                 int slabs_each, int vector) {
    using A = Matrix<ALONG_MN>;
    using B = PatchesByTap;
    const int group = blockIdx.z;
    const int CG = C / groups, OG = O / groups, taps = KH * KW * CG, K = N * OH * OW;
    const Corner tile(OG);
    const Axis rows = forward_axis(H, OH, KH, SH, PH, DH), columns = forward_axis(W, OW, KW, SW, PW, DW);
    const A gradients{gy + group * OG, OG, K, O, (vector & 1) != 0};
    const B patches{{x + group * CG, H, W, C}, rows, columns, N, CG, (vector & 2) != 0};
    const Share share(K, slabs_each);
    const Sums sums = Product<A, B>::run(gradients, patches, tile.m, tile.n, share.slab, share.slabs);

    gw += ((int64)blockIdx.y * O + group * OG) * taps;
    sums.each([&](int i, int j, float v0, float v1) {
        if (tile.m + i < OG)
            store_pair(gw + (int64)(tile.m + i) * taps, tile.n + j, taps, v0, v1, vector & 4);
    });
}
