"""Everything that needs a GPU, in one call of under ten minutes: `python -m bench.gpu`.

Three parts, each in processes of its own, so that what fails or hangs does not take the rest along:

    tests     the tests marked `gpu`: every kernel against `reference`, whole steps, graphs, memory
    kernels   each kernel's time, beside what this card copies and multiplies at most
    steps     whole training steps, against PyTorch eager and PyTorch with the step in a CUDA graph

Only numpy, cupy, numba, pytest and hypothesis are needed, and PyTorch for the comparison. The results are
saved after each row, as a JSON file and a Markdown page, in `bench/results/`.
"""
