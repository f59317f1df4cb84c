"""What a generator is, and the smallest ones.

A generator is an immutable value. A driver (the runner, the simulator) asks it:

``op(ctx)`` answers one of
    ``(op, next)``       an invocation, already given a free process and the time when it is due
                         (``op.time_ns >= ctx.time_ns``); ``next`` is the generator after it,
    ``(PENDING, next)``  nothing now; ask ``next`` again when something ended or a little time has passed,
    ``None``             exhausted, for ever.
``update(ctx, event)`` answers the generator after a completion was seen.

A driver takes ``next`` only when it really dispatches ``op``. While it waits for an operation that is due later it may
throw the answer away and ask the old value again, because asking changes nothing. From that follow
two rules for whoever writes a generator: draw random numbers only from an ``Rng`` held inside, and
never when the answer is PENDING. Then the n-th operation is the same however fast the system answers.

PENDING with a changed ``next`` means that a clock was started (a sleep); :func:`ask` asks such a one again at once.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from harness.generators.context import Context
from harness.model.op import Op

State = TypeVar("State")


class Pending(Enum):
    """The type of PENDING, so that type checkers understand ``op is PENDING``."""

    PENDING = "pending"


PENDING: Final = Pending.PENDING
"""Nothing to do now, but perhaps later."""


class Generator(Protocol):
    """An immutable schedule of operations; the module's docstring tells the rules."""

    def op(self, ctx: Context) -> Answer: ...

    def update(self, ctx: Context, event: Op) -> Generator: ...


Answer: TypeAlias = tuple[Op | Pending, Generator] | None


def ask(generator: Generator, ctx: Context) -> Answer:
    """The generator's answer once its clocks are started; what drivers call."""
    while True:
        answer = generator.op(ctx)
        if answer is None or answer[0] is not PENDING or answer[1] is generator:
            return answer
        generator = answer[1]


class Nothing(Struct, frozen=True):
    """Exhausted from the beginning."""

    def op(self, ctx: Context) -> Answer:
        return None

    def update(self, ctx: Context, event: Op) -> Generator:
        return self


NOTHING: Final = Nothing()


class One(Struct, frozen=True):
    """One operation, once."""

    template: Op

    def op(self, ctx: Context) -> Answer:
        if not ctx.free:
            return PENDING, self
        template = self.template
        return ctx.invoke(template.f, template.value, template.key), NOTHING

    def update(self, ctx: Context, event: Op) -> Generator:
        return self


class Call(Struct, frozen=True):
    """An operation from a function for each request; the function must depend on its argument only."""

    make: Callable[[Context], Op | dict[str, Any] | None]

    def op(self, ctx: Context) -> Answer:
        if not ctx.free:
            return PENDING, self
        made = self.make(ctx)
        if made is None:
            return None
        if isinstance(made, dict):
            return ctx.invoke(**made), self
        return ctx.invoke(made.f, made.value, made.key), self

    def update(self, ctx: Context, event: Op) -> Generator:
        return self


class Unfold(Struct, frozen=True):
    """See :func:`unfold`."""

    step: Callable[[Any], tuple[str, Any, Any, Any] | None]
    state: Any

    def op(self, ctx: Context) -> Answer:
        if not ctx.free:
            return PENDING, self
        made = self.step(self.state)
        if made is None:
            return None
        f, key, value, state = made
        return ctx.invoke(f, value, key), Unfold(self.step, state)

    def update(self, ctx: Context, event: Op) -> Generator:
        return self


def unfold(step: Callable[[State], tuple[str, Any, Any, State] | None], state: State) -> Generator:
    """Operations from a pure function: ``step(state)`` is ``(f, key, value, next state)``, or None at the end.

    The state is where a random number generator and counters belong; this is the fastest way to make operations.
    """
    return Unfold(step, state)


class Sleep(Struct, frozen=True):
    """See :func:`sleep`. ``until_ns`` is -1 before the clock was started."""

    span_ns: int
    until_ns: int = -1

    def op(self, ctx: Context) -> Answer:
        if self.until_ns < 0:
            return PENDING, Sleep(self.span_ns, ctx.time_ns + self.span_ns) if ctx.free else self
        return None if ctx.time_ns >= self.until_ns else (PENDING, self)

    def update(self, ctx: Context, event: Op) -> Generator:
        return self


def sleep(span_s: float) -> Generator:
    """No operation for ``span_s`` seconds, counted from the moment when it is reached and a thread is free.

    For the nemesis, which has one thread, that is when its former operation ended. In a sequence the next operation
    is planned for exactly the end of the sleep.
    """
    return Sleep(round(span_s * 1e9))
