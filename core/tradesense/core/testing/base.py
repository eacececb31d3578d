"""What every contract suite is made of."""

from __future__ import annotations

import asyncio
import inspect
import json
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, TypeVar, cast

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.paging import Page
from tradesense.core.testing.plugin import ADAPTER, UNDECLARED
from tradesense.core.transactions import Transactions

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

Make = Callable[[], T]
"""What the ``adapter`` fixture returns: each call makes a new adapter, not yet opened, over the same backend."""

Joined = Callable[[Any], Transactions]
"""What the ``transactions`` fixture returns: for an adapter, the Transactions, not yet opened, that it joins."""

_GUARD = "test_no_test_of_the_contract_is_overridden"


def requires(*capabilities: Capability) -> Callable[[F], F]:
    """Mark a contract test that runs only for adapters which declare all of ``capabilities``."""

    def mark(test: F) -> F:
        vars(test)["required_capabilities"] = capabilities
        return test

    return mark


def fresh(prefix: str = "t") -> str:
    """A name that no other test uses, so that a backend may be shared: ``prefix``, a hyphen and 16 hex digits."""
    return f"{prefix}-{secrets.token_hex(8)}"


@asynccontextmanager
async def opened(adapter: T) -> AsyncGenerator[T]:
    """Open ``adapter`` for a while; one without ``__aenter__`` is always open."""
    if not hasattr(adapter, "__aenter__"):
        yield adapter
        return
    async with cast("AbstractAsyncContextManager[T]", adapter) as entered:
        assert entered is adapter, f"{type(adapter).__name__}.__aenter__ must return the adapter itself"
        yield adapter


@asynccontextmanager
async def joined(adapter: Make[T], transactions: Joined) -> AsyncGenerator[tuple[T, Transactions]]:
    """A new adapter and the Transactions that it joins, both opened."""
    store = adapter()
    async with opened(transactions(store)) as unit, opened(store):
        yield store, unit


async def together(count: int, call: Callable[[int], Awaitable[T]], *, seconds: float = 30) -> list[T | BaseException]:
    """Run ``call(0)`` to ``call(count - 1)`` at once; each one's answer, or the error that it raised."""
    async with asyncio.timeout(seconds):
        return await asyncio.gather(*(call(number) for number in range(count)), return_exceptions=True)


async def every(read: Callable[[str | None], Awaitable[Page[T]]], *, most: int = 1000) -> list[T]:
    """All items of a paged list: ``read`` takes the cursor. More than ``most`` pages mean that it does not end."""
    items: list[T] = []
    cursor: str | None = None
    for _ in range(most):
        page = await read(cursor)
        items.extend(page.items)
        cursor = page.cursor
        if cursor is None:
            return items
    pytest.fail(f"the list does not end: {most} pages, and still a cursor")


async def eventually(probe: Callable[[], Awaitable[T]], *, seconds: float) -> T:
    """The first truthy answer of ``probe``, which is asked again until then for ``seconds`` at most."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                answer = await probe()
                if answer:
                    return answer
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"not within {seconds:g} s: {inspect.getdoc(probe) or getattr(probe, '__name__', 'the condition')}")


class Contract:
    """The base of every contract. A contract sets ``port``; the author of an adapter sets ``capabilities``.

    A test that a subclass overrides fails the run, unless the override says why with
    ``@pytest.mark.xfail(reason="…")``: a shortcoming may be known, never hidden.
    """

    pytestmark: ClassVar[Any] = pytest.mark.asyncio

    port: ClassVar[type[Any]]
    """The Protocol that the contract is for."""
    extensions: ClassVar[Mapping[Capability, type[Any]]] = {}
    """The Protocol that an adapter satisfies as well when it declares the capability."""
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    """What the adapter declares in its manifest."""
    title: ClassVar[str] = ""
    """How tables name the adapter, and what it was tested on where that is more than one thing."""
    patience: ClassVar[float] = 10.0
    """Seconds that a test waits for something that must happen."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if _GUARD in vars(cls):
            raise TypeError(f"{cls.__name__} may not override {_GUARD}")

    @pytest.fixture
    def adapter(self) -> Make[Any]:
        """Override this: return a callable without arguments that makes a new, unopened adapter at each call.

        All of them are over the same backend, so that a test can open several, as several processes would.
        """
        pytest.fail(
            f"{type(self).__name__} must override the fixture `adapter`: return a callable without arguments that "
            f"makes a new, unopened {type(self).port.__name__} at each call, each over the same backend",
            pytrace=False,
        )

    @pytest.fixture
    def transactions(self) -> Joined:
        """Override this as well when the adapter declares ``Capability.TRANSACTIONAL``.

        Return a callable that takes an adapter and makes the unopened :class:`Transactions` that the adapter joins.
        """
        pytest.fail(
            f"{type(self).__name__} declares Capability.TRANSACTIONAL and must override the fixture `transactions`: "
            f"return a callable that takes a {type(self).port.__name__} and makes the unopened Transactions it joins",
            pytrace=False,
        )

    @pytest.fixture(autouse=True)
    def _declared(self, request: pytest.FixtureRequest) -> None:
        for capability in getattr(request.function, "required_capabilities", ()):
            if capability not in self.capabilities:
                request.node.user_properties.append((UNDECLARED, capability.value))
                pytest.skip(f"the adapter does not declare Capability.{capability.name}")

    @classmethod
    def describe_contract(cls) -> str:
        """What the scorecard says of this class before any of its tests has run, as JSON."""
        return json.dumps(
            {
                "contract": f"{cls.__module__}.{cls.__qualname__}",
                "port": cls.port.__name__,
                "room": (cls.port.__module__.split(".") + [""] * 2)[2],
                "capabilities": sorted(cls.capabilities),
                "title": cls.title,
            }
        )

    async def test_the_fixture_makes_new_adapters_with_the_methods_of_the_port(
        self, adapter: Make[Any], record_property: Callable[[str, object], None]
    ) -> None:
        first, second = adapter(), adapter()
        record_property(ADAPTER, type(first).__name__)
        assert first is not second, "the fixture `adapter` must return a callable that makes a new adapter at each call"
        protocols = [self.port, *(self.extensions[name] for name in self.extensions if name in self.capabilities)]
        for protocol in protocols:
            absent = [name for name in _methods(protocol) if not _has(first, name)]
            assert not absent, f"{type(first).__name__} is no {protocol.__name__}: it has no {', '.join(absent)}"

    async def test_each_declared_capability_is_one_that_this_contract_proves(self) -> None:
        unproved = self.capabilities - self.extensions.keys() - _proved_by(type(self))
        assert not unproved, f"no test of this contract is about {', '.join(sorted(unproved))}: do not declare it"

    async def test_no_test_of_the_contract_is_overridden(self) -> None:
        overridden = [f"{cls.__name__}.{name}" for cls, name in _overrides(type(self)) if not _excused(vars(cls)[name])]
        assert not overridden, (
            f"{', '.join(overridden)}: a test of the contract may be overridden only with "
            '@pytest.mark.xfail(reason="…"), and the reason may not be empty'
        )


def _methods(protocol: type[Any]) -> list[str]:
    """The public members of a Protocol, its parents' included."""
    parts = [cls for cls in protocol.__mro__ if getattr(cls, "_is_protocol", False)]
    return sorted({name for cls in parts for name in vars(cls) if not name.startswith("_")})


def _has(adapter: object, name: str) -> bool:
    """Whether the adapter has the member, without running a property."""
    return inspect.getattr_static(adapter, name, None) is not None or hasattr(adapter, name)


def _tests(cls: type[Any]) -> Iterator[str]:
    yield from (name for name in vars(cls) if name.startswith("test"))


def _is_contract(cls: type[Any]) -> bool:
    return cls is Contract or (issubclass(cls, Contract) and "port" in vars(cls))


def _proved_by(cls: type[Any]) -> set[Capability]:
    tests = (vars(parent)[name] for parent in cls.__mro__ if _is_contract(parent) for name in _tests(parent))
    return {capability for test in tests for capability in getattr(test, "required_capabilities", ())}


def _overrides(cls: type[Any]) -> Iterator[tuple[type[Any], str]]:
    """Where a test of a contract is defined again by a class that comes before it."""
    for place, contract in enumerate(cls.__mro__):
        if _is_contract(contract):
            for name in _tests(contract):
                yield from ((earlier, name) for earlier in cls.__mro__[:place] if name in vars(earlier))


def _excused(override: object) -> bool:
    marks = getattr(override, "pytestmark", [])
    return any(mark.name == "xfail" and str(mark.kwargs.get("reason", "")).strip() for mark in marks)
