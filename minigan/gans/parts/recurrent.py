"""A recurrent convolution: a GRU whose state is a map, and whose products are convolutions.

Ballas, Yao, Pal, Courville, "Delving deeper into convolutional networks for learning video representations",
2016, equations 10 to 13.
"""

from minigan import functional as F
from minigan import nn
from minigan.nn import init


class ConvGRU(nn.Module):
    """Films (N, T, inputs, H, W) -> the state after each frame, (N, T, channels, H, W).

        r = σ(Wr * [x, h])    u = σ(Wu * [x, h])    c = ReLU(W * [x, r h])    h' = u h + (1 - u) c

    3x3 convolutions, whose parts of x are taken of all frames at once. ReLU for tanh is DVD-GAN's (Clark et
    al. 2019, appendix A.1). The first h is 0. Derivatives of every order but where c begins.
    """

    def __init__(self, inputs, channels, rng):
        super().__init__()
        self.channels = channels
        self.of_x = nn.Conv2d(inputs, 3 * channels, 3, padding=1, generator=rng)
        self.of_h = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False, generator=rng)
        self.of_reset = nn.Conv2d(channels, channels, 3, padding=1, bias=False, generator=rng)
        for layer in (self.of_x, self.of_h, self.of_reset):
            init.orthogonal_(layer.weight, generator=rng)

    def forward(self, x):
        n = self.channels
        x = in_frames(self.of_x, x)
        h = F.relu(x[:, 0, 2 * n :]) * (1 - F.sigmoid(x[:, 0, n : 2 * n]))  # of a state of zeros
        states = [h]
        for t in range(1, x.shape[1]):
            now = x[:, t]
            gates = F.sigmoid(now[:, : 2 * n] + self.of_h(h))
            reset, keep = gates[:, :n], gates[:, n:]
            new = F.relu(now[:, 2 * n :] + self.of_reset(reset * h))
            h = new + keep * (h - new)
            states.append(h)
        return F.stack(states, axis=1)


def in_frames(f, x):
    """f, a map of images, of every frame of films (N, T, C, H, W)."""
    return F.unflatten(f(F.flatten(x, 0, 1)), 0, x.shape[:2])
