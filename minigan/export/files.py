"""A trained run's networks as files for other programs."""

import json
from pathlib import Path

from safetensors.numpy import save

from minigan import __version__
from minigan.errors import MiniganError, did_you_mean, writing
from minigan.extras import needs
from minigan.files import write_atomically
from minigan.gans.model import networks
from minigan.training import Run, Sampler

from .network import PARTS, Network


def export(
    run: Run, to: str, part="samples", step: int | None = None, average=True, out: Path | None = None
) -> list[tuple[Path, str]]:
    """Write what `run` has learned; the path of each file, and what there is to say about it.

    to: "onnx", a graph that was compared with minigan, see `onnx_file`; or "safetensors", the weights of a
    network, under PyTorch's names and in its layouts.
    part: "samples", what makes these, as one graph or a file for each of its networks; as a graph also
    "judge", as weights any network by its name; or "all".
    step, average: see `Sampler.of`. out: the file or, of several, the folder to write; by default in the run
    folder, PART.TO.
    Nothing is written unless all of it can be made. MiniganError for what the user can mend.
    """
    if to == "onnx":
        needs("export to ONNX", "onnx", "onnx onnxruntime")
    sampler = Sampler.of(run, step, average=average)
    parts = _parts(sampler, to, part)
    paths = _paths(run, to, parts, out)
    if to == "onnx":
        made = [
            _onnx(Network.of(run, p, sampler, average), path) for p, path in zip(parts, paths, strict=True)
        ]
    else:
        makers = sampler.model.makers(sampler.parts)
        facts = {
            "minigan": __version__,
            "model": sampler.model.name,
            "data": run.options().data,
            "step": sampler.step,
        }
        made = []
        for name, path in zip(parts, paths, strict=True):
            ema = bool(name in makers and average and run.options().ema)
            made.append(
                _safetensors(networks(sampler.parts)[name], {**facts, "part": name, "ema": ema}, path)
            )
    for path, (content, _) in zip(paths, made, strict=True):
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
    return [(path, told) for path, (_, told) in zip(paths, made, strict=True)]


def _parts(sampler, to, part) -> list[str]:
    """What `part` stands for: graphs, or networks by their names."""
    if to == "onnx":
        known, samples = [p for p in PARTS if p == "samples" or sampler.model.has(p)], ["samples"]
    else:
        known, samples = [*networks(sampler.parts)], [*sampler.model.makers(sampler.parts)]
    if part == "all":
        return known
    if part == "samples":
        return samples
    if part not in known:
        raise MiniganError(
            f"{sampler.model.name} has no {part!r} to export to {to}; {did_you_mean(part, [*known, 'all'])}"
        )
    return [part]


def _paths(run, to, parts, out):
    folder = out or run.path
    if out and out.suffix and not out.is_dir():
        if out.suffix != f".{to}":
            raise MiniganError(f"--to {to} writes a .{to} file or into a folder, not {out}")
        if len(parts) > 1:
            raise MiniganError(f"{len(parts)} networks do not go into one file {out}; give --out a folder")
        return [out]
    return [folder / f"{part}.{to}" for part in parts]


def _onnx(network, path):
    from .onnx_file import COMPARED, difference, onnx_model

    model = onnx_model(network)
    worst, runner = difference(model, network)
    batches = ", ".join(str(n * network.pack) for n in COMPARED)
    given = ", ".join(f'"{name}": {_example(network, name)}' for name in network.given(1, 0))
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
    array = network.given(1, 0)[name]
    shape = ", ".join(map(str, (n, *array.shape[1:])))
    return (
        f'np.random.randn({shape}).astype("float32")'
        if name == "z"
        else f'np.zeros(({shape}), "{array.dtype}")'
    )


def _safetensors(module, facts, path):
    weights = module.state_dict()
    return save(weights, metadata={key: json.dumps(v) for key, v in facts.items()}), "\n".join(
        [
            f"{len(weights)} tensors, {sum(a.size for a in weights.values()):,} numbers",
            "    from safetensors.torch import load_file",
            "    network = ...  # the same layers, in PyTorch",
            f'    network.load_state_dict(load_file("{path}"))',
        ]
    )
