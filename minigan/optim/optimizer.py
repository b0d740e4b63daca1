"""What the optimisers share: one flat buffer for all parameters, so that a step is a few kernel calls."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from minigan import backend, states
from minigan.autograd import Tensor
from minigan.checks import integer, mapping, names_that_differ, number, read_back, shown
from minigan.errors import MiniganError

from .unrolled import Unrolled

LARGE = 1 << 14  # entries of a gradient that takes longer to copy than a kernel takes to start, on the CPU


class Optimizer:
    """Moves parameters against their gradients.

    At the first step the parameters' arrays are moved into one flat buffer and become views of it, each in
    its own memory order; so is the state of a step. Until then a network may be converted or moved (`to`).
    A parameter that has another array at a later step is taken into the buffer again: it was given a new one,
    or another optimiser moves it too, or it was copied or pickled together with this optimiser.

    params: tensors of one floating dtype on one device, e.g. `module.parameters()`, or those of several
        networks, `[*G.parameters(), *Q.parameters()]`.
    ValueError for no parameters, one given twice, mixed dtypes, or a setting out of range;
    TypeError for a single tensor in place of a list, DeviceError for parameters on two devices.
    """

    state_names: tuple[str, ...] = ()  # flat arrays of the parameters' size, zeros at first
    limits: ClassVar[dict] = {
        "lr": (0,),
        "weight_decay": (0,),
    }  # settings: at least the first, below the second number

    # The layout: where each parameter lies in a flat array, from the first step or `load_state_dict` on.
    _runs = _shapes = _orders = None
    _state: Any = None
    # The buffer, from the first step on, and again from the first one of a copy.
    _flat: Any = None
    _gradient = _parameter_views = _gradient_views = None

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.0) -> None:
        who = type(self).__name__
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            raise TypeError(f"{who}: params is a list of Tensors, got {shown(params)}")
        self.params = list(params)
        for i, p in enumerate(self.params):
            if not isinstance(p, Tensor):
                raise TypeError(f"{who}: params is a list of Tensors, but number {i} is {shown(p)}")
            if not p.is_leaf or p.dtype.kind != "f":
                kind = p.dtype if p.is_leaf else f"made by {type(p.creator).__name__}"
                raise ValueError(f"{who}: params are floating leaves of a graph, but number {i} is {kind}")
        if not self.params:
            raise ValueError(f"{who}: params is empty, no parameters were given")
        if len(set(self.params)) != len(self.params):
            raise ValueError(f"{who}: a parameter was given twice in params")
        self._kind()
        self._check(lr=lr, weight_decay=weight_decay)
        self._lr, self.weight_decay = lr, weight_decay
        self._pre_hooks: list[Callable] = []
        self._post_hooks: list[Callable] = []
        self._begun = False
        self._steps: Any = 0
        self._rate: Any = lr  # both as kernels take them: in arrays once the buffer lies on a GPU

    def step(self, gradients: Iterable[Tensor | None] | None = None) -> None:
        """Move the parameters once, by `gradients` (as `grad` gives them), or by what `backward` left.

        A parameter whose gradient is None stays, and so does its state; the count of steps is that of
        the optimiser, for all parameters. ValueError for gradients
        that do not fit the parameters.
        """
        if isinstance(gradients, Tensor) or not isinstance(gradients, Iterable | None):
            raise TypeError(f"{type(self).__name__}: gradients is a list of Tensors, got {shown(gradients)}")
        gradients = [p.grad for p in self.params] if gradients is None else list(gradients)
        for hook in self._pre_hooks:
            hook(self, gradients)
        backend.depends_on(f"the settings of {type(self).__name__}", self._fixed)
        if self._flat is None:
            self._lay_out()
        with self.device.active():
            runs = self._gather(gradients)
            backend.lies_in(lambda: [p.data for p in self.params])
            self._steps += 1
            for run, g in runs:
                state = {name: flat[run] for name, flat in self._state.items()}
                self._update(self._flat[run], g, state)
        self._begun = True
        for p, g in zip(self.params, gradients, strict=True):
            if g is not None:
                p.bump()
        for hook in self._post_hooks:
            hook(self, gradients)

    def register_step_pre_hook(self, hook: Callable) -> Callable[[], None]:
        """Call `hook(optimizer, gradients)` before each step; gradients: a list as long as `params`, of
        Tensors or None. Returns a function that removes the hook. A launched graph calls none."""
        self._pre_hooks.append(hook)
        return lambda: self._pre_hooks.remove(hook)

    def register_step_post_hook(self, hook: Callable) -> Callable[[], None]:
        """Call `hook(optimizer, gradients)` after each step; gradients: a list as long as `params`, of
        Tensors or None. Returns a function that removes the hook. A launched graph calls none."""
        self._post_hooks.append(hook)
        return lambda: self._post_hooks.remove(hook)

    def unroll(self, lr: float | None = None) -> Unrolled:
        """The parameters and the state as they are, for further steps that can be differentiated: see
        `Unrolled`. The optimiser itself does not move.

        lr: the rate of those steps, by default the optimiser's. MiniganError for an optimiser whose step
        cannot be differentiated: one of a class that has no `_moved` beside its `_update`.
        """
        who, kinds = type(self).__name__, type(self).__mro__
        update, moved = (
            next((i for i, kind in enumerate(kinds) if name in vars(kind)), len(kinds))
            for name in ("_update", "_moved")
        )
        if moved > update:
            raise MiniganError(
                f"a step of {who} cannot be differentiated; those of SGD, RMSprop, Adam and AdamW can"
            )
        if lr is not None:
            self._setting("lr", lr)
        backend.depends_on(f"the settings of {who}", self._fixed)
        with self.device.active():
            arrays = {name: a.copy(order="K") for name, a in self._arrays().items()}
            state = [
                {name: Tensor(arrays[f"{name}.{i}"]) for name in self.state_names}
                for i in range(len(self.params))
            ]
            rate = self._rate if lr is None else lr
            return Unrolled(self, self.params, state, self._steps, rate, first=not self._begun)

    def clamp_(self, low: float, high: float) -> None:
        """Hold all parameters within [low, high], in place and in one pass, as a WGAN's critic after a step.

        Those whose step had no gradient are held as well. TypeError or ValueError for what are no finite
        numbers, low first. Arjovsky et al., "Wasserstein GAN", 2017, Algorithm 1.
        """
        who = f"{type(self).__name__}.clamp_"
        number(who, "low", low), number(who, "high", high)
        if low > high:
            raise ValueError(f"{who}: need low <= high, got {low} and {high}")
        if self._flat is None:
            self._lay_out()
        with self.device.active():
            self._adopt()
            backend.lies_in(lambda: [p.data for p in self.params])
            self.device.xp.clip(self._flat, low, high, out=self._flat)
        for p in self.params:
            p.bump()

    @property
    def device(self) -> backend.Device:
        """Where the parameters lie, and from the first step on their buffer."""
        return backend.device_of(self.params[0].data if self._flat is None else self._flat)

    @property
    def steps(self) -> int:
        """How many steps were taken. On a GPU they are counted there, so that a captured graph counts
        on; reading the count waits for the device."""
        return self._steps.item() if backend.is_array(self._steps) else self._steps

    @steps.setter
    def steps(self, n: int) -> None:
        self._begun = n > 0
        if backend.is_array(self._steps):
            with self.device.active():
                self._steps.fill(n)  # in place: captured graphs know the array
        else:
            self._steps = n

    @property
    def lr(self) -> float:
        """The rate of the next steps. On a GPU a copy of it lies there, so that a captured graph takes
        the rate of the day. TypeError or ValueError unless it is set to a finite number of at least 0;
        MiniganError while a graph is captured, whose replays would not set it."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._setting("lr", lr)
        if backend.capturing():
            raise MiniganError(f"a change of the rate of {type(self).__name__}, which belongs outside")
        self._lr = lr
        if backend.is_array(self._rate):
            with self.device.active():
                self._rate.fill(lr)  # in place: captured graphs know the array
        else:
            self._rate = lr

    def zero_grad(self) -> None:
        """Forget the gradients that `backward()` left in the parameters."""
        for p in self.params:
            p.grad = None

    def _update(self, p, g, state):
        """Change flat `p` by flat `g`, and the arrays of `state`, in place."""
        raise NotImplementedError

    def _decayed(self, p, g):
        """The gradient with that of the weight decay, as Tensors."""
        return g + self.weight_decay * p if self.weight_decay else g

    # A class whose step can be differentiated has, too,
    #     _moved(p, g, state, steps, rate, first) -> (p, state)
    # the same as `_update` in ops: Tensors of one parameter, the count of steps with this one, the rate (both
    # numbers, or in arrays of one), whether it is the first step of all.

    def settings(self) -> dict[str, float]:
        """The numbers that steer a step, by name; all are attributes."""
        return {"lr": self.lr, "weight_decay": self.weight_decay}

    def _fixed(self):
        """The settings that a captured graph holds as they were."""
        return {name: value for name, value in self.settings().items() if name != "lr"}

    # State

    def state_dict(self) -> dict:
        """{"steps": n, settings, and "name.i": the state array of parameter i in its shape}.

        The arrays are copies in C order, on the optimiser's device; zeros before the first step.
        """
        arrays = {name: backend.c_copy(array) for name, array in self._arrays().items()}
        return {"steps": self.steps, **self.settings(), **arrays}

    def _arrays(self):
        if self._state is None:
            zeros = self.device.xp.zeros_like
            with self.device.active():
                state = {name: [zeros(p.data) for p in self.params] for name in self.state_names}
        else:
            state = {name: self._views(flat) for name, flat in self._state.items()}
        return {f"{name}.{i}": a for name, views in state.items() for i, a in enumerate(views)}

    def load_state_dict(self, state: dict) -> None:
        """Continue from a `state_dict`, of whatever device. ValueError, with nothing changed, if it does
        not fit."""
        numbers, arrays, problems = self._fitted(state)
        if problems:
            raise ValueError(f"{type(self).__name__}: the state does not fit: {'; '.join(problems)}")
        self._make_state()
        own = self._arrays()
        with self.device.active():
            for name, array in arrays.items():
                own[name][...] = array
        for name, value in numbers.items():
            setattr(self, name, value)

    def misfits(self, state: dict) -> list[str]:
        """What hinders a state from being loaded, a sentence each."""
        return self._fitted(state)[2]

    def _fitted(self, state):
        """The numbers and the arrays of a state, by name, and what hinders."""
        who = type(self).__name__
        mapping(who, state)
        own, settings = self._arrays(), ["steps", *self.settings()]
        problems, numbers = names_that_differ(state, [*settings, *own]), {}
        for name in (name for name in settings if name in state):
            value = read_back(state[name])
            try:
                numbers[name] = (
                    integer(who, name, value, 0) if name == "steps" else self._setting(name, value)
                )
            except (TypeError, ValueError) as error:
                problems.append(str(error).removeprefix(f"{who}: "))
        arrays, misfits = states.fitted(state, {name: a for name, a in own.items() if name in state})
        return numbers, arrays, problems + misfits

    # The flat buffer

    def _kind(self):
        """The dtype and the device that all parameters have; an error if they have several."""
        dtypes = {str(p.dtype) for p in self.params}
        if len(dtypes) != 1:
            raise ValueError(
                f"{type(self).__name__}: parameters of several dtypes: {', '.join(sorted(dtypes))}"
            )
        return self.params[0].dtype, backend.one_device(type(self).__name__, (p.data for p in self.params))

    def _make_state(self):
        """The layout of the flat arrays, and those of the state, unless they are there."""
        if self._state is not None:
            return
        sizes = [p.data.size for p in self.params]
        ends = np.cumsum(sizes).tolist()
        self._runs = [slice(end - n, end) for n, end in zip(sizes, ends, strict=True)]
        self._shapes = [p.shape for p in self.params]
        self._orders = [np.argsort([-s for s in p.data.strides], kind="stable").tolist() for p in self.params]
        dtype, device = self._kind()
        with device.active():
            self._state = {name: device.xp.zeros(ends[-1], dtype) for name in self.state_names}

    def _lay_out(self):
        """The buffer, into which `_gather` takes the parameters; the state on the same device."""
        if backend.capturing():
            raise MiniganError(f"a first step of {type(self).__name__}")
        self._make_state()
        dtype, device = self._kind()
        size = self._runs[-1].stop
        with device.active():
            self._state = {name: backend.as_array(a, dtype, device) for name, a in self._state.items()}
            if device.kind != "cpu":
                self._steps = device.xp.full(1, self._steps, dtype=np.int64)
                self._rate = device.xp.full(1, self.lr, dtype=np.float64)
            self._flat, self._gradient = (device.xp.zeros(size, dtype) for _ in range(2))
        self._parameter_views, self._gradient_views = self._views(self._flat), self._views(self._gradient)

    def _adopt(self):
        """Take the values of parameters that have arrays elsewhere into the buffer; their places there become
        their arrays."""
        views = self._parameter_views
        strangers = [i for i, p in enumerate(self.params) if p.data is not views[i]]
        if not strangers:
            return
        for i in strangers:
            if backend.capturing():
                raise MiniganError(
                    f"parameter {i} of {type(self).__name__} in another array than at its last step, as when "
                    "two optimisers move it in turn"
                )
            arrays = self.params[i].data, views[i]
            now, expected = ((a.dtype, a.shape, backend.device_of(a)) for a in arrays)
            if now != expected:
                now, expected = ("{} {} on {}".format(*kind) for kind in (now, expected))
                raise ValueError(
                    f"{type(self).__name__}: parameter {i} is {now}, but was {expected} at the first step; "
                    "convert or move a network before that, or make a new optimiser"
                )
        # Two parameters may have exchanged arrays: what lies in the buffer is read before any is written.
        arrays = [self.params[i].data for i in strangers]
        overlap = self.device.xp.may_share_memory
        arrays = [a.copy() if overlap(a, self._flat) else a for a in arrays]
        for i, a in zip(strangers, arrays, strict=True):
            views[i][...] = a
            self.params[i].data = views[i]

    def _views(self, flat):
        """The parts of a flat array in the shapes and memory orders of the parameters."""
        views = []
        for run, shape, order in zip(self._runs, self._shapes, self._orders, strict=True):
            inner = flat[run].reshape(tuple(shape[i] for i in order))
            views.append(inner.transpose(np.argsort(order).tolist()))
        return views

    def __getstate__(self):
        """What copies and pickles are made of: all but the buffer, since the copy of a view is no view of a
        copy. They make one of their own at their first step."""
        own = dict.fromkeys(("_flat", "_gradient", "_parameter_views", "_gradient_views"))
        own |= {name: list(getattr(self, name)) for name in ("params", "_pre_hooks", "_post_hooks")}
        if self._state is not None:
            with self.device.active():
                own["_state"] = {name: a.copy() for name, a in self._state.items()}
        return {**self.__dict__, **own, "_steps": self.steps, "_rate": self.lr}

    def _gather(self, gradients):
        """The runs of the flat buffer that have gradients, as slices, each with its flat gradient.

        On the CPU a large gradient in its parameter's memory order is taken as it is: in the step of a GAN
        of linear layers, copying them took as long as Adam. The others are copied into one buffer, so
        that neighbours make one run.
        """
        if len(gradients) != len(self.params):
            raise ValueError(f"{len(self.params)} parameters, but {len(gradients)} gradients")
        self._adopt()
        on_cpu = self.device.kind == "cpu"
        runs, copied = [], None  # the last slice, while it is of copies
        for i, (p, g, run, order) in enumerate(
            zip(self.params, gradients, self._runs, self._orders, strict=True)
        ):
            if g is None:
                continue
            if not isinstance(g, Tensor):
                raise TypeError(
                    f"{type(self).__name__}: gradients are Tensors or None, but number {i} is {shown(g)}"
                )
            if g.data.shape != p.data.shape:
                raise ValueError(f"the gradient of parameter {i} has shape {g.shape}, expected {p.shape}")
            if backend.gpu_in_use():
                backend.one_device(f"{type(self).__name__}: parameter {i} and its gradient", (p.data, g.data))
            rows = g.data.transpose(order)
            as_it_is = (
                on_cpu and rows.size >= LARGE and rows.flags.c_contiguous and rows.dtype == p.data.dtype
            )
            if as_it_is and not np.may_share_memory(rows, self._flat):
                runs.append((run, rows.reshape(-1)))
                copied = None
                continue
            self._gradient_views[i][...] = g.data
            if copied is not None and copied.stop == run.start:
                copied = slice(copied.start, run.stop)
                runs[-1] = copied, self._gradient[copied]
            else:
                copied = run
                runs.append((copied, self._gradient[copied]))
        return runs

    def _setting(self, name, value):
        """`value`, if the setting may have it."""
        return number(type(self).__name__, name, value, *self.limits.get(name, ()))

    def _check(self, **settings):
        for name, value in settings.items():
            self._setting(name, value)

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v:g}" for k, v in self.settings().items())
        return f"{type(self).__name__}({sum(p.numel() for p in self.params):,} parameters, {settings})"
