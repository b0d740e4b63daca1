// Sums over the middle axis of (S, R, C): of bias gradients, of losses, of gradients along broadcast axes;
// and the root of the sum of squares of each row, which is the norm in a gradient penalty.
//
// A sum reads 4 bytes for each addition, so it is bound by memory: a thread keeps up to eight loads in
// flight. Where there are too few columns to fill a GPU, their rows are cut into chunks, and a second
// launch of the same kernel adds up the chunks. No atomics: the order, and so the result, is fixed.

#include "common.cuh"

// y[chunk, s, c] = scale · Σ x[s, r, c] over the rows of the chunk.
extern "C" __global__ void sum_columns(
    const float *__restrict__ x, float *__restrict__ y, int64 S, int64 R, int64 C, int wide, int deep,
    int chunks, float scale
) {
    __shared__ float room[MOST_THREADS];
    Columns column(S, R, C, wide, deep, chunks);
    float sum = column.sum<float, double, 8>([&](int64 r) { return x[column.at(r)]; });
    sum = column.together(sum, room);
    if (column.leads()) y[column.part(column.chunk)] = scale * sum;
}

// g = the gradient before a LeakyReLU, of gy behind it, y being its value; and sums[chunk, s, c] = Σ g over
// the rows of the chunk: the gradient of a bias before it. Reads gy and y, writes g: 12 bytes an entry.
extern "C" __global__ void bias_leaky_relu_backward(
    const float *__restrict__ gy, const float *__restrict__ y, float *__restrict__ g,
    float *__restrict__ sums, int64 S, int64 R, int64 C, int wide, int deep, int chunks, float slope
) {
    __shared__ float room[MOST_THREADS];
    Columns column(S, R, C, wide, deep, chunks);
    float sum = column.sum<float, double>([&](int64 r) {
        float v = leaky_backward(gy[column.at(r)], y[column.at(r)], slope);
        g[column.at(r)] = v;
        return v;
    });
    sum = column.together(sum, room);
    if (column.leads()) sums[column.part(column.chunk)] = sum;
}

// y[s] = √(Σ x[s, r]² + eps): reads x once, one block or less a row.
extern "C" __global__ void row_norms(
    const float *__restrict__ x, float *__restrict__ y, int64 S, int64 R, int wide, int deep, float eps
) {
    __shared__ float room[MOST_THREADS];
    Columns row(S, R, 1, wide, deep, 1);
    float sum = row.sum<float, double, 8>([&](int64 r) { return x[row.at(r)] * x[row.at(r)]; });
    sum = row.together(sum, room);
    if (row.leads()) y[row.s] = sqrtf(sum + eps);
}

// gx[s, r] = gy[s] / y[s] · x[s, r]: reads x and writes gx.
extern "C" __global__ void row_norms_backward(
    const float *__restrict__ gy, const float *__restrict__ x, const float *__restrict__ y,
    float *__restrict__ gx, int64 S, int64 R, int wide, int deep, int chunks
) {
    Columns row(S, R, 1, wide, deep, chunks);
    float scale = row.inside ? gy[row.s] / y[row.s] : 0;
#pragma unroll 4
    for (int64 r = row.from + row.lane; r < row.to; r += deep) gx[row.at(r)] = scale * x[row.at(r)];
}
