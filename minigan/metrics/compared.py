"""Which metrics there are where each sample has something of its own to be compared with: of pairs, of images
and what they are made smaller from, and of domains."""

from . import checks, paired, unpaired

OF_KIND = {"pair": paired, "image": paired, "domains": unpaired}
OF_COMPARED = *paired.OF_PAIRS, *unpaired.OF_DOMAINS


def names_for(data) -> list[str]:
    """The metrics that there are for data like these."""
    return OF_KIND[data.kind].names_for(data)


def check_names(names, data):
    """MiniganError unless there are these metrics of such data."""
    checks.names(names, names_for(data), "domains" if data.kind == "domains" else "pairs")
