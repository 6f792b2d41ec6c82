"""Texts of any language as words; of Korean without particles, of Thai as syllables, of Chinese as characters."""

import re
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.function_words import silent_words

_CHARACTERS_PER_TEXT = 2_000
_CHARACTERS_IN_ALL = 100_000_000  # bounds time and memory: about 17 million words
_FEWEST_CHARACTERS_PER_TEXT = 100

_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_HIRAGANA, _KATAKANA = "\u3041-\u309f", "\u30a1-\u30fa\u30fc-\u30ff"
_THAI = "\u0e00-\u0e7f"
_THAI_SYLLABLE = (
    "[\u0e40-\u0e44]?[\u0e01-\u0e2e](?:[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]|\u0e4d\u0e32)*[\u0e30\u0e32\u0e33\u0e45]?"
)
_UNSPACED = f"{_HAN}{_HIRAGANA}{_KATAKANA}{_THAI}"
# Vowel signs and accents that stand alone are no letters for `\w`, but inside of words: Hebrew, Arabic, Indic scripts.
_MARKS = "\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0971-\u0dff\u200c\u200d"
_NUMBERED = r"(?:-\d+(?:\.\d+)?(?!\w|\.\d))?"  # "gpt-4" is one word
_ASCII_TOKEN = re.compile(rf"[^\W_](?:\w*[^\W_])?{_NUMBERED}|[^\w\s'-]+|\n\s*\n")
_TOKEN = re.compile(
    rf"[{_HAN}]|[{_KATAKANA}]+|[{_HIRAGANA}]+|{_THAI_SYLLABLE}|(?<=[{_UNSPACED}])\s+|"
    rf"[^\W_{_UNSPACED}](?:[^\W{_UNSPACED}]|[{_MARKS}])*(?<!_){_NUMBERED}|[^\w\s'\u2019{_MARKS}-]+|\n\s*\n"
)
_CHARACTER = re.compile(f"[{_HAN}{_THAI}]")
_JOINED = re.compile(f"[{_UNSPACED}]")
_KANA = re.compile(f"[{_HIRAGANA}{_KATAKANA}]")
_HAN_CHARACTER = re.compile(f"[{_HAN}]")
_NOUN_FOLLOWS = frozenset("がはをのにへもとやで")  # what begins with these after one character: that was no verb

_JAPANESE = "中上下時後前間方事人者物私彼何今日年月内外他的等場所度回点性化用体的々"
_CHINESE = """
可以 一个 一個 一种 一種 进行 進行 使用 通过 通過 以及 因为 因為 所以 如果 没有 沒有 由于 由於 已经 已經 非常 什么 什麼
怎么 怎麼 需要 可能 能够 能夠 这个 這個 那个 那個 我们 我們 他们 他們 自己 之间 之間 其中 一些 许多 許多 不同 人们 人們
"""
_CHINESE_CHARACTERS = "吗嗎呢吧啊们們这這那很我你他她它也而或及被些其则則"
# Those that many nouns hold are let be in them, as in "目的", "和平", "在线".
_CHINESE_UNLESS = "(?<!目)的|了(?!解)|是(?!非)|有(?![限效机機关關])|和(?![平谐諧])|在(?![线線职職])|与(?!会)"
_CHINESE_UNLESS += "|都(?!市)|就(?![业業诊診])|不(?!锈)"
_CHINESE_BREAK = re.compile(f"{'|'.join(_CHINESE.split())}|[{_CHINESE_CHARACTERS}]|{_CHINESE_UNLESS}")

_PARTICLES_AFTER_CONSONANT = ("은", "이", "을", "과", "으로")
_PARTICLES_AFTER_VOWEL = ("는", "가", "를", "와", "로")
_PARTICLES = (
    "에서는", "에서도", "으로써", "으로는", "에게서", "이라는", "에서", "에게", "으로", "부터", "까지", "하고", "처럼",
    "보다", "에는", "이나", "라는", "마다", "은", "는", "이", "가", "을", "를", "의", "에", "로", "와", "과", "도",
    "만",
)  # fmt: skip
_HANGUL_FIRST, _HANGUL_LAST, _FINALS = 0xAC00, 0xD7A3, 28
_SHORTEST_STEM = 2


@dataclass(frozen=True)
class Words:
    """All words of all texts in reading order; -1 between texts, sentences and where a word was that says nothing.

    Attributes:
        ids: (t,) int32 places in `vocabulary`, or -1.
        text_rows: (t,) int32, the text that each word is in.
        is_alone: (t,) whether a character of a script without spaces is a word of its own where it stands.
        vocabulary: the distinct words, in lower case, in order of first appearance.
        is_character: (v,) whether a word of the vocabulary is but a character or syllable of a script without spaces.
    """

    ids: npt.NDArray[np.int32]
    text_rows: npt.NDArray[np.int32]
    is_alone: npt.NDArray[np.bool_]
    vocabulary: list[str]
    is_character: npt.NDArray[np.bool_]


def read_words(texts: Sequence[str]) -> Words:
    """Cut texts into words; only the first 2,000 characters of a text are read, fewer above 50,000 texts.

    Args:
        texts: n texts, empty ones allowed.
    """
    limit = max(_FEWEST_CHARACTERS_PER_TEXT, min(_CHARACTERS_PER_TEXT, _CHARACTERS_IN_ALL // max(len(texts), 1)))
    places: defaultdict[str, int] = defaultdict()
    places.default_factory = places.__len__  # the next place is that of a new word
    numbers = array("i")
    lengths = np.empty(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        tokens = _tokens(text[:limit])
        numbers.extend(map(places.__getitem__, tokens))
        numbers.append(-1)
        lengths[row] = len(tokens) + 1
    ids, vocabulary = _without_particles(np.array(numbers, dtype=np.int32), list(places))
    is_character = np.array([is_character_of_unspaced(word) for word in vocabulary], dtype=bool)
    is_alone = _find_alone(ids, vocabulary, is_character)
    function_words = silent_words(_count(ids, vocabulary))
    silent = np.array([*(token in function_words or _is_silent(token) for token in vocabulary), True])
    ids[silent[ids]] = -1  # the last place of `silent` is that of id -1
    return Words(ids, np.repeat(np.arange(len(texts), dtype=np.int32), lengths), is_alone, vocabulary, is_character)


def join_words(words: Iterable[str]) -> str:
    """Write words as one phrase: with spaces, except beside scripts that have none."""
    phrase = ""
    for word in words:
        needs_space = bool(phrase) and not _JOINED.match(phrase[-1]) and not _JOINED.match(word[0])
        phrase += f" {word}" if needs_space else word
    return phrase


def is_character_of_unspaced(word: str) -> bool:
    """Whether a word is but a character or syllable of a script without spaces."""
    return not word.isascii() and bool(_CHARACTER.match(word))


def _tokens(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_TOKEN.findall(text.lower())
    text = unicodedata.normalize("NFKC", text).lower().replace("i\u0307", "i")  # a Turkish capital in lower case
    if _HAN_CHARACTER.search(text) and not _KANA.search(text):
        text = _CHINESE_BREAK.sub("。", text)
    return _TOKEN.findall(text)


def _is_silent(token: str) -> bool:
    """Whether a token says nothing of its text: punctuation, numbers, kana endings, single letters."""
    if is_character_of_unspaced(token):
        return not token[0].isalnum()
    if not token[0].isalnum() or "\u3041" <= token[0] <= "\u309f":
        return True
    return token.isdecimal() or len(token) == 1


def _count(ids: npt.NDArray[np.int32], vocabulary: list[str]) -> dict[str, int]:
    counts = np.bincount(ids[ids >= 0], minlength=len(vocabulary)).tolist()
    return {word: count for word, count in zip(vocabulary, counts, strict=True) if word[0].isalpha()}


def _find_alone(
    ids: npt.NDArray[np.int32], vocabulary: list[str], is_character: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """(t,) whether a Han character is a noun by itself: alone, and before a Japanese particle."""
    before_noun = np.array([*(word[0] in _NOUN_FOLLOWS for word in vocabulary), False])
    if not before_noun.any():
        return np.zeros(len(ids), dtype=bool)
    can_be = np.array([*(len(word) == 1 and word not in _JAPANESE for word in vocabulary), False])
    character = np.append(is_character, False)[ids]
    beside = np.zeros(len(ids), dtype=bool)
    beside[1:] |= np.array([*(_ends_a_word(word) for word in vocabulary), False])[ids[:-1]]
    followed = np.append(before_noun[ids[1:]], False)
    is_alone: npt.NDArray[np.bool_] = character & can_be[ids] & followed & ~beside
    return is_alone


def _ends_a_word(token: str) -> bool:
    return token[-1].isalnum() and not "\u3041" <= token[-1] <= "\u309f"


def _without_particles(ids: npt.NDArray[np.int32], vocabulary: list[str]) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Replace Korean words by their stems."""
    hangul = [word for word in vocabulary if len(word) > _SHORTEST_STEM and _is_hangul(word[-1])]
    stems = _find_stems(hangul, set(vocabulary)) if hangul else {}
    if not stems:
        return ids, vocabulary
    places: dict[str, int] = {}
    new = [places.setdefault(stems.get(word, word), len(places)) for word in vocabulary]
    return np.array([*new, -1], dtype=np.int32)[ids], list(places)


def _find_stems(hangul: list[str], vocabulary: set[str]) -> dict[str, str]:
    """Stems of the words that end in a particle; a stem is one that stands alone or before another particle too."""
    found = {word: cut for word in hangul if (cut := _cut_particle(word)) is not None}
    endings: defaultdict[str, int] = defaultdict(int)
    for stem in found.values():
        endings[stem] += 1
    return {word: stem for word, stem in found.items() if stem in vocabulary or endings[stem] > 1}


def _cut_particle(word: str) -> str | None:
    for particle in _PARTICLES:
        stem = word.removesuffix(particle)
        if len(stem) < _SHORTEST_STEM or len(stem) == len(word) or not _is_hangul(stem[-1]):
            continue
        ends_in_consonant = (ord(stem[-1]) - _HANGUL_FIRST) % _FINALS > 0
        if particle not in (_PARTICLES_AFTER_VOWEL if ends_in_consonant else _PARTICLES_AFTER_CONSONANT):
            return stem
    return None


def _is_hangul(character: str) -> bool:
    return _HANGUL_FIRST <= ord(character) <= _HANGUL_LAST
