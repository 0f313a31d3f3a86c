"""Work done ahead keeps its order, its bounds and its exceptions."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_seg._util.concurrency import map_ordered


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as threads:
        yield threads


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers()), st.integers(-1, 7))
def test_results_are_those_of_a_plain_loop(items, ahead):
    with ThreadPoolExecutor(3) as threads:
        assert list(map_ordered(threads, lambda item: item * 2, items, ahead)) == [
            item * 2 for item in items
        ]


def test_a_result_waits_for_the_ones_before_it(pool):
    second_is_done = threading.Event()

    def work(item):
        if item == 1:
            second_is_done.set()
            return item
        assert second_is_done.wait(30)
        return item

    assert list(map_ordered(pool, work, range(4), ahead=4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_items_are_taken_only_as_they_are_needed(pool, ahead):
    taken = []

    def source():
        for item in range(40):
            taken.append(item)
            yield item

    for received, _ in enumerate(map_ordered(pool, str, source(), ahead), 1):
        assert len(taken) <= received + ahead
    assert taken == list(range(40))


def test_no_more_than_the_bound_run_at_once():
    lock, running, most = threading.Lock(), 0, 0
    # A barrier of three is passed only where three run at once, and with a bound of 3 never four.
    meet = threading.Barrier(3)

    def work(item):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if item < 3:
            meet.wait(30)
        with lock:
            running -= 1
        return item

    with ThreadPoolExecutor(8) as threads:
        assert list(map_ordered(threads, work, range(50), ahead=3)) == list(range(50))
    assert most == 3


def test_an_exception_comes_after_the_results_before_it(pool):
    def work(item):
        if item == 2:
            raise LookupError("no third")
        return item

    results = map_ordered(pool, work, range(10), ahead=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(LookupError, match="no third"):
        next(results)


def test_an_exception_of_the_source_comes_through(pool):
    def source():
        yield 1
        raise LookupError("the list broke off")

    with pytest.raises(LookupError, match="broke off"):
        list(map_ordered(pool, str, source(), ahead=3))


@pytest.mark.parametrize("fails", [True, False], ids=["after a failure", "when closed early"])
def test_what_has_not_begun_is_cancelled(fails):
    begun, go_on = [], threading.Event()

    def work(item):
        begun.append(item)
        if item == 0 and fails:
            raise LookupError
        if item == 1:
            assert go_on.wait(30)

    with ThreadPoolExecutor(1) as thread:
        results = map_ordered(thread, work, range(20), ahead=6)
        if fails:
            with pytest.raises(LookupError):
                next(results)
        else:
            next(results)
            results.close()
        go_on.set()
    assert begun in ([0], [0, 1])
