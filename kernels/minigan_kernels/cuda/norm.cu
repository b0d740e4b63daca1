// Normalisation over the middle axis of (S, R, C): batch norm of channels-last images or of tables (S = 1),
// instance norm, layer norm (C = 1); its gradient, and the gradient of that.
//
// Forward: x is read twice, for the statistics and for the result, which is written: 12 bytes an entry,
// and about 15 operations. Backward: x and gy are read twice and gx is written: 20 bytes. A LeakyReLU behind
// it is made in the same passes; its gradient asks for the sign of what it was given, which is worked out
// from x again, by the same operations. Double backward:
// ggx, gy and x are read twice, ggy and gx are written: 32 bytes, and about 35 operations. All are bound by
// memory; the second reading of what fits in the cache is nearly free.
//
// Where a block sees whole columns, one launch does it all. Else the rows are cut into chunks: a first launch
// leaves two sums, or five, for each column of each chunk, and in a second launch each block puts together
// the sums of its columns, and then writes its own chunk.
//
// Squared deviations are from a mean that is close by: those of eight rows in registers from their own mean,
// put together as in Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983,
// equation 2.1. So a large mean does not spoil the variance.

#include "common.cuh"

// The count and the sum of some numbers, and their squared deviations from their mean.
struct Moments {
    float n, sum, squares;
};

__device__ inline Moments operator+(Moments a, Moments b) {
    float n = a.n + b.n;
    if (a.n == 0 || b.n == 0) return a.n == 0 ? b : a;
    float between = b.sum / b.n - a.sum / a.n;
    return {n, a.sum + b.sum, a.squares + b.squares + between * between * (a.n * b.n / n)};
}

// Two sums along a column.
struct Pair {
    float plain, weighted;
};

__device__ inline Pair operator+(Pair a, Pair b) { return {a.plain + b.plain, a.weighted + b.weighted}; }

// Weights belong to what is kept, or to what is reduced. Kept: entry (s, r, c) has the weight
// (s % period) * C + c. Reduced, for period = 0: it has the weight r.
__device__ inline int64 weight_of(const Columns &column, int64 period) {
    return column.s % period * column.C + column.c;
}

// What a column's entries become, of weights of what is kept; then the activation.
struct Affine {
    float shift, scale, offset, slope;

    __device__ Affine(
        const Columns &column, const float *weight, const float *bias, int64 period, float mean, float rstd,
        float slope
    )
        : shift(mean), scale(rstd), offset(0), slope(slope) {
        if (!period || !column.inside) return;
        int64 at = weight_of(column, period);
        if (weight) scale *= weight[at];
        if (bias) offset = bias[at];
    }
    __device__ float operator()(float x) const { return fmaf(x - shift, scale, offset); }
    __device__ float before(float gy, float x) const {  // the activation's gradient
        return slope == 1 ? gy : leaky_backward(gy, (*this)(x), slope);
    }
};

__device__ Moments moments_of_chunk(const float *x, const Columns &column) {
    constexpr int GROUP = 8;
    Moments all = {0, 0, 0};
    for (int64 r = column.from + column.lane; r < column.to; r += GROUP * column.deep) {
        float v[GROUP];
        Moments group = {0, 0, 0};
        for (int i = 0; i < GROUP; ++i) {
            int64 row = r + i * column.deep;
            v[i] = row < column.to ? x[column.at(row)] : 0;
            group.sum += v[i];
            group.n += row < column.to;
        }
        float mean = group.sum / group.n;
        for (int i = 0; i < GROUP; ++i) {
            float deviation = i < group.n ? v[i] - mean : 0;
            group.squares += deviation * deviation;
        }
        all = all + group;
    }
    return all;
}

// partial[chunk, s, c] = the sum and the squared deviations of the rows of a chunk.
extern "C" __global__ void __launch_bounds__(MOST_THREADS, 2) column_moments(
    const float *__restrict__ x, float2 *__restrict__ partial, int64 S, int64 R, int64 C, int wide, int deep,
    int chunks
) {
    __shared__ Moments room[MOST_THREADS];
    Columns column(S, R, C, wide, deep, chunks);
    Moments found = column.together(moments_of_chunk(x, column), room);
    if (column.leads()) partial[column.part(column.chunk)] = make_float2(found.sum, found.squares);
}

// y = leaky((x - mean) / √(var + eps) · weight + bias), mean and var; partial is null where there is one
// chunk.
extern "C" __global__ void __launch_bounds__(MOST_THREADS, 2) normalize(
    const float *__restrict__ x, const float *__restrict__ weight, const float *__restrict__ bias,
    int64 period, const float2 *__restrict__ partial, float *__restrict__ y, float *__restrict__ mean,
    float *__restrict__ var, int64 S, int64 R, int64 C, int wide, int deep, int chunks, float eps, float slope
) {
    __shared__ Moments room[MOST_THREADS];
    Columns column(S, R, C, wide, deep, chunks);
    Moments found = {0, 0, 0};
    if (!partial) found = moments_of_chunk(x, column);
    for (int i = column.lane; partial && column.inside && i < chunks; i += deep) {
        float2 part = partial[column.part(i)];
        float n = column.chunk_start(i + 1) - column.chunk_start(i);
        found = found + Moments{n, part.x, part.y};
    }
    found = column.together(found, room);

    float shift = found.sum / R, variance = found.squares / R;
    if (column.leads() && column.chunk == 0) {
        mean[column.column()] = shift;
        var[column.column()] = variance;
    }
    const Affine affine(column, weight, bias, period, shift, 1 / sqrtf(variance + eps), slope);
#pragma unroll 4
    for (int64 r = column.from + column.lane; r < column.to; r += deep) {
        float v = affine(x[column.at(r)]);
        if (!period && weight) v *= weight[r];
        if (!period && bias) v += bias[r];
        y[column.at(r)] = leaky(v, slope);
    }
}

// running += momentum · (statistic - running), of n means and n variances, these multiplied by `correction`:
// a few thousand numbers, so what it costs is the launch.
extern "C" __global__ void move_statistics(
    float *__restrict__ running_mean, float *__restrict__ running_var, const float *__restrict__ mean,
    const float *__restrict__ var, int64 n, float keep, float momentum, float correction
) {
    for (int64 i = thread_index(); i < n; i += thread_count()) {
        running_mean[i] = keep * running_mean[i] + momentum * mean[i];
        running_var[i] = keep * running_var[i] + momentum * (correction * var[i]);
    }
}

// Σ g and Σ g·ŷ over a chunk: ŷ = (x - mean) · rstd, and g is gy before the activation, times the weight for
// weights of the rows.
__device__ Pair products_of_chunk(
    const float *gy, const float *x, const float *row_weight, const Columns &column, float mean, float rstd,
    const Affine &affine
) {
    return column.sum<Pair, Pair>([&](int64 r) {
        float v = x[column.at(r)], g = affine.before(gy[column.at(r)], v);
        if (row_weight) g *= row_weight[r];
        return Pair{g, g * ((v - mean) * rstd)};
    });
}

// partial[chunk, s, c] = those sums.
extern "C" __global__ void __launch_bounds__(MOST_THREADS, 2) column_products(
    const float *__restrict__ gy, const float *__restrict__ x, const float *__restrict__ weight,
    const float *__restrict__ bias, int64 period, const float *__restrict__ mean,
    const float *__restrict__ var, float2 *__restrict__ partial, int64 S, int64 R, int64 C, int wide,
    int deep, int chunks, float eps, float slope
) {
    __shared__ Pair room[MOST_THREADS];
    Columns column(S, R, C, wide, deep, chunks);
    float m = column.inside ? mean[column.column()] : 0, v = column.inside ? var[column.column()] : 0;
    float rstd = 1 / sqrtf(v + eps);
    const Affine affine(column, weight, bias, period, m, rstd, slope);
    Pair found = products_of_chunk(gy, x, period ? nullptr : weight, column, m, rstd, affine);
    found = column.together(found, room);
    if (column.leads()) partial[column.part(column.chunk)] = make_float2(found.plain, found.weighted);
}

// gx = rstd · (g - Σg/R - ŷ·Σ(g·ŷ)/R), where g is gy before the activation, times the weight. For weights of
// what is kept also sums, of shape (S / period, 2, period · C): Σ g·ŷ and Σ g without the weight, the
// gradients of weight and bias but for a sum over their first axis. partial is null where there is one chunk,
// sums where nobody wants them.
extern "C" __global__ void __launch_bounds__(MOST_THREADS, 2) normalize_backward(
    const float *__restrict__ gy, const float *__restrict__ x, const float *__restrict__ weight,
    const float *__restrict__ bias, int64 period, const float *__restrict__ mean,
    const float *__restrict__ var, const float2 *__restrict__ partial, float *__restrict__ gx,
    float *__restrict__ sums, int64 S, int64 R, int64 C, int wide, int deep, int chunks, float eps,
    float slope
) {
    __shared__ Pair room[MOST_THREADS];
    Columns column(S, R, C, wide, deep, chunks);
    const float *row_weight = period ? nullptr : weight;
    float m = column.inside ? mean[column.column()] : 0, v = column.inside ? var[column.column()] : 0;
    float rstd = 1 / sqrtf(v + eps);
    const Affine affine(column, weight, bias, period, m, rstd, slope);
    Pair found = {0, 0};
    if (!partial) found = products_of_chunk(gy, x, row_weight, column, m, rstd, affine);
    for (int i = column.lane; partial && column.inside && i < chunks; i += deep) {
        float2 part = partial[column.part(i)];
        found = found + Pair{part.x, part.y};
    }
    found = column.together(found, room);

    float plain = found.plain / R, weighted = found.weighted / R;
    if (period && column.inside) {
        int64 at = weight_of(column, period), weights = period * C;
        if (weight) plain += 0 * weight[at];  // an infinite weight leaves nothing but NaN
        if (sums && column.lane == 0 && column.chunk == 0) {
            float *mine = sums + column.s / period * 2 * weights + at;
            mine[0] = found.weighted;
            mine[weights] = found.plain;
        }
    }
#pragma unroll 4
    for (int64 r = column.from + column.lane; r < column.to; r += deep) {
        float v = x[column.at(r)], g = affine.before(gy[column.at(r)], v);
        if (row_weight) g *= row_weight[r];
        gx[column.at(r)] = affine.scale * (g - plain - (v - m) * rstd * weighted);
    }
}

// The gradients of weights of the rows, for C = 1: sums[chunk] = Σ gy·ŷ and Σ gy over a chunk of s, of each
// r. Here the columns run along s: x is (1, S, R).
extern "C" __global__ void __launch_bounds__(MOST_THREADS, 2) row_weight_products(
    const float *__restrict__ gy, const float *__restrict__ x, const float *__restrict__ mean,
    const float *__restrict__ var, float *__restrict__ sums, int64 S, int64 R, int wide, int deep, int chunks,
    float eps
) {
    __shared__ Pair room[MOST_THREADS];
    Columns column(1, S, R, wide, deep, chunks);
    Pair found = column.sum<Pair, Pair>([&](int64 s) {
        float g = gy[column.at(s)];
        return Pair{g, g * ((x[column.at(s)] - mean[s]) * rsqrtf(var[s] + eps))};
    });
    found = column.together(found, room);
    if (column.leads()) {
        float *mine = sums + (int64)column.chunk * 2 * R + column.c;
        mine[0] = found.weighted;
        mine[R] = found.plain;
    }
}

// Double backward, with u for ggx, g = gy · weight and ŷ = (x - mean) · rstd: five sums along a column, of
// u, g, u·g, u·ŷ and g·ŷ.
struct Five {
    float u, g, ug, u_along, g_along;

    __device__ Five over(float n) const { return {u / n, g / n, ug / n, u_along / n, g_along / n}; }
};

__device__ inline Five operator+(Five a, Five b) {
    return {a.u + b.u, a.g + b.g, a.ug + b.ug, a.u_along + b.u_along, a.g_along + b.g_along};
}

// Those of a chunk, with weights of the rows in g, but none of what is kept.
__device__ Five five_of_chunk(
    const float *ggx, const float *gy, const float *x, const float *row_weight, const Columns &column,
    float mean, float rstd
) {
    return column.sum<Five, Five>([&](int64 r) {
        float u = ggx[column.at(r)], g = gy[column.at(r)], normal = (x[column.at(r)] - mean) * rstd;
        if (row_weight) g *= row_weight[r];
        return Five{u, g, u * g, u * normal, g * normal};
    });
}

// partial[chunk, s, c] = those sums.
extern "C" __global__ void __launch_bounds__(MOST_THREADS, 2) column_fives(
    const float *__restrict__ ggx, const float *__restrict__ gy, const float *__restrict__ x,
    const float *__restrict__ weight, int64 period, const float *__restrict__ mean,
    const float *__restrict__ var, Five *__restrict__ partial, int64 S, int64 R, int64 C, int wide, int deep,
    int chunks, float eps
) {
    __shared__ Five room[MOST_THREADS];
    Columns column(S, R, C, wide, deep, chunks);
    float m = column.inside ? mean[column.column()] : 0, v = column.inside ? var[column.column()] : 0;
    Five found = five_of_chunk(ggx, gy, x, period ? nullptr : weight, column, m, 1 / sqrtf(v + eps));
    found = column.together(found, room);
    if (column.leads()) partial[column.part(column.chunk)] = found;
}

// With a bar for the mean of a column, and p = rstd · (u - ū - ŷ·mean(u·ŷ)):
//   ggy = p · weight,
//   gx = -rstd² · (mean(g·ŷ)·(u - ū) + mean(u·ŷ)·(g - ḡ) + ŷ·(mean(u·g) - ū·ḡ - 3·mean(u·ŷ)·mean(g·ŷ))).
// For weights of what is kept also gweight = Σ p·gy, of shape (S / period, period · C), the gradient of
// weight but for a sum over the first axis; for weights of the rows u_means (S), ū and mean(u·ŷ), with
// which `row_weight_seconds` goes on. partial is null where there is one chunk; so is gweight or u_means, or
// both, where nobody wants it.
extern "C" __global__ void __launch_bounds__(MOST_THREADS, 2) normalize_double_backward(
    const float *__restrict__ ggx, const float *__restrict__ gy, const float *__restrict__ x,
    const float *__restrict__ weight, int64 period, const float *__restrict__ mean,
    const float *__restrict__ var, const Five *__restrict__ partial, float *__restrict__ ggy,
    float *__restrict__ gx, float *__restrict__ gweight, float2 *__restrict__ u_means, int64 S, int64 R,
    int64 C, int wide, int deep, int chunks, float eps
) {
    __shared__ Five room[MOST_THREADS];
    Columns column(S, R, C, wide, deep, chunks);
    const float *row_weight = period ? nullptr : weight;
    float m = column.inside ? mean[column.column()] : 0, v = column.inside ? var[column.column()] : 0;
    float rstd = 1 / sqrtf(v + eps);
    Five found = {0, 0, 0, 0, 0};
    if (!partial) found = five_of_chunk(ggx, gy, x, row_weight, column, m, rstd);
    for (int i = column.lane; partial && column.inside && i < chunks; i += deep)
        found = found + partial[column.part(i)];
    Five average = column.together(found, room).over(R);

    float covariance = average.ug - average.u * average.g, both = average.u_along * average.g_along;
    float slope = covariance - 3 * both;
    float to_gy = rstd, to_x = -rstd * rstd;
    int64 at = period && column.inside ? weight_of(column, period) : 0;
    if (period && column.inside && weight) {
        to_gy *= weight[at];
        to_x *= weight[at];
    }
    if (column.leads() && column.chunk == 0) {
        if (gweight) gweight[column.s / period * period * C + at] = R * rstd * (covariance - both);
        if (u_means) u_means[column.s] = make_float2(average.u, average.u_along);
    }
#pragma unroll 4
    for (int64 r = column.from + column.lane; r < column.to; r += deep) {
        float u = ggx[column.at(r)] - average.u, g = gy[column.at(r)];
        float normal = (x[column.at(r)] - m) * rstd, p = u - normal * average.u_along;
        if (row_weight) {
            g *= row_weight[r];
            p *= row_weight[r];
        }
        ggy[column.at(r)] = to_gy * p;
        gx[column.at(r)] =
            to_x * (average.g_along * u + average.u_along * (g - average.g) + normal * slope);
    }
}

// The gradient of weights of the rows in turn, for C = 1: gweight[chunk] = Σ p·gy over a chunk of s, of each
// r, with the u_means that `normalize_double_backward` found. The columns run along s: x is (1, S, R).
extern "C" __global__ void __launch_bounds__(MOST_THREADS, 2) row_weight_seconds(
    const float *__restrict__ ggx, const float *__restrict__ gy, const float *__restrict__ x,
    const float *__restrict__ mean, const float *__restrict__ var, const float2 *__restrict__ u_means,
    float *__restrict__ gweight, int64 S, int64 R, int wide, int deep, int chunks, float eps
) {
    __shared__ float room[MOST_THREADS];
    Columns column(1, S, R, wide, deep, chunks);
    float found = column.sum<float, double>([&](int64 s) {
        float rstd = rsqrtf(var[s] + eps), normal = (x[column.at(s)] - mean[s]) * rstd;
        float2 u = u_means[s];
        return gy[column.at(s)] * (rstd * (ggx[column.at(s)] - u.x - normal * u.y));
    });
    found = column.together(found, room);
    if (column.leads()) gweight[column.part(column.chunk)] = found;
}
