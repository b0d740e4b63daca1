"""The command line. A command imports what draws, trains or measures when it is called, so that help comes
at once."""

import sys

# Each adds its commands to the application.
from . import control, export, pages, tools, train, trained  # noqa: F401
from .app import app, call, main, print_anything

__all__ = ["app", "call", "main", "run"]


def run():
    """The entry point of the installed command."""
    print_anything()
    sys.exit(main())
