// Where the two operands of a matrix product come from.
//
// A product C[m, n] = sum over k of A[m, k] B[k, n] needs no matrices: it needs to know at which address
// entry (m, k) of A lies, and entry (n, k) of B, or that there is none and a zero stands for it. A loader
// knows that for one operand. With a plain matrix as either operand the product is a matrix product; with
// images and filters it is a convolution, and the matrix of patches that im2col would write, KH*KW times
// as large as the images, is never made ("implicit GEMM": Chetlur et al., "cuDNN", 2014).
//
// A loader is read in chunks of four neighbouring entries, along k or along mn (m or n), whichever is
// contiguous in memory. It has, for the index mn that stays and the index k that walks on,
//     Outer outer(mn)               what is worth computing once for an mn; any mn, also past the end
//     Inner inner(k), Step step(k)  k itself, and a distance to walk
//     advance(inner, step)          the walk, without a division
//     next(outer) or next(inner)    one entry further along the contiguous axis
//     Entry at(outer, inner)        the address, if there is an entry
//     bool vector                   chunks are whole and aligned to 16 bytes
#pragma once
#include "common.cuh"

enum Order { ALONG_K, ALONG_MN };

// Where a number lies. Outside there is none, and the address is any: working out one that will not be
// used is cheaper than choosing.
struct Entry {
    const float *address;
    bool inside;

    __device__ float value() const { return inside ? *address : 0; }
};

// A number in mixed radix, as a clock has hours, minutes and seconds: a pixel is (image, row, column), a
// tap of a filter is (row, column, channel). Splitting one takes two divisions, some 20 instructions
// each. Adding two takes carries alone, so what walks in steps is split once.
struct Digits {
    int high, middle, low;
};

struct Radix {
    int middle, low;  // how many values these digits have, at least 1

    __device__ Digits split(int n) const {
        const int rest = n / low;
        return {rest / middle, rest % middle, n % low};
    }

    __device__ void add(Digits &to, const Digits &step) const {
        to.low += step.low;
        const bool carry = to.low >= low;
        to.low -= carry ? low : 0;
        to.middle += step.middle + carry;
        const bool carry_again = to.middle >= middle;
        to.middle -= carry_again ? middle : 0;
        to.high += step.high + carry_again;
    }
};

// A plain matrix: rows or columns `stride` entries apart.
template <Order ORDER_> struct Matrix {
    static constexpr Order ORDER = ORDER_;
    using Outer = int;
    using Inner = int;
    using Step = int;

    const float *data;
    int extent, depth;  // of mn, of k
    int stride;
    bool vector;

    __device__ int outer(int mn) const { return mn; }
    __device__ int inner(int k) const { return k; }
    __device__ int step(int k) const { return k; }
    __device__ void advance(int &k, int step) const { k += step; }
    __device__ void next(int &contiguous) const { contiguous++; }

    __device__ Entry at(int mn, int k) const {
        const int64 row = ORDER == ALONG_K ? mn : k;
        return {data + row * stride + (ORDER == ALONG_K ? k : mn), mn < extent && k < depth};
    }
};

// One axis of a convolution: which pixels it computes, from which pixels, by which taps.
//
// Output number i, 0 <= i < count, lies at pixel first + every*i. Tap number t, 0 <= t < taps, is row (or
// column) tap_first + tap_every*t of the filter. They meet at the pixel s*i + d*t + q of what is read, if
// that lies inside [0, size).
struct Axis {
    int first, every, count;
    int tap_first, tap_every, taps;
    int s, d, q, size;

    __device__ int output(int i) const { return first + every * i; }
    __device__ int tap(int t) const { return tap_first + tap_every * t; }
    __device__ int window(int i) const { return s * i + q; }  // where the window of output i begins
};

// y[i] = sum over a of x[S*i + D*a - P] w[a]: every output, every tap.
__device__ inline Axis forward_axis(int size, int out, int taps, int S, int P, int D) {
    return {0, 1, out, 0, 1, taps, S, D, -P, size};
}

// The adjoint, gx[h] = sum of gy[i] w[a] over all i, a with S*i + D*a - P = h. A tap needs D*a = h + P
// modulo S, so the pixels h fall into S phases by that remainder, and each phase has its own taps: of a
// 4-tap filter with stride 2, the even pixels see two taps and the odd ones the other two. Inside a phase
// h moves by S as i moves by 1: a convolution of stride 1, with taps that run backwards. Nothing is
// multiplied by the zeros that a "transposed convolution" inserts in textbooks, and no two outputs meet.
__device__ inline Axis input_axis(int phase, int size, int out, int taps, int S, int P, int D) {
    int first = (phase - P) % S;
    first += first < 0 ? S : 0;  // the smallest h >= 0 in this phase
    int every = 1;               // S / gcd(S, D): the taps of one phase are that far apart
    while ((every * D) % S)
        every++;
    int tap = 0;
    while (tap < every && (tap * D) % S != phase)
        tap++;
    const int count = first < size ? (size - first - 1) / S + 1 : 0;
    const int of_phase = tap < every && tap < taps ? (taps - tap - 1) / every + 1 : 0;
    return {first, S, count, tap, every, of_phase, 1, -(every * D) / S, (first + P - tap * D) / S, out};
}

// What a convolution is: x (N, H, W, C), w (O, KH, KW, C/groups), y (N, OH, OW, O), and its window.
#define GEOMETRY                                                                                           \
    int N, int C, int H, int W, int O, int OH, int OW, int KH, int KW, int SH, int SW, int PH, int PW,     \
        int DH, int DW, int groups

// Channels-last images: N of rows x columns pixels, `pitch` entries from one pixel to the next.
struct Images {
    const float *data;
    int rows, columns, pitch;

    __device__ Entry at(int n, int row, int column, int channel) const {
        const bool inside = (unsigned)row < (unsigned)rows && (unsigned)column < (unsigned)columns;
        const unsigned pixel = ((unsigned)n * rows + row) * columns + column;  // fits, if it is inside
        return {data + (int64)pixel * pitch + channel, inside};
    }
};

constexpr int OUTSIDE = -(1 << 30);  // a row that no tap brings back inside

// The patches that a convolution looks at: mn is an output (n, i, j), k is a tap (a, b, channel).
struct Patches {
    static constexpr Order ORDER = ALONG_K;
    struct Outer {
        int n, row, column;
    };
    using Inner = Digits;
    using Step = Digits;

    Images images;
    Axis rows, columns;
    int count;     // of images
    int channels;  // of a group
    bool vector;

    __device__ Radix outputs() const { return {max(rows.count, 1), max(columns.count, 1)}; }
    __device__ Radix taps() const { return {max(columns.taps, 1), channels}; }

    __device__ Outer outer(int mn) const {
        const Digits pixel = outputs().split(mn);
        const int row = pixel.high < count ? rows.window(pixel.middle) : OUTSIDE;
        return {pixel.high, row, columns.window(pixel.low)};
    }
    __device__ Digits inner(int k) const { return taps().split(k); }
    __device__ Digits step(int k) const { return taps().split(k); }
    __device__ void advance(Digits &k, const Digits &step) const { taps().add(k, step); }
    __device__ void next(Digits &k) const { taps().add(k, {0, 0, 1}); }

    __device__ Entry at(const Outer &o, const Digits &k) const {
        const int row = k.high < rows.taps ? o.row + rows.d * k.high : OUTSIDE;
        return images.at(o.n, row, o.column + columns.d * k.middle, k.low);
    }
};

// The same patches the other way about: mn is a tap, k is an output. What a weight gradient sums over.
struct PatchesByTap {
    static constexpr Order ORDER = ALONG_MN;
    using Outer = Digits;
    using Inner = Digits;
    using Step = Digits;

    Images images;
    Axis rows, columns;
    int count;
    int channels;
    bool vector;

    __device__ Radix outputs() const { return {rows.count, columns.count}; }
    __device__ Radix taps() const { return {columns.taps, channels}; }

    __device__ Digits outer(int mn) const { return taps().split(mn); }
    __device__ Digits inner(int k) const { return outputs().split(k); }
    __device__ Digits step(int k) const { return outputs().split(k); }
    __device__ void advance(Digits &k, const Digits &step) const { outputs().add(k, step); }
    __device__ void next(Digits &tap) const { taps().add(tap, {0, 0, 1}); }

    __device__ Entry at(const Digits &tap, const Digits &k) const {
        const bool inside = k.high < count && tap.high < rows.taps;
        const int row = inside ? rows.window(k.middle) + rows.d * tap.high : OUTSIDE;
        return images.at(k.high, row, columns.window(k.low) + columns.d * tap.middle, tap.low);
    }
};

// Filters (O, KH, KW, C) as an input gradient sees them: mn is a channel, k is (a, b, o), a tap of the
// phase and an output channel.
struct Filters {
    static constexpr Order ORDER = ALONG_MN;
    using Outer = int;
    using Inner = Digits;
    using Step = Digits;

    const float *data;
    Axis rows, columns;
    int KH, KW, outputs, channels;
    bool vector;

    __device__ Radix radix() const { return {max(columns.taps, 1), outputs}; }
    __device__ int outer(int mn) const { return mn; }
    __device__ Digits inner(int k) const { return radix().split(k); }
    __device__ Digits step(int k) const { return radix().split(k); }
    __device__ void advance(Digits &k, const Digits &step) const { radix().add(k, step); }
    __device__ void next(int &channel) const { channel++; }

    __device__ Entry at(int channel, const Digits &k) const {
        const int tap = (k.low * KH + rows.tap(k.high)) * KW + columns.tap(k.middle);
        return {data + (int64)tap * channels + channel, channel < channels && k.high < rows.taps};
    }
};
