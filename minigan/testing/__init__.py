"""Tools to test differentiable code: ours, and yours.

`check_grads` compares any function's derivatives with finite differences; `check_op`, `check_module`
and `check_optimizer` check all that an op, a network or an optimiser has to keep to. Strategies for
hypothesis are in `minigan.testing.strategies`, which needs that package.
"""

from .assert_close import assert_close
from .check_grads import check_grads
from .check_model import check_model
from .check_module import check_module, check_optimizer
from .check_op import check_op

__all__ = ["assert_close", "check_grads", "check_model", "check_module", "check_op", "check_optimizer"]
