"""Tensors beside the arrays of NumPy, CuPy, PyTorch and JAX: one memory, in the strides it has."""

import ctypes
import pickle

import fake_cupy
import numpy as np
import pytest
import safetensors.numpy

import minigan_kernels as kernels
from minigan import Function, Generator, Tensor, from_dlpack, grad, nn, no_grad
from minigan import functional as F
from minigan.data import Dataset
from minigan.errors import DeviceError
from minigan.optim import Adam

DTYPES = [np.float32, np.float64, np.float16, np.int64, np.int32, np.uint8, np.bool_]
LAYOUTS = {
    "contiguous": lambda a: a,
    "channels-last": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "transposed": lambda a: a.transpose(3, 2, 1, 0),
    "every second": lambda a: a[:, :, ::2],
    "broadcast": lambda a: np.broadcast_to(a[:1].copy(), a.shape),
}


def images(dtype=np.float32, layout="contiguous"):
    return LAYOUTS[layout](np.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4).astype(dtype))


def address(array):
    """Where its first entry lies."""
    if isinstance(array, np.ndarray):
        return array.ctypes.data
    return array.data_ptr() if hasattr(array, "data_ptr") else array.unsafe_buffer_pointer()


def strides(array):
    """In entries."""
    if isinstance(array, np.ndarray):
        return tuple(s // array.itemsize for s in array.strides)
    return array.stride()


# NumPy


@pytest.mark.parametrize("layout", LAYOUTS)
def test_numpy_reads_a_tensor_in_place(layout):
    x = Tensor(images(layout=layout))
    for y in (np.asarray(x), np.from_dlpack(x)):
        assert (address(y), y.strides, y.dtype) == (address(x.data), x.data.strides, x.dtype)


def test_what_either_side_writes_is_seen_by_the_other():
    x = Tensor([1.0, 2.0])
    for y in (np.asarray(x), np.from_dlpack(x)):
        with no_grad():
            x[0] += 1
        y[1] += 1
        assert x.tolist() == y.tolist()
    assert x.tolist() == [3.0, 4.0]


def test_asarray_copies_by_the_rules_of_numpy():
    x = Tensor([1.0, 2.0])
    assert np.asarray(x, dtype=np.float32, copy=False) is x.data
    assert not np.shares_memory(np.asarray(x, copy=True), x.data)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="copy"):
        np.asarray(x, dtype=np.float64, copy=False)


def test_an_array_of_any_library_with_dlpack_is_shared():
    class Owner:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **how):
            return self.array.__dlpack__(**how)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    array = images(np.float64)
    for x in (
        Tensor(Owner(array)),
        from_dlpack(Owner(array)),
        from_dlpack(array),
        from_dlpack(Tensor(array)),
    ):
        assert (address(x.data), x.dtype, x.requires_grad) == (address(array), np.float64, False)


def test_a_tensor_that_requires_a_gradient_is_not_shared():
    x = Tensor([1.0], requires_grad=True)
    for y in (x, x * 2):
        with pytest.raises(BufferError, match=r"say \.detach\(\) first"):
            np.from_dlpack(y)
        assert np.from_dlpack(y.detach()).tolist() == y.tolist()


def test_a_reversed_axis_is_not_shared():
    x = Tensor(np.arange(3.0)[::-1])
    with pytest.raises(BufferError, match="reversed axis"):
        x.__dlpack__()
    assert np.from_dlpack(Tensor(x.numpy().copy())).tolist() == [2.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [(8, DeviceError, "DLPack's device 8 .* copy it to the CPU"), (2, DeviceError, "gpu:0 cannot be used: ")],
)
def test_memory_elsewhere_is_refused(kind, error, message, monkeypatch):
    monkeypatch.setattr("minigan.backend.no_gpu_reason", lambda index: "there is none")

    class Owner:
        __dlpack__ = None

        def __dlpack_device__(self):
            return kind, 0

    with pytest.raises(error, match=message):
        Tensor(Owner())


def test_what_has_no_dlpack_is_refused():
    with pytest.raises(TypeError, match="list has no __dlpack__"):
        from_dlpack([1.0])
    with pytest.raises(TypeError, match="a tensor holds numbers, got complex128"):
        from_dlpack(np.zeros(2, complex))


def test_read_only_memory_is_computed_with_and_not_written_to():
    x = np.linspace(-1, 1, 96, dtype=np.float32).reshape(2, 3, 4, 4)
    x.flags.writeable = False
    read_only = from_dlpack(x)
    assert address(read_only.data) == address(x)
    with pytest.raises(ValueError, match="read-only"):
        read_only[0] = 1
    w = Tensor(np.ones((2, 3, 3, 3), np.float32), requires_grad=True)
    frozen, free = (F.leaky_relu(F.conv2d(t, w, padding=1), 0.2).sum() for t in (read_only, Tensor(x.copy())))
    assert frozen.item() == free.item()
    assert np.array_equal(*(grad(y, w)[0].numpy() for y in (frozen, free)))


# Subclasses of NumPy's arrays

a = np.array([[1.0, 2.0], [3.0, 4.0]])
SUBCLASSES = {
    "matrix": lambda: a.view(np.matrix),
    "recarray": lambda: a.view(np.recarray),
    "memmap": lambda: a.view(np.memmap),
    "own": lambda: a.view(type("Own", (np.ndarray,), {"sum": None, "max": None})),
}
every_subclass = pytest.mark.parametrize("make", SUBCLASSES.values(), ids=SUBCLASSES)


class Given(Function):
    """An op whose forward gives what it was made with."""

    saves = ""

    def __init__(self, y):
        self.y = y

    def forward(self, x):
        return self.y

    def backward(self, gy):
        return gy


@every_subclass
def test_of_a_subclass_of_numpys_arrays_the_plain_array_is_taken(make):
    special, w = make(), Tensor(a, requires_grad=True)
    x = Tensor(special)
    assert type(x.data) is np.ndarray
    assert np.shares_memory(x.data, special)
    assert (x * x).tolist() == (a * a).tolist()

    for y in (w * special, special * w, F.mul(w, special)):
        assert (type(y.data), y.tolist()) == (np.ndarray, (a * a).tolist())
        (g,) = grad(y.sum(), w)
        assert (type(g.data), g.tolist()) == (np.ndarray, a.tolist())
    assert F.linear(w, special).tolist() == (a @ a.T).tolist()
    assert F.where(special > 2, w, 0.0).tolist() == [[0, 0], [3, 4]]
    assert w[special > 2].tolist() == [3, 4]
    assert (w == special).tolist() == [[True, True], [True, True]]

    (g,) = grad(w * w, w, special)
    assert (type(g.data), g.tolist()) == (np.ndarray, (2 * a * a).tolist())
    made = Given(special)(w)
    assert type(made.data) is np.ndarray

    with no_grad():
        z = Tensor(np.zeros((2, 2)))
        z[0] = special[0]
        z.copy_(special)
        assert z.tolist() == a.tolist()
    z.data = special
    assert (z * z).tolist() == (a * a).tolist()
    assert type(z.data) is np.ndarray


@every_subclass
def test_a_dataset_takes_the_plain_array(make):
    points = Dataset("points", make().astype(np.float32))
    assert type(points.samples) is type(points.batch([0])) is np.ndarray
    assert points.batch([0]).shape == (1, 2)


def test_a_masked_array_is_refused_wherever_arrays_enter():
    masked, w = np.ma.masked_array(a, a > 2), Tensor(a.copy(), requires_grad=True)
    for use in (
        lambda: Tensor(masked),
        lambda: w * masked,
        lambda: masked * w,
        lambda: F.clip(w, masked),
        lambda: F.where(masked > 2, w, 0.0),
        lambda: w[masked > 1],
        lambda: w < masked,
        lambda: w.detach().copy_(masked),
        lambda: grad(w * 2, w, masked),
        lambda: Given(masked)(w),
        lambda: w * np.ma.masked,
        lambda: F.cross_entropy(w, np.ma.masked_array([0, 1], [0, 1])),
        lambda: Dataset("points", masked.astype(np.float32)),
    ):
        with pytest.raises(TypeError, match="the mask of a masked array would be lost"):
            use()


# What is handed out, and who reads it


def trained():
    """A network whose weights lie channels-last, after a step of its optimiser."""
    rng = Generator(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, generator=rng), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 2, 2, generator=rng)
    )
    optimizer = Adam(net.parameters())
    with kernels.engine("reference"):
        loss = net(Tensor(images(layout="channels-last") / 96)).abs().sum()
        optimizer.step(grad(loss, net.parameters()))
    return net, optimizer


def from_safetensors(arrays, folder):
    safetensors.numpy.save_file(arrays, folder / "arrays.safetensors")
    return safetensors.numpy.load_file(folder / "arrays.safetensors")


def from_safetensors_bytes(arrays, folder):
    return safetensors.numpy.load(safetensors.numpy.save(arrays))


def from_npy(arrays, folder):
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return {name: np.load(folder / f"{name}.npy") for name in arrays}


def from_npz(arrays, folder):
    np.savez(folder / "arrays.npz", **arrays)
    with np.load(folder / "arrays.npz") as found:
        return dict(found)


def from_pickle(arrays, folder):
    return pickle.loads(pickle.dumps(arrays))


def from_bytes(arrays, folder):
    return {name: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape) for name, a in arrays.items()}


def from_memory(arrays, folder):
    """As a reader in C gets them: an address, and a number of bytes."""
    read = {name: ctypes.string_at(a.ctypes.data, a.nbytes) for name, a in arrays.items()}
    return {name: np.frombuffer(read[name], a.dtype).reshape(a.shape) for name, a in arrays.items()}


def from_torch_from_numpy(arrays, folder):
    torch = pytest.importorskip("torch", reason="reads by PyTorch, which is not installed")
    return {name: torch.from_numpy(a).numpy() for name, a in arrays.items()}


def from_torch_from_dlpack(arrays, folder):
    torch = pytest.importorskip("torch", reason="reads by PyTorch, which is not installed")
    return {name: torch.from_dlpack(a).numpy() for name, a in arrays.items()}


def from_safetensors_torch(arrays, folder):
    pytest.importorskip("torch", reason="reads by PyTorch, which is not installed")
    from safetensors.torch import load

    return {name: t.numpy() for name, t in load(safetensors.numpy.save(arrays)).items()}


def from_jax(arrays, folder):
    jax = pytest.importorskip("jax", reason="reads by JAX, which is not installed")
    return {name: np.asarray(jax.numpy.asarray(a)) for name, a in arrays.items()}


READERS = [from_safetensors, from_safetensors_bytes, from_npy, from_npz, from_pickle, from_bytes, from_memory]
TORCH = [from_torch_from_numpy, from_torch_from_dlpack, from_safetensors_torch]


@pytest.mark.slow
@pytest.mark.parametrize(
    "read",
    [
        *READERS,
        *(pytest.param(read, marks=pytest.mark.torch) for read in TORCH),
        pytest.param(from_jax, marks=pytest.mark.jax),
    ],
    ids=lambda read: read.__name__,
)
def test_a_state_is_read_as_it_is_by_everybody(read, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    net, optimizer = trained()
    owners = dict([*net.named_parameters(), *net.named_buffers()])
    moments = {k: a for k, a in optimizer.state_dict().items() if isinstance(a, np.ndarray)}
    for arrays, expected in ((net.state_dict(), {k: t.data for k, t in owners.items()}), (moments, moments)):
        found = read(arrays, tmp_path)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name)
    state = read(net.state_dict(), tmp_path)
    other, _ = trained()
    other.load_state_dict(state)
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(array, owners[name].data)


@pytest.mark.parametrize("write", [from_npy, from_npz, from_pickle, from_bytes], ids=lambda w: w.__name__)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_array_of_a_tensor_is_written_right_in_any_order(write, layout, tmp_path):
    array = images(layout=layout)
    np.testing.assert_array_equal(write({"x": Tensor(array).numpy()}, tmp_path)["x"], array)


@pytest.mark.torch
def test_pytorch_loads_our_state(torch):
    net, _ = trained()
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ConvTranspose2d(4, 2, 2)
    )
    state = {name: torch.from_numpy(a) for name, a in net.state_dict().items()}
    theirs.load_state_dict(state, strict=False)
    with kernels.engine("reference"), torch.no_grad():
        x = images() / 96
        expected = theirs.eval()(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(net.eval()(Tensor(x)).numpy(), expected, atol=1e-6)


# CuPy, by the stand-in


def test_cupy_and_a_tensor_share(monkeypatch):
    cupy = fake_cupy.install(monkeypatch)
    with kernels.engine("reference"):
        with cupy.cuda.Device(1):
            a = cupy.asarray(np.arange(3, dtype=np.float32))
        assert Tensor(a).data is a
        x = from_dlpack(a)
        assert (str(x.device), x.__dlpack_device__()) == ("gpu:1", (2, 1))
        back = cupy.from_dlpack(x)
        with no_grad():
            x[0] = 7
        assert a.tolist() == back.tolist() == [7.0, 1.0, 2.0]


def test_a_tensor_on_a_gpu_is_no_numpy_array(monkeypatch):
    fake_cupy.install(monkeypatch)
    x = Tensor([1.0, 2.0], device="gpu")
    with pytest.raises(TypeError, match=r"a tensor on gpu:0 is no NumPy array; say \.to\('cpu'\) first"):
        np.asarray(x)
    assert np.asarray(x.to("cpu")).tolist() == [1.0, 2.0]


# PyTorch


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="shares memory with PyTorch, which is not installed")


@pytest.mark.torch
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_pytorch_and_a_tensor_share_both_ways(torch, dtype, layout):
    x = Tensor(images(dtype, layout if layout != "broadcast" else "contiguous"))
    theirs = torch.from_dlpack(x)
    ours = Tensor(theirs)
    assert address(theirs) == address(x.data) == address(ours.data)
    assert strides(theirs) == strides(x.data) == strides(ours.data)
    assert str(theirs.dtype).removeprefix("torch.") == x.dtype.name == ours.dtype.name
    with no_grad():
        x[0, 0, 0, 0] = 1
        theirs[-1, -1, -1, -1] = 0
        ours[0, 0, 0, 1] = 0
    assert theirs.tolist() == x.tolist() == ours.tolist()


@pytest.mark.torch
def test_a_parameter_of_pytorch_is_shared_once_it_is_detached(torch):
    weight = torch.nn.Linear(3, 2).weight
    with pytest.raises(BufferError, match="detach"):
        Tensor(weight)
    x = Tensor(weight.detach(), requires_grad=True)
    (g,) = grad((x * x).sum(), x)
    assert np.allclose(g.numpy(), 2 * weight.detach().numpy())


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "name"), [("bfloat16", "torch.bfloat16"), ("complex64", "complex64")])
def test_a_dtype_that_no_tensor_has_is_refused(torch, dtype, name):
    with pytest.raises(TypeError, match=name):
        Tensor(torch.zeros(2, dtype=getattr(torch, dtype)))


# JAX


@pytest.fixture
def jax(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    return pytest.importorskip("jax", reason="shares memory with JAX, which is not installed")


@pytest.mark.jax
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.bool_], ids=lambda d: d.__name__)
def test_a_tensor_reads_an_array_of_jax_in_place_and_does_not_write_to_it(jax, dtype):
    with jax.enable_x64(True):
        theirs = jax.numpy.asarray(images(dtype))
    x = Tensor(theirs)
    assert (address(x.data), x.dtype) == (address(theirs), dtype)
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 1


@pytest.mark.jax
def test_jax_reads_a_tensor_in_place_where_it_is_aligned_for_it(jax):
    memory = np.zeros(4096, np.float32)
    first = -memory.ctypes.data % 64 // 4  # JAX takes addresses that 64 divides, and copies others
    x = Tensor(memory[first : first + 1024].reshape(32, 32))
    theirs = jax.numpy.from_dlpack(x)
    assert address(theirs) == address(x.data)
    assert np.array_equal(jax.numpy.from_dlpack(Tensor(memory[first + 1 : first + 9])), np.zeros(8))


@pytest.mark.jax
def test_a_dtype_of_jax_that_no_tensor_has_is_refused(jax):
    with pytest.raises(TypeError, match="bfloat16"):
        Tensor(jax.numpy.zeros(2, jax.numpy.bfloat16))
