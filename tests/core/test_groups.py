"""What group commits promise: everything, in order, once the journal takes it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.delivery.groups import MAX_GROUP, GroupCommit
from relay.model.ports import JournalUnavailable
from relay.telemetry.events import JournalCommitted, JournalFailed, JournalRecovered
from tests.core.recorder import Recorder
from tests.core.virtual_time import run


class Table:
    """Something to commit to, which takes a second for each group."""

    def __init__(self, takes: float = 1.0) -> None:
        self.groups: list[list[int]] = []
        self.times: list[float] = []
        self.failures = 0
        self._takes = takes

    @property
    def rows(self) -> list[int]:
        """Everything committed, in its order."""
        return [item for group in self.groups for item in group]

    async def commit(self, group: list[int]) -> None:
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._takes)
        if self.failures:
            self.failures -= 1
            raise JournalUnavailable("full")
        self.groups.append(list(group))


def group_commit(table: Table, tell: Recorder) -> GroupCommit[int]:
    """Make a group commit without jitter."""
    return GroupCommit(table.commit, tell, jitter=lambda: 1.0)


async def test_what_arrives_during_a_commit_is_the_next_one() -> None:
    """The group grows while the disk is busy: few commits under load, none late without."""
    table, tell = Table(), Recorder()
    commit = group_commit(table, tell)
    running = asyncio.create_task(commit.run())
    commit.put(1)
    await asyncio.sleep(0.5)
    for number in (2, 3, 4):
        commit.put(number)
    await commit.idle()
    assert [[1], [2, 3, 4]] == table.groups
    assert [JournalCommitted(1.0, 1), JournalCommitted(1.0, 3)] == tell.of(JournalCommitted)
    commit.close()
    await running


async def test_a_group_is_bounded() -> None:
    """A large backlog is committed in parts, so that none holds up the others for long."""
    table = Table()
    commit = group_commit(table, Recorder())
    for number in range(MAX_GROUP + 1):
        commit.put(number)
    commit.close()
    await commit.run()
    assert [MAX_GROUP, 1] == [len(group) for group in table.groups]


async def test_a_group_is_repeated_until_the_journal_takes_it() -> None:
    """A full disk loses nothing: with backoff, for ever, and told at both ends."""
    table, tell = Table(takes=0.0), Recorder()
    table.failures = 10
    commit = group_commit(table, tell)
    commit.put(1)
    running = asyncio.create_task(commit.run())
    await tell.wait_for(JournalFailed)
    assert [False] == [commit.accepted]
    await commit.idle()
    assert [True] == [commit.accepted]
    assert [[1]] == table.groups
    waits = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0]
    assert [JournalFailed("full", wait) for wait in waits] == tell.of(JournalFailed)
    assert (1, 1) == (tell.count(JournalRecovered), tell.count(JournalCommitted))
    commit.close()
    await running


async def test_the_group_that_fails_stays_as_it_is() -> None:
    """What comes meanwhile waits behind it, so that the order is kept."""
    table = Table()
    table.failures = 2
    commit = group_commit(table, Recorder())
    running = asyncio.create_task(commit.run())
    commit.put(1)
    await asyncio.sleep(0.5)
    commit.put(2)
    await commit.idle()
    assert [[1], [2]] == table.groups
    commit.close()
    await running


async def test_closing_commits_the_rest() -> None:
    """`run` returns once everything is committed, and at once if everything is."""
    table = Table()
    commit = group_commit(table, Recorder())
    running = asyncio.create_task(commit.run())
    for number in (1, 2):
        commit.put(number)
    await asyncio.sleep(0.5)
    commit.put(3)
    commit.close()
    await running
    assert [1, 2, 3] == table.rows
    await commit.idle()


async def test_idle_waits_for_the_last_commit() -> None:
    """Not only until nothing waits, but until it is written."""
    table = Table()
    commit = group_commit(table, Recorder())
    await commit.idle()
    running = asyncio.create_task(commit.run())
    commit.put(1)
    await asyncio.sleep(0.1)
    await commit.idle()
    assert [1] == table.rows
    commit.close()
    await running


async def test_a_bug_in_a_commit_ends_the_loop() -> None:
    """What is not the disk's state is a broken promise, and is not repeated."""

    async def commit(_: list[int]) -> None:
        raise ZeroDivisionError

    broken = GroupCommit(commit, Recorder())
    broken.put(1)
    with pytest.raises(ZeroDivisionError):
        await broken.run()


PUTS = st.lists(st.tuples(st.sampled_from([0.0, 0.3, 2.0]), st.integers(1, 4)), max_size=12)


@given(PUTS, st.integers(0, 5), st.sampled_from([0.0, 0.2, 1.0]))
def test_everything_put_is_committed_once_and_in_order(
    puts: list[tuple[float, int]], failures: int, takes: float
) -> None:
    """Whenever it comes, however long a commit takes, and however often it fails."""

    async def main() -> tuple[list[int], list[int]]:
        table = Table(takes)
        table.failures = failures
        commit = group_commit(table, Recorder())
        running = asyncio.create_task(commit.run())
        expected: list[int] = []
        for wait, count in puts:
            await asyncio.sleep(wait)
            for _ in range(count):
                expected.append(len(expected))
                commit.put(expected[-1])
        commit.close()
        await running
        return expected, table.rows

    expected, rows = run(main())
    assert expected == rows
