"""The clear tier: kernels in Python, by Numba, for a GPU or for Numba's simulator."""

__all__: list[str] = []
