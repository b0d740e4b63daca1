// An access to memory, which hooks.cpp makes and traps.cpp checks.

#pragma once

#include "runtime.h"

namespace emulated::traps {

struct Cell;
struct Region;

// An access, by the thread that runs.
struct Access {
    const char *at;
    unsigned bytes;
    bool writes;
    uintptr_t pc;
    Site site;

    void check() const;  // a fault, if it must not be made

  private:
    const char *verb() const { return writes ? "writes" : "reads"; }
    [[noreturn]] void nowhere() const;
    void check_races(const Region &r) const;
    void check_cell(const Region &r, Cell &c, uint8_t mask, const char *at) const;
};

}  // namespace emulated::traps
