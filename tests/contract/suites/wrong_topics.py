"""Topics that are wrong on purpose, and the tests that must catch them."""

import pytest
from msgspec.structs import replace

from manualtime import Timed
from tradesense.adapters.memory._topics import MemoryTopics
from tradesense.core.cache.models import Delivery, History, order
from tradesense.core.capabilities import Capability
from tradesense.core.paging import Page
from tradesense.core.testing import Contract, TopicsContract


class Logs(Timed, TopicsContract):
    capabilities = frozenset({Capability.SHARED, Capability.GROUPS, Capability.DEAD_LETTERS, Capability.OVERVIEW})
    Store = MemoryTopics

    @pytest.fixture
    def adapter(self, state, clock):
        return lambda: self.Store(state, clock=clock)


class TestRightTopics(Logs):
    patience = Contract.patience


class TestRightWithoutGroups(Logs):
    """One that declares less is asked less."""

    patience = Contract.patience
    capabilities = frozenset({Capability.SHARED})


class TestForgetsWhatWasRead(Logs):
    caught_by = ("test_reading_takes_nothing_away",)

    class Store(MemoryTopics):
        async def follow(self, positions, wait):
            found = await super().follow(positions, wait)
            for topic in positions:
                self._logs._logs.pop(topic, None)
            return found


class TestTakesEmptyForAbsent(Logs):
    caught_by = ("test_any_message_comes_back_as_it_was",)

    class Store(MemoryTopics):
        async def after(self, topic, position, limit):
            found = await super().after(topic, position, limit)
            return History(entries=tuple(entry for entry in found.entries if entry.message), gap=found.gap)


class TestComparesPositionsAsText(Logs):
    """It was right until the second number had two digits."""

    caught_by = ("test_messages_stand_in_the_order_in_which_they_were_published",)

    class Store(MemoryTopics):
        async def follow(self, positions, wait):
            return sorted(await super().follow(positions, wait), key=lambda entry: entry.position)


class TestGivesThePositionAgain(Logs):
    """Where one stopped is given once more."""

    caught_by = ("test_one_goes_on_from_where_one_stopped",)

    class Store(MemoryTopics):
        async def after(self, topic, position, limit):
            milliseconds, number = order(position)
            before = f"{milliseconds}-{number - 1}" if number else position
            return History(entries=(await super().after(topic, before, limit)).entries)


class TestHidesWhatIsGone(Logs):
    caught_by = ("test_the_newest_are_retained", "test_a_position_that_the_topic_never_reached_is_a_gap")

    class Store(MemoryTopics):
        async def after(self, topic, position, limit):
            return History(entries=(await super().after(topic, position, limit)).entries)


class TestRetainsAll(Logs):
    caught_by = ("test_the_newest_are_retained",)

    class Store(MemoryTopics):
        async def publish(self, topic, message, **_):
            return await super().publish(topic, message, retain=10**9)


class TestFollowsTheFirstTopicAlone(Logs):
    caught_by = ("test_several_topics_are_followed_at_once",)

    class Store(MemoryTopics):
        async def follow(self, positions, wait):
            return await super().follow(dict(list(positions.items())[:1]), wait)


class TestDoesNotWait(Logs):
    caught_by = ("test_who_follows_is_woken_by_the_first_message", "test_who_reads_is_woken_by_a_message")

    class Store(MemoryTopics):
        async def follow(self, positions, *_):
            return await super().follow(positions, 0)

        async def read(self, topic, group, consumer, *, limit, **_):
            return await super().read(topic, group, consumer, limit=limit)


class TestHandsOutToEveryConsumer(Logs):
    caught_by = ("test_each_message_goes_to_one_consumer_of_each_group",)

    class Store(MemoryTopics):
        async def read(self, topic, *_, limit, **__):
            found = (await self.after(topic, "", limit)).entries
            return [
                Delivery(topic=topic, position=each.position, receipt=each.position, message=each.message, attempt=1)
                for each in found
            ]


class TestAcknowledgesByReading(Logs):
    """At most once, where at least once was promised."""

    caught_by = (
        "test_what_is_not_acknowledged_is_claimed_after_a_while",
        "test_what_is_acknowledged_never_comes_again",
        "test_what_a_consumer_leaves_is_claimed_at_once",
    )

    class Store(MemoryTopics):
        async def read(self, topic, group, consumer, *, limit, wait=0):
            found = await super().read(topic, group, consumer, limit=limit, wait=wait)
            await super().acknowledge(topic, group, [each.receipt for each in found])
            return found


class TestClaimsFromTheLiving(Logs):
    caught_by = ("test_what_is_not_acknowledged_is_claimed_after_a_while", "test_no_message_is_claimed_by_two")

    class Store(MemoryTopics):
        async def claim(self, topic, group, consumer, *, limit, **_):
            return await super().claim(topic, group, consumer, idle=0, limit=limit)


class TestCountsNoAttempts(Logs):
    caught_by = ("test_what_is_not_acknowledged_is_claimed_after_a_while",)

    class Store(MemoryTopics):
        async def claim(self, topic, group, consumer, *, idle, limit):
            found = await super().claim(topic, group, consumer, idle=idle, limit=limit)
            return [replace(each, attempt=2) for each in found]


class TestStartsGroupsAtTheBeginning(Logs):
    caught_by = ("test_a_new_group_gets_what_is_published_from_now_on",)

    class Store(MemoryTopics):
        async def join(self, topic, group, **_):
            return await super().join(topic, group, earliest=True)


class TestKeepsWhatWasLeft(Logs):
    caught_by = ("test_what_a_consumer_leaves_is_claimed_at_once",)

    class Store(MemoryTopics):
        async def leave(self, *_):
            self.check_open()


class TestBuriesWhatIsDone(Logs):
    caught_by = ("test_what_is_buried_is_kept_aside",)

    class Store(MemoryTopics):
        async def bury(self, group, delivery, reason):
            await super().bury(group, delivery, reason)
            return True


class TestReplaysToEveryGroup(Logs):
    caught_by = ("test_what_is_replayed_comes_to_its_group_alone",)

    class Store(MemoryTopics):
        async def replay(self, topic, group, ids):
            for number in ids:
                letter = self._letters(topic, group).get(number)
                if letter is not None:
                    await self.publish(topic, letter.message, retain=10**6)
            return await self.discard(topic, group, ids)


class TestTakesAnyCursor(Logs):
    caught_by = ("test_a_cursor_that_no_list_gave_out_is_refused",)

    class Store(MemoryTopics):
        async def dead(self, topic, group, *, cursor=None, limit=100):
            known = cursor if cursor and cursor.isascii() and cursor.isdecimal() and len(cursor) < 20 else None
            return await super().dead(topic, group, cursor=known, limit=limit)


class TestListsDeadLettersNewestFirst(Logs):
    caught_by = ("test_dead_letters_are_listed_in_pages_oldest_first",)

    class Store(MemoryTopics):
        async def dead(self, topic, group, *, cursor=None, limit=100):
            page = await super().dead(topic, group, cursor=cursor, limit=limit)
            return Page(items=page.items[::-1], cursor=page.cursor)


class TestOverlooksGroups(Logs):
    caught_by = ("test_the_overview_tells_what_every_topic_holds",)

    class Store(MemoryTopics):
        async def overview(self):
            return [replace(each, groups=()) for each in await super().overview()]


class TestExpiresWhateverItsAge(Logs):
    caught_by = ("test_what_is_old_goes_when_asked_and_groups_stay_where_they_are",)

    class Store(MemoryTopics):
        async def expire(self, *, messages=None, letters=None):
            return await super().expire(
                messages=None if messages is None else -1, letters=None if letters is None else -1
            )


class TestExpiresMessagesWithLetters(Logs):
    caught_by = ("test_what_is_old_goes_when_asked_and_groups_stay_where_they_are",)

    class Store(MemoryTopics):
        async def expire(self, *, messages=None, letters=None):
            return await super().expire(messages=messages or letters, letters=letters)


class TestTopicsAreNeverClosed(Logs):
    caught_by = ("test_a_closed_adapter_says_so",)

    class Store(MemoryTopics):
        def check_open(self):
            pass
