"""Learning rates that fall while a model learns."""


def whole_then_falling(steps: int):
    """What multiplies a rate, of the steps that were taken: 1 in the first half of `steps`, then along a line
    to 0, where it stays."""
    return lambda taken: min(1.0, max(0.0, 2 * (1 - taken / steps)))
