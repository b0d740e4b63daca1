"""The CUDA engine: kernels in CUDA C++, on a GPU for CuPy arrays, in the emulator for NumPy arrays."""

__all__: list[str] = []

SOURCES: list = []  # every Source in every instantiation
