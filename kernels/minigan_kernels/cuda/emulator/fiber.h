// Switching between fibers: a stack of one's own, and a saved stack pointer.
//
// What a call has to preserve is pushed on the stack that is left, and popped from the one that is entered.
// By hand, because swapcontext asks the system to swap masks of signals each time.

#pragma once

#include <cstring>

// Go on where the fiber with the stack pointer `entered` was left; `*left` is where to come back.
extern "C" void emulated_switch(void **left, void *entered);

#if defined(__x86_64__)
constexpr int SAVED = 6;  // words that a switch pops before it returns
asm(R"(
.text
.type emulated_switch, @function
emulated_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
.size emulated_switch, . - emulated_switch
)");
#elif defined(__aarch64__)
constexpr int SAVED = 20;
asm(R"(
.text
.type emulated_switch, @function
emulated_switch:
    sub sp, sp, #160
    stp x29, x30, [sp, #0]
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x2, sp
    str x2, [x0]
    mov sp, x1
    ldp x29, x30, [sp, #0]
    ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size emulated_switch, . - emulated_switch
)");
#else
#error "the emulator switches between threads on x86-64 and aarch64 alone"
#endif

// The stack pointer of a fiber that will call `run`, which never returns, on the stack that ends at `end`.
inline void *emulated_stack(char *end, void (*run)()) {
    void **top = reinterpret_cast<void **>(end);
#if defined(__x86_64__)
    *--top = nullptr;  // where `run` would return to; it also aligns the stack as a call would
    *--top = reinterpret_cast<void *>(run);
    constexpr int returns_to = SAVED;
#else
    constexpr int returns_to = 1;  // x30
#endif
    top -= SAVED;
    memset(top, 0, SAVED * sizeof *top);
    top[returns_to] = reinterpret_cast<void *>(run);
    return top;
}
