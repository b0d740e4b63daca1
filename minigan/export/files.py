"""A trained run's networks as files for other programs."""

import json
from pathlib import Path

from safetensors.numpy import save

from minigan.errors import MiniganError, writing
from minigan.extras import needs
from minigan.files import write_atomically
from minigan.training import Run, Sampler

from .network import PARTS, Network


def export(
    run: Run, to: str, part="generator", step: int | None = None, average=True, out: Path | None = None
) -> list[tuple[Path, str]]:
    """Write networks of `run`; the path of each file, and what there is to say about it.

    to: "onnx", a graph that was compared with minigan, see `onnx_file`; or "safetensors", the weights alone,
    under PyTorch's names and in its layouts. part: "generator", "discriminator" or "both". step, average: see
    `Sampler.of`. out: the file or, of both, the folder to write; by default in the run folder, PART.TO.
    Nothing is written unless all of it can be made. MiniganError for what the user can mend.
    """
    if to == "onnx":
        needs("export to ONNX", "onnx", "onnx onnxruntime")
    parts = PARTS if part == "both" else (part,)
    paths = _paths(run, to, parts, out)
    sampler = Sampler.of(run, step, average=average)
    networks = [Network.of(run, name, sampler, average) for name in parts]
    made = [WRITERS[to](network, path) for network, path in zip(networks, paths, strict=True)]
    for path, (content, _) in zip(paths, made, strict=True):
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
    return [(path, told) for path, (_, told) in zip(paths, made, strict=True)]


def _paths(run, to, parts, out):
    folder = out or run.path
    if out and out.suffix and not out.is_dir():
        if out.suffix != f".{to}":
            raise MiniganError(f"--to {to} writes a .{to} file or into a folder, not {out}")
        if len(parts) > 1:
            raise MiniganError(f"two networks do not go into one file {out}; give --out a folder")
        return [out]
    return [folder / f"{part}.{to}" for part in parts]


def _onnx(network, path):
    from .onnx_file import COMPARED, difference, onnx_model

    model = onnx_model(network)
    worst, runner = difference(model, network)
    batches = ", ".join(str(n * network.pack) for n in COMPARED)
    given = ", ".join(f'"{name}": {_example(network, name)}' for name in network.inputs(1, 0))
    return model.SerializeToString(), "\n".join(
        [
            f"{len(model.graph.node)} operators of ONNX's opset {model.opset_import[0].version}; {runner} "
            f"gives minigan's {network.output} within {worst:.1e}, in batches of {batches}",
            "    import numpy as np, onnxruntime",
            f'    session = onnxruntime.InferenceSession("{path}")',
            f"    ({network.output},) = session.run(None, {{{given}}})",
        ]
    )


def _example(network, name):
    n = 8 * network.pack
    if name == "labels":
        return f"np.arange({n}) % {network.classes}"
    if name == "z":
        return f'np.random.randn({n}, {network.latent}).astype("float32")'
    return f'np.zeros(({", ".join(map(str, (n, *network.shape)))}), "float32")'


def _safetensors(network, path):
    weights = network.module.state_dict()
    return save(weights, metadata={key: json.dumps(v) for key, v in network.facts().items()}), "\n".join(
        [
            f"{len(weights)} tensors, {sum(a.size for a in weights.values()):,} numbers",
            "    from safetensors.torch import load_file",
            "    network = ...  # the same layers, in PyTorch",
            f'    network.load_state_dict(load_file("{path}"))',
        ]
    )


WRITERS = {"onnx": _onnx, "safetensors": _safetensors}
