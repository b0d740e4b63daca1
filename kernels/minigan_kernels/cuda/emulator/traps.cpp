// Watches what kernels do to memory.
//
// Arrays are copied into memory of their own for the launch, far apart, so that a step beyond the end of
// one never lands in another. Every four bytes of them, and of shared memory, have a Cell that says who
// last wrote and read them, and when; time counts barriers. Two accesses of which one writes, by two
// threads with no barrier in between, are a race, whatever the order they happened to run in.

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "access.h"

namespace emulated::traps {

// Bytes are bits of a mask: 1, 2, 4, 8.
struct Cell {
    uint32_t write_time, read_time;
    uint16_t writer, reader;  // threads of the block of that time
    uint8_t written;          // bytes, by `writer` at `write_time`
    uint8_t filled;           // bytes that anyone wrote since the block began
    uint8_t read;             // bytes
    bool many : 1, many_warps : 1;  // readers besides `reader`, with no barrier in between
    bool in_flight : 1;             // an asynchronous copy goes there
};

// A stretch of memory that a kernel may use.
struct Region {
    char *low, *high;
    Cell *cells;  // of the word of `low`
    const Array *array;    // or shared memory:
    const char *name;
};

namespace {

// Arrays that overlap lie together.
struct Island {
    char *original, *end, *copy;
    bool writable;
};

// Where this library begins and ends, by the linker.
extern "C" __attribute__((visibility("hidden"))) const char __ehdr_start[], _end[];

constexpr size_t SEA = 1 << 20, PAGE = 4096, WORD = 4;  // bytes

std::vector<Region> regions;
std::vector<Island> islands;
std::vector<Cell> shared_cells;
char *arena;
size_t arena_bytes, cells_bytes;
Cell *arena_cells;
size_t latest;  // region

char *map(size_t bytes) {
    constexpr int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *got = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, how, -1, 0);
    return got == MAP_FAILED ? nullptr : static_cast<char *>(got);
}

Cell *cell_of(const Region &r, const char *at) {
    return r.cells + (uintptr_t(at) / WORD - uintptr_t(r.low) / WORD);
}

size_t up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Words for a fault

struct Text {
    char text[256];
    operator const char *() const { return text; }
};

const Region *nearest(const char *at) {
    const Region *best = nullptr;
    auto distance = [at](const Region &r) { return at < r.low ? r.low - at : at - r.high; };
    for (const Region &r : regions)
        if (!best || distance(r) < distance(*best)) best = &r;
    return best && distance(*best) < ptrdiff_t(SEA) ? best : nullptr;
}

// "x[12]", or for shared memory, whose type nobody knows, "byte 48 of tile".
Text name(const Region &r, const char *at) {
    Text t;
    if (r.array) {
        long bytes = at - r.array->data, size = r.array->itemsize, index = bytes / size, rest = bytes % size;
        if (rest < 0) index--, rest += size;
        int n = snprintf(t.text, sizeof t.text, "%s[%ld]", r.array->name, index);
        if (rest) snprintf(t.text + n, sizeof t.text - n, " and %ld bytes", rest);
    } else {
        snprintf(t.text, sizeof t.text, "byte %ld of %s", long(at - r.low), r.name);
    }
    return t;
}

Text thread_name(unsigned thread, uint32_t time) {
    Text t;
    Triple p = place_of(thread);
    int n = snprintf(t.text, sizeof t.text, "thread (%u, %u, %u)", p.x, p.y, p.z);
    if (time < now.block_began) {
        Triple b = block_at(time);
        snprintf(t.text + n, sizeof t.text - n, " of block (%u, %u, %u)", b.x, b.y, b.z);
    }
    return t;
}

}  // namespace

#define FAULT(...) fault(site, pc, __VA_ARGS__)

void Access::nowhere() const {
    if (uintptr_t(at) < PAGE) FAULT("%s %u bytes at a null pointer", verb(), bytes);
    const Region *r = nearest(at);
    if (!r) FAULT("%s %u bytes at %p, far from any argument", verb(), bytes, at);
    const char *side = at < r->low ? "before its beginning" : "beyond its end";
    if (r->array)
        FAULT("out of bounds: %s %u bytes at %s, %s (%ld elements of %s)", verb(), bytes,
              (const char *)name(*r, at), side, long(r->high - r->low) / r->array->itemsize, r->array->type);
    FAULT("out of bounds: %s %u bytes at %s, %s (shared, %ld bytes)", verb(), bytes,
          (const char *)name(*r, at), side, long(r->high - r->low));
}

namespace {

// Whether what `other` did at `time` is over for the thread that runs.
bool over(uint32_t time, unsigned other, bool several_warps = false) {
    if (time < now.block_began) return time < now.blocks_ordered;
    if (time < now.block_ordered) return true;
    return !several_warps && other / 32 == now.thread / 32 && time < now.lane_ordered[now.thread];
}

}  // namespace

void Access::check_cell(const Region &r, Cell &c, uint8_t mask, const char *at) const {
    const bool mine = c.write_time >= now.block_began && c.writer == now.thread;
    if (!r.array) {
        if (c.write_time < now.block_began) c.written = c.filled = c.in_flight = 0;  // another block's memory
        if (c.read_time < now.block_began) c.read = c.many = c.many_warps = 0;
        if (c.in_flight)
            FAULT("%s %s, where an asynchronous copy of %s goes on that has not been waited for", verb(),
                  (const char *)name(r, at), (const char *)thread_name(c.writer, c.write_time));
        if (!writes && (c.filled & mask) != mask)
            FAULT("reads %s, which no thread has written", (const char *)name(r, at));
    }
    if (c.written & mask && !mine && !over(c.write_time, c.writer))
        FAULT("race: %s %s, which %s writes with no barrier in between", verb(), (const char *)name(r, at),
              (const char *)thread_name(c.writer, c.write_time));

    const bool alone = c.read_time >= now.block_began && c.reader == now.thread && !c.many;
    const bool readers_over = over(c.read_time, c.reader, c.many_warps) && (c.many || !alone);
    if (!writes) {
        if (readers_over || !c.read) {
            c.read = 0, c.many = c.many_warps = false;
        } else if (!alone) {
            c.many = true;
            c.many_warps |= c.reader / 32 != now.thread / 32 || c.read_time < now.block_began;
        }
        c.read |= mask, c.reader = now.thread, c.read_time = now.clock;
        return;
    }
    if (c.read & mask && !alone && !readers_over) {
        const bool other = c.reader != now.thread || c.read_time < now.block_began;
        FAULT("race: writes %s, which %s reads with no barrier in between", (const char *)name(r, at),
              other ? (const char *)thread_name(c.reader, c.read_time) : "another thread");
    }
    c.written = mine && c.write_time == now.clock ? c.written | mask : mask;
    c.filled |= mask;
    c.in_flight = false;
    c.writer = now.thread, c.write_time = now.clock;
}

void Access::check_races(const Region &r) const {
    const char *word = reinterpret_cast<const char *>(uintptr_t(at) & ~(WORD - 1));
    Cell *c = cell_of(r, at);
    for (; word < at + bytes; word += WORD, c++) {
        unsigned from = std::max(at, word) - word, to = std::min(at + bytes, word + WORD) - word;
        check_cell(r, *c, (1u << to) - (1u << from), word + from);
    }
}

void Access::check() const {
    if (size_t(at - now.private_low) < size_t(now.private_high - now.private_low)) return;
    auto holds = [this](const Region &r) { return at >= r.low && at + bytes <= r.high; };
    if (!holds(regions[latest])) {
        size_t i = 0;
        while (i < regions.size() && !holds(regions[i])) i++;
        if (i == regions.size()) {
            if (at >= __ehdr_start && at < _end) return;  // constants
            nowhere();
        }
        latest = i;
    }
    const Region *r = &regions[latest];
    if (writes && r->array && !r->array->writable) {
        for (const Region &other : regions)
            if (holds(other) && other.array && other.array->writable) r = &other;
        if (!r->array->writable) FAULT("writes %s, which is const", (const char *)name(*r, at));
    }
    check_races(*r);
}

static void check_aligned(const void *at, unsigned bytes, Site site) {
    if (uintptr_t(at) % bytes)
        fault(site, 0, "misaligned: an asynchronous copy of %u bytes at %p", bytes, at);
}

bool begin() {
    const Launch &launch = *now.launch;
    regions.clear(), islands.clear(), latest = 0;

    // Islands, in the order of their addresses.
    std::vector<Array *> arrays;
    for (int i = 0; i < launch.array_count; i++) arrays.push_back(&launch.arrays[i]);
    std::stable_sort(arrays.begin(), arrays.end(), [](Array *a, Array *b) { return a->low < b->low; });
    for (const Array *a : arrays) {
        if (islands.empty() || a->low >= islands.back().end)
            islands.push_back({a->low, a->high, nullptr, false});
        islands.back().end = std::max(islands.back().end, a->high);
        islands.back().writable |= a->writable != 0;
    }
    arena_bytes = SEA;
    for (const Island &i : islands) arena_bytes += up(i.end - i.original + PAGE, PAGE) + SEA;
    cells_bytes = arena_bytes / WORD * sizeof(Cell);
    arena = map(arena_bytes);
    arena_cells = reinterpret_cast<Cell *>(map(cells_bytes));
    if (!arena || !arena_cells) return false;
    char *free = arena + SEA;
    for (Island &i : islands) {
        i.copy = free + uintptr_t(i.original) % PAGE;  // as aligned as it was
        memcpy(i.copy, i.original, i.end - i.original);
        free += up(i.end - i.original + PAGE, PAGE) + SEA;
    }

    // Regions: shared memory first, which is used most.
    auto words = [](size_t bytes) { return bytes / WORD + 2; };  // that it can touch
    size_t all = words(launch.shared), used = 0;
    for (int i = 0; i < launch.tile_count; i++) all += words(launch.tiles[i].bytes);
    if (shared_cells.size() < all) shared_cells.assign(all, Cell());
    auto add_shared = [&](const char *name, char *low, size_t bytes) {
        regions.push_back({low, low + bytes, &shared_cells[used], nullptr, name});
        used += words(bytes);
    };
    for (int i = 0; i < launch.tile_count; i++)
        add_shared(launch.tiles[i].name, launch.tiles[i].low, launch.tiles[i].bytes);
    add_shared("dynamic shared memory", now.dynamic_shared, launch.shared);
    for (Array *a : arrays) {
        const Island *home = &islands[0];
        while (!(a->low >= home->original && a->high <= home->end)) home++;
        ptrdiff_t moved = home->copy - home->original;
        a->low += moved, a->high += moved, a->data += moved;
        *a->slot = a->data;
        regions.push_back({a->low, a->high, arena_cells + (a->low - arena) / WORD, a, a->name});
    }
    return true;
}

void forget() { shared_cells.clear(); }

void end(bool keep) {
    for (const Island &i : islands)
        if (keep && i.writable) memcpy(i.original, i.copy, i.end - i.original);
    munmap(arena, arena_bytes);
    munmap(arena_cells, cells_bytes);
}

void check_copy(void *shared, const void *global, unsigned bytes, unsigned filled, Site at) {
    check_aligned(shared, bytes, at);
    check_aligned(global, bytes, at);
    char *to = static_cast<char *>(shared);
    if (filled) Access{static_cast<const char *>(global), filled, false, 0, at}.check();
    Access{to, bytes, true, 0, at}.check();
    const Region &r = regions[latest];
    if (r.array) fault(at, 0, "an asynchronous copy to %s, which is not shared", r.name);
    for (unsigned i = 0; i < bytes; i += WORD) cell_of(r, to + i)->in_flight = true;
}

void land_copy(void *shared, unsigned bytes, Site at) {
    char *to = static_cast<char *>(shared);
    for (const Region &r : regions)
        if (to >= r.low && to < r.high)
            for (unsigned i = 0; i < bytes; i += WORD) cell_of(r, to + i)->in_flight = false;
    Access{to, bytes, true, 0, at}.check();
}

void atomic(const void *at, unsigned bytes, uintptr_t pc) {
    const char *place = static_cast<const char *>(at);
    for (const Region &r : regions) {
        if (place < r.low || place + bytes > r.high) continue;
        if (!r.array && cell_of(r, place)->write_time < now.block_began) break;  // nobody has written it
        now.blocks_ordered = ++now.clock;  // for this may be how one block waits for another
        return;
    }
    Access{place, bytes, false, pc, {}}.check();
}

}  // namespace emulated::traps
