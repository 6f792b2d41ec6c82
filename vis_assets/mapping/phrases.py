"""Phrases: words, and runs of neighbouring words that are frequent enough to say something."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.words import Words

MOST_WORDS = 3
"""Longest phrase of words with spaces between them."""
MOST_CHARACTERS = 6
"""Longest phrase in which there are characters of scripts without spaces: those count one by one."""
_RARE_IN_MANY = 100  # in more texts than this, a phrase that occurs in one text only is dropped
_FEWEST_OF_THREE = 3  # times that both pairs of three words must occur, among many texts
_LONG_BY_CHANCE = 4  # longer runs that occur once are chance
_FRAGMENT_SHARE = 0.8  # a phrase that makes at least this share of a part leaves nothing of the part

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Phrases:
    """Occurrences of p phrases, the shorter phrases first.

    Attributes:
        occurrences: (m, 2) int64, rows (text, phrase).
        members: (p, MOST_CHARACTERS) int32 words of each phrase, -1 after the last.
    """

    occurrences: npt.NDArray[np.int64]
    members: Ids


@dataclass(frozen=True)
class _Runs:
    """Runs of one number of words, by where they begin.

    Attributes:
        at: (t,) int32 number of the run that begins at each word, or -1.
        members: (r, length) int32 words of each run.
        counts: (r,) how often each occurs.
        parts: (r, 2) int32 numbers of the two runs, shorter by one, that each is made of.
    """

    at: Ids
    members: Ids
    counts: npt.NDArray[np.int64]
    parts: Ids

    @property
    def length(self) -> int:
        """Words of a run."""
        return int(self.members.shape[1])

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.members)


def find_phrases(words: Words, text_count: int) -> Phrases:
    """Single words and runs of neighbours, without those too rare to say anything of a cluster.

    Of words with spaces, runs of two and three; of characters, runs of two to six. Runs that are nearly always part of
    one longer run, as inside of a word, are left out.

    Args:
        words: of the texts.
        text_count: how many texts there are.
    """
    are_many = text_count > _RARE_IN_MANY
    runs = _frequent(_single_words(words), words, are_many)
    occurrences, members = _occurrences(runs, words, np.ones(runs.count, dtype=bool))
    found, all_members = [occurrences], [members]
    while runs.count:
        longer = _frequent(_lengthen(runs, words, are_many), words, are_many)
        if runs.length > 1:
            shown = ~_is_fragment(runs, longer, words) & ~_cuts_a_word(runs, words)
            occurrences, members = _occurrences(runs, words, shown)
            occurrences[:, 1] += sum(len(before) for before in all_members)
            found.append(occurrences)
            all_members.append(members)
        runs = longer
    return Phrases(np.concatenate(found), np.concatenate(all_members))


def distinct(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Values in ascending order, each once; several times as fast as `np.unique`, which hashes."""
    ordered = np.sort(values)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered


def _single_words(words: Words) -> _Runs:
    members = np.arange(len(words.vocabulary), dtype=np.int32)[:, None]
    counts = np.bincount(words.ids[words.ids >= 0], minlength=len(members))
    return _Runs(words.ids, members, counts, np.empty((len(members), 2), dtype=np.int32))


def _frequent(runs: _Runs, words: Words, are_many: bool) -> _Runs:
    """Those runs that are in enough texts, numbered anew."""
    places = np.flatnonzero(runs.at >= 0)
    numbers = runs.at[places].astype(np.int64)
    kept = runs.counts >= (2 if runs.length > _LONG_BY_CHANCE else 1)
    if are_many:
        once = distinct(words.text_rows[places] * np.int64(max(runs.count, 1)) + numbers)
        kept &= np.bincount(once % max(runs.count, 1), minlength=runs.count) > 1
    at = np.full(len(runs.at), -1, dtype=np.int32)
    at[places] = _renumber(kept)[numbers]
    return _Runs(at, runs.members[kept], runs.counts[kept], runs.parts[kept])


def _renumber(kept: npt.NDArray[np.bool_]) -> Ids:
    return np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)


def _lengthen(runs: _Runs, words: Words, are_many: bool) -> _Runs:
    """Runs of one word more, of those of which both ends are runs."""
    left, right = runs.at[:-1], runs.at[1:]
    places = np.flatnonzero((left >= 0) & (right >= 0))
    places = places[_may_be_one(left[places], right[places], runs, words, are_many)]
    size = max(runs.count, 1)
    codes = left[places].astype(np.int64) * size + right[places]
    codes, numbers, counts = np.unique(codes, return_inverse=True, return_counts=True)
    parts = np.stack([codes // size, codes % size], axis=1).astype(np.int32)
    at = np.full(len(runs.at), -1, dtype=np.int32)
    at[places] = numbers
    members = np.concatenate([runs.members[parts[:, 0]], runs.members[parts[:, 1], -1:]], axis=1)
    return _Runs(at, members, counts, parts)


def _may_be_one(left: Ids, right: Ids, runs: _Runs, words: Words, are_many: bool) -> npt.NDArray[np.bool_]:
    """Whether a run and the next, which begins one word later, may be one."""
    if runs.length >= MOST_CHARACTERS:
        return np.zeros(len(left), dtype=bool)
    has_character = _has_character(runs, words)
    may: npt.NDArray[np.bool_] = has_character[left] | has_character[right]
    if runs.length >= MOST_WORDS:
        return may
    if runs.length == 1:
        may |= left != right
    else:
        may |= np.minimum(runs.counts[left], runs.counts[right]) >= (_FEWEST_OF_THREE if are_many else 1)
    return may


def _is_fragment(runs: _Runs, longer: _Runs, words: Words) -> npt.NDArray[np.bool_]:
    """(r,) whether a run is nearly always part of one longer run; of words with spaces, once is chance."""
    most = np.zeros(runs.count, dtype=np.int64)
    for side in range(2):
        np.maximum.at(most, longer.parts[:, side], longer.counts)
    is_fragment: npt.NDArray[np.bool_] = (most >= _FRAGMENT_SHARE * runs.counts) & (
        _has_character(runs, words) | (most > 1)
    )
    return is_fragment


def _has_character(runs: _Runs, words: Words) -> npt.NDArray[np.bool_]:
    return np.asarray(words.is_character[runs.members].any(axis=1), dtype=np.bool_)


def _cuts_a_word(runs: _Runs, words: Words) -> npt.NDArray[np.bool_]:
    """(r,) whether a run begins or ends with one character beside another script, of which it is a part at most."""
    character = words.is_character[runs.members]
    return (character[:, 0] & ~character[:, 1]) | (character[:, -1] & ~character[:, -2])


def _occurrences(runs: _Runs, words: Words, shown: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], Ids]:
    """Occurrences (text, run) of those runs that are shown, numbered anew, and their members."""
    numbers = np.append(_renumber(shown), np.int32(-1))[runs.at]
    is_shown = numbers >= 0
    if runs.length == 1:
        is_shown &= ~np.append(words.is_character, False)[words.ids] | words.is_alone
    places = np.flatnonzero(is_shown)
    members = np.full((int(shown.sum()), MOST_CHARACTERS), -1, dtype=np.int32)
    members[:, : runs.length] = runs.members[shown]
    return np.stack([words.text_rows[places], numbers[places]], axis=1).astype(np.int64), members
