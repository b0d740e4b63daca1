// What the two halves of the emulator share: runtime.cpp runs threads, traps.cpp watches their memory.

#pragma once

#include <cstddef>
#include <cstdint>

namespace emulated {

struct Site {
    const char *file;
    int line;
};

struct Triple {
    unsigned x, y, z;
};

// An array among the arguments of a launch. `data` is where element 0 lies, and `low` to `high` all that
// its elements span; `slot` is where the kernel finds its address.
struct Array {
    const char *name, *type;
    int itemsize, writable;
    char *data, *low, *high;
    void **slot;
};

// An array of static shared memory.
struct Tile {
    const char *name;
    char *low;
    size_t bytes;
};

struct Launch {
    void (*kernel)(void **args);
    void **args;
    Triple grid, block;
    size_t shared;
    int order;  // of blocks and threads: 0 forward, 1 backward, 2 shuffled
    unsigned seed;
    int watched;
    Array *arrays;
    int array_count;
    Tile *tiles;
    int tile_count;
};

// The first fault of a launch: in words, and where in the code.
struct Fault {
    char says[1024];
    Triple block, thread;
    const char *file;
    int line;
    uintptr_t pc;  // in the library; of use where there is no file
};

// Stop the launch: the calling thread is never run again. It was at a line, or else at an address.
[[noreturn]] void fault(Site at, uintptr_t pc, const char *format, ...) __attribute__((format(printf, 3, 4)));

// State of the launch that runs, for both halves.
struct State {
    const Launch *launch;
    unsigned threads;         // in a block
    unsigned thread;          // the one that runs
    char *dynamic_shared;
    char *private_low, *private_high;  // stacks, and what lanes exchange: nobody's business
    uint32_t clock;           // of barriers: each one begins an interval
    uint32_t block_began;     // the first interval of the block that runs
    uint32_t blocks_ordered;  // what other blocks did before that interval is over
    uint32_t block_ordered;   // what happened before it is over for all threads of this one
    uint32_t *lane_ordered;   // by thread: the same, between it and the lanes of its warp
};
extern State now;

Triple place_of(unsigned thread);  // its threadIdx
Triple block_at(uint32_t time);    // the block that ran at that time of the clock
void check_stack(const char *frame, uintptr_t pc);

// The watch over memory, in traps.cpp.
namespace traps {
bool begin();          // of a launch; false if there is no memory
void forget();         // what is known of shared memory
void end(bool keep);  // and write to the arrays what the kernel wrote
void check_copy(void *shared, const void *global, unsigned bytes, unsigned filled, Site at);
void land_copy(void *shared, unsigned bytes, Site at);
void atomic(const void *at, unsigned bytes, uintptr_t pc);
}  // namespace traps

}  // namespace emulated
