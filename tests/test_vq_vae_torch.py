"""VQ-VAE's loop against the same written in PyTorch: ten steps of each stage, by numbers, in float64."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.gans.codes import vq_vae
from minigan.gans.model import networks, numbers_of
from minigan.speed.steps import fields_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn, tF = torch.nn, torch.nn.functional
pytestmark = pytest.mark.torch

STEPS, N, W, K, D, P = 10, 4, 4, 6, 3, 4  # P: the prior's channels


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


class Residual(tnn.Module):
    def __init__(self):
        super().__init__()
        self.body = tnn.Sequential(tnn.ReLU(), tnn.Conv2d(W, W, 3, 1, 1), tnn.ReLU(), tnn.Conv2d(W, W, 1))

    def forward(self, x):
        return x + self.body(x)


class Prior(tnn.Module):
    """By masks: what minigan's has as smaller kernels on shifted grids, in 5x5 with zeros elsewhere."""

    def __init__(self, state):
        super().__init__()
        self.weights = tnn.ParameterDict(
            {k.replace(".", "_"): tnn.Parameter(torch.from_numpy(a.copy())) for k, a in state.items()}
        )

    def conv(self, x, name, rows=0, left=0):
        """The kernel where its taps are: `rows` up from the row of the place, `left` from its column."""
        w, bias = self.weights[f"{name}_weight"], self.weights[f"{name}_bias"]
        whole = torch.zeros(*w.shape[:2], 5, 5, dtype=w.dtype)
        top, first = 2 - rows, 2 - left
        whole[:, :, top : top + w.shape[2], first : first + w.shape[3]] = w
        return tF.conv2d(x, whole, bias, padding=2)

    @staticmethod
    def gate(x):
        a, b = x.chunk(2, 1)
        return torch.tanh(a) * torch.sigmoid(b)

    def forward(self, codes):
        v = h = self.weights["table_weight"][codes].permute(0, 3, 1, 2)
        for i in range(2):
            rows = self.conv(v, f"layers_{i}_rows", rows=1 + (i == 0), left=1)
            row = self.conv(h, f"layers_{i}_row", left=1 + (i == 0))
            out = self.conv(self.gate(row + self.conv(rows, f"layers_{i}_link")), f"layers_{i}_out")
            h, v = (out if i == 0 else h + out), self.gate(rows)
        return self.conv(torch.relu(self.conv(torch.relu(h), "end_1")), "end_3")


def twins():
    encoder = tnn.Sequential(
        *(tnn.Conv2d(1, W, 4, 2, 1), tnn.ReLU(), tnn.Conv2d(W, W, 4, 2, 1), tnn.ReLU()),
        *(Residual(), tnn.ReLU(), tnn.Conv2d(W, D, 1)),
    )
    decoder = tnn.Sequential(
        *(tnn.Conv2d(D, W, 1), Residual(), tnn.ReLU(), tnn.ConvTranspose2d(W, W, 4, 2, 1)),
        *(tnn.ReLU(), tnn.ConvTranspose2d(W, 1, 4, 2, 1)),
    )
    return encoder.double(), decoder.double()


def rows_of(z):
    return z.detach().permute(0, 2, 3, 1).reshape(-1, D)


def nearest(z, weight):
    apart = ((rows_of(z)[:, None] - weight.detach()) ** 2).sum(2)
    return apart.argmin(1).reshape(len(z), *z.shape[2:])


@pytest.mark.parametrize("learned_by", ["averages", "loss"])
def test_ten_steps_of_each_stage_are_those_of_a_twin_in_pytorch(learned_by):
    cfg = vq_vae.Config(
        **{"steps": 2 * STEPS, "first": 0.5, "learned_by": learned_by, "restart": 0.6, "decay": 0.8},
        **{"batch_size": N, "width": W, "blocks": 1, "codes": K, "length": D},
        **{"prior_width": P, "prior_layers": 2, "lr": 1e-2, "lr_prior": 1e-2},
    )
    rng = Generator(0)
    data = [rng.uniform((N, 1, 16, 16), -1, 1, np.float64) for _ in range(2 * STEPS)]
    parts = vq_vae.parts(cfg, fields_of((1, 16, 16)), rng)
    encoder, decoder = twins()
    for net in networks(parts).values():
        net.to(np.float64)
    for name, net in (("encoder", encoder), ("decoder", decoder)):
        state = parts[name].state_dict()
        net.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in state.items()})
    prior, draws = Prior(parts["prior"].state_dict()), Generator(7)
    weight = tnn.Parameter(torch.from_numpy(parts["codebook"].weight.numpy().copy()))
    learned = [*encoder.parameters(), *decoder.parameters()] + ([weight] if learned_by == "loss" else [])
    opt = torch.optim.Adam(learned, lr=1e-2)
    opt_prior = torch.optim.Adam(prior.parameters(), lr=1e-2)
    alike, restarted = N * 16 / K, 0

    loop = vq_vae.train(iter(data), Generator(7), cfg, **parts)
    for step, (seen, array) in enumerate(zip(loop, data, strict=True)):
        found, x = numbers_of(seen, critic=False)[0], torch.from_numpy(array)
        if step == 0:
            places = draws.permutation(N * 16)[:K]
            with torch.no_grad():
                weight.copy_(rows_of(encoder(x))[torch.from_numpy(places)])
            counts, sums = torch.full((K,), alike, dtype=torch.float64), weight.detach() * alike
        z = encoder(x)
        codes = nearest(z, weight)
        if step >= STEPS:
            loss = tF.cross_entropy(prior(codes), codes, reduction="sum") / N
            opt_prior.zero_grad()
            loss.backward()
            opt_prior.step()
            assert found == pytest.approx({"prior_loss": loss.item()}, rel=1e-8)
            continue
        e = weight[codes].permute(0, 3, 1, 2)
        coins = 0.5 * (x + 1)
        logits = decoder(z + (e - z).detach())
        reconstruction = tF.binary_cross_entropy_with_logits(logits, coins, reduction="sum") / N
        commitment = ((z - e.detach()) ** 2).sum() / N
        loss = reconstruction + 0.25 * commitment
        dictionary = ((z.detach() - e) ** 2).sum() / N if learned_by == "loss" else 0.0
        opt.zero_grad()
        (loss + dictionary).backward()
        opt.step()
        used = tF.one_hot(codes.reshape(-1), K).double()
        share = used.mean(0)
        with torch.no_grad():
            counts = 0.8 * counts + 0.2 * used.sum(0)
            sums = 0.8 * sums + 0.2 * used.T @ rows_of(z)
            if learned_by == "averages":
                smooth = (counts + 1e-5) / (counts.sum() + K * 1e-5) * counts.sum()
                weight.copy_(sums / smooth[:, None])
            dead = counts < 0.6 * alike
            fresh = rows_of(z)[torch.from_numpy(draws.integers(0, N * 16, K))]
            weight[dead], counts[dead], sums[dead] = fresh[dead], alike, alike * fresh[dead]
        restarted += dead.sum().item()
        expected = {
            "loss": loss.item(),
            "reconstruction": reconstruction.item(),
            "commitment": commitment.item(),
            "perplexity": torch.exp(-(share * torch.log(share + 1e-10)).sum()).item(),
            "restarted": dead.sum().item(),
        }
        perplexity = expected.pop("perplexity")
        assert found.pop("perplexity") == pytest.approx(perplexity, rel=1e-5), "minigan's is float32"
        assert found == pytest.approx(expected, rel=1e-8)
    assert restarted > 3
    for name, net in (("encoder", encoder), ("decoder", decoder)):
        theirs = net.state_dict()
        for key, array in parts[name].state_dict().items():
            assert_close(array, theirs[key].numpy(), rtol=1e-8, atol=1e-8)
    for key, array in parts["prior"].state_dict().items():
        assert_close(array, prior.weights[key.replace(".", "_")].detach().numpy(), rtol=1e-8, atol=1e-8)
    for name, theirs in (("weight", weight.detach()), ("counts", counts), ("sums", sums)):
        assert_close(getattr(parts["codebook"], name).numpy(), theirs.numpy(), rtol=1e-8, atol=1e-8)
