"""What the optimisers share: one flat buffer for all parameters, so that a step is a few kernel calls."""

from collections.abc import Iterable

import numpy as np

from minigan import backend
from minigan.autograd import Tensor

LARGE = 1 << 14  # entries of a gradient that takes longer to copy than a kernel takes to start, on the CPU


class Optimizer:
    """Moves parameters against their gradients.

    The parameters' arrays are moved into one flat buffer and become views of it, each in its own
    memory order; so is the state of a step. Convert or move a module (`to`) before.

    params: tensors of one floating dtype on one device, e.g. `module.parameters()`.
    ValueError for no parameters, one given twice, mixed dtypes, or a setting out of range;
    TypeError for a single tensor in place of a list, DeviceError for parameters on two devices.
    """

    state_names: tuple[str, ...] = ()  # flat arrays of the parameters' size, zeros at first

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.0):
        self.params = list(params) if isinstance(params, Iterable) else [params]
        if isinstance(params, Tensor) or not all(isinstance(p, Tensor) for p in self.params):
            kind = type(params).__name__
            raise TypeError(f"{type(self).__name__}: params is a list of Tensors, not a {kind}")
        if not self.params:
            raise ValueError(f"{type(self).__name__}: no parameters were given")
        if len(set(self.params)) != len(self.params):
            raise ValueError(f"{type(self).__name__}: a parameter was given twice")
        dtypes = {str(p.dtype) for p in self.params}
        if len(dtypes) != 1:
            raise ValueError(
                f"{type(self).__name__}: parameters of several dtypes: {', '.join(sorted(dtypes))}"
            )
        self._check(lr=lr, weight_decay=weight_decay)
        self.lr, self.weight_decay = lr, weight_decay
        self._pre_hooks, self._post_hooks = [], []
        self.device = backend.one_device(type(self).__name__, (p.data for p in self.params))
        with self.device.active():
            self._flatten()
        self.steps = 0

    def step(self, gradients: Iterable[Tensor | None] | None = None):
        """Move the parameters once, by `gradients` (as `grad` gives them), or by what `backward` left.

        A parameter whose gradient is None stays, and so does its state; the count of steps is that of
        the optimiser, for all parameters. ValueError for gradients
        that do not fit the parameters.
        """
        gradients = [p.grad for p in self.params] if gradients is None else list(gradients)
        for hook in self._pre_hooks:
            hook(self, gradients)
        backend.depends_on(f"the settings of {type(self).__name__}", self.settings)
        with self.device.active():
            runs = self._gather(gradients)
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

    def register_step_pre_hook(self, hook):
        """Call `hook(optimizer, gradients)` before each step; gradients: a list as long as `params`, of
        Tensors or None. Returns a function that removes the hook. A launched graph calls none."""
        self._pre_hooks.append(hook)
        return lambda: self._pre_hooks.remove(hook)

    def register_step_post_hook(self, hook):
        """The same after each step."""
        self._post_hooks.append(hook)
        return lambda: self._post_hooks.remove(hook)

    @property
    def steps(self) -> int:
        """How many steps were taken. On a GPU they are counted there, so that a captured graph counts
        on; reading the count waits for the device."""
        return self._steps if self.device.kind == "cpu" else self._steps.item()

    @steps.setter
    def steps(self, n):
        self._begun = n > 0
        with self.device.active():
            if self.device.kind == "cpu":
                self._steps = n
            elif hasattr(self, "_steps"):
                self._steps.fill(n)  # in place: captured graphs know the array
            else:
                self._steps = self.device.xp.full(1, n, dtype=np.int64)

    def zero_grad(self):
        """Forget the gradients that `backward()` left in the parameters."""
        for p in self.params:
            p.grad = None

    def _update(self, p, g, state):
        """Change flat `p` by flat `g`, and the arrays of `state`, in place."""
        raise NotImplementedError

    def settings(self) -> dict[str, float]:
        """The numbers that steer a step, by name; all are attributes."""
        return {"lr": self.lr, "weight_decay": self.weight_decay}

    # State

    def state_dict(self) -> dict:
        """{"steps": n, settings, and "name.i": the state array of parameter i in its shape}.

        The arrays are copies in C order, on the optimiser's device: later steps do not change them.
        """
        arrays = {name: backend.c_copy(array) for name, array in self._state_views().items()}
        return {"steps": self.steps, **self.settings(), **arrays}

    def load_state_dict(self, state: dict):
        """Continue from a `state_dict`, of whatever device. ValueError, with nothing changed, if it does
        not fit."""
        own = self.state_dict()
        missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or unexpected:
            raise ValueError(
                f"{type(self).__name__}: the state does not fit: missing {missing}, unexpected {unexpected}"
            )
        for name, value in own.items():
            given, expected = (tuple(getattr(v, "shape", ())) for v in (state[name], value))
            if given != expected:
                raise ValueError(f"{type(self).__name__}: {name} has shape {given}, expected {expected}")
        arrays = self._state_views()
        for name in own:
            if name in arrays:
                with self.device.active():
                    arrays[name][...] = self.device.put(state[name])
            else:
                setattr(self, name, state[name])

    # The flat buffer

    def _flatten(self):
        xp = self.device.xp
        sizes = [p.data.size for p in self.params]
        ends = np.cumsum(sizes).tolist()
        self._runs = [slice(end - n, end) for n, end in zip(sizes, ends, strict=True)]
        self._orders = [np.argsort([-s for s in p.data.strides], kind="stable").tolist() for p in self.params]
        self._flat, self._gradient, *state = (
            xp.zeros(ends[-1], self.params[0].dtype) for _ in range(2 + len(self.state_names))
        )
        self._state = dict(zip(self.state_names, state, strict=True))
        self._gradient_views = self._views(self._gradient)
        self._parameter_views = self._views(self._flat)
        for p, view in zip(self.params, self._parameter_views, strict=True):
            view[...] = p.data
            p.data = view

    def _state_views(self):
        """{"name.i": the part of the state that belongs to parameter i}: no copies."""
        return {f"{k}.{i}": a for k, flat in self._state.items() for i, a in enumerate(self._views(flat))}

    def _views(self, flat):
        """The parts of a flat array in the shapes and memory orders of the parameters."""
        views = []
        for p, run, order in zip(self.params, self._runs, self._orders, strict=True):
            inner = flat[run].reshape(tuple(p.shape[i] for i in order))
            views.append(inner.transpose(np.argsort(order).tolist()))
        return views

    def _gather(self, gradients):
        """The runs of the flat buffer that have gradients, as slices, each with its flat gradient.

        On the CPU a large gradient in its parameter's memory order is taken as it is: in the step of a GAN
        of linear layers, copying them took as long as Adam. The others are copied into one buffer, so
        that neighbours make one run.
        """
        if len(gradients) != len(self.params):
            raise ValueError(f"{len(self.params)} parameters, but {len(gradients)} gradients")
        on_cpu = self.device.kind == "cpu"
        runs, copied = [], None  # the last slice, while it is of copies
        for i, (p, g, run, order) in enumerate(
            zip(self.params, gradients, self._runs, self._orders, strict=True)
        ):
            if p.data is not self._parameter_views[i]:
                raise RuntimeError(f"parameter {i} was given another array after the optimiser was made")
            if g is None:
                continue
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

    def _check(self, **settings):
        for name, value in settings.items():
            if isinstance(value, Tensor):
                raise TypeError(f"{type(self).__name__}: {name} is a number, not a Tensor")
            if not value >= 0:
                raise ValueError(f"{type(self).__name__}: {name} must be at least 0, got {value}")

    def __repr__(self):
        settings = ", ".join(f"{k}={v:g}" for k, v in self.settings().items())
        return f"{type(self).__name__}({self._flat.size:,} parameters, {settings})"
