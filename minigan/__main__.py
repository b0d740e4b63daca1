"""`python -m minigan` is the command `minigan`."""

from minigan.cli import run

run()
