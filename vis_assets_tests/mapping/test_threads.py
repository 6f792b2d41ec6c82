"""Sharing rows among threads."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from vis_assets.mapping.threads import Rows, in_threads, over_rows, thread_count
from vis_assets_tests.mapping.points import threads


@pytest.mark.parametrize("thread_limit", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 511, 1024, 1025, 5003])
def test_every_row_is_visited_once(count, thread_limit):
    """The ranges that the loop gets are the rows, each once."""
    visits = np.zeros(count, np.int64)

    def visit(first, last, step):
        visits[first:last] += step

    with threads(thread_limit):
        over_rows(visit, count, 3)
    assert (visits == 3).all()


def test_rows_before_the_first_are_left_alone():
    """A loop over some rows sees none of the others, and the threads serve one loop after the other."""
    visits = np.zeros(9_000, np.int64)

    def visit(first, last):
        visits[first:last] += 1

    with threads(2), Rows() as rows:
        rows.run(visit, 1_000, 8_000)
        rows.run(visit, 2_000, 2_001)
    assert visits[:1_000].sum() == visits[8_000:].sum() == 0
    assert visits.sum() == 7_001


def test_few_rows_are_not_shared():
    """What is done before a thread wakes runs in the caller's own."""
    seen = []
    over_rows(lambda first, last: seen.append((threading.current_thread(), first, last)), 600)
    assert seen == [(threading.current_thread(), 0, 600)]


def test_errors_of_a_loop_pass_through():
    """An error in one range is raised, also where the others are fine."""

    def fail_at_the_end(first, last):
        if last == 5_000:
            raise ZeroDivisionError(last)

    with threads(2), pytest.raises(ZeroDivisionError, match="5000"):
        over_rows(fail_at_the_end, 5_000)


def test_answers_come_in_the_order_of_the_items():
    """Whoever is done first waits for its turn."""
    second_is_done = threading.Event()

    def answer(item):
        if item == 0 and thread_count() > 1:
            assert second_is_done.wait(10)
        if item == 1:
            second_is_done.set()
        return item * 10

    with threads(2):
        assert list(in_threads(answer, range(5))) == [0, 10, 20, 30, 40]
    assert list(in_threads(answer, [])) == []


def test_errors_in_threads_pass_through():
    """An error for one item is raised where its answer would come."""
    answers = in_threads(lambda item: 1 // item, [1, 0])
    assert next(answers) == 1
    with pytest.raises(ZeroDivisionError):
        next(answers)


def test_blas_has_one_thread_meanwhile():
    """Matrix products in our threads start none of their own, and BLAS has its threads again afterwards."""

    def blas_threads(_item=None):
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = blas_threads()
    assert {count for counts in in_threads(blas_threads, range(3)) for count in counts} == {1}
    assert blas_threads() == before
