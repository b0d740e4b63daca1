"""A residual block: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2016, equation 1."""

from minigan import nn


class Residual(nn.Module):
    """x + share · body(x), which has the shape of x."""

    def __init__(self, body, share=None):
        super().__init__()
        self.body, self.share = body, share

    def forward(self, x):
        y = self.body(x)
        return x + (y if self.share is None else self.share * y)
