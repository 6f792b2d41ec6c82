"""What people are told of the names of a map."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from vis_assets.llm.ledger import Usage
from vis_assets.naming.name_clusters import BY_KEYPHRASES, BY_NUMBER, ClusterName

ROWS_SHOWN = 500
"""Most clusters in the table; it is kept in Dagster's database with each run."""
KEYPHRASES_SHOWN = 6
EXEMPLARS_SHOWN = 3
EXEMPLAR_CHARACTERS = 110
BULLET = "•\u00a0"
"""Before each example: Dagster's pages drop HTML out of Markdown, so a cell has no line breaks."""
_COLUMNS = ("Layer (0 = finest)", "Name", "Points", "Named by", "Keyphrases", "Examples")
"""The widest last: Dagster cuts off what does not fit."""
_UNBROKEN = re.compile(r"(\S{30})(?=\S)")
_BREAK = "\u200b"
"""Where a word may be broken: a long one, such as the path of a module, would push the other columns out."""
_LINK = re.compile(r"(https?:|ftp:|www|@)", re.IGNORECASE)
"""What Dagster makes a link of even where it is escaped: a stranger's text must give an operator nothing to click."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~$^=-])")


def describe_naming(names: Sequence[ClusterName], usage: Usage) -> dict[str, Any]:
    """Say in plain values who named the clusters, and what that took: `naming` in `statsJson`."""
    by = Counter(name.named_by for name in names)
    return {
        "named_by": dict(by.most_common()),
        "named_by_models": sum(count for who, count in by.items() if who not in {BY_KEYPHRASES, BY_NUMBER}),
        "cache_hits": sum(name.is_remembered for name in names),
        **usage.as_json(),
    }


def markdown_table(cluster_names: pd.DataFrame) -> str:
    """Write the clusters as a Markdown table, the coarsest first, as one meets them on the map.

    Texts are strangers': whatever means something in Markdown is escaped.

    Args:
        cluster_names: columns layer, name, size, keyphrases, exemplar_texts, named_by, is_remembered.
    """
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    ordered = cluster_names.sort_values("layer", ascending=False, kind="stable")
    lines += [_row(row) for row in ordered.head(ROWS_SHOWN).to_dict("records")]
    more = len(cluster_names) - ROWS_SHOWN
    if more > 0:
        lines += ["", f"and {more} more, which the file of names beside the page holds"]
    return "\n".join(lines)


def _row(row: dict[Any, Any]) -> str:
    examples = [_shorten(text) for text in row["exemplar_texts"][:EXEMPLARS_SHOWN]]
    named_by = f"{row['named_by']} (earlier run)" if row["is_remembered"] else row["named_by"]
    cells = [row["layer"], row["name"], row["size"], named_by, ", ".join(row["keyphrases"][:KEYPHRASES_SHOWN])]
    written = [_escape(str(cell)) for cell in cells]
    return f"| {' | '.join([*written, ' '.join(f'{BULLET}{_escape(text)}' for text in examples)])} |"


def _shorten(text: str) -> str:
    flat = " ".join(text[: EXEMPLAR_CHARACTERS * 4].split())
    short = flat if len(flat) <= EXEMPLAR_CHARACTERS else f"{flat[: EXEMPLAR_CHARACTERS - 1].rstrip()}…"
    return _UNBROKEN.sub(rf"\1{_BREAK}", short)


def _escape(text: str) -> str:
    unlinked = _LINK.sub(rf"\1{_BREAK}", " ".join(text.split()))
    return _MARKDOWN.sub(r"\\\1", unlinked).replace("&", "&amp;")
