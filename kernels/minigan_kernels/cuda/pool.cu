// Pooling of channels-last images, and the adjoint of each kind; copies of pixels, which is upsampling.
//
// A thread makes one number of the result: neighbours make neighbouring channels of a pixel, so a warp
// reads and writes whole lines of memory. Each number is read from memory once, and again from the cache
// where windows overlap, and each result is written once. Max pooling also writes 8 bytes of position for
// each. Operations: one for each pixel of a window, and three divisions to find the place, in 32 bits where
// the images are small enough for it (WIDE=0). The adjoints gather: a pixel looks for the windows that it is
// in, so nothing is added in an order that may change. Sums over a row of a window go to float64 by runs.

#include "common.cuh"

#if WIDE
using place = int64;
#else
using place = int;
#endif

struct Window {
    int KH, KW, SH, SW, PH, PW;  // kernel, stride and padding, rows first
};

// Number i of an array (N, H, W, C).
struct Spot {
    place n, h, w, c;

    __device__ Spot(place i, int H, int W, int C) {
        c = i % C, i /= C;
        w = i % W, i /= W;
        h = i % H, n = i / H;
    }
};

__device__ inline int larger(int a, int b) { return a > b ? a : b; }
__device__ inline int smaller(int a, int b) { return a < b ? a : b; }

// Σ of(h, w) over a rectangle.
template <class Of> __device__ inline double sum_over(int top, int bottom, int left, int right, Of of) {
    double all = 0;
    for (int h = top; h < bottom; ++h) {
        for (int first = left; first < right; first += RUN) {
            float run = 0;
#pragma unroll 2  // of more, the places need more registers than a large block has
            for (int w = first; w < smaller(first + RUN, right); ++w) run += of(h, w);
            all += run;
        }
    }
    return all;
}

// The windows that pixel i lies in along one axis are `first` to `last`, of `n`.
struct Covering {
    int first, last;

    __device__ Covering(int i, int K, int S, int P, int n)
        : first(larger(0, (i + P - K + S) / S)), last(smaller(n - 1, (i + P) / S)) {}
};

// y (N, OH, OW, C): the largest of each window of x (N, H, W, C), and its position h * W + w; the first of
// equals. A NaN is larger than any number.
extern "C" __global__ void max_pool2d(
    const float *__restrict__ x, float *__restrict__ y, int64 *__restrict__ index, int64 entries, int H,
    int W, int C, int OH, int OW, int KH, int KW, int SH, int SW, int PH, int PW
) {
    for (place i = thread_index(); i < entries; i += thread_count()) {
        Spot out(i, OH, OW, C);
        int top = out.h * SH - PH, left = out.w * SW - PW;
        int first_row = larger(top, 0), first_column = larger(left, 0);
        const float *image = x + out.n * H * W * C + out.c;
        place found = (place)first_row * W + first_column;
        float best = image[found * C];
        for (int h = first_row; h < smaller(top + KH, H); ++h) {
            for (int w = first_column; w < smaller(left + KW, W); ++w) {
                place here = (place)h * W + w;
                float v = image[here * C];
                if (v > best || (v != v && best == best)) best = v, found = here;
            }
        }
        y[i] = best;
        index[i] = found;
    }
}

// y (N, P, C) = x (N, pixels, C) at the positions `index` (N, P, C). A position that no pixel has gives NaN.
extern "C" __global__ void pixels_gather(
    const float *__restrict__ x, const int64 *__restrict__ index, float *__restrict__ y, int64 entries,
    int pixels, int P, int C
) {
    for (place i = thread_index(); i < entries; i += thread_count()) {
        place c = i % C, n = i / C / P;
        int64 at = index[i];
        y[i] = at >= 0 && at < pixels ? x[(n * pixels + at) * C + c] : not_a_number();
    }
}

// x (N, H, W, C): pixel h * W + w gets the numbers of y (N, OH, OW, C) whose position it is. The positions
// are those of a max pooling, so only the windows over the pixel can name it.
extern "C" __global__ void pixels_scatter_windows(
    const float *__restrict__ y, const int64 *__restrict__ index, float *__restrict__ x, int64 entries, int H,
    int W, int C, int OH, int OW, int KH, int KW, int SH, int SW, int PH, int PW
) {
    for (place i = thread_index(); i < entries; i += thread_count()) {
        Spot pixel(i, H, W, C);
        Covering rows(pixel.h, KH, SH, PH, OH), columns(pixel.w, KW, SW, PW, OW);
        int64 position = (int64)pixel.h * W + pixel.w;
        x[i] = sum_over(rows.first, rows.last + 1, columns.first, columns.last + 1, [&](int h, int w) {
            place at = ((pixel.n * OH + h) * OW + w) * C + pixel.c;
            return index[at] == position ? y[at] : 0.0f;
        });
    }
}

// The same for any positions: one thread goes through all P of a channel of an image, in order. x is
// (N, pixels, C), in float64, since all may meet; y and index are (N, P, C); a position that no pixel has makes
// the channel NaN.
extern "C" __global__ void pixels_scatter(
    const float *__restrict__ y, const int64 *__restrict__ index, double *__restrict__ x, int64 channels,
    int pixels, int P, int C
) {
    for (place i = thread_index(); i < channels; i += thread_count()) {
        place c = i % C, n = i / C;
        double *image = x + n * pixels * C + c;
        for (place p = 0; p < pixels; ++p) image[p * C] = 0;
        for (place p = 0; p < P; ++p) {
            int64 at = index[(n * P + p) * C + c];
            if (at >= 0 && at < pixels) image[at * C] += y[(n * P + p) * C + c];
            else image[0] = not_a_number();
        }
    }
}

// y (N, OH, OW, C) = the sum of each window of x (N, H, W, C), over `count`.
extern "C" __global__ void avg_pool2d(
    const float *__restrict__ x, float *__restrict__ y, int64 entries, int H, int W, int C, int OH, int OW,
    int KH, int KW, int SH, int SW, int PH, int PW, float count
) {
    for (place i = thread_index(); i < entries; i += thread_count()) {
        Spot out(i, OH, OW, C);
        int top = out.h * SH - PH, left = out.w * SW - PW;
        const float *image = x + out.n * H * W * C + out.c;
        float sum = sum_over(larger(top, 0), smaller(top + KH, H), larger(left, 0), smaller(left + KW, W),
                             [&](int h, int w) { return image[((place)h * W + w) * C]; });
        y[i] = sum / count;
    }
}

// x (N, H, W, C) = the sum of the windows of y (N, OH, OW, C) over each pixel, over `count`.
extern "C" __global__ void avg_pool2d_input(
    const float *__restrict__ y, float *__restrict__ x, int64 entries, int H, int W, int C, int OH, int OW,
    int KH, int KW, int SH, int SW, int PH, int PW, float count
) {
    for (place i = thread_index(); i < entries; i += thread_count()) {
        Spot pixel(i, H, W, C);
        Covering rows(pixel.h, KH, SH, PH, OH), columns(pixel.w, KW, SW, PW, OW);
        float sum = sum_over(rows.first, rows.last + 1, columns.first, columns.last + 1, [&](int h, int w) {
            return y[((pixel.n * OH + h) * OW + w) * C + pixel.c];
        });
        x[i] = sum / count;
    }
}
