"""Packages that only one feature needs, and which are installed with an extra of minigan's."""

import importlib

from .errors import MiniganError


def needs(what: str, package: str, pip: str | None = None):
    """MiniganError unless `package`, which `what` needs, is there. pip: what to install, if it is more."""
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MiniganError(
            f"{what} needs {package}, which is not installed: pip install {pip or package}"
        ) from error
