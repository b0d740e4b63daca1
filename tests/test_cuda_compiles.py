"""Every CUDA kernel compiles for every architecture, without a GPU; and the gate refuses what it should."""

import pytest

pytest.importorskip("cuda.core", reason="the compile gate needs cuda-core and NVRTC, which macOS has not")

from bench.compile import (
    ARCHITECTURES,
    CompileError,
    compile_all,
    compile_source,
    main,
    markdown,
    number_of,
    read_log,
    runs_on,
)
from minigan.backend import OLDEST_SM
from minigan_kernels.cuda import SOURCES
from minigan_kernels.cuda.launch import FOLDER, Source

GOOD = """
#include "common.cuh"
extern "C" __global__ void good(const float *__restrict__ x, float *y) {
    __shared__ float room[SIZE];
    room[threadIdx.x % SIZE] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = room[(threadIdx.x + 1) % SIZE];
}
extern "C" __global__ void zero(float *y) { y[threadIdx.x] = 0; }
"""
SPILLS = """
extern "C" __global__ void __launch_bounds__(1024) spills(const float *x, float *y) {
    float a[256];
#pragma unroll
    for (int i = 0; i < 256; i++) a[i] = x[i * 1024 + threadIdx.x];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 256; i++) y[i * 1024 + threadIdx.x] = a[i] * a[(i * 37 + 11) % 256];
}
"""
NO_CUDA = 'extern "C" __global__ void wrong(float *y) { y[0] = nothing; }'


@pytest.fixture
def source(tmp_path):
    def written(text, name="planted.cu", **macros):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return Source(path, **macros)

    return written


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_of_every_source_compiles_and_keeps_its_numbers_in_registers(architecture):
    assert len(SOURCES) > 0
    usages, problems = compile_all(SOURCES, [architecture])
    assert problems == []
    expected = {repr(source) for source in SOURCES if runs_on(source, architecture)}
    assert {repr(usage.source) for usage in usages} == expected
    assert {source.path for source in SOURCES} == {usage.source.path for usage in usages}


def test_every_file_is_in_an_instantiation():
    assert {source.path for source in SOURCES} == set(FOLDER.glob("*.cu"))


def test_a_source_is_compiled_with_its_macros_and_the_common_header(source):
    usages, problems = compile_all([source(GOOD, SIZE=33), source(GOOD, SIZE=65)], ["sm_80", "sm_120"])
    assert problems == []
    found = [(u.kernel, u.architecture, u.shared) for u in usages if u.kernel == "good"]
    assert found == [("good", a, 4 * n) for n in (33, 65) for a in ("sm_80", "sm_120")]
    assert all(u.registers > 0 and u.stack == 0 for u in usages)
    assert len(usages) == 8
    table = markdown(usages)
    assert (
        "| kernel | registers sm_80 | registers sm_120 | static shared, bytes | dynamic shared, bytes |"
        in table
    )
    assert "| Source('planted.cu', SIZE=65) good |" in table


@pytest.mark.slow
def test_spills_are_refused(source):
    usages, (problem,) = compile_all([source(SPILLS)], ["sm_80"])
    (usage,) = usages
    assert usage.spill_stores > 0
    assert f"spills, sm_80: {usage.spill_stores} bytes of spill stores" in problem


def test_what_does_not_compile_is_refused_in_the_compilers_words(source):
    usages, problems = compile_all([source(NO_CUDA, "wrong.cu"), source(GOOD, SIZE=3)], ["sm_80"])
    assert [u.kernel for u in usages] == ["good", "zero"]
    (problem,) = problems
    assert "Source('wrong.cu') does not compile for sm_80" in problem
    assert 'identifier "nothing" is undefined' in problem


def test_more_registers_than_a_block_can_have_are_refused(source):
    many = SPILLS.replace("256", "160")
    bounded = source(many.replace("(1024)", "(32 * 8)"), "bounded.cu")
    free = source(many.replace("__launch_bounds__(1024)", ""), "free.cu")
    usages, (problem,) = compile_all([bounded, free], ["sm_80"])
    assert [(usage.threads, usage.spill_stores) for usage in usages] == [(256, 0), (1024, 0)]
    assert all(64 < usage.registers <= 255 for usage in usages)
    assert "free.cu" in problem
    assert "registers a thread are too many for a block of 1024" in problem


def test_the_oldest_cards_are_given_float32_alone():
    given = {s.macros.get("PRECISION") for s in SOURCES if runs_on(s, "sm_75")}
    assert given == {None, "FP32"}
    assert all(runs_on(s, a) for s in SOURCES for a in ARCHITECTURES[1:])
    assert number_of(ARCHITECTURES[0]) == OLDEST_SM


def test_more_shared_memory_than_a_block_can_have_is_refused(source):
    macros = {"PRECISION": "FP32", "BM": 256, "BN": 256}  # 99840 bytes, asked for at the launch
    fits, too_much = source(GOOD, SIZE=384, **macros), source(GOOD, SIZE=385, **macros)
    usages, (problem,) = compile_all([fits, too_much], ["sm_120"])
    assert {(u.shared, u.dynamic) for u in usages if u.kernel == "good"} == {(1536, 99840), (1540, 99840)}
    assert "1540 bytes of static and 99840 of dynamic shared memory are more than the 101376" in problem
    assert all(u.problem for u in compile_source(fits, "sm_75"))


def test_a_source_without_kernels_is_refused(source):
    with pytest.raises(CompileError, match="no kernel in what ptxas says"):
        compile_source(source("__device__ float one() { return 1; }"), "sm_80")
    with pytest.raises(CompileError, match="no kernel"):
        read_log("another compiler's words", b"", source(GOOD))


@pytest.mark.slow
def test_the_command_prints_a_table_and_its_exit_code_tells(source, monkeypatch, capsys):
    monkeypatch.setattr("minigan_kernels.cuda.SOURCES", [source(GOOD, SIZE=3)])
    assert main(["--arch", "sm_90a"]) == 0
    assert "planted.cu" in capsys.readouterr().out
    source(SPILLS)
    assert main(["--arch", "sm_90a", "--file", "planted.cu"]) == 1
    assert "refused: Source(" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["--file", "other.cu"])
    assert stopped.value.code == 2
    assert "there are: planted.cu" in capsys.readouterr().err
