"""A residual block: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2016, equation 1."""

from minigan import nn


class Residual(nn.Module):
    """x + body(x), which has the shape of x."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return x + self.body(x)
