"""A network as an ONNX file that is known to compute the same."""

import json

import numpy as np

import minigan_kernels as kernels
from minigan.errors import MiniganError

from .network import Network
from .onnx_graph import Graph, Value
from .trace import Share

TRACED = 2, 3  # outputs of the two calls that a trace is made from
COMPARED = 1, 2, 5  # outputs of the calls that are compared
TOLERANCE = 1e-5  # of a value, or of the largest one where that is above 1


def onnx_model(network: Network):
    """The network as an `onnx.ModelProto`, for batches of any size, that the ONNX checker accepts.

    Weights have the names of `state_dict`, which are PyTorch's. Labels are int64 and become weights of
    classes inside, zeros for one that is no class. MiniganError for an op that has no form in ONNX.
    """
    import onnx

    first, second = (network.given(n, seed) for seed, n in enumerate(TRACED))
    sizes = tuple(n * network.pack for n in TRACED)
    graph = Graph([Value(name, (Share(1), *a.shape[1:]), a.dtype) for name, a in first.items()])
    values = {value.name: value for value in graph.inputs}
    if "labels" in first:
        values["labels"] = graph.one_hot(values["labels"], network.classes)
        for given in (first, second):
            given["labels"] = np.eye(network.classes, dtype=np.float32)[given["labels"]]
    batches = [list(given.values()) for given in (first, second)]

    def function(*tensors):
        return network.function(**dict(zip(first, tensors, strict=True)))

    with kernels.engine("reference"):
        output = graph.follow(function, [*values.values()], batches, sizes, _tensors(network))
    metadata = {key: v if isinstance(v, str) else json.dumps(v) for key, v in network.facts().items()}
    model = graph.model(output, network.output, "batch" if network.pack == 1 else "packs", metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def difference(model, network: Network) -> tuple[float, str]:
    """(the worst difference between what `model` and minigan make of random inputs, who ran the model).

    That is onnxruntime, or the reference of ONNX where that is not installed. Differences are relative to the
    largest value of a batch where that is above 1. MiniganError for one above TOLERANCE.
    """
    run, runner = _session(model)
    differences = []
    for seed, n in enumerate(COMPARED):
        inputs = network.given(n, 100 + seed)
        (found,), expected = run(None, inputs), network(**inputs)
        if found.shape != expected.shape:
            raise MiniganError(
                f"{runner} makes {network.output} of shape {found.shape}, minigan {expected.shape}"
            )
        differences.append(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))
    worst = float(np.max(differences))
    if not worst <= TOLERANCE:
        raise MiniganError(
            f"the {network.part} in ONNX differs from minigan's by {worst:.2g} in {runner}, and "
            f"{TOLERANCE:g} is allowed: nothing was written"
        )
    return worst, runner


def _tensors(network):
    """The arrays that the networks compute with, by the names of `weights`."""
    several = len(network.networks) > 1
    return {
        f"{prefix}.{name}" if several else name: t.data
        for prefix, module in network.networks.items()
        for name, t in [*module.named_parameters(), *module.named_buffers()]
    }


def _session(model):
    """(what runs the model, its name)."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        import onnx.reference

        return onnx.reference.ReferenceEvaluator(model).run, f"ONNX's own reference {onnx.__version__}"
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run, f"onnxruntime {onnxruntime.__version__}"
