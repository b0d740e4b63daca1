"""Random numbers from a counter: the same seed gives the same numbers, on every device.

A generator is two integers, a key (the seed) and a counter (how many blocks of four 32-bit words
have been used). Saving a run saves those two. The bits come from `minigan_kernels.philox`.
"""

import math

import numpy as np

import minigan_kernels as kernels


class Generator:
    """A stream of random numbers. `Generator(0)` always gives the same ones.

    seed: an integer in [0, 2**64). `state` reads and sets `(key, counter)`.
    """

    def __init__(self, seed: int = 0):
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> "Generator":
        """Start the stream of `seed` from its beginning. ValueError for a seed outside [0, 2**64)."""
        if not 0 <= int(seed) < 2**64:
            raise ValueError(f"seed must be in [0, 2**64), got {seed}")
        self.key, self.counter = int(seed), 0
        return self

    @property
    def state(self) -> tuple[int, int]:
        return self.key, self.counter

    @state.setter
    def state(self, state):
        self.key, self.counter = (int(word) for word in state)

    def spawn(self) -> "Generator":
        """A generator with a key drawn from this one: a stream of its own."""
        high, low = (int(word) for word in self._draw(kernels.philox, 2, words=2))
        return Generator(high << 32 | low)

    def uniform(self, shape=(), low=0.0, high=1.0, dtype=np.float32):
        """Numbers in [low, high), float32 or float64. ValueError for low above high."""
        if low > high:
            raise ValueError(f"uniform: need low <= high, got {low} and {high}")
        n, dtype = _numel(shape), _float(dtype)
        u = self._draw(kernels.uniform, n, dtype, words=n * _words(dtype))
        below = np.nextafter(dtype(high), dtype(low))  # a sum may be rounded up to `high` itself
        return np.minimum(u * dtype(high - low) + dtype(low), below).reshape(shape)

    def normal(self, shape=(), mean=0.0, std=1.0, dtype=np.float32):
        """Normal numbers, float32 or float64."""
        n, dtype = _numel(shape), _float(dtype)
        z = self._draw(kernels.normal, n, dtype, words=(n + n % 2) * _words(dtype))
        return (z * dtype(std) + dtype(mean)).reshape(shape)

    def integers(self, low, high, shape=()):
        """int64 numbers in [low, high). The bias of one value over another is below 2**-32."""
        if not low < high <= low + 2**32:
            raise ValueError(f"integers: need low < high <= low + 2**32, got {low} and {high}")
        n, span = _numel(shape), np.uint64(high - low)
        words = self._draw(kernels.philox, 2 * n, words=2 * n).astype(np.uint64)
        # The top bits of the product of a 64-bit fraction and `span`, in two halves.
        carry = (words[1::2] * span) >> np.uint64(32)
        scaled = (words[0::2] * span + carry) >> np.uint64(32)
        return (scaled.astype(np.int64) + low).reshape(shape)

    def permutation(self, n: int):
        """The integers 0 to n - 1 in random order, int64: the order of n random 64-bit keys."""
        words = self._draw(kernels.philox, 2 * n, words=2 * n).astype(np.uint64)
        return np.argsort((words[0::2] << np.uint64(32)) | words[1::2], kind="stable")

    def _draw(self, kernel, n, *args, words):
        numbers = kernel(self.key, self.counter, n, *args)
        self.counter = (self.counter + -(-words // 4)) % 2**64
        return numbers

    def __repr__(self):
        return f"Generator(key={self.key}, counter={self.counter})"


default_generator = Generator(0)


def manual_seed(seed: int) -> Generator:
    """Seed the generator that layers and initialisers use when they are given none."""
    return default_generator.manual_seed(seed)


def _numel(shape):
    return math.prod(shape) if isinstance(shape, tuple) else int(shape)


def _float(dtype):
    dtype = np.dtype(dtype).type
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"random numbers are float32 or float64, not {dtype.__name__}")
    return dtype


def _words(dtype):
    """How many 32-bit words a number takes."""
    return dtype(0).itemsize // 4
