// CUDA C++ as C++17: what a .cu finds built in, for g++. Included before the .cu itself.
//
// The words of the language, vector types, threadIdx and its kin, mathematics; barriers and what the
// lanes of a warp tell each other; and three primitives for the emulated twins of inline PTX:
//
//   const Fragment *of = emulated::warp_exchange(Fragment{...});
//       every lane of the warp gives a value and sees those of all 32, of[0] to of[31], until it next
//       takes part in an exchange or a shuffle. What mma.sync and ldmatrix are made of.
//   emulated::async_copy(shared, global, bytes, filled), async_commit(), async_wait(n)
//       cp.async: `filled` of `bytes` bytes are copied and the rest are zeros, not before the wait that
//       lets at most the n latest groups go on. Until then the destination must not be touched.
//   emulated::dynamic_shared()
//       the block's dynamic shared memory.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

// Words of the language.

#define __global__
#define __device__
#define __host__
#define __constant__ const
#define __shared__ static thread_local  // which the linker lays apart, so that the traps can find it
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

// Vector types, aligned as on the GPU.

#define EMULATED_VECTORS(scalar, name, wide)                                                      \
    struct alignas(2 * sizeof(scalar)) name##2 { scalar x, y; };                                  \
    struct name##3 { scalar x, y, z; };                                                           \
    struct alignas(wide) name##4 { scalar x, y, z, w; };                                          \
    inline name##2 make_##name##2(scalar x, scalar y) { return {x, y}; }                          \
    inline name##3 make_##name##3(scalar x, scalar y, scalar z) { return {x, y, z}; }             \
    inline name##4 make_##name##4(scalar x, scalar y, scalar z, scalar w) { return {x, y, z, w}; }

EMULATED_VECTORS(float, float, 16)
EMULATED_VECTORS(double, double, 16)
EMULATED_VECTORS(int, int, 16)
EMULATED_VECTORS(unsigned, uint, 16)
EMULATED_VECTORS(short, short, 8)
EMULATED_VECTORS(unsigned short, ushort, 8)
EMULATED_VECTORS(unsigned char, uchar, 4)
#undef EMULATED_VECTORS

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

// Where a thread is. They are const here, and set by the runtime whenever it turns to another thread.

extern "C" {
extern const uint3 threadIdx, blockIdx;
extern const dim3 blockDim, gridDim;
}
constexpr int warpSize = 32;

// What the runtime does: see runtime.cpp. A `Site` is the line of the .cu that calls.

namespace emulated {

struct Site {
    const char *file;
    int line;
    Site(const char *file = __builtin_FILE(), int line = __builtin_LINE()) : file(file), line(line) {}
};

extern "C" {
[[noreturn]] void emulated_fault(const char *says, Site at);
void emulated_barrier(const char *what, Site at);
const void *emulated_exchange(const char *what, unsigned mask, const void *value, unsigned bytes, Site at);
unsigned emulated_lane();
unsigned emulated_present();
void *emulated_dynamic_shared();
void emulated_order_warp();
void emulated_atomic(const void *at, unsigned bytes);
void emulated_async_copy(void *shared, const void *global, unsigned bytes, unsigned filled, Site at);
void emulated_async_commit();
void emulated_async_wait(unsigned pending);
}

constexpr unsigned ALL_LANES = 0xffffffff;

inline void *dynamic_shared() { return emulated_dynamic_shared(); }

template <typename T>
const T *exchange(const char *what, unsigned mask, const T &value, Site at) {
    static_assert(sizeof(T) <= 256, "at most 256 bytes a lane");
    return static_cast<const T *>(emulated_exchange(what, mask, &value, sizeof(T), at));
}

template <typename T>
const T *warp_exchange(const T &value, Site at = Site()) {
    return exchange("warp_exchange", ALL_LANES, value, at);
}

inline void async_copy(void *shared, const void *global, unsigned bytes, unsigned filled, Site at = Site()) {
    emulated_async_copy(shared, global, bytes, filled, at);
}
inline void async_copy(void *shared, const void *global, unsigned bytes, Site at = Site()) {
    emulated_async_copy(shared, global, bytes, bytes, at);
}
inline void async_commit() { emulated_async_commit(); }
inline void async_wait(unsigned pending) { emulated_async_wait(pending); }

// The value that lane `source` gave; `source` has to be among those that gave one.
template <typename T>
T from(const T *values, int source, const char *missing, Site at) {
    if (!(emulated_present() >> source & 1)) emulated_fault(missing, at);
    return values[source];
}

}  // namespace emulated

// Barriers. That of a warp orders its lanes' memory; shuffles and votes do not.

inline void __syncthreads(emulated::Site at = emulated::Site()) {
    emulated::emulated_barrier("__syncthreads", at);
}

inline void __syncwarp(unsigned mask = emulated::ALL_LANES, emulated::Site at = emulated::Site()) {
    emulated::exchange("__syncwarp", mask, char(), at);
    emulated::emulated_order_warp();
}

inline void __threadfence() {}
inline void __threadfence_block() {}

// Shuffles and votes.

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, emulated::Site at = emulated::Site()) {
    const T *values = emulated::exchange("__shfl_sync", mask, value, at);
    int first = emulated::emulated_lane() & ~(width - 1);
    return emulated::from(values, first + (source & (width - 1)),
                          "__shfl_sync reads a lane that takes no part in it", at);
}

template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 emulated::Site at = emulated::Site()) {
    const T *values = emulated::exchange("__shfl_up_sync", mask, value, at);
    unsigned lane = emulated::emulated_lane();
    if ((lane & (width - 1)) < delta) return value;
    return emulated::from(values, lane - delta, "__shfl_up_sync reads a lane that takes no part in it", at);
}

template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   emulated::Site at = emulated::Site()) {
    const T *values = emulated::exchange("__shfl_down_sync", mask, value, at);
    unsigned lane = emulated::emulated_lane();
    if ((lane & (width - 1)) + delta >= unsigned(width)) return value;
    return emulated::from(values, lane + delta, "__shfl_down_sync reads a lane that takes no part in it", at);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, emulated::Site at = emulated::Site()) {
    const T *values = emulated::exchange("__shfl_xor_sync", mask, value, at);
    int lane = emulated::emulated_lane(), source = lane ^ bits;
    if (source > (lane | (width - 1))) return value;
    return emulated::from(values, source, "__shfl_xor_sync reads a lane that takes no part in it", at);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, emulated::Site at = emulated::Site()) {
    const char *votes = emulated::exchange("__ballot_sync", mask, char(predicate != 0), at);
    unsigned ballot = 0, present = emulated::emulated_present();
    for (int lane = 0; lane < 32; lane++)
        if (present >> lane & 1) ballot |= unsigned(votes[lane]) << lane;
    return ballot;
}

inline int __any_sync(unsigned mask, int predicate, emulated::Site at = emulated::Site()) {
    return __ballot_sync(mask, predicate, at) != 0;
}

inline int __all_sync(unsigned mask, int predicate, emulated::Site at = emulated::Site()) {
    return __ballot_sync(mask, !predicate, at) == 0;
}

// Atomics. One thread runs at a time, so that plain code is atomic by itself.

#define EMULATED_ATOMIC(name, changed)                                                              \
    template <typename T>                                                                           \
    __attribute__((noinline, no_sanitize("thread"))) T name(T *at, std::common_type_t<T> value) {   \
        emulated::emulated_atomic(at, sizeof(T));                                                   \
        T before = *at;                                                                             \
        *at = changed;                                                                              \
        return before;                                                                              \
    }
EMULATED_ATOMIC(atomicAdd, before + value)
EMULATED_ATOMIC(atomicSub, before - value)
EMULATED_ATOMIC(atomicExch, value)
EMULATED_ATOMIC(atomicMin, before < value ? before : value)
EMULATED_ATOMIC(atomicMax, before > value ? before : value)
EMULATED_ATOMIC(atomicAnd, before & value)
EMULATED_ATOMIC(atomicOr, before | value)
EMULATED_ATOMIC(atomicXor, before ^ value)
EMULATED_ATOMIC(atomicInc, before >= value ? 0 : before + 1)
#undef EMULATED_ATOMIC

template <typename T>
__attribute__((noinline, no_sanitize("thread"))) T atomicCAS(T *at, std::common_type_t<T> expected,
                                                             std::common_type_t<T> value) {
    emulated::emulated_atomic(at, sizeof(T));
    T before = *at;
    if (before == expected) *at = value;
    return before;
}

// Mathematics that <cmath> lacks. The quick forms (__expf) are as exact here as the others.

template <typename A, typename B>
std::common_type_t<A, B> min(A a, B b) {
    std::common_type_t<A, B> x = a, y = b;
    if constexpr (std::is_floating_point_v<decltype(x)>) return std::fmin(x, y);
    else return y < x ? y : x;
}

template <typename A, typename B>
std::common_type_t<A, B> max(A a, B b) {
    std::common_type_t<A, B> x = a, y = b;
    if constexpr (std::is_floating_point_v<decltype(x)>) return std::fmax(x, y);
    else return x < y ? y : x;
}

template <typename To, typename From>
To emulated_bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline unsigned __float_as_uint(float x) { return emulated_bits<unsigned>(x); }
inline int __float_as_int(float x) { return emulated_bits<int>(x); }
inline float __uint_as_float(unsigned x) { return emulated_bits<float>(x); }
inline float __int_as_float(int x) { return emulated_bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulated_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emulated_bits<double>(x); }

inline int __float2int_rn(float x) { return int(std::rint(x)); }
inline int __float2int_rz(float x) { return int(x); }
inline float __int2float_rn(int x) { return float(x); }
inline float __uint2float_rn(unsigned x) { return float(x); }
inline float __double2float_rn(double x) { return float(x); }

inline int __mulhi(int a, int b) { return int((long long)a * b >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }

inline float rsqrtf(float x) { return float(1 / std::sqrt(double(x))); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline float sinpif(float x) { return float(std::sin(M_PI * std::fmod(double(x), 2.0))); }
inline float cospif(float x) { return float(std::cos(M_PI * std::fmod(double(x), 2.0))); }
inline void sincospif(float x, float *s, float *c) { *s = sinpif(x), *c = cospif(x); }
inline float fdividef(float a, float b) { return a / b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __saturatef(float x) { return x > 0 ? x < 1 ? x : 1 : 0; }  // 0 for NaN, as on the GPU
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
#define __expf expf  // macros: glibc keeps functions of these names for itself
#define __logf logf
#define __log2f log2f
#define __exp10f exp10f
#define __powf powf
#define __sinf sinf
#define __cosf cosf
#define __sincosf sincosf

template <typename T>
T __ldg(const T *at) {
    return *at;
}

// How the runtime calls a kernel, and what it can ask about its parameters.

namespace emulated {

struct Parameter {
    const char *type;  // of the scalar, or of what a pointer points to: "f4", "i8", ...; "" for a struct
    int pointer, constant;
};

template <typename T>
constexpr const char *type_name() {
    constexpr bool real = std::is_floating_point_v<T>, natural = std::is_unsigned_v<T>;
    constexpr int kind = real ? 0 : natural ? 1 : 2;
    constexpr const char *names[3][4] = {
        {"", "", "f4", "f8"}, {"u1", "u2", "u4", "u8"}, {"i1", "i2", "i4", "i8"}};
    if constexpr (!std::is_arithmetic_v<T>) return "";
    else return names[kind][sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3];
}

template <typename T>
constexpr Parameter parameter() {
    using Pointee = std::remove_pointer_t<T>;
    return {type_name<std::remove_cv_t<Pointee>>(), std::is_pointer_v<T>,
            std::is_pointer_v<T> && std::is_const_v<Pointee>};
}

#define EMULATED_UNWATCHED __attribute__((noinline, no_sanitize("thread", "undefined")))

template <typename... T, size_t... I>
EMULATED_UNWATCHED void call(void (*kernel)(T...), void **args, std::index_sequence<I...>) {
    kernel(*static_cast<T *>(args[I])...);
}

template <typename... T>
EMULATED_UNWATCHED void call(void (*kernel)(T...), void **args) {
    call(kernel, args, std::index_sequence_for<T...>());
}

template <typename... T>
EMULATED_UNWATCHED const Parameter *parameters(void (*)(T...), int *count) {
    static const Parameter all[sizeof...(T) + 1] = {parameter<T>()...};
    *count = sizeof...(T);
    return all;
}

}  // namespace emulated

#define EMULATED_EXPORT extern "C" EMULATED_UNWATCHED

#define EMULATED_KERNEL(name, parameter_names)                                                      \
    EMULATED_EXPORT void emulated_call_##name(void **args) { emulated::call(name, args); }          \
    EMULATED_EXPORT const char *emulated_names_##name() { return parameter_names; }                 \
    EMULATED_EXPORT const emulated::Parameter *emulated_parameters_##name(int *count) {             \
        return emulated::parameters(name, count);                                                   \
    }

// Static shared memory is thread-local, and the linker knows how far each array lies from this.
#define EMULATED_TILES                                   \
    static thread_local char emulated_origin_of_tiles;   \
    EMULATED_EXPORT char *emulated_origin() { return &emulated_origin_of_tiles; }
