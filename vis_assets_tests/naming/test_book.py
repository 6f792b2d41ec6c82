"""The book of names finds a cluster again, and nothing that only looks like it."""

import numpy as np

from vis_assets.naming.book import MOST_ENTRIES, NO_NAME, Book, BookEntry, fingerprint, turn_page
from vis_assets.naming.sketch import Sketch, hash_documents, sketch_clusters

ASKED = fingerprint(1, None, None)
ABOUT = ("matrix", "sparse", "solver", "eigenvalue", "linear")
OTHER = ("matrix", "sparse", "film", "actor", "scene")
MODELS = ("openai/a", "cohere/b")


def sketch_of(first: int, last: int) -> Sketch:
    texts = [f"document {i}" for i in range(first, last)]
    (sketch,) = sketch_clusters(hash_documents(texts), np.zeros(len(texts), dtype=np.int32))
    assert sketch is not None
    return sketch


def entry(name: str, first: int, last: int, layer: int = 0, asked: str = ASKED, model: str = "openai/a") -> BookEntry:
    return BookEntry(layer, asked, model, name, ABOUT, sketch_of(first, last))


def found(
    book: Book, first: int, last: int, layer: int = 0, asked: str = ASKED, about: tuple[str, ...] = OTHER
) -> str | None:
    known = Book(book.entries).take(layer, sketch_of(first, last), about, asked, MODELS)
    return known.name if known else None


def test_same_documents_have_their_name() -> None:
    """A cluster of the same documents is found, among many and whatever lies in between."""
    book = Book([entry(f"N{i}", 100 * i, 100 * i + 100) for i in range(50)])
    assert [found(book, 100 * i, 100 * i + 100) for i in range(50)] == [f"N{i}" for i in range(50)]


def test_a_cluster_that_grew_keeps_its_name() -> None:
    """With a tenth more documents, and a few lost to a neighbour, a cluster is still the same; with half, it is not."""
    book = Book([entry("A", 0, 100), entry("B", 100, 200)])
    assert found(book, 3, 110) == "A"
    assert found(book, 90, 215) == "B"
    assert found(book, 0, 200) is None
    assert found(book, 0, 70) is None
    assert found(book, 50, 150) is None


def test_a_cluster_that_moved_keeps_its_name_if_it_is_about_the_same() -> None:
    """With more than half of the documents in common the best keyphrases decide; with half of them it is another."""
    book = Book([entry("A", 0, 100)])
    reordered = ("solver", "sparse", "kernel", "matrix", "graph")
    assert found(book, 0, 65) is None
    assert found(book, 0, 65, about=reordered) == "A"
    assert found(book, 0, 50, about=ABOUT) is None
    assert found(book, 50, 100, about=ABOUT) is None
    assert found(book, 0, 65, about=()) is None


def test_the_most_similar_cluster_counts() -> None:
    """Of several that are nearly the same, the name of the most similar is taken, of equals the first."""
    book = Book([entry("farther", 0, 100), entry("nearer", 4, 100), entry("again", 4, 100)])
    assert found(book, 6, 100) == "nearer"
    assert found(book, 4, 100) == "nearer"


def test_another_way_to_ask_is_another_name() -> None:
    """Another layer, prompt, language or version of our prompt is asked for anew."""
    book = Book([entry("A", 0, 100)])
    assert found(book, 0, 100, layer=1) is None
    ways = [ASKED, fingerprint(1, "p", None), fingerprint(1, None, "de"), fingerprint(2, None, None)]
    assert len(set(ways)) == 4
    assert [found(book, 0, 100, asked=way) for way in ways] == ["A", None, None, None]


def test_a_name_by_a_model_that_is_not_asked_is_not_taken() -> None:
    """Who asks for another model gets its names; a name by any model of the chain is taken."""
    book = Book([entry("of c", 0, 100, model="openai/c"), entry("of b", 0, 99, model="cohere/b")])
    assert found(book, 0, 100) == "of b"
    known = Book(book.entries).take(0, sketch_of(0, 100), ABOUT, ASKED, ["openai/c"])
    assert known is not None
    assert known.name == "of c"


def test_a_name_is_given_away_once() -> None:
    """Two clusters of the same documents get two names, each its own by its keyphrases."""
    book = Book([entry("A", 0, 100), BookEntry(0, ASKED, "openai/a", "B", OTHER, sketch_of(0, 100))])
    taken = [book.take(0, sketch_of(0, 100), about, ASKED, MODELS) for about in (OTHER, ABOUT, ABOUT)]
    assert [one.name if one else None for one in taken] == ["B", "A", None]


def test_no_name_counts_from_the_first_model_only() -> None:
    """That a model had no name says nothing of those before it in the chain."""
    book = Book([BookEntry(0, ASKED, "cohere/b", NO_NAME, ABOUT, sketch_of(0, 100))])
    assert book.take(0, sketch_of(0, 100), ABOUT, ASKED, MODELS) is None
    known = book.take(0, sketch_of(0, 100), ABOUT, ASKED, ["cohere/b", "openai/a"])
    assert known is not None
    assert known.name == NO_NAME


def test_empty_book() -> None:
    """Nothing is found where nothing is known."""
    assert found(Book(), 0, 10) is None


def test_turned_page_keeps_the_newest() -> None:
    """New names come first and replace those of the same clusters; of old ones only so many are kept."""
    old = [entry("old A", 0, 10), *(entry(f"O{i}", 20 + i, 21 + i) for i in range(MOST_ENTRIES + 5))]
    kept = turn_page([entry("new A", 0, 10)], old)
    assert [one.name for one in kept[:2]] == ["new A", "O0"]
    assert len(kept) == 1 + MOST_ENTRIES
