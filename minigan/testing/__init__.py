"""Tools to test differentiable code: ours, and yours."""

from .assert_close import assert_close
from .check_grads import check_grads

__all__ = ["assert_close", "check_grads"]
