// One step of each optimiser, in place over flat arrays of n numbers, in `reference`'s order of operations.
//
// Bytes a parameter: SGD 12 (read p and g, write p), with momentum 20; RMSprop 20; Adam 28. For 3 to 15
// operations, so all are bound by memory. Four parameters at a time where all arrays are aligned to 16 bytes.
// The rate is `lr + *held`, where held is null or a number on the device, so that a captured graph takes the
// rate of the day.

#include "common.cuh"

// f(g[i], p[i], state[i], ...) for n entries, which changes all but g.
template <class F, class... State>
__device__ void update(int64 n, const float *g, F f, State *...state) {
    int64 quads = (aligned(g) && ... && aligned(state)) ? n / 4 : 0;
    for (int64 i = thread_index(); i < quads; i += thread_count()) {
        [&](float4 g, auto... v) {
            f(g.x, v.x...), f(g.y, v.y...), f(g.z, v.z...), f(g.w, v.w...);
            ((reinterpret_cast<float4 *>(state)[i] = v), ...);
        }(reinterpret_cast<const float4 *>(g)[i], reinterpret_cast<float4 *>(state)[i]...);
    }
    for (int64 i = 4 * quads + thread_index(); i < n; i += thread_count()) f(g[i], state[i]...);
}

// A weight decay of 0 leaves g as it is, also where p is infinite.
__device__ inline float decayed(float g, float p, float weight_decay) {
    return weight_decay != 0 ? g + weight_decay * p : g;
}

// As a float, rounded as the host rounds a setting.
__device__ inline float rate_of(double lr, const double *held) { return (float)(held ? lr + *held : lr); }

extern "C" __global__ void sgd(
    float *__restrict__ p, const float *__restrict__ g, int64 n, double lr, const double *__restrict__ held,
    float weight_decay
) {
    float rate = rate_of(lr, held);
    update(n, g, [=](float g, float &p) { p -= rate * decayed(g, p, weight_decay); }, p);
}

// share: 1 - dampening. The first step has no buffer yet, and begins it.
extern "C" __global__ void sgd_momentum(
    float *__restrict__ p, const float *__restrict__ g, float *__restrict__ buffer, int64 n, double lr,
    const double *__restrict__ held, float momentum, float share, float weight_decay, int nesterov, int first
) {
    float rate = rate_of(lr, held);
    update(
        n, g,
        [=](float g, float &p, float &b) {
            float d = decayed(g, p, weight_decay);
            b = first ? d : momentum * b + share * d;
            p -= rate * (nesterov ? d + momentum * b : b);
        },
        p, buffer
    );
}

// share: 1 - alpha.
extern "C" __global__ void rmsprop(
    float *__restrict__ p, const float *__restrict__ g, float *__restrict__ square_avg, int64 n, double lr,
    const double *__restrict__ held, float alpha, float share, float eps, float weight_decay
) {
    float rate = rate_of(lr, held);
    update(
        n, g,
        [=](float g, float &p, float &s) {
            float d = decayed(g, p, weight_decay);
            s = alpha * s + share * d * d;
            p -= rate * (d / (sqrtf(s) + eps));
        },
        p, square_avg
    );
}

// The step counts from 1: it is `step + *counted`, where counted is null or a number on the device, which a
// captured graph moves on. Its two corrections are made in float64, once a block, by two warps at a time.
extern "C" __global__ void adam(
    float *__restrict__ p, const float *__restrict__ g, float *__restrict__ exp_avg,
    float *__restrict__ exp_avg_sq, int64 n, int64 step, const int64 *__restrict__ counted, double lr,
    const double *__restrict__ held, double beta1, double beta2, float eps, float weight_decay
) {
    __shared__ float correction[2];
    if (counted) step += *counted;
    if (held) lr += *held;
    if (threadIdx.x == 0) correction[0] = (float)(lr / (1 - pow(beta1, (double)step)));
    if (threadIdx.x == WARP) correction[1] = (float)sqrt(1 - pow(beta2, (double)step));
    __syncthreads();
    float step_size = correction[0], root = correction[1], decay = (float)beta2;
    float share1 = (float)(1 - beta1), share2 = (float)(1 - beta2);
    update(
        n, g,
        [=](float g, float &p, float &m, float &v) {
            float d = decayed(g, p, weight_decay);
            m += share1 * (d - m);
            v = decay * v + share2 * d * d;
            p -= step_size * (m / (sqrtf(v) / root + eps));
        },
        p, exp_avg, exp_avg_sq
    );
}
