"""Context managers that decorate functions of every kind.

Those of `contextlib` are entered around the call of a function. The call of a generator function runs none
of its body, so there they would do nothing. These are entered each time the body runs on, and left each
time it waits: what it switches holds for the body alone, and not for who calls it.
"""

import contextlib
import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar

F = TypeVar("F", bound=Callable)
P = ParamSpec("P")
T = TypeVar("T")


class Context:
    """What a context manager inherits to be a decorator; `again` gives another one of the same settings.

    TypeError for an asynchronous generator function, or what cannot be called.
    """

    def again(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no again")

    def __call__(self, function: F) -> F:
        if inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{function.__name__} is an asynchronous generator function, which this does not decorate: "
                f"write `with` in its body"
            )
        if not callable(function):
            raise TypeError(f"only a function can be decorated, got {type(function).__name__}")
        if inspect.isgeneratorfunction(function):

            def wrapped(*args, **settings):
                return (yield from _resumed(self.again, function(*args, **settings)))

        elif inspect.iscoroutinefunction(function):

            async def wrapped(*args, **settings):
                return await _resumed(self.again, function(*args, **settings))

        else:

            def wrapped(*args, **settings):
                with self.again():  # of its own: the function may run on several threads
                    return function(*args, **settings)

        return functools.wraps(function)(wrapped)


def context(make: Callable[P, Iterator[T]]) -> Callable[P, "_Made[T]"]:
    """`contextlib.contextmanager`, of which a result may decorate a generator function too."""

    @functools.wraps(make)
    def made(*args: P.args, **settings: P.kwargs):
        return _Made(functools.partial(contextlib.contextmanager(make), *args, **settings))

    return made


class _Made(Context, Generic[T]):
    def __init__(self, make: Callable):
        self.make = make
        self.entered = []  # a stack: a block may lie within another of the same object

    def again(self):
        return _Made(self.make)

    def __enter__(self) -> T:
        manager = self.make()
        value = manager.__enter__()
        self.entered.append(manager)
        return value

    def __exit__(self, *error: Any) -> bool | None:
        return self.entered.pop().__exit__(*error)


@types.coroutine
def _resumed(context, body):
    """Run `body`, a generator or a coroutine, to its end, within a new context each time it runs on."""
    resume, value = body.send, None
    while True:
        try:
            with context():
                given = resume(value)
        except StopIteration as end:
            return end.value
        try:
            resume, value = body.send, (yield given)
        except GeneratorExit:
            with context():
                body.close()
            raise
        except BaseException as error:
            resume, value = body.throw, error
