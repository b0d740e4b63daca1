// Philox 4x32-10: random words as a function of a key and a counter, and the numbers made of them.
//
// Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 4. A thread
// makes the four words of one block: ten rounds of two multiplications and four xors, about 30 operations a
// word, and 4 bytes are written for each. Words and uniforms are bound by memory. Normal numbers take a
// logarithm, a root, a sine and a cosine of float64 for each two, so that they are those of the CPU but for
// rounding: about 100 operations of float64 a number, which bind on cards with few such units.
//
// Block i of a launch has the counter `counter + *offset + i`. offset is null, or a number on the device, so
// that the replays of a captured graph draw new numbers.

#include "common.cuh"

struct Words {
    uint32 word[4];

    __device__ Words(uint64 key, uint64 counter) {
        uint32 c0 = (uint32)counter, c1 = (uint32)(counter >> 32), c2 = 0, c3 = 0;
        uint32 k0 = (uint32)key, k1 = (uint32)(key >> 32);
#pragma unroll
        for (int round = 0; round < 10; ++round) {
            uint64 p0 = (uint64)c0 * 0xD2511F53u, p1 = (uint64)c2 * 0xCD9E8D57u;
            c0 = (uint32)(p1 >> 32) ^ c1 ^ k0, c1 = (uint32)p1;
            c2 = (uint32)(p0 >> 32) ^ c3 ^ k1, c3 = (uint32)p0;
            k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;  // the golden ratio and √3 - 1
        }
        word[0] = c0, word[1] = c1, word[2] = c2, word[3] = c3;
    }
};

// out[4i], ..., out[4i + 3], as far as they are among the n, = make(words of block i).
template <class T, class F>
__device__ void fill(T *out, int64 n, uint64 key, uint64 counter, const uint64 *offset, F make) {
    if (offset) counter += *offset;
    for (int64 block = thread_index(); 4 * block < n; block += thread_count()) {
        T four[4];
        make(Words(key, counter + block), four);
        if (4 * block + 4 <= n && (uint64)out % 16 == 0) {
            struct alignas(16) Four {
                T of[4];
            };
            *reinterpret_cast<Four *>(out + 4 * block) = {four[0], four[1], four[2], four[3]};
        } else {
            for (int i = 0; i < 4 && 4 * block + i < n; ++i) out[4 * block + i] = four[i];
        }
    }
}

extern "C" __global__ void philox(
    uint32 *__restrict__ out, int64 n, uint64 key, uint64 counter, const uint64 *__restrict__ offset
) {
    fill(out, n, key, counter, offset, [](const Words &words, uint32 *made) {
        for (int i = 0; i < 4; ++i) made[i] = words.word[i];
    });
}

// In [0, 1): the top 24 bits of a word.
extern "C" __global__ void uniform(
    float *__restrict__ out, int64 n, uint64 key, uint64 counter, const uint64 *__restrict__ offset
) {
    fill(out, n, key, counter, offset, [](const Words &words, float *made) {
        for (int i = 0; i < 4; ++i) made[i] = (float)(words.word[i] >> 8) * 0x1p-24f;
    });
}

// Two from each pair of words: Box, Muller, "A note on the generation of random normal deviates", 1958.
extern "C" __global__ void normal(
    float *__restrict__ out, int64 n, uint64 key, uint64 counter, const uint64 *__restrict__ offset
) {
    fill(out, n, key, counter, offset, [](const Words &words, float *made) {
        for (int i = 0; i < 4; i += 2) {
            double radius = sqrt(-2.0 * log1p(words.word[i] * -0x1p-32));
            double angle = 6.283185307179586 * (words.word[i + 1] * 0x1p-32);
            made[i] = (float)(radius * cos(angle));
            made[i + 1] = (float)(radius * sin(angle));
        }
    });
}
