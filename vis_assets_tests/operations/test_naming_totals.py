"""Sums over what maps say of their names."""

from vis_assets.operations.naming_totals import MOST_MODELS, OTHER_MODELS, ModelTotals, NamingTotals


def test_cost_is_summed_where_it_is_known() -> None:
    """A map whose price was unknown leaves the sum of the others as it is, and unknown alone stays unknown."""
    known, unknown = {"calls": 2, "failed_calls": 1, "cost_usd": 0.5}, {"calls": 1, "cost_usd": None}
    assert ModelTotals().plus(unknown).cost_usd is None
    assert ModelTotals().plus(known).plus(unknown).plus(known) == ModelTotals(answered=3, failed=2, cost_usd=1.0)


def test_sums_are_not_changed_in_place() -> None:
    """Whoever tells the sums is not disturbed by more that comes."""
    before = NamingTotals().plus({"named_by": {"keyphrases": 3}})
    after = before.plus({"named_by": {"keyphrases": 1, "numbers": 2}, "cache_hits": 1})
    assert (before.named, before.remembered) == ({"keyphrases": 3}, 0)
    assert (after.named, after.remembered) == ({"keyphrases": 4, "numbers": 2}, 1)


def test_what_an_earlier_version_left_out_counts_as_nothing() -> None:
    """Metadata without usage adds nothing."""
    assert NamingTotals().plus({}) == NamingTotals()


def test_senders_of_jobs_cannot_make_ever_more_series() -> None:
    """Models beyond a number are counted together, and none of their calls is lost."""
    sums = NamingTotals()
    for number in range(MOST_MODELS + 50):
        model = f"openai_compatible/m{number}"
        sums = sums.plus({"by_model": {model: {"calls": 1}}, "named_by": {model: 2}})
    assert len(sums.models) == len(sums.named) == MOST_MODELS + 1
    assert sums.models[OTHER_MODELS].answered == 50
    assert sums.named[OTHER_MODELS] == 100
    assert sums.plus({"named_by": {"openai_compatible/m0": 1}}).named["openai_compatible/m0"] == 3
