"""CycleGAN's generator: an image is halved, goes through residual blocks, and is doubled again.

Zhu, Park, Isola, Efros, "Unpaired image-to-image translation using cycle-consistent adversarial networks",
2017, appendix 7.2, after Johnson, Alahi, Fei-Fei, "Perceptual losses for real-time style transfer", 2016.
What lies beyond the border is the mirror image of what lies within; with zeros there, edges would be seen in
what is made. Each channel of an image is normalised by itself: batches are small, and an image is not to
depend on its neighbours.
"""

from minigan import functional as F
from minigan import nn

from .residual import Residual

NORM = nn.InstanceNorm2d
INSIDE = 0.99  # how near to -1 and 1 pixels may come that something is added to


def resnet_generator(in_channels, out_channels, width, halvings, blocks, adds=False):
    """Images (N, in_channels, H, W) -> images (N, out_channels, H, W) in [-1, 1], H and W multiples of
    2 ** halvings, and at least twice that, and 4. width: channels next to the image; they double as it
    halves. adds: what is made is added to the image."""
    layers, n = [*edge(in_channels, width), NORM(width), nn.ReLU()], width
    for _ in range(halvings):
        layers += [nn.Conv2d(n, 2 * n, 3, 2, 1, bias=False), NORM(2 * n), nn.ReLU()]
        n *= 2
    layers += [Residual(block(n)) for _ in range(blocks)]
    for _ in range(halvings):
        up = nn.ConvTranspose2d(n, n // 2, 3, 2, 1, output_padding=1, bias=False)
        layers += [up, NORM(n // 2), nn.ReLU()]
        n //= 2
    body = nn.Sequential(*layers, *edge(n, out_channels, bias=True))
    return Added(body) if adds else nn.Sequential(*body, nn.Tanh())


def edge(n, m, bias=False):
    """A 7x7 convolution, at the one end of the network or at the other."""
    return [nn.ReflectionPad2d(3), nn.Conv2d(n, m, 7, bias=bias)]


class Added(nn.Module):
    """Images -> images: what `body` makes of one is added to it where it is not squashed yet by the tanh that
    keeps it in [-1, 1]. A body that gives 0 leaves it as it is."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        inside = F.clip(x, -INSIDE, INSIDE)
        return F.tanh(self.body(x) + 0.5 * F.log((1 + inside) / (1 - inside)))


def block(n):
    """What a residual block adds to what it gets, (N, n, H, W): two 3x3 convolutions."""
    first, second = ([nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3, bias=False), NORM(n)] for _ in range(2))
    return nn.Sequential(*first, nn.ReLU(), *second)
