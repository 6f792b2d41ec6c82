"""Texts for large maps: distinct chunks of the sources that this Python has installed, the standard library's too."""

import hashlib
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

LONGEST_LINE = 300
"""Longer lines are data or minified code."""
LARGEST_FILE_BYTES = 2_000_000
_SUFFIXES = frozenset({".py", ".pyi", ".pyx", ".pxd", ".js", ".mjs", ".ts", ".c", ".h", ".cpp", ".hpp", ".rst", ".md"})
_WORD = re.compile(r"[A-Za-z][a-z]{2,}")


@dataclass(frozen=True)
class ChunkRule:
    """What makes a chunk.

    Attributes:
        characters: a chunk ends with the line that reaches so many, white space at the ends of lines not counted.
        distinct_words: fewer make no chunk: such text is punctuation, numbers or boilerplate.
    """

    characters: int = 165
    distinct_words: int = 6


@dataclass(frozen=True)
class Chunk:
    """Consecutive lines of one source file.

    Attributes:
        text: "package/module.py" on the first line, then the lines.
        fingerprint: 64 bits of a hash of the set of words in the lines: equal for chunks that differ only in numbers,
            punctuation, white space or the order and number of words.
    """

    text: str
    fingerprint: int


def installed_sources() -> list[Path]:
    """Return the folders whose sources are read: the standard library and the installed packages."""
    paths = sysconfig.get_paths()
    return [Path(paths["stdlib"]), Path(paths["purelib"])]


def draw_chunks(folders: list[Path], most: int, rule: ChunkRule | None = None) -> list[str]:
    """Draw texts of distinct chunks at random, but always the same: those of the smallest fingerprints, ascending.

    Args:
        folders: read with everything in them, but for `site-packages` inside another folder.
        most: how many texts; all there are if there are not so many.
        rule: what makes a chunk.

    Returns:
        Texts; the first m of them are what a smaller `most` gives.
    """
    drawn: dict[int, str] = {}
    threshold = 1 << 64
    for chunk in read_chunks(folders, rule or ChunkRule()):
        if chunk.fingerprint < threshold and chunk.fingerprint not in drawn:
            drawn[chunk.fingerprint] = chunk.text
            if len(drawn) >= most + most // 4 + 1000:
                threshold = _drop_largest(drawn, most)
    return [drawn[fingerprint] for fingerprint in islice(sorted(drawn), most)]


def read_chunks(folders: list[Path], rule: ChunkRule) -> Iterator[Chunk]:
    """Yield the chunks of all sources in the folders, equal ones as often as they occur, in the order of the paths."""
    for folder in folders:
        for path in sorted(_sources(folder)):
            yield from _chunks_of(path, folder, rule)


def _drop_largest(drawn: dict[int, str], most: int) -> int:
    """Keep only the texts with the `most` smallest fingerprints; return the largest of them."""
    fingerprints = np.fromiter(drawn, np.uint64, len(drawn))
    threshold = int(np.partition(fingerprints, most - 1)[most - 1])
    for fingerprint in [each for each in drawn if each > threshold]:
        del drawn[fingerprint]
    return threshold


def _sources(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        if path.suffix in _SUFFIXES and "site-packages" not in inside and path.is_file():
            yield path


def _chunks_of(path: Path, folder: Path, rule: ChunkRule) -> Iterator[Chunk]:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            return
        content = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return
    name = path.relative_to(folder).as_posix()
    for lines in _cut(content, rule.characters):
        words = {word.lower() for word in _WORD.findall(lines)}
        if len(words) >= rule.distinct_words:
            digest = hashlib.blake2b(" ".join(sorted(words)).encode(), digest_size=8).digest()
            yield Chunk(f"{name}\n{lines}", int.from_bytes(digest))


def _cut(content: str, characters: int) -> Iterator[str]:
    """Cut at line ends; what is left at the end of a file is too short for a chunk."""
    lines: list[str] = []
    length = 0
    for line in content.splitlines():
        bare = line.strip()
        if not bare or len(bare) > LONGEST_LINE:
            continue
        lines.append(line.rstrip())
        length += len(bare)
        if length >= characters:
            yield "\n".join(lines)
            lines, length = [], 0
