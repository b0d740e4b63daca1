// What the compiler calls.
//
// A watched .cu is compiled with -fsanitize=thread, which calls a function before each access to memory, and
// with -fsanitize=bounds,alignment,integer-divide-by-zero, which call one where an index, a pointer or a
// divisor is wrong. No library of sanitizers is linked: these functions take its place.

#include "access.h"

using emulated::traps::Access;

#define HERE reinterpret_cast<uintptr_t>(__builtin_return_address(0))
#define WATCH(size)                                                                              \
    void __tsan_read##size(char *at) { Access{at, size, false, HERE, {}}.check(); }               \
    void __tsan_write##size(char *at) { Access{at, size, true, HERE, {}}.check(); }               \
    void __tsan_unaligned_read##size(char *at) { Access{at, size, false, HERE, {}}.check(); }     \
    void __tsan_unaligned_write##size(char *at) { Access{at, size, true, HERE, {}}.check(); }

extern "C" {

WATCH(1)
WATCH(2)
WATCH(4)
WATCH(8)
WATCH(16)
void __tsan_read_range(char *at, size_t size) { Access{at, unsigned(size), false, HERE, {}}.check(); }
void __tsan_write_range(char *at, size_t size) { Access{at, unsigned(size), true, HERE, {}}.check(); }
void __tsan_init() {}
void __tsan_func_exit() {}
void __tsan_func_entry(void *) {
    const char *frame = static_cast<const char *>(__builtin_frame_address(0));
    emulated::check_stack(frame, HERE);
}

struct Place {
    const char *file;
    unsigned line, column;
    operator emulated::Site() const { return {file, int(line)}; }
};

struct Type {
    uint16_t kind, info;
    char name[1];
};

struct Bounds {
    Place place;
    const Type *array, *index;
};

struct Mismatch {
    Place place;
    const Type *type;
    uint8_t log_alignment, kind;
};

void __ubsan_handle_out_of_bounds(const Bounds *found, uintptr_t index) {
    bool is_int = found->index->info == (5 << 1 | 1);  // 2⁵ bits, signed
    long i = is_int ? long(int32_t(index)) : long(index);
    emulated::fault(found->place, 0, "out of bounds: index %ld of %s", i, found->array->name);
}

void __ubsan_handle_type_mismatch_v1(const Mismatch *found, uintptr_t at) {
    emulated::fault(found->place, 0, "misaligned: %s at %#lx, which is no multiple of %d", found->type->name,
                    at, 1 << found->log_alignment);
}

void __ubsan_handle_divrem_overflow(const Place *place, uintptr_t, uintptr_t) {
    emulated::fault(*place, 0, "an integer is divided by 0");
}

}  // extern "C"
