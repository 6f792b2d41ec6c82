"""The table of names that operators see in Dagster."""

import re

import pandas as pd
import pytest

from vis_assets.naming.report import EXEMPLARS_SHOWN, ROWS_SHOWN, markdown_table

BREAK = "\u200b"


def table(count: int = 1, *, text: str = "a text", name: str = "Bread Ovens") -> str:
    """The table of so many clusters."""
    row = {"layer": 0, "name": name, "size": 7, "keyphrases": ["bread", "oven"], "exemplar_texts": [text] * 5}
    return markdown_table(pd.DataFrame([row | {"named_by": "openai/gpt-4o", "is_remembered": True}] * count))


def test_a_row_says_all_of_a_cluster() -> None:
    """Layer, name, points, who named it and when, keyphrases, and a few examples, each with a bullet."""
    head, line, row = table().splitlines()
    assert head == "| Layer (0 = finest) | Name | Points | Named by | Keyphrases | Examples |"
    assert line.count("---") == 6
    examples = " ".join(["•\u00a0a text"] * EXEMPLARS_SHOWN)
    assert row == rf"| 0 | Bread Ovens | 7 | openai/gpt\-4o \(earlier run\) | bread, oven | {examples} |"


@pytest.mark.parametrize(
    "text", ["see https://evil.example/x", "see HTTP://evil.example", "www.evil.example", "me@evil.example"]
)
def test_texts_are_no_links(text: str) -> None:
    """An address in a text is broken by a character that nobody sees, since Dagster makes links of escaped ones too."""
    (_, _, row) = table(text=text, name=text).splitlines()
    plain = row.replace("\\", "")
    assert not re.search(r"https?://|www\.|@[\w-]", plain, re.IGNORECASE)
    assert text in plain.replace(BREAK, "")


@pytest.mark.parametrize("text", ["<b>x</b>", "![x](y)", "a | b", "**b**", "`c`", "# h", "&lt;", "a\n\n| b |", "$x$"])
def test_texts_are_no_markup(text: str) -> None:
    """Nothing of a text means anything in Markdown or HTML, and it stays in its cell."""
    rows = table(text=text, name=text).splitlines()
    assert len(rows) == 3
    assert len(re.findall(r"(?<!\\)\|", rows[2])) == 7
    assert not re.search(r"(?<!\\)[<>`*\[\]#$]|&(?!amp;)", rows[2])


def test_long_words_can_be_broken() -> None:
    """A long word of an example has places where a line may end, or it would push other columns out."""
    (_, _, row) = table(text="module." * 12).splitlines()
    assert max(len(piece) for piece in re.split(rf"[\s{BREAK}]", row)) <= 32
    assert "module." * 12 in row.replace(BREAK, "")


def test_many_clusters_are_cut_off() -> None:
    """The table is kept with each run, so it has an end, and says how many more there are."""
    lines = table(ROWS_SHOWN + 3).splitlines()
    assert len(lines) == 2 + ROWS_SHOWN + 2
    assert lines[-1].startswith("and 3 more")
