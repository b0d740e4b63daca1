"""Random numbers from a counter: the same seed gives the same numbers, on every device.

A generator is two integers, a key (the seed) and a counter (how many blocks of four 32-bit words
have been used). Saving a run saves those two. The bits come from `minigan_kernels.philox`.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

import minigan_kernels as kernels
from minigan import backend
from minigan.checks import integer, mapping, names_that_differ, read_back, shown
from minigan.errors import MiniganError


class Generator:
    """A stream of random numbers. `Generator(0)` always gives the same ones.

    seed: an integer in [0, 2**64). `state` reads and sets `(key, counter)`.
    device: where the numbers are made, such as "gpu". On a GPU the counter lies there too, so that a
        captured graph draws new numbers in every replay. The words are the same everywhere; normal
        numbers may differ in the last bit.
    """

    def __init__(self, seed: int = 0, device: str | backend.Device = "cpu") -> None:
        self.device = backend.device(device)
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> "Generator":
        """Start the stream of `seed` from its beginning. ValueError for a seed outside [0, 2**64)."""
        if not 0 <= integer("manual_seed", "seed", seed) < 2**64:
            raise ValueError(f"seed must be in [0, 2**64), got {seed}")
        self.state = seed, 0
        return self

    @property
    def state(self) -> tuple[int, int]:
        """(key, counter): all that the next numbers depend on. Can be set, to go on from another place."""
        return self.key, self.counter

    @state.setter
    def state(self, state: tuple[int, int]) -> None:
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            raise TypeError(f"Generator: state must be (key, counter), got {shown(state)}")
        words = [integer("Generator", name, n, 0) for name, n in zip(("key", "counter"), state, strict=True)]
        if max(words) >= 2**64:
            raise ValueError(f"Generator: state must be two integers below 2**64, got {shown(state)}")
        self.key, counter = words
        self._counter: Any = counter if self.device.kind == "cpu" else self._on_device(counter)

    def state_dict(self) -> dict[str, int]:
        """{"key": key, "counter": counter}, integers below 2**64; the counter is read from its device."""
        return {"key": self.key, "counter": self.counter}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from a `state_dict`, of whatever device. TypeError or ValueError, with nothing changed, if it
        does not fit."""
        mapping("Generator", state)
        if problems := names_that_differ(state, ("key", "counter")):
            raise ValueError(f"Generator: the state does not fit: {'; '.join(problems)}")
        self.state = read_back(state["key"]), read_back(state["counter"])

    def __getstate__(self) -> Any:
        """What copies and pickles are made of: a copy counts for itself, also on a GPU."""
        return self.device, self.state

    def __setstate__(self, given: Any) -> None:
        self.device, self.state = given

    @property
    def counter(self) -> int:
        """How many blocks were used; read from the device where it lies."""
        return self._counter if self.device.kind == "cpu" else self._counter.item()

    def to(self, device: str | backend.Device) -> "Generator":
        """This generator, its numbers made on `device` from now on; the stream goes on where it was."""
        state, self.device = self.state, backend.device(device)
        self.state = state
        return self

    def spawn(self) -> "Generator":
        """A generator with a key drawn from this one: a stream of its own, on the same device."""
        high, low = (int(word) for word in self._draw(kernels.philox, 2, words=2, device="cpu"))
        return Generator(high << 32 | low, self.device)

    def uniform(
        self,
        shape: int | tuple[int, ...] = (),
        low: float = 0.0,
        high: float = 1.0,
        dtype: npt.DTypeLike = np.float32,
        device: str | backend.Device | None = None,
    ) -> np.ndarray:
        """Numbers in [low, high), float32 or float64. ValueError for low above high.

        device: where to make these, by default the generator's; so for all that draws here.
        """
        if low > high:
            raise ValueError(f"uniform: need low <= high, got {low} and {high}")
        n, kind = _numel(shape), _float(dtype)
        below = np.nextafter(kind(high), kind(low))  # a sum may be rounded up to `high` itself
        with self._place(device).active():
            u = self._draw(kernels.uniform, n, kind, words=n * _words(kind), device=device)
            return np.minimum(u * kind(high - low) + kind(low), below).reshape(shape)

    def normal(
        self,
        shape: int | tuple[int, ...] = (),
        mean: float = 0.0,
        std: float = 1.0,
        dtype: npt.DTypeLike = np.float32,
        device: str | backend.Device | None = None,
    ) -> np.ndarray:
        """Normal numbers, float32 or float64."""
        n, kind = _numel(shape), _float(dtype)
        with self._place(device).active():
            z = self._draw(kernels.normal, n, kind, words=(n + n % 2) * _words(kind), device=device)
            return (z * kind(std) + kind(mean)).reshape(shape)

    def integers(
        self,
        low: int,
        high: int,
        shape: int | tuple[int, ...] = (),
        device: str | backend.Device | None = None,
    ) -> np.ndarray:
        """int64 numbers in [low, high). The bias of one value over another is below 2**-32."""
        if not low < high <= low + 2**32:
            raise ValueError(f"integers: need low < high <= low + 2**32, got {low} and {high}")
        n, span = _numel(shape), np.uint64(high - low)
        with self._place(device).active():
            words = self._draw(kernels.philox, 2 * n, words=2 * n, device=device).astype(np.uint64)
            # The top bits of the product of a 64-bit fraction and `span`, in two halves.
            carry = (words[1::2] * span) >> np.uint64(32)
            scaled = (words[0::2] * span + carry) >> np.uint64(32)
            return (scaled.astype(np.int64) + low).reshape(shape)

    def permutation(self, n: int) -> np.ndarray:
        """The integers 0 to n - 1 in random order, int64: the order of n random 64-bit keys."""
        with self.device.active():
            words = self._draw(kernels.philox, 2 * n, words=2 * n).astype(np.uint64)
            return np.argsort((words[0::2] << np.uint64(32)) | words[1::2], kind="stable")

    def _on_device(self, counter):
        """The counter as kernels take it on a GPU: one uint64 in an array, which wraps around by itself.
        The array stays, once there is one: captured graphs know it."""
        before = getattr(self, "_counter", None)
        with self.device.active():
            if not (backend.is_array(before) and backend.device_of(before) == self.device):
                return self.device.xp.full(1, counter, dtype=np.uint64)
            before.fill(counter)
            return before

    def _place(self, device):
        return self.device if device is None else backend.device(device)

    def _draw(self, kernel, n, *args, words, device=None):
        """`n` numbers of `kernel` on the active `device`; then the counter is past their `words`."""
        place = self._place(device)
        if backend.capturing() and self.device.kind == "cpu":
            raise MiniganError(
                "random numbers of a Generator on the CPU would be the same in every replay of a captured "
                "graph: give the generator the device of the step, by Generator(seed, device) or to(device)"
            )
        here = self._counter if place == self.device else self.counter
        numbers = kernel(self.key, here, n, *args, xp=place.xp)
        with self.device.active():
            self._counter += -(-words // 4)  # in place where it is an array: a graph does it again
        if self.device.kind == "cpu":
            self._counter %= 2**64
        return numbers

    def __repr__(self) -> str:
        place = "" if self.device.kind == "cpu" else f", device={self.device}"
        return f"Generator(key={self.key}, counter={self.counter}{place})"


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
