"""How a name is written: what a language model answered made fit to be shown, and keyphrases made readable."""
# ruff: noqa: RUF001 - the quotes, colons and words of many languages are what this module is about

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

LONGEST_NAME = 60
"""Characters of the longest name, as people count them."""

_LONGEST_ANSWER = 1_000  # code points; what is longer is no name
_MOST_WORDS = 12  # a sentence is no name
_LETTERS_PER_WORD_UNSPACED = 10  # so that a sentence without spaces counts too
_MOST_MARKS = 4  # accents on one letter; more of them only disfigure the map
_LONGEST_GRAPHEME = 12  # code points: the longest emoji in use have ten

_LONGEST_OF_KEYPHRASES = 40  # columns; a Han character takes two
_ENOUGH_ALONE = 24  # a phrase as long as this needs no second
_MOST_PHRASES = 3
_MOST_WORDS_OF_KEYPHRASES = 5
_PHRASES_TRIED = 5  # later ones say too little of the cluster to be in its name
_LETTERS_READ_PER_TEXT = 2_000
_SHOUTING = 0.6  # a text with more of its letters in capitals says nothing of how its words are written
_FEWEST_WORDS_TO_SHOUT = 4

UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f"
"""Kana, Han and Thai, which put no spaces between words; for a class of a regular expression."""
_UNSPACED = re.compile(f"[{UNSPACED}]")
_KANA_OR_HAN = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")

_JOINERS = "\u200c\u200d"
_NEEDS_JOINERS = re.compile("[\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af]")  # Arabic, Indic, Burmese, Khmer
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0d\ufffc\ufffd\U000e0000-\U000e0fff]"
)
_MARKS = (
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
_EXCESS_MARKS = re.compile(f"({_MARKS}{{{_MOST_MARKS}}}){_MARKS}+")

_SILENT_ELEMENT = re.compile(r"<(script|style|think|thinking|reasoning)\b[^>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<!--.*?-->|<[a-zA-Z/!?][^<>]*>|<[a-zA-Z/!?][^<>]*$", re.DOTALL)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")

_FENCE = re.compile(r"^\s*```[a-z]*[ \t]*\n|```", re.IGNORECASE)
_MARKDOWN = (
    (re.compile(r"!?\[([^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])"), r"\1"),
    (re.compile(r"^#{1,6}\s+(.*?)(?:\s+#+)?$"), r"\1"),
    (re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*]+?)(?<=\S)\1(?![\w*])"), r"\2"),
    # A lower-case identifier between underscores is one of Python's, like __init__.
    (re.compile(r"(?<!\w)(_{1,3})(?![a-z0-9_]+_)(?=[^\s_])(.+?)(?<=[^\s_])\1(?!\w)"), r"\2"),
    (re.compile(r"~~(?=\S)(.+?)(?<=\S)~~"), r"\1"),
    (re.compile(r"^(?:[-*+•‣◦▪●·–—>|]|[-*_]{3,})(?:\s+|$)"), ""),
    (re.compile(r"^(?:\(?\d{1,3}[.)]|\[\d{1,3}\]|\(?[a-z]\)|\d{1,3}[、．]|[①-⑳])\s*(?=\D)(?<!\d\.)|^\d{1,3}\.\s+"), ""),
    (
        re.compile(r"^\[([^\[\]\"]*)\]$|^\(([^()]*)\)$|^【([^【】]*)】$|^《([^《》]*)》$|^〈([^〈〉]*)〉$"),
        r"\1\2\3\4\5",
    ),
)
_DOUBLE_QUOTES = re.compile("[\"“”„‟«»「」『』｢｣〝〞〟＂❝❞‹›`´]|''")
_SINGLE_QUOTE = re.compile("['‘’‚‛]")
_HEBREW = re.compile("[\u05d0-\u05ea]")

_LABEL_WORDS = """
topics? clusters? names? titles? labels? themes? categor(?:y|ies) subjects? groups? heading headline
thema themen titel bezeichnung kategorie gruppe überschrift gruppenname themenname clustername
sujet th[eè]me titre nom cat[eé]gorie groupe [eé]tiquette
tema t[ií]tulo nombre nome etiqueta categor[ií]a grupo t[oó]pico assunto argomento titolo etichetta gruppo
onderwerp naam categorie temat nazwa tytu[łl] kategoria t[eé]ma n[aá]zev ämne namn rubrik konu başlık
тем[аы] название названия заголовок имя категори[яи] кластера? группы? назва
主题 主題 标题 標題 名称 名稱 名字 类别 類別 话题 話題 聚类 聚類 标签 標籤 类 簇 題名 件名 名前 名 集群
トピック名? タイトル テーマ クラスター?名? ラベル カテゴリー?名? グループ名?
주제명? 제목 이름 토픽 클러스터 라벨 카테고리 그룹
الموضوع العنوان الاسم موضوع عنوان نام विषय शीर्षक नाम θέμα τίτλος όνομα
נושא כותרת topik judul chủ\\sđề tiêu\\sđề tên หัวข้อ ชื่อ
"""
_LABEL_WORD = "(?:" + "|".join(_LABEL_WORDS.split()) + ")"
_LABEL_PHRASE = (
    rf"(?:the |der |die |das |le |la |el )?{_LABEL_WORD}"
    r"(?:[\s_-]*(?:of (?:the|this) |for (?:the|this) |des |der |du |de la |de |del |do |da |的|の)?"
    rf"{_LABEL_WORD}){{0,2}}"
)
_NUMBER = r"(?:\s*[(\[]?\s*(?:#|№|nr\.?|no\.?|n°)?\s*\d{1,5}\s*[)\]]?)"
_LABEL = re.compile(
    rf"^(?:(?:{_LABEL_PHRASE}{_NUMBER}?|c\d{{1,5}})(?:\s*(?:[:：=]|is:)(?!:)|\s+[-–—|]\s|\s*[-–—|]\s+)"
    r"|(?:sure|certainly|of course|okay|ok)[,!.:]\s"
    r"|(?:here(?:['’]s| is| are)|(?:the|a) (?:suggested |possible |good )?(?:topic|name|label|title|cluster)\b)"
    r"[^:：]{0,40}[:：])\s*",
    re.IGNORECASE,
)
_NO_NAMES = """
unknown|n/?a|not (?:available|applicable)|none|null|nil|undefined|nan|untitled|unnamed|no (?:name|title|label|topic)
|misc(?:\\.|ellaneous|ellanea)?|others?|general|various|varia|mixed|assorted|uncategori[sz]ed|unclassified|tbd
|string|name here|your name here
|unbekannt|sonstiges?|verschiedenes|diverses?|allgemein(?:es)?|keine?|ohne (?:titel|namen)
|inconnu|divers|autres?|aucune?|sans (?:titre|nom)
|desconocid[oa]|vari[oa]s|otr[oa]s|ningun[oa]|sin (?:nombre|t[ií]tulo)
|desconhecid[oa]|outr[oa]s|nenhum|sconosciut[oa]|altr[oi]|nessun[oa]|onbekend|overige?
|неизвестн(?:о|ая|ое|ый)|разное|прочее|другое|нет|без названия
|未知|其他|其它|杂项|雜項|无|無|未分类|未分類|未命名|不明|その他|なし|無題|알 수 없음|기타|없음|미분류
"""
_NO_NAME = re.compile(
    rf"(?:{''.join(_NO_NAMES.splitlines())})(?:{_NUMBER}|\s+(?:topics?|clusters?|documents?|texts?|items?|content))?"
    rf"|(?:the |a |this )?(?:topic|cluster|name|title|label|document)(?:[\s_-]+(?:name|title|label|number))?{_NUMBER}?"
    rf"|{_LABEL_PHRASE}{_NUMBER}"
    r"|(?:主题|主題|话题|聚类|标题|名称|トピック|クラスター?|タイトル|주제|제목|тема|кластер|thema|sujet|tema)"
    r"|c\d{1,5}",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"^(?:i['’]?m|i am|we are|we['’]re) (?:very |so |really )?(?:sorry|afraid|unable|not able)\b"
    r"|^(?:sorry|apologies)(?:[,.!:]| (?:but|i)\b|$)"
    r"|\bas an? (?:ai|artificial intelligence|(?:large )?language model|assistant)\b"
    r"|^i (?:cannot|can['’]?t|can not|won['’]?t|do not|don['’]t)\b"
    r"|^(?:unfortunately|my apologies)\b|\b(?:insufficient|not enough) (?:information|context)\b"
    r"|^(?:es tut mir leid|entschuldigung|tut mir leid|leider)\b|\bals (?:ki|sprachmodell)\b|^ich kann\b"
    r"|\bd[ée]sol[ée]e?\b|\ben tant qu['’ei]|^je ne (?:peux|suis)\b"
    r"|^lo siento\b|^no puedo\b|\bcomo (?:una? )?(?:ia|modelo de lenguaje)\b"
    r"|^(?:desculpe|sinto muito|mi dispiace|non posso)\b"
    r"|^(?:извините|простите|к сожалению|я не могу)\b|\bкак (?:ии|языковая модель)\b"
    r"|对不起|抱歉|作为(?:一个|一种|一名)?(?:ai|人工智能|语言模型)|我(?:无法|不能)|申し訳|すみません|aiとして|言語モデルとして|죄송|ai로서",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]{1,20}://|\bwww\.\w|\b(?:mailto|javascript|vbscript|data):\S|[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}"
    r"|(?<![\w.])[\w-]+(?:\.[\w-]+)*\.(?:com|org|biz|ru|cn)(?![\w.])|\b[\w-]+\.(?:com|org|biz|ru|cn|net|io|xyz|top)/\w",
    re.IGNORECASE,
)
_CODE = re.compile(
    r'[{}\\]|\[\s*["\[]|["\]]\s*\]|=>|(?:^|\s)(?:def|return|import|class|function)\s.*[:;(]$|\);?$(?<=\(\);)'
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:(?:\w\.){2,}|(?:etc|inc|ltd|co|corp|jr|sr|al|bros|dr|st|vs|no|vol)\.)$", re.IGNORECASE
)
_ENDING = re.compile(r"[\s.。．｡…:：;；,，、|=]+$")
_BEGINNING = re.compile(r"^(?:[\s,，、;；。!?=|]+|:(?!\w)\s*|[.…]+(?!\w)\s*|\.{2,})+")

_CONNECTORS_AS_TEXT = """
and or of the a an in on for to with by from at as into via vs versus & + - – — / | ( und oder von der die das den dem
des für mit im in zu zur zum bei et ou de du la le les un une pour avec dans sur y e o u el los las del en con para
por da do dos das di il lo gli per и или в на с для по о к от van het een voor met
"""
_CONNECTORS = frozenset(_CONNECTORS_AS_TEXT.split())
_MINOR_WORDS_AS_TEXT = """
a an and as at but by for from in into nor of off on onto or over per the to up via vs with und oder von der die das
den des für mit im zu et ou de du des la le les en y el los las del e di da do dos em и или в на с для по van
"""
_MINOR_WORDS = frozenset(_MINOR_WORDS_AS_TEXT.split())

_WORD = re.compile(r"[^\W_](?:[\w\u0300-\u036f]*[^\W_])?[\u0300-\u036f]*", re.UNICODE)
_COMPOUND = re.compile(r"[^\W_][\w\u0300-\u036f]*(?:[-'’.]\w[\w\u0300-\u036f]*)+")
_IDENTIFIER = re.compile(r"\w_\w|\w\.\w|\(\)$|^__\w")
_ELISION = re.compile(r"^([^\W\d_]{1,2}['’])([^\W\d_]{3,})$")
_SAME_WORD_PREFIX = 5
_SAME_WORD_SHARE = 0.6


def clean_name(raw: str) -> str:
    """Make what a language model answered fit to be shown as a name.

    One line in NFC of at most `LONGEST_NAME` characters, cut between words, without markup, quotes, a label in front
    ("Topic 3:"), control characters and what is invisible. What it returns, it returns again.

    Returns:
        The name; "" where nothing fit to show is left: no letters, a placeholder ("Unknown", "Cluster 7"), a refusal,
        an address, code, or a sentence.
    """
    if len(raw) > _LONGEST_ANSWER:
        return ""
    name = _first_line(raw)
    while (cleaned := _clean_once(name)) != name:  # what is removed can lay bare more of it; each round is shorter
        name = cleaned
    return name


def name_of_keyphrases(keyphrases: Sequence[str], texts: Sequence[str] = ()) -> str:
    """Join the best keyphrases as a name, e.g. "Sparse Matrix, Eigenvalues & Solver".

    Args:
        keyphrases: in lower case, the best first.
        texts: documents that show how their words are written: "HTTP", "NumPy".

    Returns:
        One to three phrases, the first always; "" without keyphrases.
    """
    phrases = [phrase for phrase in (make_visible(phrase) for phrase in keyphrases) if phrase]
    if not phrases:
        return ""
    casing = learn_casing(texts, chain.from_iterable(_spoken_parts(phrase) for phrase in phrases[:_PHRASES_TRIED]))
    chosen: list[str] = []
    for phrase in phrases[:_PHRASES_TRIED]:
        if not chosen or (_has_room(chosen, phrase) and not any(_repeats(phrase, other) for other in chosen)):
            chosen.append(phrase)
    return shorten(_join([write_title(phrase, casing) for phrase in chosen]), LONGEST_NAME)


@dataclass(frozen=True)
class Casing:
    """How documents write words.

    Attributes:
        votes: the forms of each word (its key in lower case), and how many texts use each form most.
    """

    votes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def as_written(self, word: str) -> str | None:
        """The form that more than half of the texts that have the word use, or None."""
        forms = self.votes.get(_lower(word), {})
        form = max(forms, key=lambda form: (forms[form], form), default="")
        return form if form and 2 * forms[form] > sum(forms.values()) else None

    def with_capital(self, word: str) -> str:
        """The word with a capital in front, as the texts write that (the Turkish dotted one), else as Unicode does."""
        forms = self.votes.get(_lower(word), {})
        capital = {form: count for form, count in forms.items() if form[:1].isupper() and form[1:].islower()}
        return max(capital, key=lambda form: (capital[form], form), default=_with_capital(word))


def learn_casing(texts: Iterable[str], words: Iterable[str] | None = None) -> Casing:
    """Find out how texts write words; each text has one vote a word, so that none outvotes the others.

    Args:
        texts: documents or names; of each the first 2,000 characters are read, and none that is mostly capitals.
        words: those of interest; None for all.
    """
    wanted = None if words is None else {_lower(word) for word in words}
    votes: dict[str, Counter[str]] = {}
    for text in texts:
        for key, forms in _forms(text[:_LETTERS_READ_PER_TEXT], wanted).items():
            votes.setdefault(key, Counter())[forms.most_common(1)[0][0]] += 1
    return Casing(votes)


def write_title(phrase: str, casing: Casing | None = None) -> str:
    """Write a phrase in lower case as a title: capitals in front of words but minor ones, identifiers as they are."""
    casing = casing or Casing()
    words = phrase.split()
    return " ".join(_title_word(word, casing, is_first=place == 0) for place, word in enumerate(words))


def shorten(text: str, most: int) -> str:
    """Cut a text to at most so many characters (as people count them) between words, and without a dangling end.

    A word that is too long alone, and scripts without spaces, are cut between characters.
    """
    graphemes = _graphemes(text)
    if len(graphemes) <= most:
        return text
    place = most
    while place > 0 and not _is_border(graphemes[place - 1], graphemes[place]):
        place -= 1
    return _without_loose_end("".join(graphemes[: place or most]))


def length(text: str) -> int:
    """Count characters as people do: a letter with its accents is one, and so is a joined emoji."""
    return len(_graphemes(text))


def make_visible(text: str) -> str:
    """Remove what is invisible or reorders text (controls, zero-width, bidi), and collapse whitespace; in NFC."""
    kept = [_visible(text, place) for place in range(len(text))] if not text.isprintable() else [text]
    visible = _EXCESS_MARKS.sub(r"\1", unicodedata.normalize("NFC", _INVISIBLE.sub("", "".join(kept))))
    return " ".join(visible.replace("\u2800", " ").split())


def _first_line(raw: str) -> str:
    """The line that holds the name; a line that only introduces it ("Topic name:") is not that."""
    text = _FENCE.sub("", _SILENT_ELEMENT.sub("", raw)).strip()
    lines = [line.strip() for line in re.split(r"[\r\n\u2028\u2029\x85\v\f]+", text) if line.strip()]
    if len(lines) > 1 and text.startswith(("{", "[")):
        return ""
    names = (line for line in lines if not re.search(r"[:：]\W*$", line) and re.search(r"\w", line))
    return next(names, lines[0] if lines else "")


def _clean_once(name: str) -> str:
    name = _without_markup(make_visible(name))
    if _CODE.search(name):  # before the quotes go, which tell JSON from brackets
        return ""
    name = _LABEL.sub("", _without_quotes(name), count=1)
    name = _without_ending(_BEGINNING.sub("", make_visible(name)))
    return shorten(name, LONGEST_NAME) if _is_fit(name) else ""


def _without_markup(text: str) -> str:
    while (unescaped := _ENTITY.sub(lambda entity: html.unescape(entity.group()), text)) != text:
        text = unescaped
    text = _TAG.sub("", _SILENT_ELEMENT.sub("", text))
    for pattern, replacement in _MARKDOWN:
        text = pattern.sub(replacement, text.strip())
    return text


def _without_quotes(text: str) -> str:
    """Remove quotes around and inside, but apostrophes stay: between letters, and after the s of a plural."""
    text = _DOUBLE_QUOTES.sub(lambda quote: quote.group() if _is_gershayim(text, quote.start()) else "", text)
    kept: list[str] = []
    is_open = False
    for place, character in enumerate(text):
        if not _SINGLE_QUOTE.match(character) or _is_apostrophe(text, place, is_open=is_open):
            kept.append(character)
        else:
            is_open = not is_open
    return "".join(kept)


def _is_gershayim(text: str, place: int) -> bool:
    """Whether a double quote is the sign inside a Hebrew abbreviation."""
    around = text[place - 1 : place], text[place + 1 : place + 2]
    return text[place] == '"' and all(_HEBREW.match(character) for character in around)


def _is_apostrophe(text: str, place: int, *, is_open: bool) -> bool:
    before, after = text[:place], text[place + 1 :]
    if re.search(r"[\w\u0300-\u036f]$", before) and re.match(r"\w", after):
        return True
    if re.match(r"\d\ds?\b", after) and not re.search(r"\S$", before) and not _SINGLE_QUOTE.search(after):
        return True  # the '90s
    return before.endswith("s") and bool(re.match(r"\s\w", after)) and not is_open and not _SINGLE_QUOTE.search(after)


def _without_ending(text: str) -> str:
    while not _ABBREVIATION.search(text) and (match := _ENDING.search(text)):
        shorter = text[: match.start()]
        first = text[match.start()]
        if first == "." and _ABBREVIATION.search(f"{shorter}."):
            return f"{shorter}."
        text = shorter
    return text


def _is_fit(name: str) -> bool:
    """Whether a reader can take it for a name."""
    has_letter = any(character.isalpha() for character in name)
    unfit = (_ADDRESS, _CODE, _REFUSAL)
    if not has_letter or any(pattern.search(name) for pattern in unfit) or _NO_NAME.fullmatch(name):
        return False
    return len(name.split()) + len(_UNSPACED.findall(name)) / _LETTERS_PER_WORD_UNSPACED <= _MOST_WORDS


def _visible(text: str, place: int) -> str:
    """The character, a space for one that separates, "" for one that nobody sees."""
    character = text[place]
    category = unicodedata.category(character)
    if category in ("Zs", "Zl", "Zp") or character.isspace():
        return " "
    if character in _JOINERS:
        return character if _joins(text, place) else ""
    return "" if category in ("Cc", "Cf", "Cs", "Co", "Cn") else character


def _joins(text: str, place: int) -> bool:
    """Whether a joiner has a meaning here: inside words of scripts that need it, or inside an emoji."""
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if not before or not after:
        return False
    if _NEEDS_JOINERS.match(before) and _NEEDS_JOINERS.match(after):
        return True
    return text[place] == "\u200d" and _is_emoji(before) and unicodedata.category(after) == "So"


def _is_emoji(character: str) -> bool:
    return character == "\ufe0f" or unicodedata.category(character) == "So" or "\U0001f3fb" <= character <= "\U0001f3ff"


def _graphemes(text: str) -> list[str]:
    """What people count as characters (after Unicode's annex 29, without its rare cases)."""
    if text.isascii():
        return list(text)
    graphemes: list[str] = []
    for character in text:
        if graphemes and len(graphemes[-1]) < _LONGEST_GRAPHEME and _continues(graphemes[-1], character):
            graphemes[-1] += character
        else:
            graphemes.append(character)
    return graphemes


def _continues(grapheme: str, character: str) -> bool:
    if unicodedata.category(character) in ("Mn", "Mc", "Me") or character in _JOINERS:
        return True
    if "\U0001f3fb" <= character <= "\U0001f3ff" or "\u1160" <= character <= "\u11ff":  # skin colours, Hangul jamo
        return True
    if grapheme[-1] == "\u200d":
        return _is_emoji(character) or bool(_NEEDS_JOINERS.match(character))
    return len(grapheme) == 1 and all(
        "\U0001f1e6" <= letter <= "\U0001f1ff" for letter in grapheme + character
    )  # flags


def _is_border(before: str, after: str) -> bool:
    """Whether a text may be cut between two neighbouring characters."""
    return after == " " or bool(_UNSPACED.match(before) or _UNSPACED.match(after))


def _without_loose_end(text: str) -> str:
    """Remove from a cut text what waited for the rest: connecting words, punctuation, a bracket that stays open."""
    bracket = max(text.rfind("("), text.rfind("["), text.rfind("（"))
    if bracket > 0 and not re.search(r"[)\]）]", text[bracket:]):
        text = text[:bracket]
    words = text.split(" ")
    while len(words) > 1 and (words[-1].lower() in _CONNECTORS or not re.search(r"\w", words[-1])):
        words.pop()
    return re.sub(r"[\s,;:，、；：・/&＆(（\[–—-]+$", "", " ".join(words)) or text


def _lower(word: str) -> str:
    """The key of a word; the Turkish dotted capital falls together with the plain one."""
    return word.lower().replace("i\u0307", "i")


def _forms(text: str, wanted: set[str] | None) -> dict[str, Counter[str]]:
    """The forms of each wanted word of one text by its key."""
    found: dict[str, Counter[str]] = {}
    if _is_shouting(text):
        return found
    for form in chain(_WORD.findall(text), _COMPOUND.findall(text)):
        key = _lower(form)
        if wanted is None or key in wanted:
            found.setdefault(key, Counter())[form] += 1
    return found


def _is_shouting(text: str) -> bool:
    capitals, small = sum(map(str.isupper, text)), sum(map(str.islower, text))
    return capitals > _SHOUTING * (capitals + small) and len(text.split()) >= _FEWEST_WORDS_TO_SHOUT


def _spoken_parts(phrase: str) -> list[str]:
    """Words of a phrase whole and in parts, since documents may show how to write either."""
    return [*phrase.split(), *_WORD.findall(phrase)]


def _title_word(word: str, casing: Casing, *, is_first: bool) -> str:
    written = casing.as_written(word)
    if written is not None and not _is_plain(written):
        return written
    if _IDENTIFIER.search(word):
        return written or word
    if "-" in word.strip("-"):
        parts = word.split("-")
        return "-".join(_title_word(part, casing, is_first=is_first and not place) for place, part in enumerate(parts))
    if word in _MINOR_WORDS and not is_first:
        return word
    if elision := _ELISION.match(word):
        return elision[1].capitalize() + casing.with_capital(elision[2])
    return casing.with_capital(word) if word == _lower(word) else word


def _is_plain(form: str) -> bool:
    """Whether a form follows from its word: small letters only, or a capital in front; digits follow nothing."""
    return form[1:] == form[1:].lower() and not any(character.isdecimal() for character in form)


def _with_capital(word: str) -> str:
    capital = word[:1].title()  # not upper(): Georgian has capitals that titles do not use
    return capital + word[1:] if len(capital) == 1 else word


def _has_room(chosen: Sequence[str], phrase: str) -> bool:
    joined = _join([*chosen, phrase])
    word_count = len(joined.replace(" & ", " ").split())
    return (
        len(chosen) < _MOST_PHRASES
        and _columns(chosen[0]) < _ENOUGH_ALONE
        and _columns(joined) <= _LONGEST_OF_KEYPHRASES
        and word_count <= _MOST_WORDS_OF_KEYPHRASES
    )


def _columns(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def _join(phrases: Sequence[str]) -> str:
    if all(_KANA_OR_HAN.search(phrase) for phrase in phrases):
        return "、".join(phrases)
    return " & ".join([", ".join(phrases[:-1]), phrases[-1]] if len(phrases) > 1 else phrases)


def _repeats(phrase: str, other: str) -> bool:
    """Whether two phrases have a word in common; in scripts without spaces, half of the characters."""
    if _UNSPACED.search(phrase) and _UNSPACED.search(other):
        return 2 * len(set(phrase) & set(other)) >= min(len(set(phrase)), len(set(other)))
    return any(_is_same_word(one, two) for one in _words(phrase) for two in _words(other))


def _words(phrase: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", phrase.lower()) if word and word not in _MINOR_WORDS]


def _is_same_word(one: str, two: str) -> bool:
    """Whether two words are one in two forms, like "optimize" and "optimizer"."""
    if one.removesuffix("s") == two.removesuffix("s"):
        return True
    shared = 0
    for left, right in zip(one, two, strict=False):
        if left != right:
            break
        shared += 1
    return shared >= _SAME_WORD_PREFIX and shared > _SAME_WORD_SHARE * max(len(one), len(two))
