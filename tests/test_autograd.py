"""The graph: what is recorded, walked, kept and refused. The ops themselves are tested in test_ops."""

import gc
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minigan.functional as F
import minigan_kernels
from minigan import (
    Function,
    Generator,
    NonFiniteError,
    Tensor,
    detect_anomaly,
    enable_grad,
    grad,
    is_grad_enabled,
    nn,
    no_grad,
    set_grad_enabled,
)
from minigan.testing import assert_close, check_grads


def leaf(*values, dtype=np.float64):
    return Tensor(np.array(values, dtype), requires_grad=True)


def filled(*shape, value=1.0):
    return Tensor(np.full(shape, value, np.float32), requires_grad=True)


# Gradients


@pytest.mark.parametrize(
    ("f", "third"),
    [
        (lambda x: x**4, lambda x: 24 * x),
        (lambda x: x**3, lambda x: 6 + 0 * x),
        (lambda x: 1 / x, lambda x: -6 / x**4),
        (F.exp, np.exp),
        (F.log, lambda x: 2 / x**3),
        (F.sqrt, lambda x: 0.375 * x**-2.5),
        (F.tanh, lambda x: (4 * np.sinh(x) ** 2 - 2) / np.cosh(x) ** 4),
        (lambda x: x * F.sigmoid(x) - x * F.sigmoid(x), lambda x: 0 * x),
    ],
    ids=["x**4", "x**3", "1/x", "exp", "log", "sqrt", "tanh", "nothing"],
)
def test_third_derivatives(f, third):
    x = leaf(0.5, 1.0, 2.5)
    y = f(x)
    for _ in range(3):
        (y,) = grad(y.sum(), x, create_graph=True)
    assert_close(y, third(x.numpy()), rtol=1e-12, atol=1e-14)


def test_a_tensor_used_twice_gets_the_sum_of_both_gradients():
    x = leaf(2.0, 3.0)
    for y in (x * x, x**2, (x + x) * x / 2, F.concat([x * x / 2, x * x / 2])):
        assert grad(y.sum(), x)[0].numpy().tolist() == [4, 6]


def test_gradients_of_several_outputs_add_up():
    x, z = leaf(2.0), leaf(5.0)
    gx, gz = grad([x * z, z * z], [x, z], [np.array([10.0]), Tensor([1.0])])
    assert (gx.item(), gz.item()) == (50, 30)


def test_the_same_output_twice_counts_twice():
    x = leaf(2.0)
    y = x * x
    assert grad([y, y], x)[0].item() == 8


def test_intermediate_tensors_can_be_inputs():
    x = leaf(3.0)
    h = x * 2
    gx, gh, gx_again = grad(h * h, [x, h, x])
    assert (gx.item(), gh.item(), gx_again.item()) == (24, 12, 24)


def test_an_output_can_be_an_input():
    x = leaf(3.0)
    y = x * x
    assert grad(x, x)[0].item() == 1
    assert [g.item() for g in grad(y, [y, x])] == [1, 6]


def test_an_unused_input_is_an_error_or_none():
    x, other = leaf(1.0), leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"do not depend on an input of shape \(2,\); allow_unused"):
        grad(x * 2, [x, other])
    gx, g_other = grad(x * 2, [x, other], allow_unused=True)
    assert (gx.item(), g_other) == (2, None)


def test_gradients_are_constants_unless_a_graph_is_asked_for():
    x = leaf(2.0)
    assert not grad(x * x, x)[0].requires_grad
    assert grad(x * x, x, create_graph=True)[0].requires_grad


def test_grad_leaves_the_field_grad_alone():
    x = leaf(2.0)
    grad(x * x, x)
    assert x.grad is None


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda x: grad(x * 2, x), RuntimeError, r"output of shape \(3,\) has no single gradient"),
        (lambda x: grad(x.detach(), x), RuntimeError, r"output of shape \(3,\) does not require a gradient"),
        (lambda x: grad(x.sum(), Tensor([1.0])), RuntimeError, r"input of shape \(1,\) does not require"),
        (lambda x: grad(x * 2, x, np.ones(2)), ValueError, r"grad_outputs of shape \(2,\) .* shape \(3,\)"),
        (lambda x: grad([x, x], x, [np.ones(3)]), ValueError, "2 outputs, but 1 grad_outputs"),
        (lambda x: (x * 2).backward(np.ones(())), ValueError, r"grad_outputs of shape \(\) .* shape \(3,\)"),
        (lambda x: x.detach().sum().backward(), RuntimeError, "does not require a gradient"),
    ],
)
def test_what_cannot_be_differentiated(call, error, says):
    with pytest.raises(error, match=says):
        call(leaf(1.0, 2.0, 3.0))


def layers():
    rng = Generator(0)
    return {
        "linear": (nn.Linear(4, 3, generator=rng), (2, 4)),
        "conv2d": (nn.Conv2d(2, 3, 3, generator=rng), (2, 2, 4, 4)),
        "conv_transpose2d": (nn.ConvTranspose2d(2, 3, 3, generator=rng), (2, 2, 4, 4)),
        "relu": (nn.ReLU(), (2, 4)),
        "batch_norm": (nn.BatchNorm2d(2), (2, 2, 4, 4)),
        "softmax": (nn.Softmax(), (2, 4)),
    }


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", layers())
def test_seeds_are_cast_to_the_dtype_of_their_output(name, create_graph):
    net, shape = layers()[name]
    with minigan_kernels.engine("reference"):
        x = Tensor(Generator(1).normal(shape), requires_grad=True)
        y = net(x)
        whole = np.arange(y.numel()).reshape(y.shape) % 2
        (expected,) = grad(y, x, whole.astype(np.float32), create_graph=create_graph)
        kinds = [whole.astype(kind) for kind in (np.float64, np.float16, np.int64, bool)]
        for seed in (*kinds, *map(Tensor, kinds), [whole.tolist()]):
            (g,) = grad(net(x), x, seed, create_graph=create_graph)
            assert g.dtype == np.float32
            np.testing.assert_array_equal(g.data, expected.data)
            x.grad = None
            net(x).backward(seed[0] if isinstance(seed, list) else seed, create_graph=create_graph)
            assert x.grad.dtype == np.float32
            np.testing.assert_array_equal(x.grad.data, expected.data)


def test_the_cast_of_a_seed_is_recorded():
    x, seed = filled(3, value=2.0), leaf(1.0, 2.0, 3.0)
    (g,) = grad(x * x, x, seed, create_graph=True)
    assert (g.dtype, g.requires_grad) == (np.float32, True)
    (back,) = grad(g.sum(), seed)
    assert (back.dtype, back.tolist()) == (np.float64, [4.0, 4.0, 4.0])
    assert not grad(x * x, x, seed)[0].requires_grad


@pytest.mark.parametrize(
    "seed",
    [
        np.ones(3, complex),
        np.array(["a", "b", "c"]),
        ["a"],
        [object()],
        np.ma.masked_array(np.ones(3), [0, 1, 0]),
    ],
    ids=["complex", "strings", "a string", "an object", "masked"],
)
def test_seeds_that_are_no_real_numbers_are_refused(seed):
    x = filled(3)
    with pytest.raises(TypeError, match="grad: grad_outputs are arrays or Tensors of real numbers: "):
        grad(x * 2, x, seed)
    with pytest.raises(TypeError, match="grad: grad_outputs are arrays or Tensors of real numbers: "):
        (x * 2).backward(seed)


# backward


def test_backward_fills_the_leaves_and_adds_up():
    x, c = leaf(2.0, 3.0), Tensor([1.0, 1.0])
    h = x * c
    (h * h).sum().backward()
    assert x.grad.numpy().tolist() == [4, 6]
    (3 * x).sum().backward()
    assert x.grad.numpy().tolist() == [7, 9]
    assert c.grad is None
    assert h.grad is None


def test_backward_from_a_given_gradient():
    x = leaf(2.0, 3.0)
    (x * x).backward(np.array([1.0, 10.0]))
    assert x.grad.numpy().tolist() == [4, 60]


def test_backward_with_a_graph_can_be_differentiated():
    x = leaf(3.0)
    (x**3).backward(create_graph=True)
    assert grad(x.grad, x)[0].item() == 18
    x.grad = None  # a gradient with a graph refers to its leaf, and so keeps itself alive


def test_each_leaf_owns_the_memory_of_its_grad():
    x, y, seed = filled(3), filled(3), np.ones(3, np.float32)
    (x + y).backward(seed)
    grads = [x.grad.numpy(), y.grad.numpy(), seed]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(grads) for b in grads[:i])
    z = filled(2, 3)
    z.sum().backward()
    z.grad.zero_()  # what a sum broadcasts is read-only; what a leaf is given is not


# Paths


@pytest.fixture
def kernel_calls(monkeypatch):
    """Counts the calls of the convolution kernels."""
    calls = Counter()

    def count(name, kernel):
        def counted(*args):
            calls[name] += 1
            return kernel(*args)

        monkeypatch.setattr(minigan_kernels, name, counted)

    for name in ("conv2d", "conv2d_input", "conv2d_weight"):
        count(name, getattr(minigan_kernels, name))
    return calls


def two_convolutions(frozen=()):
    """x -> w1 -> w2 -> loss, and the four tensors."""
    x, w1, w2 = filled(1, 2, 4, 4), filled(2, 2, 3, 3), filled(2, 2, 2, 2)
    for t, name in ((x, "x"), (w1, "w1"), (w2, "w2")):
        t.requires_grad = name not in frozen
    return x, w1, w2, F.conv2d(F.conv2d(x, w1), w2).sum()


@pytest.mark.parametrize(
    ("inputs", "frozen", "expected"),
    [
        ("x", "", {"conv2d_input": 2}),
        ("w1", "", {"conv2d_input": 1, "conv2d_weight": 1}),
        ("w2", "", {"conv2d_weight": 1}),
        ("x w1 w2", "", {"conv2d_input": 2, "conv2d_weight": 2}),
        ("w1", "w2 x", {"conv2d_input": 1, "conv2d_weight": 1}),
        ("w2", "w1", {"conv2d_weight": 1}),
    ],
)
def test_only_the_kernels_on_the_way_to_the_inputs_run(kernel_calls, inputs, frozen, expected):
    x, w1, w2, loss = two_convolutions(frozen.split())
    kernel_calls.clear()
    grad(loss, [{"x": x, "w1": w1, "w2": w2}[name] for name in inputs.split()])
    assert kernel_calls == expected


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (lambda a, b: a * b, [(2, 3), (2, 3)]),
        (lambda a, b: a**b, [(2, 3), (2, 3)]),
        (F.matmul, [(2, 3), (3, 4)]),
        (F.conv2d, [(1, 2, 4, 4), (3, 2, 3, 3)]),
        (F.conv_transpose2d, [(1, 3, 2, 2), (3, 2, 3, 3)]),
        (lambda x, gy: F.conv2d_weight(x, gy, 3), [(1, 2, 4, 4), (1, 3, 2, 2)]),
    ],
)
def test_the_gradient_in_one_operand_does_not_cost_that_in_the_other(monkeypatch, op, shapes):
    calls = []
    call = Function.__call__
    monkeypatch.setattr(Function, "__call__", lambda self, *inputs: calls.append(self) or call(self, *inputs))

    def cost(inputs):
        calls.clear()
        grad(y, inputs, u, create_graph=True)
        return len(calls)

    leaves = [filled(*shape) for shape in shapes]
    y = op(*leaves)
    u = Tensor(np.ones(y.shape, np.float32))
    assert all(cost(leaf) < cost(leaves) for leaf in leaves)


@pytest.mark.parametrize(
    ("frozen", "expected"),
    [
        ("x", {"conv2d_input": 1, "conv2d_weight": 2}),
        ("x w1", {"conv2d_weight": 1}),
        ("w1 w2", {"conv2d_input": 2}),
    ],
)
def test_backward_does_not_walk_frozen_parts(kernel_calls, frozen, expected):
    *_, loss = two_convolutions(frozen.split())
    kernel_calls.clear()
    loss.backward()
    assert kernel_calls == expected


def test_a_branch_that_leads_nowhere_is_not_walked():
    class Untouchable(Function):
        def forward(self, x):
            return x

        def backward(self, gy):
            raise AssertionError("was walked")

    x, other = leaf(2.0), leaf(3.0)
    (g,) = grad(x * x + Untouchable()(other), x)
    assert g.item() == 4


def test_wanted_tells_an_op_which_gradients_are_used():
    class Product(Function):
        def forward(self, a, b):
            return a * b

        def backward(self, gy):
            seen.append(self.wanted)
            a, b = self.inputs
            return gy * b, gy * a

    x, y, seen = leaf(2.0), leaf(3.0), []
    z = Product()(x, y)
    for inputs in (x, y, [x, y]):
        grad(z, inputs)
    grad(Product()(x, 3.0), x)
    assert seen == [(True, False), (False, True), (True, True), (True, False)]


# Depth and memory


@pytest.mark.slow
@pytest.mark.parametrize("step", [lambda y: y + 1, lambda y: y * 1.0, F.relu], ids=["add", "mul", "relu"])
def test_a_chain_of_50000_ops(step):
    x = leaf(1.0)
    y = x
    for _ in range(50_000):
        y = step(y)
    (g,) = grad(y, x, create_graph=True)
    assert g.item() == 1
    graph = [weakref.ref(t.creator) for t in (y, g) if not t.is_leaf]
    del y, g
    assert not any(ref() for ref in graph)


def test_an_op_is_walked_once_on_however_many_paths():
    x = y = leaf(1.0)
    for _ in range(60):
        y = (y + y) / 2  # 2 ** 60 paths
    assert grad(y, x)[0].item() == 1


@pytest.fixture
def _no_gc():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def graph_objects():
    return [o for o in gc.get_objects() if issubclass(type(o), (Tensor, Function))]


def penalty(x, w, b):
    """A gradient penalty: a double backward through a convolution, norm, activation and pooling."""
    h = F.batch_norm(F.conv2d(x, w, b, padding=1), weight=b, bias=b)
    y = F.max_pool2d(F.leaky_relu(h, 0.2), 2).mean() + F.softmax(h).exp().sum()
    (g,) = grad(y, x, create_graph=True)
    return F.mse_loss(F.norm(g.flatten(1), axis=1), 1.0)


def run_backward(x, w, b):
    penalty(x, w, b).backward()
    w.grad = b.grad = x.grad = None


def run_under_anomaly_detection(x, w, b):
    with detect_anomaly():
        grad(penalty(x, w, b), w)


@pytest.mark.slow
@pytest.mark.usefixtures("_no_gc")
@pytest.mark.parametrize(
    "run",
    [penalty, lambda *leaves: grad(penalty(*leaves), leaves), run_backward, run_under_anomaly_detection],
    ids=["double backward", "triple backward", "backward", "anomaly"],
)
def test_a_graph_is_freed_without_the_garbage_collector(run):
    leaves = filled(2, 2, 4, 4), filled(3, 2, 3, 3, value=0.1), filled(3)
    run(*leaves)  # may compile kernels, and a compiler leaves cycles behind that hold its caller
    gc.collect()
    before = set(map(id, graph_objects()))
    kept = run(*leaves)
    made = [o for o in graph_objects() if id(o) not in before]
    arrays = [weakref.ref(o.data) for o in made if isinstance(o, Tensor)]
    del kept, made
    assert len(graph_objects()) == len(before)
    assert not [array for array in arrays if array() is not None]


IMAGE = (1, 1, 4, 4)


@pytest.mark.parametrize(
    "op",
    [
        lambda h: h + 1.0,
        lambda h: 1.0 - h,
        lambda h: -h,
        lambda h: h.sum(),
        lambda h: h.mean(1),
        lambda h: F.concat([h, h]),
        lambda h: F.pad(h, (1, 1)),
        lambda h: F.where(np.ones(IMAGE, bool), h, 0.0),
        lambda h: h[np.array([0, 0])],
        lambda h: F.max_pool2d(h, 2),
        lambda h: F.avg_pool2d(h, 2),
        F.exp,
        F.relu,
        F.tanh,
        F.sigmoid,
        F.softmax,
    ],
)
def test_an_op_whose_gradient_does_not_need_its_input_does_not_keep_it(op):
    x = filled(*IMAGE)
    h = x * 2.0
    kept = weakref.ref(h.data)
    y = op(h)
    del h
    assert kept() is None
    grad(y.sum(), x)


def test_no_graph_is_kept_under_no_grad():
    x = filled(3)
    with no_grad():
        y = x * x
    assert y.creator is None
    assert y.is_leaf
    assert not y.requires_grad


# In-place changes

CHANGES = {
    "copy_": lambda t: t.copy_(np.zeros(2)),
    "fill_": lambda t: t.fill_(0.5),
    "zero_": lambda t: t.zero_(),
    "item": lambda t: t.__setitem__(0, 5.0),
    "slice": lambda t: t.__setitem__(slice(1), Tensor([5.0])),
    "detached": lambda t: t.detach().fill_(0.5),
    "wrapped": lambda t: Tensor(t).fill_(0.5),
    "view": lambda t: t.reshape(1, 2).fill_(0.5),
    "view of a view": lambda t: t.reshape(2, 1)[1:].fill_(0.5),
    "sum_to its own shape": lambda t: t.sum_to((2,)).fill_(0.5),
}
change_in_place = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


@change_in_place
def test_a_saved_input_that_was_changed_is_refused(change):
    x = leaf(2.0, 3.0)
    y = x * x
    with no_grad():
        change(x)
    with pytest.raises(RuntimeError, match="the gradient of Mul needs an input, which was changed in place"):
        grad(y.sum(), x)


@change_in_place
def test_a_saved_output_that_was_changed_is_refused(change):
    x = leaf(2.0, 3.0)
    y = x.exp()
    with no_grad():
        change(y)
    with pytest.raises(
        RuntimeError, match="the gradient of Exp needs its output, which was changed in place"
    ):
        grad(y.sum(), x)


@change_in_place
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    ("op", "needs"),
    [
        (lambda x: (x.tanh(),), "Tanh needs its output"),
        (lambda x: (F.leaky_relu(x, 0.2),), "LeakyReLU needs its output"),
        (lambda x: (x, F.linear(x.detach(), x.expand(3, 2))), "Linear needs an input"),
        (lambda x: (x, F.binary_cross_entropy_with_logits(x, 1.0)), "BCEWithLogits needs an input"),
    ],
    ids=["tanh", "leaky_relu", "linear", "bce"],
)
def test_a_short_cut_refuses_what_was_changed_too(change, op, needs, create_graph):
    x = leaf(2.0, 3.0)
    changed, *y = op(x)
    with no_grad():
        change(changed)
    with pytest.raises(RuntimeError, match=f"the gradient of {needs}, which was changed in place"):
        grad((y or [changed])[0].sum(), x, create_graph=create_graph)


@change_in_place
def test_a_saved_constant_that_was_changed_is_refused(change):
    x, c = leaf(2.0, 3.0), Tensor(np.array([1.0, 2.0]))
    y = x * c.reshape(2)  # what is saved is a view
    change(c)
    with pytest.raises(RuntimeError, match="changed in place"):
        grad(y.sum(), x)


@change_in_place
@pytest.mark.parametrize("op", [lambda x: x + 1, lambda x: x.sum(), F.relu, F.tanh, lambda x: x[:1]])
def test_a_change_that_the_gradient_does_not_see_is_allowed(op, change):
    x = leaf(2.0, 3.0)
    y = op(x).sum()
    (expected,) = grad(y, x)
    with no_grad():
        change(x)
    assert grad(y, x)[0].numpy().tolist() == expected.numpy().tolist()


@pytest.mark.parametrize(
    ("op", "chooser"),
    [
        (lambda x, i: x[i], [1, 1]),
        (lambda x, i: x[..., i], [1, 1]),
        (lambda x, i: F.gather(x, 0, i), [1, 1]),
        (lambda x, i: F.embedding(i, x.unsqueeze(1)), [1, 1]),
        (lambda x, i: F.cross_entropy(x.unsqueeze(0), i[:1]), [1]),
        (lambda x, i: x[i], [False, True]),
        (lambda x, i: F.where(i, x, 0.0), [False, True]),
    ],
    ids=["index", "indices", "gather", "embedding", "cross_entropy", "mask", "where"],
)
def test_a_later_change_of_an_index_or_mask_does_not_reach_the_gradient(op, chooser):
    x, i = leaf(2.0, 3.0), Tensor(chooser)
    y = op(x, i).sum()
    (expected,) = grad(y, x)
    i.zero_()
    assert grad(y, x)[0].numpy().tolist() == expected.numpy().tolist()


def test_the_error_says_where_the_op_was_called_if_that_was_recorded():
    x = leaf(2.0)
    with detect_anomaly():
        y = x.exp()
    y.detach().zero_()
    with pytest.raises(RuntimeError, match=r"gradient of Exp \(called at .*test_autograd\.py:\d+\)"):
        grad(y, x)


@pytest.mark.parametrize(
    "make", [lambda x: x, lambda x: x * 2, lambda x: x[:1]], ids=["leaf", "result", "view"]
)
@pytest.mark.parametrize("change", ["zero_", "fill_", "copy_"])
def test_a_recorded_tensor_is_changed_only_under_no_grad(make, change):
    x = leaf(2.0, 3.0)
    with pytest.raises(RuntimeError, match="only under no_grad"):
        getattr(make(x), change)(*[0.0] * (change != "zero_"))
    assert x.numpy().tolist() == [2, 3]


def test_what_a_change_in_place_writes():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    for changed, expected in (
        (lambda: x.copy_(Tensor([5.0, 6.0])), [[5, 6], [5, 6]]),
        (lambda: x.fill_(7.0), [[7, 7], [7, 7]]),
        (lambda: x.zero_(), [[0, 0], [0, 0]]),
    ):
        assert changed() is x
        assert x.numpy().tolist() == expected


def test_setitem_takes_tensors_and_counts_versions():
    x = Tensor(np.zeros((3, 2)))
    x[Tensor([0, 2]), 1] = Tensor([5.0, 6.0])
    x[x == 5] = 7.0
    x.bump()
    assert x.numpy().tolist() == [[0, 7], [0, 0], [0, 6]]
    assert x.version == 3


# Hooks


def test_a_hook_sees_the_whole_gradient_once():
    x, seen = leaf(3.0), []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * x + 5 * x).backward()
    assert seen == [11]
    assert x.grad.item() == 11


@pytest.mark.parametrize("hooked", ["leaf", "intermediate"])
def test_a_hook_can_replace_the_gradient_until_it_is_removed(hooked):
    x = leaf(3.0)
    h = x * 2
    remove = (x if hooked == "leaf" else h).register_hook(lambda g: g * 10)
    assert grad(h * h, x)[0].item() == 240
    remove()
    assert grad(h * h, x)[0].item() == 24


def test_hooks_run_in_order():
    x = leaf(3.0)
    x.register_hook(lambda g: g + 1)
    x.register_hook(lambda g: g * 10)
    assert grad(x * 2, x)[0].item() == 30


def test_what_a_hook_of_an_intermediate_gives_is_its_gradient():
    x = leaf(3.0)
    h = x * 2
    h.register_hook(lambda g: g * 10)
    assert [g.item() for g in grad(h * 1, [h, x])] == [10, 20]


def test_a_hook_off_the_path_is_not_called():
    x, y = leaf(3.0), leaf(4.0)
    h = y * 2
    for t in (h, y):
        t.register_hook(lambda g: pytest.fail("was called"))
    assert grad([x * h, h], x)[0].item() == 8


def test_a_hook_needs_a_gradient():
    with pytest.raises(RuntimeError, match="requires a gradient"):
        Tensor([1.0]).register_hook(print)


def test_what_a_hook_gives_is_cast_to_the_dtype_of_the_gradient():
    x = filled(3)
    h = x * 2
    h.register_hook(lambda g: g.to(np.float64) * 10)
    x.register_hook(lambda g: Tensor(np.arange(3)))
    seen = []
    h.register_hook(lambda g: seen.append(g.dtype))
    (g,) = grad(h.sum(), x)
    assert (g.dtype, g.tolist(), seen) == (np.float32, [0, 1, 2], [np.float32])


@pytest.mark.parametrize(
    ("replaced", "error", "message"),
    [
        (
            lambda g: g[:2],
            ValueError,
            r"a hook gave a gradient of shape \(2,\) in the place of one of \(3,\)",
        ),
        (lambda g: g.numpy(), TypeError, "a hook gives a Tensor in the place of a gradient.* gave a ndarray"),
        (lambda g: True, TypeError, "a hook gives a Tensor .* gave a bool"),
    ],
)
@pytest.mark.parametrize("hooked", ["leaf", "intermediate"])
def test_a_hook_that_gives_no_gradient_is_refused(hooked, replaced, error, message):
    x = filled(3)
    h = x * 2
    (x if hooked == "leaf" else h).register_hook(replaced)
    with pytest.raises(error, match=message):
        grad((h * h).sum(), x)


# Switches


def test_switches_nest_and_restore():
    seen = [is_grad_enabled()]
    with no_grad():
        seen.append(is_grad_enabled())
        with enable_grad():
            seen.append(is_grad_enabled())
            with set_grad_enabled(False):
                seen.append(is_grad_enabled())
            seen.append(is_grad_enabled())
        seen.append(is_grad_enabled())
    seen.append(is_grad_enabled())
    assert seen == [True, False, True, False, True, False, True]


def test_switches_restore_after_an_error():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()


def test_switches_decorate_functions():
    @no_grad()
    def off():
        return is_grad_enabled()

    @enable_grad()
    def on():
        return is_grad_enabled(), off(), is_grad_enabled()

    with no_grad():
        assert on() == (True, False, True)
    assert [off(), off()] == [False, False]  # more than once


def test_switches_belong_to_their_thread():
    with ThreadPoolExecutor(1) as pool, no_grad():
        assert pool.submit(is_grad_enabled).result()
        assert not is_grad_enabled()


def test_threads_walk_their_own_graphs():
    def work(i):
        x = leaf(float(i))
        y = x
        for _ in range(200):
            y = y + x
        return grad(y * x, x)[0].item()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(32))) == [402 * i for i in range(32)]


def test_detach_cuts_and_shares():
    x = leaf(2.0)
    d = (x * x).detach()
    assert not d.requires_grad
    assert grad(x * d, x)[0].item() == 4
    assert np.shares_memory(x.detach().numpy(), x.numpy())


def test_requires_grad_can_be_set_on_leaves_only():
    x = Tensor([1.0])
    assert x.requires_grad_().requires_grad
    y = x * 2
    with pytest.raises(RuntimeError, match="detach"):
        y.requires_grad = False
    x.requires_grad = False
    assert not (x * 2).requires_grad


# Dtypes


@pytest.mark.parametrize(
    ("f", "dtype"),
    [
        (lambda x: x * 2.0, np.float32),
        (lambda x: 2 - x, np.float32),
        (lambda x: x * np.float64(2.0), np.float32),
        (lambda x: np.float64(2.0) * x, np.float32),
        (lambda x: np.float64(2.0) / x, np.float32),
        (lambda x: x + np.array(2.0), np.float32),
        (lambda x: x**2, np.float32),
        (lambda x: x ** np.float64(2), np.float32),
        (lambda x: 2**x, np.float32),
        (lambda x: np.float64(2) ** x, np.float32),
        (lambda x: x * Tensor(2.0), np.float32),
        (lambda x: x * np.array([2.0]), np.float64),
        (lambda x: x * Tensor(np.float64(2.0)), np.float64),
    ],
)
def test_numbers_take_the_dtype_of_the_tensor_and_arrays_keep_theirs(f, dtype):
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = f(x)
    assert (y.dtype, grad(y.sum(), x)[0].dtype) == (dtype, np.float32)


@pytest.mark.parametrize("op", [lambda a, b: a + b, lambda a, b: a * b, F.maximum, lambda a, b: a @ b])
def test_a_gradient_has_the_dtype_of_its_input(op):
    a, b = leaf(1.0, 2.0, dtype=np.float32), leaf(3.0, 4.0)
    y = op(a, b)
    assert y.dtype == np.float64
    assert [g.dtype for g in grad(y.sum(), [a, b])] == [np.float32, np.float64]


def test_gradients_pass_a_cast_in_the_dtype_of_its_input():
    x = Tensor([1.0], requires_grad=True)
    y = x.to(np.float64)
    assert y.dtype == np.float64
    assert grad(y * y, x)[0].dtype == np.float32


def test_integers_have_no_gradient():
    x = leaf(1.5, 2.5)
    assert not x.to(np.int64).requires_grad
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        grad((x.to(np.int64) * 0.5).sum(), x)


# Tensor


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, np.float32),
        ([1.5, 2], np.float32),
        (3, np.int64),
        ([[1], [2]], np.int64),
        (True, bool),
        (np.float64(3), np.float64),
        (np.float32(3), np.float32),
        (np.ones(2), np.float64),
        (np.ones(2, np.uint8), np.uint8),
    ],
)
def test_python_numbers_become_float32_and_numpy_values_keep_their_dtype(data, dtype):
    assert Tensor(data).dtype == dtype
    assert Tensor(data, dtype=np.float64).dtype == np.float64


@pytest.mark.parametrize("data", ["text", None, 1j, [None], {}])
def test_a_tensor_holds_numbers(data):
    with pytest.raises(TypeError, match="a tensor holds numbers"):
        Tensor(data)


@pytest.mark.parametrize("data", [1, [True], np.ones(2, np.uint8)])
def test_only_floats_require_gradients(data):
    with pytest.raises(TypeError, match="only floating tensors can require a gradient"):
        Tensor(data, requires_grad=True)


def test_a_tensor_shares_the_array_it_is_given():
    a = np.zeros(3)
    assert Tensor(a).numpy() is a
    assert Tensor(Tensor(a)).numpy() is a
    assert np.asarray(Tensor(a)) is a
    assert np.array(Tensor(a)) is not a


def test_a_tensor_of_a_tensor_is_a_constant():
    assert not Tensor(leaf(1.0)).requires_grad


def test_arrays_leave_arithmetic_to_the_tensor():
    for y in (np.ones(2) * Tensor([1.0, 2.0]), np.ones(2) + Tensor(1.0), np.float64(2) - Tensor([1.0])):
        assert isinstance(y, Tensor)


def test_conversions_of_one_value():
    for x in (Tensor(2.5), Tensor([[2.5]])):
        assert (x.item(), float(x), int(x), bool(x)) == (2.5, 2.5, 2, True)
    x = Tensor([1.0, 2.0])
    with pytest.raises(ValueError, match=r"item\(\) needs .* shape \(2,\)"):
        x.item()
    with pytest.raises(ValueError, match=r"shape \(2,\) is ambiguous"):
        bool(x)


def test_length_and_iteration():
    x = leaf([1.0, 2.0], [3.0, 4.0], [5.0, 6.0])
    assert (len(x), x.numel(), x.ndim, x.shape) == (3, 6, 2, (3, 2))
    assert [row.numpy().tolist() for row in x] == [[1, 2], [3, 4], [5, 6]]
    assert grad(next(iter(x)).sum(), x)[0].numpy().tolist() == [[1, 1], [0, 0], [0, 0]]
    with pytest.raises(TypeError, match="no length"):
        len(Tensor(1.0))


def test_tensors_are_keys_by_identity():
    x, y = Tensor([1.0]), Tensor([1.0])
    assert {x: "x", y: "y"}[x] == "x"


def test_repr():
    x = Tensor([1.0, 2.5], requires_grad=True)
    assert repr(x) == "tensor([1. , 2.5], requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 5.], creator=Mul)"
    assert repr(Tensor([1, 2])) == "tensor([1, 2], dtype=int64)"


# Functions written by a user


class Square(Function):
    def forward(self, x):
        return x * x

    def backward(self, gy):
        (x,) = self.inputs
        return gy * 2.0 * x


class Scale(Function):
    saves = ""

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        return x * self.factor

    def backward(self, gy):
        return Scale(self.factor)(gy)


def test_a_user_function_has_derivatives_of_every_order():
    check_grads(lambda x: Square()(x), [np.array([1.0, -2.0])], order=3)
    check_grads(lambda x: Scale(3.0)(Square()(x)), [np.array([1.0, -2.0])], order=3)


class Twice(Function):
    """With a short cut, which can be told from the rule by its calls."""

    saves = ""

    def forward(self, a, b):
        return 2 * a + b

    def backward(self, gy):
        return gy * 2.0, gy

    def first_order(self, gy):
        calls.append(self.wanted)
        return 2 * gy, gy


calls = []


def test_a_short_cut_is_taken_only_where_no_graph_is_built():
    a, b = leaf(1.0, 2.0), leaf(3.0, dtype=np.float32)
    calls.clear()
    long = grad(Twice()(a, b).sum(), [a, b], create_graph=True)
    assert calls == []
    short = grad(Twice()(a, b).sum(), [a, b])
    assert calls == [(True, True)]
    for g, h in zip(short, long, strict=True):
        assert (g.tolist(), g.dtype) == (h.tolist(), h.dtype)
    Twice()(a, b).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([2, 2], [2])
    check_grads(lambda a, b: Twice()(a, b), [np.array([1.0, -2.0]), np.array(3.0)], order=3)


def test_what_a_short_cut_hands_on_is_guarded_as_a_view():
    a, b = leaf(1.0), leaf(3.0)
    y, u = Twice()(a, b), Tensor(np.ones(1))
    (g,) = grad(y, b, u)
    product = Tensor([2.0], requires_grad=True) * u
    g.zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        grad(product, product.creator.parents[0])


@pytest.mark.parametrize(
    "f",
    [
        F.tanh,
        F.sigmoid,
        F.relu,
        lambda x: F.leaky_relu(x, 0.2),
        lambda x: F.linear(x.reshape(1), x.reshape(1, 1)),
    ],
)
def test_a_short_cut_takes_a_tensor_without_axes(f):
    x = Tensor(0.5, requires_grad=True)
    (g,) = grad(f(x), x)
    assert type(g.data) is np.ndarray
    assert g.item() == pytest.approx(grad(f(x), x, create_graph=True)[0].item())


def test_a_short_cut_that_gives_nan_is_named():
    class Bad(Twice):
        def first_order(self, gy):
            return np.nan * gy, gy

    a, b = leaf(1.0), leaf(2.0)
    with detect_anomaly(), pytest.raises(NonFiniteError, match=r"gradient of Bad .* in its input 0"):
        grad(Bad()(a, b), [a, b])


def test_a_gradient_of_a_broadcast_input_is_summed_by_the_engine():
    class Plus(Function):
        saves = ""

        def forward(self, a, b):
            return a + b

        def backward(self, gy):
            return gy, gy

    a, b = filled(2, 1), filled(3)
    ga, gb = grad(Plus()(a, b).sum(), [a, b])
    assert (ga.numpy().tolist(), gb.numpy().tolist()) == ([[3], [3]], [2, 2, 2])


def test_none_stands_for_no_gradient():
    class First(Function):
        def forward(self, a, b):
            return a + 0 * b

        def backward(self, gy):
            return gy, None

    a, b = leaf(1.0), leaf(2.0)
    assert grad(First()(a, b), [a, b], allow_unused=True)[1] is None


def test_constants_reach_a_function_as_they_are():
    class Power(Function):
        def forward(self, x, p, note):
            assert note is None
            return x**p

        def backward(self, gy):
            x, p, note = self.inputs
            assert (p, note) == (3, None)
            return gy * p * x ** (p - 1), None, None

    x = leaf(2.0)
    assert grad(Power()(x, 3, None), x)[0].item() == 12


def test_a_wrong_number_of_gradients_is_refused():
    class Wrong(Function):
        def forward(self, a, b):
            return a + b

        def backward(self, gy):
            return gy

    x = leaf(1.0)
    y = Wrong()(x, x)
    with pytest.raises(RuntimeError, match="Wrong has 2 inputs, its backward gave 1 gradients"):
        grad(y, x)


def test_one_function_object_records_one_call():
    square, x = Square(), leaf(2.0)
    y = square(x)
    with pytest.raises(RuntimeError, match="Square"):
        square(y)
    assert grad(y, x)[0].item() == 4


@pytest.mark.parametrize("missing", ["forward", "backward"])
def test_a_missing_half_is_named(missing):
    class Half(Square):
        pass

    setattr(Half, missing, getattr(Function, missing))
    x = leaf(1.0)
    with pytest.raises(NotImplementedError, match=f"Half has no {missing}"):
        grad(Half()(x), x)


# Anomalies


def root(x):
    return F.sqrt(x)


HERE_IN_ROOT = f"{__file__}:{root.__code__.co_firstlineno + 1}"


def test_a_value_that_is_not_finite_names_the_op_and_its_place():
    with detect_anomaly(), pytest.raises(NonFiniteError) as caught:
        root(leaf(-2.0, 3.0))
    message = f"Sqrt (called at {HERE_IN_ROOT}) made a value that is not finite; its inputs were -2 to 3"
    assert str(caught.value) == message


def test_a_gradient_that_is_not_finite_names_the_op_and_its_place():
    x = leaf(0.0)
    with detect_anomaly(), pytest.raises(NonFiniteError) as caught:
        root(x).backward()
    assert f"the gradient of Sqrt (called at {HERE_IN_ROOT})" in str(caught.value)


def test_a_second_derivative_that_is_not_finite_names_a_place_too():
    x = leaf(0.0)
    with detect_anomaly():
        (g,) = grad(x**1.5, x, create_graph=True)
        with pytest.raises(
            NonFiniteError, match=r"gradient of PowerByNumber \(called at .*test_autograd\.py:\d+"
        ):
            g.backward()


def test_a_user_function_that_gives_nan_is_named():
    class Bad(Function):
        def forward(self, x):
            return x

        def backward(self, gy):
            return Tensor(np.full(gy.shape, np.nan))

    x = leaf(1.0)
    with detect_anomaly(), pytest.raises(NonFiniteError, match=r"gradient of Bad .* in its input 0"):
        grad(Bad()(x), x)


def test_infinite_inputs_are_told_from_finite_ones():
    with detect_anomaly(), pytest.raises(NonFiniteError, match="inputs were not finite, 1 to 1"):
        leaf(np.inf) + leaf(1.0)


def test_what_an_op_was_given_leaves_out_numbers_and_empty_tensors():
    with detect_anomaly(), pytest.raises(NonFiniteError, match=r"inputs were 1 to 1$"):
        leaf(1.0) / 0.0
    with detect_anomaly(), pytest.raises(NonFiniteError, match=r"inputs were not finite$"):
        F.concat([Tensor(np.zeros(0)), leaf(np.inf)])


def test_finite_runs_pass_in_every_mode():
    for every_op in (True, False):
        with detect_anomaly(every_op):
            x = leaf(2.0)
            (x.log() * F.one_hot([0], 1)).sum().backward()
            assert x.grad.item() == 0.5


def test_detection_ends_with_its_block():
    with detect_anomaly(), detect_anomaly(every_op=False):
        F.log(leaf(-1.0))
    with pytest.warns(RuntimeWarning, match="invalid value"):
        F.log(leaf(-1.0)).backward()


def several_ops_after(y):
    return (F.relu(y + 1) * 2).mean() + 1


def test_the_first_op_is_blamed_for_a_loss_that_is_not_finite():
    with detect_anomaly(every_op=False):
        loss = several_ops_after(F.log(leaf(-1.0, 2.0) * 3))
        for walk in (loss.backward, lambda: grad(loss, loss)):
            with pytest.raises(NonFiniteError, match="Log is the first op that made such a value"):
                walk()


def linear(x, w, b):
    return several_ops_after(F.linear(x, w, b))


@pytest.mark.parametrize(
    "op", [linear, lambda x, w, b: several_ops_after(x @ w.T * b)], ids=["linear", "product"]
)
@pytest.mark.parametrize("spoiled", range(3), ids=["input", "weight", "bias"])
def test_a_weight_or_input_that_is_not_finite_is_blamed_itself(op, spoiled):
    arrays = [np.ones((4, 3)), np.ones((2, 3)), np.ones(2)]
    arrays[spoiled].flat[0] = np.nan
    x, w, b = (Tensor(a, requires_grad=i > 0) for i, a in enumerate(arrays))
    shape = str(arrays[spoiled].shape).replace("(", r"\(").replace(")", r"\)")
    with detect_anomaly(every_op=False), pytest.raises(NonFiniteError, match=f"input of shape {shape}"):
        op(x, w, b).backward()


def test_a_sum_that_overflows_is_blamed():
    with detect_anomaly(every_op=False):
        loss = leaf(3e38, 3e38, dtype=np.float32).sum()
        with pytest.raises(NonFiniteError, match="overflowed"):
            loss.backward()


# In-place arithmetic and masks


def test_in_place_arithmetic_moves_the_weights_under_no_grad():
    """The first optimiser that everybody writes: p -= lr * p.grad."""
    p = Tensor([1.0, 2.0], requires_grad=True)
    memory, version = p.data, p.version
    with no_grad():
        p -= 0.5 * Tensor([2.0, 2.0])
        p *= 2
        p += 1
        p /= 2
    assert p.data is memory
    assert p.numpy().tolist() == [0.5, 1.5]
    assert p.version == version + 4


def test_in_place_arithmetic_of_a_recorded_value_is_recorded():
    x = Tensor([1.0, 2.0], requires_grad=True)
    total = x.sum()
    total += (x * x).sum()
    assert grad(total, x)[0].numpy().tolist() == [3, 5]
    with pytest.raises(RuntimeError, match=r"only under no_grad\(\)"):
        x += 1


def test_writing_a_recorded_value_into_a_constant_is_refused():
    constant, w = Tensor([1.0, 2.0]), Tensor([3.0, 4.0], requires_grad=True)
    for write in (lambda: constant.copy_(w), lambda: constant.__setitem__(0, w[0])):
        with pytest.raises(RuntimeError, match="is not recorded"):
            write()
    constant.copy_(w.detach())
    assert constant.numpy().tolist() == [3, 4]


def test_masks():
    x = Tensor([1.0, 2.0, 3.0])
    assert ((x > 1) & (x < 3)).tolist() == [False, True, False]
    assert ((x > 2) | (x < 2)).tolist() == [True, False, True]
    assert ((x > 1) ^ (x > 2)).tolist() == [False, True, False]
    assert (~(x > 1)).tolist() == [True, False, False]
    assert ((x > 2).any().item(), (x > 2).all().item(), x.argmax().item()) == (True, False, 2)
    assert not ((x > 1) & (x < 3)).requires_grad


@pytest.mark.parametrize(("saves", "what"), [("", "inputs"), ("output", "inputs"), ("inputs", "output")])
def test_an_op_that_uses_what_it_did_not_save_is_told_so(saves, what):
    class Forgetful(Function):
        def forward(self, x):
            return x * 1.0

        def backward(self, gy):
            return getattr(self, what)

    Forgetful.saves = saves
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=f"set saves = '{what}'"):
        grad(Forgetful()(x), x)


@pytest.mark.parametrize("key", [np.array([True, False, True]), Tensor([0, 2]), np.arange(3)[::2], 1, ...])
def test_any_key_can_be_written_to(key):
    x, expected = Tensor([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])
    x[key] = 7.0
    expected[key.data if isinstance(key, Tensor) else key] = 7
    assert x.tolist() == expected.tolist()


def test_an_array_too_large_for_memory_names_the_op_the_shapes_and_the_bytes():
    x = Tensor(np.zeros(1, np.float32), requires_grad=True).expand(2**40, 2**10)
    with pytest.raises(MemoryError, match=r"Mul of arrays of shape \(1099511627776, 1024\): .* 4.00 PiB"):
        x * 2.0
