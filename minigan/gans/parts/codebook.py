"""A codebook: vectors, of which an encoder's output is replaced by the nearest.

Van den Oord, Vinyals, Kavukcuoglu, "Neural discrete representation learning", 2017.
"""

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, no_grad

EPSILON = 1e-5  # of Laplace smoothing, in uses of a code


class Codebook(nn.Module):
    """Codes, integers (N, H, W) -> their vectors (N, length, H, W).

    weight: the vectors, (codes, length). counts: how often each is used in a batch, and sums: the sum of what
    it is used for there, (codes, length); both averages that move with the batches.
    """

    def __init__(self, codes, length, rng):
        super().__init__()
        self.weight = nn.Parameter(rng.uniform((codes, length), -1 / codes, 1 / codes))
        for name, tensor in (("counts", self.weight[:, 0]), ("sums", self.weight)):
            self.register_buffer(name, Tensor(0.0 * tensor.numpy()))

    def forward(self, codes):
        return F.embedding(codes, self.weight).permute(0, 3, 1, 2)

    def nearest(self, z):
        """The codes whose vectors are nearest to those of z (N, length, H, W): int64 (N, H, W), a constant
        (equation 1)."""
        with no_grad():
            rows, e = vectors(z), self.weight
            far = (e * e).sum(axis=1) - 2.0 * (rows @ e.transpose(0, 1))  # but for |z|²
            return far.argmin(axis=1).reshape(len(z), *z.shape[2:])

    def begin(self, z, rng):
        """Take the vectors of as many different places of z, drawn by rng, for those of the codes."""
        rows, codes = vectors(z), len(self.weight)
        self.replace(None, rows[rng.permutation(len(rows))[:codes]], len(rows) / codes)

    def follow(self, z, codes, decay, moves):
        """Average what the codes are used for with that of a batch, z and its nearest codes (appendix A.1,
        equations 6 and 7). moves: whether the vectors become the means of what they are used for, with
        Laplace smoothing of the counts (equation 8)."""
        with no_grad():
            rows, K = vectors(z), len(self.weight)
            used = F.one_hot(codes.reshape(-1), K, rows.dtype)
            self.counts += (1 - decay) * (used.sum(axis=0) - self.counts)
            self.sums += (1 - decay) * (used.transpose(0, 1) @ rows - self.sums)
            if moves:
                total = self.counts.sum()
                smooth = (self.counts + EPSILON) / (total + K * EPSILON) * total
                self.weight.copy_(self.sums / smooth.unsqueeze(1))

    def restart(self, z, share, rng):
        """Have the codes whose count is below `share` of what it would be if all were used alike begin again
        at places of z, drawn by rng. How many there were, a number as a Tensor."""
        with no_grad():
            rows, K = vectors(z), len(self.weight)
            alike = len(rows) / K
            dead = self.counts < share * alike
            self.replace(dead, rows[rng.integers(0, len(rows), K)], alike)
            return dead.to(rows.dtype).sum()

    def replace(self, which, rows, count):
        """Put rows (codes, length), each used `count` times, in the place of the vectors for which the mask
        `which` has True, or of all."""
        with no_grad():
            counts, sums = F.expand(Tensor(0.0 * rows.data[:, 0] + count), self.counts.shape), count * rows
            for own, other in ((self.weight, rows), (self.counts, counts), (self.sums, sums)):
                mask = which if which is None or own.ndim == 1 else which.unsqueeze(1)
                own.copy_(other if mask is None else F.where(mask, other, own))


def vectors(z):
    """The vectors of all places of z (N, length, H, W), as rows (N · H · W, length): constants."""
    return z.detach().permute(0, 2, 3, 1).reshape(-1, z.shape[1])


def perplexity(codes, K):
    """How many of K codes would be used, were those that are used alike: the exponential of the entropy of
    which are. codes: integers of any shape. 1 for a single one, K at most: a number as a Tensor, a
    constant."""
    share = F.one_hot(codes.reshape(-1), K).mean(axis=0)
    return F.exp(-(share * F.log(share + 1e-10)).sum())
