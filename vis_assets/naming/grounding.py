"""Documents are data: which of them try to instruct a model, and which names come from one document only."""
# ruff: noqa: RUF001 - the words of many languages are what this module is about

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain, islice

from vis_assets.naming.titles import UNSPACED

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e0fff]"
)

_TOLD_BEFORE = r"(?:instruction|prompt|direction|guideline|directive|message|conversation)s?"
_IN_LATIN_SCRIPT = (
    # English
    rf"\b(?:ignore|disregard|forget|override|bypass|discard)\b[^.]{{0,30}}"
    rf"\b(?:all|any|every|the|your|previous|prior|above|preceding|earlier|system|other|these|those)\s(?:\w+\s){{0,2}}{_TOLD_BEFORE}\b",
    r"\b(?:ignore|disregard|forget)\s(?:all|everything|anything|whatever|what)\b[^.]{0,20}\b(?:above|before|previous|prior|told|said)\b",
    r"\b(?:ignore|disregard|forget)\s(?:all\s)?(?:of\s)?(?:the\s)?(?:above|previous|preceding|prior)(?:\stext|\sdocuments?)?\s?(?:[,.;:!]|and\b|$)",
    r"\b(?:do\snot|don't|never)\s(?:follow|obey|listen\sto)\b[^.]{0,20}\binstructions\b",
    r"\byou\sare\snow\s(?!ready|able|done|set\b|finished|connected|logged)|\bfrom\snow\son,?\syou\b",
    r"\b(?:pretend|act)\s(?:to\sbe|as\sif\syou|as\sthough\syou|like\syou)|\bact\sas\san?\s(?:\w+\s){0,2}(?:assistant|expert|model|chatbot)\b",
    r"\b(?:system|hidden|initial)\sprompt\b|\bprompt\sinjection\b|\bjailbreak\b|\bdo\sanything\snow\b",
    r"\b(?:respond|answer|reply)\s(?:with\s)?(?:only|just|nothing|exactly|exclusively|solely)\b|\b(?:respond|reply|answer)\swith\s(?:the\s)?"
    r"(?:word|name|label|text|phrase|string|following)\b|\bsay\s(?:only|exactly|nothing\sbut)\b",
    r"\b(?:re)?(?:name|label|call|title|tag|classify|categori[sz]e)\s(?:this|all|every|each|these|any|your|the)\s(?:\w+\s){0,2}"
    r"(?:cluster|topic|group|category|theme|label|name)s?\s?(?:as\b|to\b|[:=]|[\"'“‘«`]|(?-i:[A-Z0-9]{3,}\b))",
    r"\b(?:re)?(?:name|label|call|title|tag)\s(?:this|all|every|these|your)\s(?:\w+\s){0,2}(?:cluster|topic|category|theme)s?\b",
    r"\b(?:set|change|rename)\s(?:all|every|each|any)\s(?:\w+\s)?(?:name|title|label|topic|cluster)s?\sto\b",
    r"\bonly\s(?:valid|correct|right|acceptable|allowed)\s(?:answer|name|title|label|topic)\b|\bsystem\soverride\b|\bwhen\sasked\s(?:for|to\sname)\s(?:an?|the|this)\s(?:topic|name|title|label|cluster)\b",
    r"[\"']names[\"']\s?:\s?\[\s?\{|[\"']id[\"']\s?:\s?[\"']c\d",
    r"\b(?:name|label|title)\s(?:of|for)\s(?:this|all|every|each|any|the)\s(?:\w+\s)?(?:cluster|topic|group|category)s?\s"
    r"(?:is|must|should|shall|has\sto|will)\b|\b(?:cluster|topic)\s(?:name|label|title)s?\s(?:must|shall|has\sto|should)\sbe\b",
    r"\b(?:use|choose|return|output|print|write)\s(?:only\s)?[\"'“‘«`][^\"'”’»`]{1,60}[\"'”’»`]\sas\s(?:the|its|your|a)\s"
    r"(?:\w+\s)?(?:name|label|title|topic|answer)\b",
    r"\b(?:dear|attention|hello|hey|note\s(?:to|for)|message\s(?:to|for)|instructions?\s(?:to|for))\s(?:the\s|any\s|all\s)?"
    r"(?:ai|llm|language\smodel|gpt|chatgpt|claude|gemini|assistant|chatbot)s?\b",
    r"\bif\syou\sare\san?\s(?:ai|llm|(?:large\s)?language\smodel|assistant|chatbot)\b|\bas\san\sai\b",
    r"\byour\s(?:new|real|only|actual)\s(?:task|instructions?|job|role|goal)\b|\bnew\sinstructions?\s?:",
    r"\b(?:repeat|reveal|print|show|leak|output)\s(?:me\s)?(?:your|the\s(?:system|initial|hidden))\s(?:\w+\s)?(?:prompt|instructions?)\b",
    # Marks of a conversation
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext|begin_of_text|start_header_id|end_header_id|eot_id)\|>",
    r"\[/?INST\]|<</?SYS>>|</?(?:system|instructions?|assistant)>|<(?:start|end)_of_turn>",
    r"#{2,4}\s?(?:system|instructions?|assistant)\s?(?::|\n|$)|\[(?:system|assistant)\]\s?\(#",
    # German
    r"\b(?:ignorier|vergiss|vergesst|vergessen\ssie|missachte|übergeh|verwirf)\w*\b.{0,40}\b(?:anweisung|anleitung|instruktion|vorgabe|befehl|"
    r"prompt|obige|vorherig|vorige|alles)",
    r"\b(?:du\sbist|sie\ssind)\s(?:jetzt|nun|ab\ssofort|ab\sjetzt)\b|\bantworte(?:t|n\ssie)?\s(?:nur|ausschließlich|lediglich|einzig)\b",
    r"\b(?:be)?(?:nenne|nennt|nennen\ssie|zeichne|title)\s(?:diese|alle|jede|den|das|die)\w*\s(?:\w+\s)?(?:cluster|them|grupp|kategorie)|\bsystem-?prompt",
    # French
    r"\b(?:ignor(?:e|ez|er)|oubli(?:e|ez|er))\b.{0,40}\b(?:instructions|consignes?|directives?|ce\squi\sprécède)\b",
    r"\b(?:tu\ses|vous\sêtes)\s(?:maintenant|désormais)\b|\brépond(?:s|ez|re)?\s(?:uniquement|seulement|simplement|juste)\b",
    r"\b(?:nomm|appel|renomm|intitul)(?:e|ez|er|le|lez)\s(?:ce|cette|ces|tous|toutes|chaque|le|la|les)\s(?:\w+\s)?(?:cluster|sujet|thème|groupe|catégorie)",
    # Spanish, Portuguese, Italian
    r"\b(?:ignor[aeo]\w*|olvid[aeo]\w*|descart[ae]\w*|esque[cç]\w*|dimentic\w*)\b.{0,40}\b(?:instruc\w+|instruç\w+|istruzion\w+|indicacion\w+|órdenes|comandos)\b",
    r"\b(?:ahora\seres|eres\sahora|agora\svocê\sé|você\sagora\sé|ora\ssei)\b|\brespond[ae]\w*\s(?:solo|sólo|solamente|únicamente|apenas|somente)\b",
    r"\b(?:nombra|llama|titula|etiqueta|nomeie|chame|chiama)\s(?:a\s)?(?:este|esta|estos|todos|todas|cada|el|la|los|questo|tutti)\s(?:\w+\s){0,2}"
    r"(?:cl[uú]ster|tema|grupo|gruppo|categoría|tópico)",
)
_IN_OTHER_SCRIPTS = (
    # Russian
    r"\b(?:про)?(?:игнорируй|игнорировать|забудь|забыть)\w*.{0,40}\b(?:инструкц|указани|команд|предыдущ|правил|выше|промпт)",
    r"\b(?:теперь\sты|ты\sтеперь|вы\sтеперь|отныне\sты)\b|\b(?:отвечай|ответь)\w*\s(?:только|лишь|одним)\b|\bсистемн\w+\s(?:промпт|сообщени|инструкц)",
    r"\b(?:пере)?(?:назови|назовите|именуй|именуйте)\s(?:эт\w+|вс\w+|кажд\w+)\s(?:\w+\s)?(?:кластер|тем|групп|категори)",
    # Chinese
    r"(?:忽略|无视|無視|忘记|忘記|忘掉|不要理会|不理会|抛弃).{0,12}(?:指令|指示|提示|说明|說明|命令|规则|規則|以上|上述|上面|前面)",
    r"(?:你|您)(?:现在|現在|将|從現在|从现在)(?:是|扮演|成为|起|开始)|从现在(?:起|开始).{0,4}你|(?:只|仅|僅)(?:需|要|能|可|需要)?(?:回答|回复|回覆)",
    r"(?:将|把|給|给).{0,10}(?:聚类|聚類|集群|主题|主題|簇|分类|类别).{0,8}(?:命名|称为|叫做|标记|改名|命为)|系统提示|系統提示|系统指令",
    # Japanese, Korean
    r"(?:指示|命令|プロンプト|ルール|指令).{0,8}(?:無視|忘れ)|(?:無視して|忘れて).{0,12}(?:指示|命令)|あなたは(?:今から|これから|今)|システムプロンプト",
    r"(?:だけ|のみ)(?:を|で|と)?(?:答え|回答し|返答し|出力し)(?:て|なさい|ろ)|(?:クラスタ|トピック|グループ|テーマ).{0,12}(?:名付けて|命名して|命名せよ|と呼んで)",
    r"(?:이전|위의?|앞의?|모든)\s?.{0,10}(?:지시|명령|지침|프롬프트).{0,10}(?:무시|잊)|당신은\s이제|시스템\s프롬프트",
)
_SPEAKS_LATIN = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _IN_LATIN_SCRIPT)
_SPEAKS_OTHERWISE = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _IN_OTHER_SCRIPTS)
_OTHER_SCRIPT = re.compile("[\u0400-\u04ff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
# At the start of a line: deeper in stand the parameters of docstrings.
_ROLE = re.compile(r"^ {0,3}(?:assistant|ai|system) ?:\s", re.IGNORECASE | re.MULTILINE)
_MIXED_SCRIPTS = re.compile(r"\b(?:[a-z]+[а-яёіјѕ]|[а-яёіјѕ]+[a-z])\w*", re.IGNORECASE)
_LOOKALIKES = str.maketrans("асеорхуіјѕАВСЕНІКМОРТХ", "aceopxyijsABCEHIKMOPTX")
_SPACES = re.compile(r"[^\S\n]+")
_BREAKS = re.compile(r" ?\n[ \n]*")

_TERM = re.compile(rf"[{UNSPACED}]+|(?:[^\W_{UNSPACED}]|[\u0300-\u036f\u0900-\u0dff])+[+#]*")
_SILENT_AS_TEXT = """
a an and are as at be by can do for from has have how i in into is it its no not of off on or our out over per so that
the their them these they this to up us use using via was we what when where which who will with within without you
your and other related various general new all any each every der die das den dem des ein eine und oder von für mit im
in zu zur bei auf aus le la les un une des de du et ou pour avec dans sur par l d el los las y o en con para por del
al il lo gli i e di da do dos das em и или в на с для по о к от из cluster clusters topic topics group groups category
categories theme themes name names label labels title document documents text texts item items content contents
collection thema themen sujet sujets tema temas тема темы
"""
_SILENT = frozenset(_SILENT_AS_TEXT.split())
_SHORTEST_STEM = 4  # letters from which on a word may go on: algorithm, algorithms
_CONTEXT = 24  # code points on either side that show whether an occurrence is a copy
_CONTEXT_WORDS = 2
_FEWEST_TEXTS = 2
_FEWEST_SHARE = 0.05  # of many texts two have any word by chance
_COMMON_ELSEWHERE = 3  # texts of other clusters; a word that these have is anybody's
_ENOUGH_TO_DOUBT = 10  # own texts; if a keyphrase is in one of so many, that one repeats it
_COMMON_SHARE = 0.3  # of the own texts; a keyphrase in so many is what the cluster is about, even if they are copies
_CACHED = 1_024  # texts: those of one request, which its clusters share
_SHORTEST_SPACED = 5  # letters; in shorter names, a text has them in a row by chance


@lru_cache(_CACHED)
def speaks_to_models(text: str) -> bool:
    """Whether a document holds an instruction to a language model, in one of ten common languages.

    Documents about language models are often taken for such too. An instruction in unusual words is not seen: this
    keeps crude attacks from a model, and `is_dictated` judges what the model made of the others.
    """
    plain = _plain(text)
    patterns = chain(_SPEAKS_LATIN, _SPEAKS_OTHERWISE if _OTHER_SCRIPT.search(plain) else ())
    return bool(_ROLE.search(text)) or any(pattern.search(plain) for pattern in patterns)


def is_dictated(name: str, keyphrases: Sequence[str], own_texts: Sequence[str], other_texts: Sequence[str]) -> bool:
    """Whether a name comes from one document and not from the cluster.

    A word of the name is supported if it is a keyphrase that many of the cluster's texts have, or if several of
    them have it in different surroundings, so that copies of one document count once, and texts that speak to
    models not at all. A word is foreign if texts have it, but too few to support it or to make it a common word.
    Dictated is a name with a foreign word from a text that speaks to models; one with more than half of its words
    foreign and from one text, or half (of ten texts or more: any) if a text has the whole name; and one without a
    supported word that stands in one text as it is. A word that no text has is an abstraction and does no harm.

    Args:
        name: cleaned, as it would be shown.
        keyphrases: of the cluster, in lower case.
        own_texts: of members of the cluster; about 50 are enough.
        other_texts: texts of the other clusters that the same request showed to the model.
    """
    terms = _terms(name)
    phrases = [_folded(phrase) for phrase in keyphrases]
    supported = [term for term in terms if _is_supported(term, phrases, own_texts)]
    foreign = [term for term in terms if term not in supported and _is_foreign(term, own_texts, other_texts)]
    if foreign and _is_of_one_text(foreign, len(terms), own_texts, other_texts):
        return True
    # Of many texts others would have a word that fits the cluster; of few, chance decides.
    is_odd = bool(foreign) and (2 * len(foreign) >= len(terms) or len(own_texts) >= _ENOUGH_TO_DOUBT)
    return bool(terms) and (is_odd or not supported) and _is_quoted(name, own_texts, other_texts)


def _plain(text: str) -> str:
    """The text without what hides words from a pattern: invisible characters, other forms of letters, line breaks."""
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
        text = _MIXED_SCRIPTS.sub(lambda word: word.group().translate(_LOOKALIKES), text)
    return _BREAKS.sub("\n", _SPACES.sub(" ", text))


@lru_cache(_CACHED)
def _folded(text: str) -> str:
    """The text for comparing letters: lower case, one form of each letter, nothing invisible."""
    if text.isascii():
        return text.lower()
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()


def _terms(name: str) -> list[str]:
    """What of a name says something: words without the s of a plural; pairs of characters where there are no spaces."""
    words = _TERM.findall(_folded(name))
    spoken = [word for word in words if word not in _SILENT] or words
    terms: list[str] = []
    for word in spoken:
        terms += _pairs(word) if re.match(f"[{UNSPACED}]", word) else [_stem(word)]
    return list(dict.fromkeys(terms))


def _pairs(run: str) -> list[str]:
    return [run[place : place + 2] for place in range(len(run) - 1)] or [run]


def _stem(word: str) -> str:
    if len(word) > _SHORTEST_STEM and word.endswith("ies"):
        return word[:-3]
    if len(word) >= _SHORTEST_STEM and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _is_supported(term: str, phrases: Sequence[str], own: Sequence[str]) -> bool:
    """Whether the cluster speaks of it, and not one of its documents alone."""
    fewest = max(_FEWEST_TEXTS, round(_FEWEST_SHARE * len(own)))
    if not any(_has(term, phrase) for phrase in phrases):
        return _support(partial(_occurrences, term), own, enough=fewest) >= fewest
    if len(own) < _ENOUGH_TO_DOUBT:
        return True
    return (
        _support(partial(_occurrences, term), own, enough=_FEWEST_TEXTS) >= _FEWEST_TEXTS
        or not any(_has(term, _folded(text)) for text in own)
        or _is_common(term, own)
    )


def _is_common(term: str, own: Sequence[str]) -> bool:
    """Whether many of the texts have it, in whatever surroundings: of invoices made from one form, all are invoices."""
    having = [text for text in own if _has(term, _folded(text))]
    needed = math.ceil(_COMMON_SHARE * len(own))
    harmless = islice((text for text in having if not speaks_to_models(text)), needed)
    return len(having) >= needed and len(list(harmless)) == needed


def _is_foreign(term: str, own: Sequence[str], others: Sequence[str]) -> bool:
    """Whether some text has it, but too few of other clusters to make it a word that anybody uses."""
    if _support(partial(_occurrences, term), others, enough=_COMMON_ELSEWHERE) >= _COMMON_ELSEWHERE:
        return False
    return any(_has(term, _folded(text)) for text in chain(own, others))


def _is_of_one_text(foreign: Sequence[str], term_count: int, own: Sequence[str], others: Sequence[str]) -> bool:
    """Whether one text has more than half of a name's words, all foreign, or one of them and speaks to models."""
    for text in chain(own, others):
        folded = _folded(text)
        found = sum(_has(term, folded) for term in foreign)
        if 2 * found > term_count or (found and speaks_to_models(text)):
            return True
    return False


def _support(find: Callable[[str], Iterable[tuple[int, int]]], texts: Iterable[str], *, enough: int) -> int:
    """Count texts in which something is found in surroundings that no text before had it in; stop at `enough`.

    A copy has the same words before it or after it, so neither a document that is there many times nor one sentence
    in many documents counts more than once.
    """
    before: set[str] = set()
    after: set[str] = set()
    count = 0
    for text in texts:
        around = _surroundings(find, _folded(text))
        fresh = any((not left or left not in before) and (not right or right not in after) for left, right in around)
        says_more = count == 0 or any(left or right for left, right in around)
        if fresh and says_more and not speaks_to_models(text):
            count += 1
        if count >= enough:
            break
        before.update(left for left, _ in around)
        after.update(right for _, right in around)
    return count


def _surroundings(find: Callable[[str], Iterable[tuple[int, int]]], text: str) -> list[tuple[str, str]]:
    """The two words before and the two after each thing found."""
    found = []
    for start, end in find(text):
        left = _TERM.findall(text[max(0, start - _CONTEXT) : start])
        right = _TERM.findall(text[end : end + _CONTEXT])
        found.append((" ".join(_by_two(left)[-_CONTEXT_WORDS:]), " ".join(_by_two(right)[:_CONTEXT_WORDS])))
    return found


def _by_two(words: Iterable[str]) -> list[str]:
    """Words, and runs of scripts without spaces by their characters."""
    return [part for word in words for part in (_pairs(word) if re.match(f"[{UNSPACED}]", word) else [word])]


def _has(term: str, text: str) -> bool:
    return next(_occurrences(term, text), None) is not None


def _occurrences(term: str, text: str) -> Iterator[tuple[int, int]]:
    """Where words begin with the term (a short one must be the whole word); the end is that of the word."""
    start = text.find(term)
    is_unspaced = bool(re.match(f"[{UNSPACED}]", term))
    while start >= 0:
        end = start + len(term)
        if is_unspaced:
            yield start, end
        elif not text[start - 1 : start].isalnum():
            while end < len(text) and text[end].isalnum():
                end += 1
            if len(term) >= _SHORTEST_STEM or end <= start + len(term) + 1:
                yield start, end
        start = text.find(term, start + len(term))


def _is_quoted(name: str, own: Sequence[str], others: Sequence[str]) -> bool:
    """Whether one own text has the name as it is, be it with gaps between the letters, or else a few of the others."""
    find = partial(_quotes, _spelled(name))
    if any(True for text in own for _ in find(_folded(text))):
        return _support(find, own, enough=_FEWEST_TEXTS) < _FEWEST_TEXTS
    if any(True for text in others for _ in find(_folded(text))):
        return _support(find, others, enough=_COMMON_ELSEWHERE) < _COMMON_ELSEWHERE
    return False


def _quotes(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in pattern.finditer(text))


def _spelled(name: str) -> re.Pattern[str]:
    words = _TERM.findall(_folded(name))
    letters = "".join(words)
    # The letter in front of its lookbehind: a search for a plain letter is several times as fast.
    if len(letters) >= _SHORTEST_SPACED and not re.search(f"[{UNSPACED}]", letters):
        first, spelled = letters[0], r"[\W_]{0,3}".join(map(re.escape, letters))
    else:
        first, spelled = words[0][0], r"[\W_]*".join(map(re.escape, words))
    is_unspaced = bool(re.match(f"[{UNSPACED}]", first))
    border = "" if is_unspaced else rf"(?<!\w{re.escape(first)})"
    return re.compile(
        f"{re.escape(first)}{border}{spelled[len(re.escape(first)) :]}" + ("" if is_unspaced else r"(?!\w)")
    )
