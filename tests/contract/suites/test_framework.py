"""The base of the suites and the scorecard, as the author of an adapter meets them: with no configuration at all."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

from tradesense.core.ambient import Ids
from tradesense.core.paging import Page
from tradesense.core.testing import Contract, IdsContract, eventually, every, opened

GUARD = "test_no_test_of_the_contract_is_overridden"

AUTHORS_TESTS = textwrap.dedent(
    """
    import acme_without
    import pytest
    from tradesense.core.ambient import Ids
    from tradesense.core.capabilities import Capability
    from tradesense.core.testing import Contract, opened, requires


    class IdsContract(Contract):
        port = Ids

        async def test_new(self, adapter):
            async with opened(adapter()) as ids:
                assert ids.new() == "x"

        async def test_again(self, adapter):
            assert adapter().new()

        async def test_more_of_it(self, adapter):
            pytest.skip("the contract says that there is nothing to see")

        @requires(Capability.SHARED, Capability.PERSISTENT)
        async def test_optional(self, adapter):
            assert adapter().new()


    class FixedIds:
        def new(self):
            return "x"


    class Over(IdsContract):
        @pytest.fixture
        def adapter(self):
            return FixedIds


    class TestRight(Over):
        capabilities = frozenset({Capability.SHARED, Capability.PERSISTENT})


    class TestDeclaresHalf(Over):
        capabilities = frozenset({Capability.SHARED})


    class TestDeclaresTooMuch(Over):
        capabilities = frozenset({Capability.CAS})


    class TestOverrides(Over):
        async def test_new(self):
            pass


    class TestDeletes(Over):
        test_new = None


    class Mixin:
        async def test_again(self):
            pass


    class TestMixesIn(Mixin, Over):
        pass


    class TestSaysWhy(Over):
        @pytest.mark.xfail(reason="ids are not x here")
        async def test_new(self, adapter):
            assert adapter().new() == "y"


    class TestSaysNothing(Over):
        @pytest.mark.xfail(reason=" ")
        async def test_new(self, adapter):
            assert adapter().new() == "y"


    class TestHidesBehindAPort(Over):
        port = Ids

        async def test_new(self):
            pass


    class TestSkips(Over):
        @pytest.mark.skip(reason="not today")
        async def test_new(self):
            pass


    @pytest.mark.skip(reason="the server is away")
    class TestIsLeftOut(Over):
        pass


    @pytest.mark.skipif(True, reason="the server is away")
    class TestIsLeftOutHere(Over):
        pass


    class TestMarksItself(Over):
        pytestmark = [pytest.mark.asyncio, pytest.mark.skip(reason="the server is away")]


    @pytest.mark.xfail(reason="one day")
    class TestMayFailAltogether(Over):
        @pytest.fixture
        def adapter(self):
            return object


    class TestHasNoServer(IdsContract):
        @pytest.fixture
        def adapter(self):
            pytest.skip("the server is away")


    class TestFindsNoServer(IdsContract):
        @pytest.fixture
        def adapter(self):
            return acme_without.server


    class TestGivesUp(IdsContract):
        @pytest.fixture
        def adapter(self):
            pytest.xfail("the server is away")


    class TestIsNotLeftOutHere(Over):
        pytestmark = [pytest.mark.asyncio, pytest.mark.skipif(False, reason="the server is away")]


    class TestAddsItsOwn(Over):
        @pytest.mark.parametrize("address", ["x", "[::1]"])
        async def test_more(self, adapter, address):
            assert adapter().new()


    class TestHasNoFixture(IdsContract):
        pass


    class TestHasNoMethods(Over):
        @pytest.fixture
        def adapter(self):
            return object


    class TestMakesOneAdapter(Over):
        @pytest.fixture
        def adapter(self):
            one = FixedIds()
            return lambda: one


    class TestEntersAnother(Over):
        @pytest.fixture
        def adapter(self):
            class Opened(FixedIds):
                async def __aenter__(self):
                    return FixedIds()

                async def __aexit__(self, *_):
                    pass

            return Opened
    """
)


ACME_WITHOUT = """
import pytest

def server():
    pytest.skip("the server is away")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("author")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "acme_without.py").write_text(ACME_WITHOUT)
    (folder / "test_acme.py").write_text(AUTHORS_TESTS)
    (folder / "test_other.py").write_text("def test_it():\n    pass\n")
    return folder


def run(folder, *arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def done(folder):
    return run(folder, "--tradesense-scorecard=card.json", "test_acme.py")


@pytest.fixture(scope="module")
def cards(folder, done):
    assert done.returncode == 1, done.stdout + done.stderr
    return {card["contract"].rpartition(".")[2]: card for card in json.loads((folder / "card.json").read_text())}


def test_a_right_adapter_passes(cards):
    card = cards["TestRight"]
    assert (card["failed"], card["xfailed"], card["undeclared"], card["skipped"]) == ([], {}, {}, ["test_more_of_it"])
    assert card["passed"] == 6
    assert (card["room"], card["port"], card["adapter"]) == ("ambient", "Ids", "FixedIds")
    assert card["capabilities"] == ["persistent", "shared"]


def test_a_test_of_an_undeclared_capability_is_left_out_and_says_which(cards, done):
    assert cards["TestDeclaresHalf"]["undeclared"] == {"test_optional": "persistent"}
    assert cards["TestDeclaresHalf"]["failed"] == []
    assert cards["TestOverrides"]["undeclared"] == {"test_optional": "shared"}
    assert done.returncode == 1


def test_a_capability_that_no_test_proves_may_not_be_declared(cards):
    assert cards["TestDeclaresTooMuch"]["failed"] == ["test_each_declared_capability_is_one_that_this_contract_proves"]


@pytest.mark.parametrize(
    "name",
    ["TestOverrides", "TestDeletes", "TestMixesIn", "TestSaysNothing", "TestHidesBehindAPort"],
)
def test_an_override_without_a_reason_is_a_failure(cards, name):
    assert cards[name]["failed"] == [GUARD]


def test_a_test_that_the_contract_itself_leaves_out_is_counted(cards):
    assert cards["TestAddsItsOwn"]["skipped"] == ["test_more_of_it"]
    assert cards["TestAddsItsOwn"]["failed"] == []


def test_a_skipped_test_is_a_failure_as_well(cards):
    assert cards["TestSkips"]["failed"] == ["test_new", GUARD]


@pytest.mark.parametrize("name", ["TestIsLeftOut", "TestIsLeftOutHere", "TestMarksItself"])
def test_a_contract_that_is_left_out_is_a_failure(cards, done, name):
    card = cards[name]
    assert (card["passed"], len(card["failed"]), card["skipped"]) == (0, 7, [])
    assert GUARD in card["failed"]
    _, told, rest = done.stdout.partition(f"_ ERROR at setup of {name}.{GUARD} _")
    assert told
    assert rest.splitlines()[1] == "Skipped: the server is away"
    assert rest.splitlines()[2].startswith("A contract may not be skipped: ")


def test_a_contract_may_not_fail_as_a_whole(cards):
    card = cards["TestMayFailAltogether"]
    assert card["xfailed"] == {}
    assert "test_new" in card["failed"]


@pytest.mark.parametrize("name", ["TestHasNoServer", "TestGivesUp", "TestFindsNoServer"])
def test_a_service_that_is_down_is_a_failure(cards, name):
    card = cards[name]
    assert {"test_new", "test_again"} <= set(card["failed"])
    assert (card["xfailed"], "test_new" in card["skipped"]) == ({}, False)


def test_a_mark_that_does_not_hold_leaves_nothing_out(cards):
    assert cards["TestIsNotLeftOutHere"]["failed"] == []
    assert cards["TestIsNotLeftOutHere"]["passed"] == 5


def test_an_override_that_says_why_it_fails_is_shown(cards):
    card = cards["TestSaysWhy"]
    assert (card["failed"], card["xfailed"]) == ([], {"test_new": "ids are not x here"})


def test_a_test_of_ones_own_is_welcome(cards):
    assert cards["TestAddsItsOwn"]["failed"] == []
    assert {"test_more[x]", "test_more[[::1]]"} < set(cards["TestAddsItsOwn"]["proved"])


def test_the_guard_cannot_be_overridden():
    with pytest.raises(TypeError, match=GUARD):
        type("Sly", (IdsContract,), {GUARD: None})


def test_a_missing_fixture_says_what_to_do(cards, done):
    assert "test_new" in cards["TestHasNoFixture"]["failed"]
    assert "TestHasNoFixture must override the fixture `adapter`" in done.stdout


@pytest.mark.parametrize("name", ["TestHasNoMethods", "TestMakesOneAdapter"])
def test_a_fixture_that_makes_something_else_is_a_failure(cards, name):
    assert "test_the_fixture_makes_new_adapters_with_the_methods_of_the_port" in cards[name]["failed"]


def test_an_adapter_that_enters_another_is_a_failure(cards, done):
    assert cards["TestEntersAnother"]["failed"] == ["test_new"]
    assert "Opened.__aenter__ must return the adapter itself" in done.stdout


def test_the_scorecard_is_printed(done):
    assert "TradeSense contracts" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "(TestSaysWhy)" in line]
    assert " ".join(line.split()) == (
        "Ids FixedIds (TestSaysWhy) 4 passed, 1 xfailed, 1 not declared, 1 skipped; capabilities: none"
    )


def test_the_scorecard_is_the_same_under_xdist(folder, cards):
    done = run(folder, "-n2", "--tradesense-scorecard=xdist.json", "test_acme.py")
    assert "TradeSense contracts" in done.stdout
    spread = {card["contract"].rpartition(".")[2]: card for card in json.loads((folder / "xdist.json").read_text())}
    assert spread == cards


def test_a_run_without_contracts_shows_nothing(folder):
    done = run(folder, "test_other.py")
    assert done.returncode == 0
    assert "TradeSense" not in done.stdout


def test_the_plugin_loads_nothing_of_the_platform():
    code = (
        "import sys, pytest; known = set(sys.modules); import tradesense.core.testing.plugin; "
        "print(*sorted(set(sys.modules) - known))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = [name for name in done.stdout.split() if name.startswith(("tradesense", "msgspec", "pluggy"))]
    assert loaded == ["tradesense", "tradesense.core", "tradesense.core.testing", "tradesense.core.testing.plugin"]


async def test_a_list_that_does_not_end_is_a_failure():
    async def read(_):
        return Page(items=(1,), cursor="again")

    with pytest.raises(pytest.fail.Exception, match="does not end"):
        await every(read, most=3)


async def test_what_does_not_happen_in_time_is_a_failure():
    async def never():
        """The condition that a person reads."""

    with pytest.raises(pytest.fail.Exception, match="s: The condition that a person reads"):
        await eventually(never, seconds=0.05)


async def test_an_adapter_without_a_lifecycle_is_always_open():
    plain = object()
    async with opened(plain) as adapter:
        assert adapter is plain


def test_every_name_of_the_package_can_be_imported():
    from tradesense.core import testing  # noqa: PLC0415  # what is imported is the test

    assert all(getattr(testing, name) is not None for name in testing.__all__)
    with pytest.raises(AttributeError):
        _ = testing.AbsentContract
    assert Contract.__module__ == "tradesense.core.testing.base"
    assert IdsContract.port is Ids
