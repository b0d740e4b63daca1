// The instructions that CUDA C++ has no word for, each wrapped in a function of one idea.
//
// Beside every piece of inline PTX stands its twin for the emulator: the same result from plain C++,
// down to which lane holds which number. Where a layout matters it is drawn as the PTX ISA has it, with
//     g = lane / 4, 0 to 7      t = lane % 4, 0 to 3
#pragma once
#include "common.cuh"

// ------------------------------------------------------------------------------------------ cp.async
//
// Copies from global to shared memory that pass no register, and run while the thread goes on. Copies
// since the last commit are a group; a wait lets at most the N latest groups be unfinished. A thread waits
// for its own copies: the others' are there after a __syncthreads. Cards before sm_80 copy at once.

// 4 or 16 bytes, which both ends are aligned to; zeros unless `inside`, and then `from` is not looked at.
template <int BYTES> __device__ __forceinline__ void cp_async(float *to, const float *from, bool inside) {
    static_assert(BYTES == 4 || BYTES == 16, "4 bytes by way of the L1 cache, 16 past it");
#if defined(MINIGAN_EMULATED)
    emulated::async_copy(to, from, BYTES, inside ? BYTES : 0);
#elif __CUDA_ARCH__ >= 800
    const unsigned address = __cvta_generic_to_shared(to);
    const int bytes = inside ? BYTES : 0;
    if constexpr (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                     :: "r"(address), "l"(from), "r"(bytes) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
                     :: "r"(address), "l"(from), "r"(bytes) : "memory");
#else
    for (int i = 0; i < BYTES / 4; i++)
        to[i] = inside ? from[i] : 0;
#endif
}

__device__ __forceinline__ void cp_async_commit() {
#if defined(MINIGAN_EMULATED)
    emulated::async_commit();
#elif __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int PENDING> __device__ __forceinline__ void cp_async_wait() {
#if defined(MINIGAN_EMULATED)
    emulated::async_wait(PENDING);
#elif __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" :: "n"(PENDING) : "memory");
#endif
}

// ----------------------------------------------------------------------------------------- rounding

// float32 to TF32, 8 bits of exponent and 10 of mantissa: to nearest, ties away from zero. The result is
// a float32 whose lower 13 bits are zero.
__device__ __forceinline__ unsigned to_tf32(unsigned bits) {
#if defined(MINIGAN_EMULATED)
    const bool finite = (bits & 0x7f800000) != 0x7f800000;
    return finite ? (bits + 0x1000) & ~0x1fffu : bits & 0x7fffff ? 0x7fffe000 : bits;
#elif __CUDA_ARCH__ >= 800
    unsigned rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(bits)));
    return rounded;
#else
    return bits;
#endif
}

#ifdef MINIGAN_EMULATED
inline unsigned emulated_bf16(float x) {
    unsigned bits;
    memcpy(&bits, &x, 4);
    if (x != x)
        return 0x7fff;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
#endif

// Two float32 to BF16, float32's upper 16 bits: to nearest, ties to even. `low` goes to the lower half of
// the word, which comes first in memory.
__device__ __forceinline__ unsigned to_bf16x2(float low, float high) {
#if defined(MINIGAN_EMULATED)
    return emulated_bf16(low) | emulated_bf16(high) << 16;
#elif __CUDA_ARCH__ >= 800
    unsigned both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
#else
    return 0;
#endif
}

// ----------------------------------------------------------------------------------------- ldmatrix
//
// Four matrices of 8 rows of 16 bytes from shared memory, by the whole warp at once. Lane l gives the
// address of row l % 8 of matrix l / 8, aligned to 16 bytes. Matrix i goes to to[i] of every lane:
//
//     plain:       row g, word t:                      four bytes of one row
//     transposed:  of 16-bit entries, (row 2t, column g) in the lower half, (row 2t + 1, column g) in
//                  the upper: two entries below each other
//
// To the instruction an entry has 16 bits, but a word is a word: the plain form also deals out rows of
// four float32.

__device__ __forceinline__ void ldmatrix(unsigned to[4], const void *row) {
#if defined(MINIGAN_EMULATED)
    const void *const *rows = emulated::warp_exchange(row);
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++)
        to[i] = static_cast<const unsigned *>(rows[8 * i + g])[t];
#elif __CUDA_ARCH__ >= 750
    const unsigned address = __cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
#endif
}

__device__ __forceinline__ void ldmatrix_transposed(unsigned to[4], const void *row) {
#if defined(MINIGAN_EMULATED)
    const void *const *rows = emulated::warp_exchange(row);
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) {
        const unsigned low = static_cast<const unsigned short *>(rows[8 * i + 2 * t])[g];
        const unsigned high = static_cast<const unsigned short *>(rows[8 * i + 2 * t + 1])[g];
        to[i] = low | high << 16;
    }
#elif __CUDA_ARCH__ >= 750
    const unsigned address = __cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
#endif
}

// ---------------------------------------------------------------------------------------------- mma
//
// D = A B + D on the tensor cores, by the whole warp at once: D is 16 x 8 in float32,
//
//     d[0], d[1]:  row g,      columns 2t, 2t + 1
//     d[2], d[3]:  row g + 8,  columns 2t, 2t + 1

#ifdef MINIGAN_EMULATED
inline float emulated_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

struct EmulatedFragments {
    unsigned a[4], b[2];
};
#endif

// A 16 x 8, B 8 x 8, in TF32: the lower 13 bits of an entry are not looked at.
//
//     a[0] (g, t)   a[1] (g + 8, t)   a[2] (g, t + 4)   a[3] (g + 8, t + 4)      as (row, k)
//     b[0] (t, g)   b[1] (t + 4, g)                                              as (k, column)
__device__ __forceinline__ void mma_tf32(float d[4], const unsigned a[4], unsigned b0, unsigned b1) {
#if defined(MINIGAN_EMULATED)
    const EmulatedFragments mine{{a[0], a[1], a[2], a[3]}, {b0, b1}}, *of = emulated::warp_exchange(mine);
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) {
        const int column = 2 * t + i % 2, lower = i / 2;
        for (int k = 0; k < 8; k++) {
            const unsigned x = of[4 * g + k % 4].a[lower + 2 * (k / 4)], y = of[4 * column + k % 4].b[k / 4];
            d[i] += emulated_float(x & ~0x1fffu) * emulated_float(y & ~0x1fffu);
        }
    }
#elif __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

// A 16 x 16, B 16 x 8, in BF16, two neighbours along k to a word, the first in the lower half.
//
//     a[0] (g, 2t..)   a[1] (g + 8, 2t..)   a[2] (g, 2t + 8..)   a[3] (g + 8, 2t + 8..)
//     b[0] (2t.., g)   b[1] (2t + 8.., g)
__device__ __forceinline__ void mma_bf16(float d[4], const unsigned a[4], unsigned b0, unsigned b1) {
#if defined(MINIGAN_EMULATED)
    const EmulatedFragments mine{{a[0], a[1], a[2], a[3]}, {b0, b1}}, *of = emulated::warp_exchange(mine);
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) {
        const int column = 2 * t + i % 2, lower = i / 2;
        for (int k = 0; k < 16; k++) {
            const int owner = k % 8 / 2, later = k / 8, shift = k % 2 * 16;
            const unsigned x = of[4 * g + owner].a[lower + 2 * later] >> shift;
            const unsigned y = of[4 * column + owner].b[later] >> shift;
            d[i] += emulated_float(x << 16) * emulated_float(y << 16);
        }
    }
#elif __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}
