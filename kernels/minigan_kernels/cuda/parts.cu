// The end of a sum that several blocks made together: result[i] = leaky(sum over s of parts[s][i] + bias).
//
// Bytes: 4 (parts + 1) for each of `total` entries, no other kernel could move fewer; one addition each.
// Parts are added in their order, so a result does not depend on which block came first. An entry of
// column i % columns gets bias[i % columns], if there is a bias.
#include "common.cuh"

extern "C" __global__ void sum_parts(const float *__restrict__ parts, const float *__restrict__ bias,
                                     float *__restrict__ result, int64 total, int count, int columns,
                                     float slope) {
    for (int64 i = thread_index(); i < total; i += thread_count()) {
        double all = 0;
        for (int first = 0; first < count; first += RUN) {
            float run = 0;
            for (int s = first; s < min(count, first + RUN); s++)
                run += parts[s * total + i];
            all += run;
        }
        const float sum = all;
        result[i] = leaky(bias ? sum + bias[i % columns] : sum, slope);
    }
}
