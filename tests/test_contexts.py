"""Context managers as decorators: a body that waits leaves the block, one that runs on is within it."""

import asyncio
import inspect

import pytest

import minigan_kernels as kernels
from minigan import backend, detect_anomaly, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from minigan.autograd.modes import mode
from minigan.graph import graphs
from minigan_kernels.contexts import context


def forced_convolution():
    from minigan_kernels.cpu import conv

    return conv._choice.forced


def counting():
    from minigan_kernels.cpu import layout

    return layout._counting.copies is not None


def listened():
    from numba.core import event

    return bool(event._registered["numba:compile"])


CONTEXTS = {  # what makes one, and what of the thread it changes
    "no_grad": (no_grad, is_grad_enabled),
    "enable_grad": (enable_grad, is_grad_enabled),
    "set_grad_enabled": (lambda: set_grad_enabled(False), is_grad_enabled),
    "detect_anomaly": (detect_anomaly, lambda: (mode.anomaly, mode.check_roots)),
    "graphs": (lambda: graphs(False), lambda: mode.graphs),
    "capture": (backend.capture, backend.capturing),
    "engine": (lambda: kernels.engine("reference"), kernels.engines.forced_engine),
    "precision": (lambda: kernels.precision("bf16"), kernels.precision_name),
    "kernels_called": (kernels.engines.kernels_called, lambda: "noted" in repr(kernels.engines._kernels_of)),
    "conv_algorithm": (lambda: kernels.conv_algorithm("direct"), forced_convolution),
    "layout_copies": (kernels.layout_copies, counting),
    "on_compile": (lambda: kernels.on_compile(print), listened),
}
every_context = pytest.mark.parametrize(("make", "state"), CONTEXTS.values(), ids=CONTEXTS)


@pytest.fixture
def states(make, state, monkeypatch):
    """What the state is outside the context, and inside it."""
    if make is enable_grad:
        monkeypatch.setattr(mode, "record", False)
    monkeypatch.setattr(kernels.engines._choice, "forced", None)
    outside = state()
    with make():
        inside = state()
    assert inside != outside == state()
    return state, outside, inside


@every_context
def test_a_decorated_function_runs_inside(make, states):
    state, outside, inside = states

    @make()
    def f(n):
        return [state()] + (f(n - 1) if n else [])

    assert f(2) == [inside] * 3
    assert state() == outside


@every_context
def test_the_body_of_a_decorated_generator_runs_inside_and_waits_outside(make, states):
    state, outside, inside = states
    seen = []

    @make()
    def f(first):
        """What it does."""
        given = first
        try:
            while given is not None:
                seen.append(state())
                try:
                    given = yield given
                except KeyError:
                    given = "caught"
        finally:
            seen.append(state())
        return "end"

    assert inspect.isgeneratorfunction(f)
    assert (f.__name__, f.__doc__) == ("f", "What it does.")
    g = f(1)
    answers = [next(g), g.send(2), g.throw(KeyError()), g.send(3)]
    assert answers == [1, 2, "caught", 3]
    assert state() == outside
    with pytest.raises(StopIteration) as end:
        next(g)
    assert end.value.value == "end"
    assert seen == [inside] * 5

    for finish in ("close", "throw"):
        seen.clear()
        g = f(1)
        next(g)
        if finish == "close":
            g.close()
        else:
            with pytest.raises(ZeroDivisionError):
                g.throw(ZeroDivisionError())
        assert seen == [inside] * 2
        assert state() == outside


@every_context
def test_a_decorated_coroutine_runs_inside_and_waits_outside(make, states):
    state, outside, inside = states
    seen = []

    @make()
    async def f():
        for _ in range(3):
            seen.append(("f", state()))
            await asyncio.sleep(0)
        return "end"

    async def other():
        for _ in range(3):
            seen.append(("other", state()))
            await asyncio.sleep(0)

    async def both():
        return await asyncio.gather(f(), other())

    assert inspect.iscoroutinefunction(f)
    assert asyncio.run(both()) == ["end", None]
    assert seen == [("f", inside), ("other", outside)] * 3


@every_context
def test_an_asynchronous_generator_is_refused(make, state):
    with pytest.raises(TypeError, match="f is an asynchronous generator function"):

        @make()
        async def f():
            yield


@every_context
def test_what_cannot_be_called_is_refused(make, state):
    with pytest.raises(TypeError, match="only a function can be decorated, got int"):
        make()(3)


def test_an_error_leaves_the_block_and_ends_the_generator():
    @no_grad()
    def f():
        yield is_grad_enabled()
        raise KeyError

    g = f()
    assert next(g) is False
    with pytest.raises(KeyError):
        next(g)
    assert is_grad_enabled()
    assert list(g) == []


def test_two_of_them_decorate_one_generator():
    @no_grad()
    @kernels.engine("reference")
    def f():
        yield is_grad_enabled(), kernels.engines.forced_engine()

    g = f()
    assert next(g) == (False, "reference")
    assert is_grad_enabled()


def test_two_generators_in_turn_have_a_block_each():
    @no_grad()
    def without():
        for _ in range(3):
            yield is_grad_enabled()

    @enable_grad()
    def recording():
        for _ in range(3):
            yield is_grad_enabled()

    assert list(zip(without(), recording(), without(), strict=True)) == [(False, True, False)] * 3


def test_one_object_is_a_block_within_itself():
    entered = []

    @context
    def noted(name):
        entered.append(name)
        yield name
        entered.remove(name)

    block = noted("x")
    with block as a, block as b:
        assert (a, b, entered) == ("x", "x", ["x", "x"])
    assert entered == []
    with pytest.raises(KeyError), block:
        raise KeyError
