"""All that a model file has to keep to, in one call."""

import io
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np


def check_model(
    model: str | ModuleType, data: str | None = None, steps: int = 20, seed: int = 0, **settings: Any
) -> None:
    """Check a model file: that it trains, that its samples are what they should be, and that it can be saved.

    model: its name, the path of its file, or the module. data: what it learns, by default what it comes with.
    steps: to train; a loop that does something every so many has to be given more than those. settings: of
    its Config, to make it small.

    Checks that a step yields finite numbers; that the same seed makes the same samples, of the data's shape,
    and that making them changes nothing; that pictures of other sizes are translated, in tiles to the same
    pixels, where the file has `translate`; that samples are made of what `encode` gives, where it has that;
    that a session saved in the middle and restored into a fresh one ends in the bits of the unbroken one, and
    says the same on the way; that a run of it has a page and can be exported.
    Raises AssertionError with what was wrong; MiniganError for a file that does not keep the contract
    (`minigan.gans`).
    """
    from rich.console import Console

    from minigan import training
    from minigan.export import export
    from minigan.gans import Model, model_named
    from minigan.training import Options, Session

    chosen: Any = Model(model.__name__, model) if isinstance(model, ModuleType) else model_named(model)
    options = Options(data=data, device="cpu", seed=seed, diagnose_every=max(steps // 2, 1))
    cfg = chosen.Config(**{"steps": steps, "batch_size": 4, **settings})

    whole = Session(chosen, options, cfg)
    _check_samples(whole)
    if chosen.has("encode"):
        _check_codes(whole)
    if chosen.has("translate"):
        _check_translation(whole)
    half, said = steps // 2, []
    with tempfile.TemporaryDirectory() as folder:
        for step in range(1, steps + 1):
            said.append(whole.next_step())
            if step == half:
                saved = _saved(whole, Path(folder))
        resumed = Session(chosen, options, cfg)
        resumed.restore(saved)
        for step in range(half + 1, steps + 1):
            again = resumed.next_step()
            assert again == said[step - 1], (
                f"{chosen.file}: step {step} yields {again} after a resume at step {half}, and "
                f"{said[step - 1]} without: the loop remembers something that is in no part"
            )
        _check_same(chosen, whole, resumed)

        printed, out = io.StringIO(), Path(folder) / "run"
        options = replace(options, checkpoint_every=steps, sample_every=steps)
        run = training.train(chosen, options, cfg, out, Console(file=printed))
        why = [line for line in printed.getvalue().splitlines() if "page of the run" in line]
        assert run.page.exists(), f"{chosen.file}: {why[0]}"
        export(run, "safetensors", "all")
        if find_spec("onnx"):
            export(run, "onnx", "samples")


def _check_samples(session):
    sampler, model, n = session.sampler, session.model, 3
    before = {name: array.copy() for name, array in session.arrays().items()}, session.state()
    first, same = (sampler.make(_inputs(sampler, n, 1)) for _ in range(2))
    arrays, state = session.arrays(), session.state()
    assert state == before[1], f"{model.file}: making samples changes the state of the session"
    changed = [name for name in arrays if not np.array_equal(arrays[name], before[0][name])]
    assert not changed, f"{model.file}: making samples changes {changed[0]}"
    kinds = {field.shape for field in session.fields.seen.values()}
    dtype = np.int64 if session.fields.first.words else np.float32
    for name, samples in first.items():
        shape = samples.shape[1:]
        assert samples.dtype == dtype, f"{model.file}: {name} is {samples.dtype}, not {dtype.__name__}"
        assert len(samples) == n, f"{model.file}: {name} is {len(samples)} samples of the {n} asked for"
        assert shape in kinds, f"{model.file}: {name} has shape {shape}, the data {kinds}"
        assert np.array_equal(samples, same[name]), f"{model.file}: {name} differs for one seed"
    if not sampler.from_data:
        others = sampler.make(_inputs(sampler, n, 2))
        alike = all(np.array_equal(samples, others[name]) for name, samples in first.items())
        assert not alike, f"{model.file}: samples are the same for two seeds"


def _check_codes(session):
    sampler, model = session.sampler, session.model
    inputs = _inputs(sampler, 3, 1)
    first, *_ = sampler.make(inputs).values()
    codes = sampler.encode(first)
    for name, code in codes.items():
        wanted = inputs[name].shape if name in inputs else "none"
        assert code.shape == wanted, f"{model.file}: encode gives {name} {code.shape}, inputs give {wanted}"
    again, *_ = sampler.make({**inputs, **codes}).values()
    assert again.shape == first.shape, f"{model.file}: {again.shape} is made of the codes of {first.shape}"


def _check_translation(session):
    from minigan.random import Generator
    from minigan.training.translation import pieces

    sampler, model = session.sampler, session.model
    (channels, *_), reach, scale = session.fields.shape, model.reach(session.cfg), model.scale(session.cfg)
    tile = max(8, 2 * (reach or 0))  # and a picture of several tiles with their margins
    for H, W in ((5, 3), (2 * tile + 2 * (reach or 0) + 1, tile + 3)):
        pixels = Generator(0).integers(0, 256, (channels, H, W)).astype(np.uint8)
        ((_, whole),) = pieces(sampler, pixels, 1, tile=H + W)
        ((_, again),) = pieces(sampler, pixels, 1, tile=H + W)
        for name, picture in whole.items():
            assert picture.dtype == np.float32, f"{model.file}: {name} is {picture.dtype}, not float32"
            assert np.isfinite(picture).all(), f"{model.file}: {name} is not finite"
            assert np.array_equal(picture, again[name]), f"{model.file}: {name} differs for one seed"
            for (top, left), parts in pieces(sampler, pixels, 1, tile):
                _, h, w = parts[name].shape
                part = picture[:, scale * top : scale * top + h, scale * left : scale * left + w]
                far = np.abs(part - parts[name]).max()
                assert far < 1e-4, (  # of rounding
                    f"{model.file}: {name} made in tiles differs by {far:.2g} from {name} made at once: "
                    f"REACH {reach} is not how far a pixel's influence goes"
                )


def _inputs(sampler, n, seed):
    from minigan.random import Generator

    return sampler.inputs(n, Generator(seed))


def _saved(session, folder):
    """The session as a checkpoint, that went through a file."""
    from minigan.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

    path = folder / f"step-{session.step:06d}.safetensors"
    save_checkpoint(path, Checkpoint(session.model.name, session.step, {}, session.arrays(), session.state()))
    return load_checkpoint(path)


def _check_same(model, whole, resumed):
    arrays, again = whole.arrays(), resumed.arrays()
    assert arrays.keys() == again.keys(), f"{model.file}: a resumed session has other parts"
    differ = [name for name in arrays if not np.array_equal(arrays[name], again[name])]
    assert not differ, (
        f"{model.file}: {differ[0]} differs after a resume: the loop remembers something that is in no part"
    )
    assert whole.state() == resumed.state(), f"{model.file}: the state differs after a resume"
