// Softmax and its logarithm along the middle axis of (S, R, C), their gradients, and cross entropy.
//
// Forward: x is read for the maximum, for the sum of exponentials, and for the result, which is written: 8
// bytes an entry of the memory's and 8 of the cache's, for two exponentials (about 30 operations). A column
// is the business of one block. Backward: gy and y are read twice, gx is written: 12 bytes.
// Cross entropy reads the logits and writes one number a row; its gradient reads and writes them.

#include "common.cuh"

struct Largest {
    __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

// The shift and the sum with which softmax is e^(x - shift) / sum. A NaN is no maximum, but makes the sum
// NaN; so does an infinite maximum, as in the definition. room: shared, one number for each thread.
struct Softmax {
    float shift, sum;

    __device__ Softmax(const float *x, const Columns &column, float *room) {
        shift = -infinity();
#pragma unroll 4
        for (int64 r = column.lane; r < column.to; r += column.deep) shift = fmaxf(shift, x[column.at(r)]);
        shift = column.together(shift, room, Largest());
        sum = column.sum<float, double>([&](int64 r) { return expf(x[column.at(r)] - shift); });
        sum = column.together(sum, room);
    }
};

extern "C" __global__ void softmax(
    const float *__restrict__ x, float *__restrict__ y, int64 S, int64 R, int64 C, int wide, int deep
) {
    __shared__ float room[MOST_THREADS];
    Columns column(S, R, C, wide, deep, 1);
    Softmax p(x, column, room);
#pragma unroll 4
    for (int64 r = column.lane; r < column.to; r += deep)
        y[column.at(r)] = expf(x[column.at(r)] - p.shift) / p.sum;
}

extern "C" __global__ void log_softmax(
    const float *__restrict__ x, float *__restrict__ y, int64 S, int64 R, int64 C, int wide, int deep
) {
    __shared__ float room[MOST_THREADS];
    Columns column(S, R, C, wide, deep, 1);
    Softmax p(x, column, room);
    float log_sum = logf(p.sum);
#pragma unroll 4
    for (int64 r = column.lane; r < column.to; r += deep)
        y[column.at(r)] = x[column.at(r)] - p.shift - log_sum;
}

// gx = y·(gy - Σ gy·y), y = softmax x.
extern "C" __global__ void softmax_backward(
    const float *__restrict__ gy, const float *__restrict__ y, float *__restrict__ gx, int64 S, int64 R,
    int64 C, int wide, int deep
) {
    __shared__ float room[MOST_THREADS];
    Columns column(S, R, C, wide, deep, 1);
    float sum = column.sum<float, double>([&](int64 r) { return gy[column.at(r)] * y[column.at(r)]; });
    sum = column.together(sum, room);
#pragma unroll 4
    for (int64 r = column.lane; r < column.to; r += deep)
        gx[column.at(r)] = y[column.at(r)] * (gy[column.at(r)] - sum);
}

// gx = gy - e^y·Σ gy, y = log softmax x.
extern "C" __global__ void log_softmax_backward(
    const float *__restrict__ gy, const float *__restrict__ y, float *__restrict__ gx, int64 S, int64 R,
    int64 C, int wide, int deep
) {
    __shared__ float room[MOST_THREADS];
    Columns column(S, R, C, wide, deep, 1);
    float sum = column.sum<float, double>([&](int64 r) { return gy[column.at(r)]; });
    sum = column.together(sum, room);
#pragma unroll 4
    for (int64 r = column.lane; r < column.to; r += deep)
        gx[column.at(r)] = gy[column.at(r)] - expf(y[column.at(r)]) * sum;
}

// A label that is no column of its row picks NaN, and not the memory beyond.

// y[s] = log Σ e^x[s, r] - x[s, label[s]].
extern "C" __global__ void cross_entropy(
    const float *__restrict__ x, const int64 *__restrict__ labels, float *__restrict__ y, int64 S, int64 R,
    int wide, int deep
) {
    __shared__ float room[MOST_THREADS];
    Columns row(S, R, 1, wide, deep, 1);
    Softmax p(x, row, room);
    if (!row.leads()) return;
    int64 label = labels[row.s];
    float picked = label >= 0 && label < R ? x[row.at(label)] : not_a_number();
    y[row.s] = logf(p.sum) - (picked - p.shift);
}

// gx[s, r] = gy[s] · (softmax(x[s])[r] - (r is the label)).
extern "C" __global__ void cross_entropy_backward(
    const float *__restrict__ gy, const float *__restrict__ x, const int64 *__restrict__ labels,
    float *__restrict__ gx, int64 S, int64 R, int wide, int deep
) {
    __shared__ float room[MOST_THREADS];
    Columns row(S, R, 1, wide, deep, 1);
    Softmax p(x, row, room);
    float g = row.inside ? gy[row.s] : 0;
    int64 label = row.inside ? labels[row.s] : 0;
    if (label < 0 || label >= R) g = not_a_number();
#pragma unroll 4
    for (int64 r = row.lane; r < row.to; r += deep)
        gx[row.at(r)] = g * (expf(x[row.at(r)] - p.shift) / p.sum - (r == label));
}
