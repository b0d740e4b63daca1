"""Feature matching: D's hidden layer is to say of samples, on average, what it says of the data.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved techniques for training GANs", 2016, section
3.1. D learns as ever, to tell the two apart; so its features are those in which they differ.
"""

from minigan.autograd import no_grad


def feature_matching(D, real, fake):
    """‖E f(x) - E f(x̃)‖², f what D's last layer of weights is given: a Tensor of shape ().

    D: a Sequential. real, fake: its inputs, x and x̃; x is taken as constant. Order of derivative: any.
    """
    with no_grad():
        wanted = features(D, real).mean(axis=0)
    return ((features(D, fake).mean(axis=0) - wanted) ** 2).sum()


def features(D, x):
    """What the last layer of D, a Sequential, that has weights is given."""
    layers = list(D)
    while not layers.pop().parameters():
        pass
    for layer in layers:
        x = layer(x)
    return x
