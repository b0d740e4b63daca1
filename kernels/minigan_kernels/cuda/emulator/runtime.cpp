// Runs the blocks of a launch one after another, each with a fiber for every thread.
//
// A fiber is a stack of its own and a saved stack pointer. It runs until it has to wait, at a barrier or
// for the other lanes of its warp, and then switches back to the scheduler, which turns to the next.
// Nothing ever runs at the same time, so the same launch always does the same; three orders of blocks
// and threads bring out what depends on one.

#include "runtime.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "fiber.h"

using namespace emulated;

// Where this library begins, by the linker.
extern "C" __attribute__((visibility("hidden"))) const char __ehdr_start[];

// What kernels read; const to them.
extern "C" {
Triple threadIdx, blockIdx, blockDim, gridDim;
}

namespace emulated {

State now;

namespace {

constexpr unsigned WARP = 32, MOST_THREADS = 1024;
constexpr size_t STACK = 64 << 10;  // of a fiber, in bytes

// Lanes that give each other values. It is done when every lane of the mask that has not returned came.
struct Exchange {
    const char *what;
    Site at;
    unsigned mask, bytes;
    unsigned came, reading;  // lanes
    bool done;
    uint32_t time;  // when it was
    char *values;   // 32 of them
};

enum Wait { NOTHING, BARRIER, LANES, RETURNED };

struct Copy {
    char *shared;
    const char *global;
    unsigned bytes, filled, group;
    Site at;
};

struct Fiber {
    void *stack_pointer;
    Wait waits_for;
    const char *what;  // it waits at
    Site at;
    Exchange *exchange;  // that it waits for, or reads from
    std::vector<Copy> copies;
    unsigned group;  // of copies, that is open
};

constexpr unsigned EXCHANGES = 2 * WARP;  // of a warp, waiting or being read
constexpr size_t VALUES = 256 * WARP;     // bytes of an exchange

struct Warp {
    unsigned returned;  // lanes that have, or that never were
    Exchange exchanges[EXCHANGES];
};

Fiber fibers[MOST_THREADS];
Warp warps[MOST_THREADS / WARP];
uint32_t lane_ordered[MOST_THREADS];
void *scheduler;
Fault *first_fault;
bool stopped;
char *memory;  // stacks, then values of exchanges

struct Begun {
    uint32_t time;
    Triple block;
};
std::vector<Begun> begun;  // blocks of this launch

// While one lives, a subnormal number that goes into an operation or comes out of one is zero, as on a GPU
// after -ftz=true.
struct Flushed {
#if defined(__x86_64__)
    static constexpr unsigned FLUSH = 0x8000 | 0x0040;  // results | operands
    unsigned before = __builtin_ia32_stmxcsr();
    Flushed() { __builtin_ia32_ldmxcsr(before | FLUSH); }
    ~Flushed() { __builtin_ia32_ldmxcsr(before); }
#elif defined(__aarch64__)
    static constexpr unsigned FLUSH = 1 << 24;
    unsigned before = __builtin_aarch64_get_fpcr();
    Flushed() { __builtin_aarch64_set_fpcr(before | FLUSH); }
    ~Flushed() { __builtin_aarch64_set_fpcr(before); }
#endif
};

char *private_memory() {
    size_t bytes = MOST_THREADS * STACK + MOST_THREADS / WARP * EXCHANGES * VALUES;
    if (!memory) {
        constexpr int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        void *got = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, how, -1, 0);
        if (got == MAP_FAILED) return nullptr;
        memory = static_cast<char *>(got);
    }
    now.private_low = memory, now.private_high = memory + bytes;
    return memory;
}

}  // namespace

Triple place_of(unsigned thread) {
    const Triple &b = now.launch->block;
    return {thread % b.x, thread / b.x % b.y, thread / b.x / b.y};
}

Triple block_at(uint32_t time) {
    auto before = [](uint32_t t, const Begun &b) { return t < b.time; };
    return (std::upper_bound(begun.begin(), begun.end(), time, before) - 1)->block;
}

void check_stack(const char *frame, uintptr_t pc) {
    if (size_t(frame - memory) < now.thread * STACK + STACK / 8)
        fault({}, pc, "its local variables take more than the %zu bytes of its stack", STACK);
}

namespace {

void wait(Wait reason, const char *what, Site at) {
    Fiber &fiber = fibers[now.thread];
    fiber.waits_for = reason, fiber.what = what, fiber.at = at;
    emulated_switch(&fiber.stack_pointer, scheduler);
}

void note_fault(Site at, uintptr_t pc, const char *format, va_list list) {
    vsnprintf(first_fault->says, sizeof first_fault->says, format, list);
    first_fault->block = blockIdx, first_fault->thread = place_of(now.thread);
    first_fault->file = at.file, first_fault->line = at.line;
    first_fault->pc = pc - 1 - reinterpret_cast<uintptr_t>(__ehdr_start);  // pc is where the call returns to
    stopped = true;
}

// Exchanges

unsigned lane() { return now.thread % WARP; }
Warp &warp() { return warps[now.thread / WARP]; }

void stop_reading(unsigned thread) {
    Exchange *&e = fibers[thread].exchange;
    if (e) e->reading &= ~(1u << thread % WARP);
    e = nullptr;
}

// Lanes go on, if all that have to have come.
void finish(Exchange &e, unsigned w) {
    if (e.done || !e.came || (e.came | warps[w].returned | ~e.mask) != ~0u) return;
    e.done = true, e.time = ++now.clock;
    for (unsigned l = 0; l < WARP; l++)
        if (e.came >> l & 1) fibers[w * WARP + l].waits_for = NOTHING;
}

void give_back() {  // when a thread returns
    unsigned w = now.thread / WARP;
    stop_reading(now.thread);
    warps[w].returned |= 1u << lane();
    for (Exchange &e : warps[w].exchanges)
        if (e.came && !e.done) finish(e, w);
}

Exchange &join(const char *what, unsigned mask, unsigned bytes, Site at) {
    Exchange *free = nullptr;
    for (Exchange &e : warp().exchanges) {
        if (e.came && !e.done && e.mask == mask && e.bytes == bytes && !strcmp(e.what, what)) return e;
        if (!e.came || (e.done && !e.reading)) free = &e;
    }
    *free = {what, at, mask, bytes, 0, 0, false, 0, free->values};
    return *free;
}

// One thread, from its first switch to its last.
void run_thread() {
    now.launch->kernel(now.launch->args);
    give_back();
    wait(RETURNED, "", {});
    __builtin_unreachable();
}

void make_fiber(unsigned thread) {
    Fiber &fiber = fibers[thread];
    fiber.waits_for = NOTHING, fiber.exchange = nullptr, fiber.group = 0;
    fiber.copies.clear();
    fiber.stack_pointer = emulated_stack(memory + (thread + 1) * STACK, run_thread);
}

// Scheduling

struct Order {
    std::mt19937 random;
    int kind;
    void arrange(std::vector<unsigned> &items) {
        if (kind == 1) std::reverse(items.begin(), items.end());
        if (kind == 2) std::shuffle(items.begin(), items.end(), random);
    }
};

void turn_to(unsigned thread) {
    now.thread = thread;
    threadIdx = place_of(thread);
    emulated_switch(&scheduler, fibers[thread].stack_pointer);
}

const char *describe(char *text, size_t size, unsigned thread) {
    const Fiber &f = fibers[thread];
    Triple t = place_of(thread);
    const char *file = f.at.file ? strrchr(f.at.file, '/') : nullptr;
    if (f.waits_for == RETURNED)
        snprintf(text, size, "thread (%u, %u, %u) has returned", t.x, t.y, t.z);
    else
        snprintf(text, size, "thread (%u, %u, %u) waits at %s, %s:%d", t.x, t.y, t.z, f.what,
                 file ? file + 1 : f.at.file, f.at.line);
    return text;
}

// A fault that the scheduler finds, while no thread runs.
void stop(Site at, const char *format, ...) {
    va_list list;
    va_start(list, format);
    note_fault(at, 0, format, list);
    va_end(list);
}

bool same(Site a, Site b) { return a.line == b.line && !strcmp(a.file, b.file); }

// All threads wait: at one barrier, which then opens, or for ever, which is a fault.
void open_barrier() {
    Fiber *first = nullptr;
    for (unsigned i = 0; i < now.threads && !first; i++)
        if (fibers[i].waits_for != RETURNED) first = &fibers[i];
    for (unsigned i = 0; i < now.threads; i++) {
        Fiber &f = fibers[i];
        if (f.waits_for == BARRIER && first->waits_for == BARRIER && same(f.at, first->at)) continue;
        char one[256], other[256];
        now.thread = first - fibers;
        describe(one, sizeof one, now.thread);
        if (&f == first) {  // for lanes that do not come
            unsigned missing = f.exchange->mask & ~f.exchange->came & ~warps[now.thread / WARP].returned;
            i = now.thread / WARP * WARP + __builtin_ctz(missing);
        }
        describe(other, sizeof other, i);
        const char *kind = first->waits_for == BARRIER ? "divergent barrier" : "lanes that do not come";
        stop(first->at, "%s: %s, and %s", kind, one, other);
        return;
    }
    now.block_ordered = ++now.clock;
    for (unsigned i = 0; i < now.threads; i++) fibers[i].waits_for = NOTHING;
}

void run_block(Order &order) {
    const Launch &launch = *now.launch;
    now.block_began = now.block_ordered = ++now.clock;
    for (unsigned i = 0; i < now.threads; i++) make_fiber(i), lane_ordered[i] = now.clock;
    for (unsigned w = 0; w * WARP < now.threads; w++) {
        unsigned lanes = std::min(WARP, now.threads - w * WARP);
        warps[w].returned = lanes == WARP ? 0 : ~0u << lanes;
        for (Exchange &e : warps[w].exchanges) e.came = e.reading = 0;
    }
    begun.push_back({now.clock, blockIdx});
    // NaN, if read as floats; the traps are stricter.
    for (int i = 0; i < launch.tile_count; i++) memset(launch.tiles[i].low, 0xff, launch.tiles[i].bytes);
    memset(now.dynamic_shared, 0xff, launch.shared);

    std::vector<unsigned> turns(now.threads);
    for (unsigned i = 0; i < now.threads; i++) turns[i] = i;
    if (order.kind == 1) order.arrange(turns);
    for (bool all_returned = false; !all_returned && !stopped;) {
        bool any_ran = false;
        all_returned = true;
        if (order.kind == 2) order.arrange(turns);
        for (unsigned i : turns) {
            if (fibers[i].waits_for == NOTHING) any_ran = true, turn_to(i);
            if (stopped) return;
            if (fibers[i].waits_for != RETURNED) all_returned = false;
        }
        if (!any_ran && !all_returned) open_barrier();
    }
}

}  // namespace

void fault(Site at, uintptr_t pc, const char *format, ...) {
    va_list list;
    va_start(list, format);
    note_fault(at, pc, format, list);
    va_end(list);
    void *never;
    emulated_switch(&never, scheduler);
    __builtin_unreachable();
}

extern "C" {

void emulated_fault(const char *says, Site at) { fault(at, 0, "%s", says); }

void emulated_barrier(const char *what, Site at) { wait(BARRIER, what, at); }

const void *emulated_exchange(const char *what, unsigned mask, const void *value, unsigned bytes, Site at) {
    stop_reading(now.thread);
    if (!(mask >> lane() & 1))
        fault(at, 0, "%s: lane %u calls it with the mask %#x, in which it is not", what, lane(), mask);
    Exchange &e = join(what, mask, bytes, at);
    memcpy(e.values + lane() * bytes, value, bytes);
    e.came |= 1u << lane(), e.reading |= 1u << lane();
    fibers[now.thread].exchange = &e;
    finish(e, now.thread / WARP);
    if (!e.done) wait(LANES, what, at);
    return e.values;
}

unsigned emulated_lane() { return lane(); }
unsigned emulated_present() { return fibers[now.thread].exchange->came; }
void *emulated_dynamic_shared() { return now.dynamic_shared; }

void emulated_order_warp() { lane_ordered[now.thread] = fibers[now.thread].exchange->time; }

void emulated_atomic(const void *at, unsigned bytes) {
    uintptr_t pc = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
    if (now.launch->watched) traps::atomic(at, bytes, pc);
}

void emulated_async_copy(void *shared, const void *global, unsigned bytes, unsigned filled, Site at) {
    Fiber &f = fibers[now.thread];
    if (now.launch->watched) traps::check_copy(shared, global, bytes, filled, at);
    char *to = static_cast<char *>(shared);
    f.copies.push_back({to, static_cast<const char *>(global), bytes, filled, f.group, at});
}

void emulated_async_commit() { fibers[now.thread].group++; }

void emulated_async_wait(unsigned pending) {
    Fiber &f = fibers[now.thread];
    std::vector<Copy> later;
    for (const Copy &c : f.copies) {
        if (c.group + pending >= f.group) {
            later.push_back(c);
            continue;
        }
        if (now.launch->watched) traps::land_copy(c.shared, c.bytes, c.at);
        memcpy(c.shared, c.global, c.filled);
        memset(c.shared + c.filled, 0, c.bytes - c.filled);
    }
    f.copies = later;
}

// 0 if the launch ran, 1 if it stopped at a fault, 2 if there is no memory for it.
int emulated_launch(const Launch *launch, Fault *found) {
    static std::vector<char> dynamic;
    if (!private_memory()) return 2;
    dynamic.resize(launch->shared + 16);
    now.launch = launch, first_fault = found, stopped = false;
    now.dynamic_shared = dynamic.data() + -reinterpret_cast<uintptr_t>(dynamic.data()) % 16;
    now.threads = launch->block.x * launch->block.y * launch->block.z;
    now.lane_ordered = lane_ordered;
    for (unsigned w = 0; w < MOST_THREADS / WARP; w++)
        for (unsigned i = 0; i < EXCHANGES; i++)
            warps[w].exchanges[i].values = memory + MOST_THREADS * STACK + (w * EXCHANGES + i) * VALUES;
    blockDim = launch->block, gridDim = launch->grid;
    begun.clear();
    if (now.clock >> 31) now.clock = 0, traps::forget();  // long before it runs over
    now.blocks_ordered = ++now.clock;
    if (launch->watched && !traps::begin()) return 2;
    Order order = {std::mt19937(launch->seed), launch->order};
    std::vector<unsigned> turns(size_t(launch->grid.x) * launch->grid.y * launch->grid.z);
    for (unsigned i = 0; i < turns.size(); i++) turns[i] = i;
    order.arrange(turns);
    const Flushed flushed;
    for (unsigned i : turns) {
        const Triple &grid = launch->grid;
        blockIdx = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
        run_block(order);
        if (stopped) break;
    }
    if (launch->watched) traps::end(!stopped);
    return stopped;
}

}  // extern "C"

}  // namespace emulated
