"""Minibatch discrimination: against its definition, to second order, and in every model made from noise."""

import numpy as np
import pytest

from minigan import Generator, MiniganError, Tensor, enable_grad, grad, nn
from minigan import functional as F
from minigan.data import Field, Fields
from minigan.gans import model_named, model_names
from minigan.gans.model import networks
from minigan.gans.noise import gan
from minigan.gans.parts.minibatch import C, MinibatchDiscrimination
from minigan.gans.settings import NoiseSettings
from minigan.testing import assert_close, check_grads, check_module
from minigan.training import Options, Session
from minigan.training.frame import frame

FROM_NOISE = [
    name
    for name in model_names()
    if issubclass(model_named(name).Config, NoiseSettings) and "image" in model_named(name).kinds
]
REFUSE = {"wgan-gp": "the gradient penalty"}
POINTS = Fields({"point": Field("point", (2,)), "label": Field("label", (), 3)})
IMAGES = Fields({"image": Field("image", (1, 16, 16)), "label": Field("label", (), 3)})


def layer(features=6, kernels=4):
    return MinibatchDiscrimination(features, kernels, Generator(0)).to(np.float64)


def samples(n=5, features=6):
    return Generator(1).normal((n, features), dtype=np.float64)


def test_it_is_the_papers():
    module, f = layer(), samples()
    M = np.einsum("na,abc->nbc", f, module.T.numpy().reshape(6, 4, C))
    expected = [
        [sum(np.exp(-np.abs(M[i, b] - M[j, b]).sum()) for j in range(5)) for b in range(4)] for i in range(5)
    ]
    assert_close(module(Tensor(f)).numpy(), np.concatenate([f, expected], 1), rtol=1e-12)


def test_a_sample_alone_is_close_to_itself_and_equal_ones_to_all():
    module, f = layer(), samples()
    assert_close(module(Tensor(f[:1])).numpy()[:, 6:], np.ones((1, 4)))
    same = module(Tensor(np.repeat(f[:1], 7, 0))).numpy()
    assert_close(same[:, 6:], np.full((7, 4), 7.0))


def test_the_order_of_a_batch_is_nothing():
    module, f = layer(), samples()
    order = [3, 0, 4, 2, 1]
    assert_close(module(Tensor(f[order])).numpy(), module(Tensor(f)).numpy()[order], rtol=1e-12)


def test_its_derivatives_to_second_order():
    check_module(layer(), [samples()])


def test_a_penalty_on_its_slope_has_the_right_gradient():
    module = layer()

    @enable_grad()
    def slope(f, T):
        f = f if f.requires_grad else f.detach().requires_grad_()
        (g,) = grad((nn.functional_call(module, {"T": T}, f) ** 2).sum(), f, create_graph=True)
        return (g**2).sum(1)

    check_grads(slope, [samples(4, 6), Generator(2).normal((6, 4 * C), dtype=np.float64)], order=1)


def test_first_weights_keep_the_width_of_the_features():
    module = MinibatchDiscrimination(200, 30, Generator(0))
    f = Generator(1).normal((64, 200))
    assert (f @ module.T.numpy()).std() == pytest.approx(1, rel=0.1)


def test_no_array_of_all_differences_is_made():
    """Of N = 200 samples and 40 rows of 5 numbers it would have 32 MB; the distances have 6.4."""
    import tracemalloc

    x = Tensor(Generator(0).normal((40, 200, 5)), requires_grad=True)
    seed = Tensor(np.ones((40, 200, 200), np.float32))
    grad(F.cdist(x, x), x, seed)  # compiles
    tracemalloc.start()
    d = F.cdist(x, x)
    (gx,) = grad(d, x, seed, create_graph=True)
    F.sum(gx * gx)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * d.data.nbytes


# The models


@pytest.mark.parametrize("name", FROM_NOISE)
def test_every_model_from_noise_takes_it_or_says_why_not(name):
    model = model_named(name)
    if name in REFUSE:
        with pytest.raises(MiniganError, match=f"minibatch_features = 4 does not go with {REFUSE[name]}"):
            model.Config(minibatch_features=4)
        return
    data = IMAGES if "image" in model.kinds else POINTS
    for kernels in (0, 4):
        cfg = model.Config(minibatch_features=kernels, latent=3).fitted(data)
        nets = networks(model.parts(cfg, data, Generator(0))).values()
        found = [m for net in nets for m in net.modules() if isinstance(m, MinibatchDiscrimination)]
        assert [m.kernels for m in found] == [4] * bool(kernels)


CASES = [
    ("gan", POINTS, {}),
    ("gan", POINTS, {"net": "pacgan"}),
    ("gan", IMAGES, {}),
    ("dcgan", IMAGES, {"width": 4}),
    ("cgan", POINTS, {}),
    ("cgan", IMAGES, {"width": 4}),
    ("cgan", IMAGES, {"net": "mlp"}),
]


@pytest.mark.parametrize("pack", [1, 2])
@pytest.mark.parametrize(("name", "data", "settings"), CASES, ids=str)
def test_what_d_says_of_a_sample_depends_on_the_others(name, data, settings, pack):
    model = model_named(name)
    for kernels in (0, 4):
        cfg = model.Config(minibatch_features=kernels, latent=3, pack=pack, **settings).fitted(data)
        D = model.parts(cfg, data, Generator(0))["D"].eval()
        x, labels = Generator(1).normal((6, *data.shape)), [Tensor(np.arange(6) % 3)] * model.labelled
        before = D(Tensor(x), *labels).numpy()
        assert before.shape == (6 // pack, 1)
        x[1:3] += 0.5  # of other packs than sample 0
        after = D(Tensor(x), *labels).numpy()
        assert np.array_equal(after[0], before[0]) is (kernels == 0)


def test_first_weights_are_drawn_from_the_generator_of_the_run():
    for name, data in (("gan", POINTS), ("dcgan", IMAGES)):
        model = model_named(name)
        cfg = model.Config(minibatch_features=4).fitted(data)
        one, same, other = (model.parts(cfg, data, Generator(seed))["D"].state_dict() for seed in (0, 0, 1))
        assert all(np.array_equal(one[k], same[k]) for k in one)
        assert not any(np.array_equal(one[k], other[k]) for k in one if k.endswith((".T", "weight")))


def test_the_plane_has_no_surface_of_a_judge_of_whole_batches():
    """Of a grid of points there is no batch that they belong to."""
    for kernels in (0, 3):
        cfg = gan.Config(steps=1, batch_size=8, latent=2, minibatch_features=kernels)
        session = Session("gan", Options(data="ring8", device="cpu"), cfg)
        session.next_step()
        assert ({"surface", "arrows"} <= frame(session).keys()) is (kernels == 0)


@pytest.mark.parametrize("name", ["gan", "dcgan", "cgan"])
def test_bad_input(name):
    Config = model_named(name).Config
    with pytest.raises(MiniganError, match="minibatch_features must be at least 0, got -1"):
        Config(minibatch_features=-1)
    with pytest.raises(MiniganError, match="minibatch_features = 4 does not go with r1, which is on D's"):
        Config(minibatch_features=4, r1=1.0)
