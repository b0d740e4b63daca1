// One block of a matrix product: C[m, n] = sum over k of A[m, k] B[n, k] for BM rows and BN columns of C.
//
// Bytes and operations. A block does 2 BM BN operations for each k, on BM + BN numbers from global memory:
// BM BN / (2 (BM + BN)) operations a byte, 32 for 128 x 128 tiles, 16 for 64 x 64. That is why tiles are
// large, and no larger than leaves a tile for every multiprocessor: C has only M N / (BM BN) of them.
//
// How it goes, from the outside in:
//   block   walks along k in slabs of BK. Each slab of A and B is copied into shared memory, where every
//           number serves BN (or BM) products. STAGES slabs are there at once: while one is multiplied,
//           the next ones are on their way, so that nobody waits for global memory.
//   warp    owns WM x WN of the tile. Its lanes hold the sums in registers; for a few k at a time they
//           fetch a fragment of A and one of B from shared memory, and multiply each row by each column.
//   lane    in FP32: a rectangle of the warp's tile, by fused multiply-adds.
//           in TF32 and BF16: the pieces of 16 x 8 that `mma.sync` gives each lane, by tensor cores.
//
// Precisions. FP32 is true float32. TF32 keeps 11 bits of each factor, BF16 keeps 8; products and sums are
// float32 in all three. Memory holds float32 always: TF32 is rounded as fragments are fetched, BF16 on the
// way to shared memory, which halves what the fragments cost.
//
// Shared memory has 32 banks of 4 bytes; lanes that want different words of one bank wait in turn. Rows are
// padded so that they do not: see `Tile`.
//
// Macros: PRECISION (FP32, TF32 or BF16), BM, BN, WM, WN. `kernels/cuda/tiles.py` picks them.
#pragma once
#include "loaders.cuh"
#include "ptx.cuh"

#define FP32 32
#define TF32 19
#define BF16 16

constexpr int BK = PRECISION == BF16 ? 32 : 16;
constexpr int STAGES = PRECISION == BF16 ? 2 : PRECISION == TF32 ? 4 : 3;
constexpr int THREADS = BM / WM * (BN / WN) * 32;
constexpr int BYTES = PRECISION == BF16 ? 2 : 4;  // of a number in shared memory

// ------------------------------------------------------------------------------------------- copying
//
// SIZE rows of an operand (BM of A, BN of B), slab after slab into shared memory. A thread owns COUNT chunks
// of four neighbours: those in one column of chunks, EVERY rows apart, so that the index along the chunks
// is found once. In FP32 and TF32 the copies are asynchronous. In BF16 they stop over in registers, to be
// rounded: `begin` loads them before the current slab is multiplied, `finish` stores them after.
//
// In shared memory, one of two orders:
//   K_ROWS   a row for each k. What fragments of FP32 want, and what an operand contiguous along mn gives.
//            Rows are padded by 4 words (FP32: they are read by float4), 8 words (TF32: lanes of one
//            fragment read 4 rows, 8 neighbours of each: banks 8 t + g), or 8 BF16 (ldmatrix reads 8 rows
//            of 16 bytes: 4 banks further each).
//   else     a row for each mn, BK numbers and 16 bytes of padding: ldmatrix reads 8 rows of 16 bytes, 20
//            words apart: 0, 20, 8, 28, 16, 4, 24, 12 modulo 32, all different.
template <class Loader, int SIZE> struct Tile {
    static constexpr bool MN_CONTIGUOUS = Loader::ORDER == ALONG_MN;
    static constexpr bool K_ROWS = PRECISION == FP32 || MN_CONTIGUOUS;
    static constexpr int PITCH = K_ROWS ? SIZE + (PRECISION == FP32 ? 4 : 8) : BK + 16 / BYTES;
    static constexpr int STAGE = (K_ROWS ? BK : SIZE) * PITCH * BYTES;  // bytes
    static constexpr int COLUMNS = (MN_CONTIGUOUS ? SIZE : BK) / 4;             // of chunks
    static constexpr int EVERY = THREADS / COLUMNS;
    static constexpr int COUNT = (MN_CONTIGUOUS ? BK : SIZE) / EVERY;
    static_assert(COUNT * EVERY * COLUMNS * 4 == SIZE * BK, "each thread has as many chunks");

    const Loader &loader;
    unsigned char *shared;
    int row, column;  // of the thread's first chunk
    typename Loader::Outer outer[MN_CONTIGUOUS ? 1 : COUNT];
    typename Loader::Inner inner;
    typename Loader::Step step;
    float4 held[PRECISION == BF16 ? COUNT : 1];

    __device__ Tile(const Loader &loader, unsigned char *shared, int mn, int k)
        : loader(loader), shared(shared), row(threadIdx.x / COLUMNS), column(threadIdx.x % COLUMNS * 4),
          inner(loader.inner(k + (MN_CONTIGUOUS ? row : column))),
          step(loader.step(MN_CONTIGUOUS ? EVERY : BK)) {
#pragma unroll
        for (int i = 0; i < (MN_CONTIGUOUS ? 1 : COUNT); i++)
            outer[i] = loader.outer(mn + (MN_CONTIGUOUS ? column : row + i * EVERY));
    }

    __device__ unsigned char *stage(int slab) const { return shared + slab % STAGES * STAGE; }

    __device__ void begin(int slab) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            if constexpr (PRECISION == BF16)
                held[i] = load(outer[MN_CONTIGUOUS ? 0 : i]);
            else
                copy((float *)stage(slab), row + i * EVERY, outer[MN_CONTIGUOUS ? 0 : i]);
            if (MN_CONTIGUOUS)
                loader.advance(inner, step);
        }
        if (!MN_CONTIGUOUS)
            loader.advance(inner, step);
    }

    __device__ void finish(int slab) const {
        if constexpr (PRECISION == BF16) {
#pragma unroll
            for (int i = 0; i < COUNT; i++) {
                const float4 v = held[i];
                const uint2 rounded = make_uint2(to_bf16x2(v.x, v.y), to_bf16x2(v.z, v.w));
                *(uint2 *)(stage(slab) + ((row + i * EVERY) * PITCH + column) * BYTES) = rounded;
            }
        }
    }

    // One chunk to shared memory: turned from a row into a column where the orders differ.
    __device__ void copy(float *stage, int row, const typename Loader::Outer &outer) const {
        constexpr bool TURNED = K_ROWS && !MN_CONTIGUOUS;
        constexpr int NEXT = TURNED ? PITCH : 1;
        float *to = stage + (TURNED ? column * PITCH + row : row * PITCH + column);
        if (!loader.vector) {
            one_by_one(outer, [&](int e, Entry from) {
                cp_async<4>(to + e * NEXT, from.address, from.inside);
            });
            return;
        }
        const Entry from = loader.at(outer, inner);
        if constexpr (TURNED) {
#pragma unroll
            for (int e = 0; e < 4; e++)
                cp_async<4>(to + e * NEXT, from.address + e, from.inside);
        } else {
            cp_async<16>(to, from.address, from.inside);
        }
    }

    __device__ float4 load(const typename Loader::Outer &outer) const {
        if (loader.vector) {
            const Entry from = loader.at(outer, inner);
            return from.inside ? *(const float4 *)from.address : make_float4(0, 0, 0, 0);
        }
        float v[4];
        one_by_one(outer, [&](int e, Entry from) { v[e] = from.value(); });
        return make_float4(v[0], v[1], v[2], v[3]);
    }

    // The four addresses of a chunk that may end, or turn to another pixel or tap, anywhere inside.
    template <class Visit>
    __device__ void one_by_one(typename Loader::Outer outer, const Visit &visit) const {
        typename Loader::Inner k = inner;
#pragma unroll
        for (int e = 0; e < 4; e++) {
            visit(e, loader.at(outer, k));
            if constexpr (MN_CONTIGUOUS)
                loader.next(outer);
            else
                loader.next(k);
        }
    }
};

// --------------------------------------------------------------------------------- float32 by FMA
//
// The lanes of a warp stand in LM rows and LN columns; a lane owns TM x TN of the warp's tile, in runs of
// four: rows 4 (i LM + its row) + 0..3, and columns likewise. For each k it reads TM + TN numbers, as
// float4 that the lanes of one row or column share, and does TM TN multiply-adds.
#if PRECISION == FP32

struct Sums {
    static constexpr int LM = WM == 64 ? 8 : 4, LN = 32 / LM, TM = WM / LM, TN = WN / LN;
    static_assert(TM % 4 == 0 && TN % 4 == 0, "runs of four");
    float c[TM][TN] = {};

    __device__ static int row(int i) {
        return warp_row() + 4 * (i / 4 * LM + threadIdx.x % 32 / LN) + i % 4;
    }
    __device__ static int column(int j) {
        return warp_column() + 4 * (j / 4 * LN + threadIdx.x % LN) + j % 4;
    }
    __device__ static int warp_row() { return threadIdx.x / 32 / (BN / WN) * WM; }
    __device__ static int warp_column() { return threadIdx.x / 32 % (BN / WN) * WN; }

    template <class A, class B> __device__ void add(const A &a, const B &b, int slab) {
        const float *rows = (const float *)a.stage(slab), *columns = (const float *)b.stage(slab);
#pragma unroll
        for (int k = 0; k < BK; k++) {
            float x[TM], y[TN];
#pragma unroll
            for (int i = 0; i < TM; i += 4)
                *(float4 *)(x + i) = *(const float4 *)(rows + k * A::PITCH + row(i));
#pragma unroll
            for (int j = 0; j < TN; j += 4)
                *(float4 *)(y + j) = *(const float4 *)(columns + k * B::PITCH + column(j));
#pragma unroll
            for (int i = 0; i < TM; i++)
#pragma unroll
                for (int j = 0; j < TN; j++)
                    c[i][j] = fmaf(x[i], y[j], c[i][j]);
        }
    }

    // visit(row, column, value, value of the next column), for what this lane holds.
    template <class Visit> __device__ void each(const Visit &visit) const {
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int j = 0; j < TN; j += 2)
                visit(row(i), column(j), c[i][j], c[i][j + 1]);
    }
};

// ------------------------------------------------------------------ TF32 and BF16 by tensor cores
//
// A fragment is 16 rows of an operand by KSTEP along k (8 in TF32, 16 in BF16: 32 bytes either way): four
// matrices of 8 rows by half of k, one in each of four registers. Of A, mma wants them in the order
//     (rows 0-7, first half of k)  (rows 8-15, first half)  (rows 0-7, second)  (rows 8-15, second)
// and of B, two by two neighbours for 8 columns of the result each,
//     (rows 0-7, first half)  (rows 0-7, second)  (rows 8-15, first half)  (rows 8-15, second)
#else

enum Side { OF_A, OF_B };

constexpr int KSTEP = 32 / BYTES;
constexpr int HALF = KSTEP / 2;

template <Side SIDE, class Operand>
__device__ __forceinline__ void fetch(unsigned fragment[4], const unsigned char *stage, int mn, int k) {
    constexpr int PITCH = Operand::PITCH;
    const int lane = threadIdx.x % 32, r = lane % 8, matrix = lane / 8;
    const auto rows_of = [=](int i) { return mn + (SIDE == OF_A ? i % 2 : i / 2) * 8; };
    const auto k_of = [=](int i) { return k + (SIDE == OF_A ? i / 2 : i % 2) * HALF; };
    if constexpr (!Operand::K_ROWS) {  // rows of the matrices are rows of the tile
        ldmatrix(fragment, stage + ((rows_of(matrix) + r) * PITCH + k_of(matrix)) * BYTES);
    } else if constexpr (PRECISION == BF16) {  // rows of the matrices are columns of the tile
        ldmatrix_transposed(fragment, stage + ((k_of(matrix) + r) * PITCH + rows_of(matrix)) * BYTES);
    } else {  // likewise, but ldmatrix transposes 16-bit entries alone
        const unsigned *words = (const unsigned *)stage;
#pragma unroll
        for (int i = 0; i < 4; i++)
            fragment[i] = words[(k_of(i) + lane % 4) * PITCH + rows_of(i) + lane / 4];
    }
    if constexpr (PRECISION == TF32) {
#pragma unroll
        for (int i = 0; i < 4; i++)
            fragment[i] = to_tf32(fragment[i]);
    }
}

struct Sums {
    static constexpr int TM = WM / 16, TN = WN / 16;
    static_assert(WM % 16 == 0 && WN % 16 == 0, "whole fragments");
    float c[TM][2 * TN][4] = {};

    __device__ static int warp_row() { return threadIdx.x / 32 / (BN / WN) * WM; }
    __device__ static int warp_column() { return threadIdx.x / 32 % (BN / WN) * WN; }

    template <class A, class B> __device__ void add(const A &a, const B &b, int slab) {
#pragma unroll
        for (int k = 0; k < BK; k += KSTEP) {
            unsigned x[TM][4], y[TN][4];
#pragma unroll
            for (int i = 0; i < TM; i++)
                fetch<OF_A, A>(x[i], a.stage(slab), warp_row() + 16 * i, k);
#pragma unroll
            for (int j = 0; j < TN; j++)
                fetch<OF_B, B>(y[j], b.stage(slab), warp_column() + 16 * j, k);
#pragma unroll
            for (int i = 0; i < TM; i++)
#pragma unroll
                for (int j = 0; j < 2 * TN; j++) {
                    const unsigned *of = y[j / 2] + j % 2 * 2;
                    if constexpr (PRECISION == BF16)
                        mma_bf16(c[i][j], x[i], of[0], of[1]);
                    else
                        mma_tf32(c[i][j], x[i], of[0], of[1]);
                }
        }
    }

    template <class Visit> __device__ void each(const Visit &visit) const {
        const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int lower = 0; lower < 2; lower++)
#pragma unroll
                for (int j = 0; j < 2 * TN; j++)
                    visit(warp_row() + 16 * i + 8 * lower + g, warp_column() + 8 * j + 2 * t,
                          c[i][j][2 * lower], c[i][j][2 * lower + 1]);
    }
};

#endif

// ---------------------------------------------------------------------------------------- the loop
//
// There is one barrier a slab. Past it, every thread's copies of this slab are there, and nobody still reads
// the slab before, whose place the copy that begins now will take.
template <class A, class B> struct Product {
    using TileA = Tile<A, BM>;
    using TileB = Tile<B, BN>;
    static constexpr int SHARED = STAGES * (TileA::STAGE + TileB::STAGE);  // bytes; tiles.py knows it too

    // The sums of rows m.. and columns n.., over `slabs` slabs from number `slab` on.
    __device__ static Sums run(const A &a, const B &b, int m, int n, int slab, int slabs) {
        DYNAMIC_SHARED(unsigned char, shared);
        TileA rows(a, shared, m, slab * BK);
        TileB columns(b, shared + STAGES * TileA::STAGE, n, slab * BK);
        Sums sums;
#pragma unroll
        for (int i = 0; i < STAGES - 1; i++) {
            if (i < slabs) {
                rows.begin(i), columns.begin(i);
                rows.finish(i), columns.finish(i);
            }
            cp_async_commit();
        }
        for (int i = 0; i < slabs; i++) {
            cp_async_wait<STAGES - 2>();
            __syncthreads();
            const int ahead = i + STAGES - 1;
            if (ahead < slabs)
                rows.begin(ahead), columns.begin(ahead);
            cp_async_commit();
            sums.add(rows, columns, i);
            if (ahead < slabs)
                rows.finish(ahead), columns.finish(ahead);
        }
        return sums;
    }
};

// -------------------------------------------------------------------------------------- the results

// Which tile of C is that of block x, of the tiles of M rows, columns of tiles one after the other.
struct Corner {
    int m, n;

    __device__ Corner(int M) {
        const int down = (M + BM - 1) / BM;
        m = blockIdx.x % down * BM;
        n = blockIdx.x / down * BN;
    }
};

// The share of block y in a sum that gridDim.y blocks make together ("split-K"): a weight gradient has few
// tiles and a long sum. Each block writes its part, `sum_parts` (parts.cu) adds them in order.
struct Share {
    int slab, slabs;

    __device__ Share(int depth, int slabs_each) {
        const int all = (depth + BK - 1) / BK;
        slab = min((int)blockIdx.y * slabs_each, all);
        slabs = min(slabs_each, all - slab);
    }
};

// Two neighbours of a row of C, of which there are N columns, with what a layer does to its results, while
// they are in registers: `bias`, or null, has one number a column, and `slope` is that of an activation.
__device__ __forceinline__ void store_pair(float *row, int n, int N, float v0, float v1, bool vector,
                                           const float *bias = nullptr, float slope = 1) {
    if (n >= N)
        return;
    if (bias) {
        v0 += bias[n];
        v1 += n + 1 < N ? bias[n + 1] : 0;
    }
    v0 = leaky(v0, slope);
    v1 = leaky(v1, slope);
    if (vector) {  // rows begin at even addresses, and N is even
        *(float2 *)(row + n) = make_float2(v0, v1);
    } else {
        row[n] = v0;
        if (n + 1 < N)
            row[n + 1] = v1;
    }
}
