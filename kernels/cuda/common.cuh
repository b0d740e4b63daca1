// What the kernels share.

#pragma once

// DYNAMIC_SHARED(float, tile): `float *tile`, the block's dynamic shared memory, aligned to 16 bytes.
#ifdef MINIGAN_EMULATED
#define DYNAMIC_SHARED(type, name) type *name = static_cast<type *>(emulated::dynamic_shared())
#else
#define DYNAMIC_SHARED(type, name)                                  \
    extern __shared__ __align__(16) unsigned char dynamic_shared[]; \
    type *name = reinterpret_cast<type *>(dynamic_shared)
#endif
