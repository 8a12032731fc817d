"""Extra anchors: training text in which words are replaced by their translations (paper 4.2).

Text is switched before it is tokenized. A word is a run of letters, marks and digits, with inner
apostrophes and hyphens where a dictionary lists it so; listed words in a row ("New York") are one
word, of several such the longest. In scripts written without blanks words are
the longest dictionary entries from left to right, and a stretch without an entry is one word, with
the one-character entries that touch it: they are mostly parts of unlisted words (of the matches in
Chinese text with gold words 80 % are words this way, 52 % without). Such a dictionary must be in
the characters of the text: MUSE's Chinese ones are in traditional characters, which OpenCC
converts. Punctuation stays where it is.

The paper bounds the share of words changed in a batch. Here the bound is kept by document: batches
are not known when text is prepared, and what becomes of a document must not depend on its
neighbours. As 15 % of a sentence of eight words is no whole number, it is rounded at random, so
that short documents get their share too. A document is never more than one word above the bound,
and `TARGET` leaves room for the rounding: 100,000 words (half the paper's batch) in documents of
eight words or more are below the bound by five standard deviations.
"""

from bisect import bisect
from collections import Counter, defaultdict
from itertools import accumulate
from unicodedata import category

import regex

from xl_jax.config import Anchors, pairs
from xl_jax.rng import Purpose, generator
from xl_jax.text import dictionaries
from xl_jax.text.documents import Document, position

TARGET = 0.98  # of the bound: the share of words replaced where enough of them are listed

_CHARACTER, _JOINT = r"\p{L}\p{M}\p{N}", "'’-"
_NO_BLANKS = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = regex.compile(rf"([{_CHARACTER}]+(?:[{_JOINT}][{_CHARACTER}]+)*)")
_RUN = regex.compile(rf"([{_NO_BLANKS}]+|[^{_NO_BLANKS}{_JOINT}]+)")  # inside a word
_UNSPACED = regex.compile(f"[{_NO_BLANKS}]")

_Entry = tuple[list[str], list[float]]  # translations and their cumulative shares


class CodeSwitch:
    """Replaces words of one language by translations into every other that has a dictionary.

    All words of a document that have a translation are replaced with the same probability: the
    rate, or less where they are so many that the document would come above the cap. A dictionary is
    drawn among those that list the word, and one of its translations by weight. Lookup ignores
    case; a replacement takes over a capital first letter or all capitals.
    """

    def __init__(self, anchors: Anchors, language: str, seed: int) -> None:
        """Reads the dictionaries.

        Raises:
          InputError: a dictionary file that is missing, empty or of wrong columns.
        """
        self._anchors, self._seed = anchors, seed
        self._entries, self._known = _read(anchors, language)
        lengths = defaultdict(set)  # of the known words that begin with a character
        for word in self._known:
            if _UNSPACED.match(word):
                lengths[word[0]].add(len(word))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}
        phrases = defaultdict(set)  # words of the known phrases that begin with a word
        for phrase in filter(lambda known: " " in known, self._known):
            words = phrase.split(" ")
            phrases[words[0]].add(len(words))
        self._phrases = {first: sorted(found, reverse=True) for first, found in phrases.items()}
        listed = [x for x in self._entries if "’" not in x]  # each is there with a ' as well
        self._size = len(listed)
        self.unmatchable = sum(not x.isalnum() and not self._is_word(x) for x in listed)
        """Words of `len(self)` that no text can match: it is divided into words differently."""

    def __len__(self) -> int:
        """Words with a translation; 0 for a language without a dictionary."""
        return self._size

    def __call__(
        self,
        document: Document,
        epoch: int,
        counts: Counter[str],
        number: tuple[int, int] = (0, 0),
    ) -> Document:
        """The document with words replaced, a function of (seed, document, epoch, number): `number`
        tells equal documents apart, by the part of the text and how many came before it there.

        Adds to `counts`: `words`, those `in_dictionary` with a translation other than themselves,
        those `switched`.
        """
        pieces = self._split("\n".join(document))
        words = map(str.lower, pieces[1::2])
        at = [2 * i + 1 for i, word in enumerate(words) if word in self._entries]
        n_words, n = len(pieces) // 2, len(at)
        counts["words"] += n_words
        counts["in_dictionary"] += n
        if not n:
            return document
        identity = int(position(document) * 2**53)
        counters = (identity, epoch, *(number if any(number) else ()))
        draws = generator(self._seed, Purpose.CODE_SWITCH, *counters).random(2 * n + 1)
        wanted = int(expected_share(self._anchors, n / n_words) * n_words + draws[0])
        chosen = draws[1 : n + 1].argsort()[:wanted].tolist()
        counts["switched"] += len(chosen)
        for i in chosen:
            word = pieces[at[i]]
            translations, shares = self._entries[word.lower()]
            translation = translations[bisect(shares, draws.item(n + 1 + i))]
            _replace(pieces, at[i], _capitals_of(word, translation))
        return "".join(pieces).split("\n")

    def _split(self, text: str) -> list[str]:
        """What lies between words, a word, what lies between, a word, ..., what follows."""
        pieces = _WORD.split(text)
        unspaced = bool(self._lengths) and not text.isascii() and _UNSPACED.search(text) is not None
        result, done = [], 0
        for i, simple in enumerate(map(str.isalnum, pieces[1::2])):
            if unspaced or not simple:
                here = 2 * i + 1
                result += pieces[done:here]
                result += self._apart(pieces[here])
                done = here + 1
        result += pieces[done:]
        return self._with_phrases(result) if self._phrases else result

    def _with_phrases(self, pieces: list[str]) -> list[str]:
        """`pieces` with the words of a known phrase as one word."""
        words = [word.lower() for word in pieces[1::2]]
        result, i = pieces[:1], 0
        while i < len(words):
            n = 1
            for length in self._phrases.get(words[i], ()):
                blanks = pieces[2 * i + 2 : 2 * (i + length) : 2]
                if (
                    blanks == [" "] * (length - 1)
                    and " ".join(words[i : i + length]) in self._known
                ):
                    n = length
                    break
            result += ["".join(pieces[2 * i + 1 : 2 * (i + n)]), pieces[2 * (i + n)]]
            i += n
        return result

    def _is_word(self, text: str) -> bool:
        """Whether text in which it stands alone has it as a word."""
        return self._split(text) == ["", text, ""]

    def _apart(self, word: str) -> list[str]:
        """The words within an unlisted one: a word, what lies between, a word, ..."""
        if word.lower() in self._known:
            return [word]
        result: list[str] = []
        pieces = _RUN.split(word)
        for between, run in zip(pieces[::2], pieces[1::2], strict=False):
            for part in self._longest(run) if _UNSPACED.match(run) else [run]:
                result += [between, part]
                between = ""
        return result[1:]

    def _longest(self, run: str) -> list[str]:
        """The words of a run without blanks."""
        words, start, here = [], 0, 0  # start: of the stretch without an entry
        while here < len(run):
            for n in self._lengths.get(run[here], ()):
                end = here + n
                if run[here:end] in self._known and end <= len(run) and not _mark(run, end):
                    words += [run[start:here], run[here:end]] if start < here else [run[here:end]]
                    start = here = end
                    break
            else:
                here += 1
        return self._close([*words, run[start:]] if start < here else words)

    def _close(self, words: list[str]) -> list[str]:
        """One-character entries go to the stretch without an entry that they touch, if any."""
        listed = [word in self._known for word in words]
        if all(listed):
            return words
        certain = [
            here and (len(word) > 1 or all(listed[max(i - 1, 0) : i + 2]))
            for i, (word, here) in enumerate(zip(words, listed, strict=True))
        ]
        result: list[str] = []
        for i, word in enumerate(words):
            if i and not certain[i - 1] and not certain[i]:
                result[-1] += word
            else:
                result.append(word)
        return result


def expected_share(anchors: Anchors, coverage: float) -> float:
    """The share of words to be replaced where the share `coverage` of them has a translation.

    Of many short documents, whose coverage differs, it is an upper bound: those with few listed
    words do not make up for those that the cap holds back.
    """
    return min(anchors.rate * coverage, TARGET * anchors.cap)


def _read(anchors: Anchors, language: str) -> tuple[dict[str, _Entry], set[str]]:
    """All dictionaries of a language as one, in which each that translates a word weighs the same,
    and every word that they list: some only as their own translation, which changes nothing."""
    pooled: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    known = set()
    for names, path in pairs("anchors.dictionaries", anchors.dictionaries).items():
        source, _, target = names.partition("-")
        if language != source and not (language == target and anchors.both):
            continue
        found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for first, second, weight in dictionaries.read(path):
            word, translation = (first, second) if language == source else (second, first)
            word = " ".join(word.lower().replace("’", "'").split())
            known.add(word)
            if word != translation.lower():
                found[word][translation] += weight
        for word, weights in found.items():
            total = sum(weights.values())
            for translation, weight in weights.items():
                pooled[word][translation] += weight / total
    entries = {word: _entry(weights) for word, weights in pooled.items()}
    curly = {word: word.replace("'", "’") for word in known if "'" in word}
    entries |= {curly[word]: entries[word] for word in curly.keys() & entries.keys()}
    return entries, known | set(curly.values())


def _entry(weights: dict[str, float]) -> _Entry:
    total = sum(weights.values())
    shares = [share / total for share in accumulate(weights.values())]
    return list(weights), [*shares[:-1], 1.0]  # 1 in spite of rounding


def _capitals_of(word: str, translation: str) -> str:
    if len(word) > 1 and word.isupper():
        return translation.upper()
    return translation[0].upper() + translation[1:] if word[0].isupper() else translation


def _replace(pieces: list[str], index: int, word: str) -> None:
    """Puts a word at an index, with blanks around it if it meets another without, unless both are
    of scripts that have none: its tokens shall be those that it has in its own language."""
    pieces[index] = word
    for between, neighbour in ((index - 1, index - 2), (index + 1, index + 2)):
        if not pieces[between] and 0 <= neighbour < len(pieces):
            if not (_UNSPACED.search(word) and _UNSPACED.search(pieces[neighbour])):
                pieces[between] = " "


def _mark(text: str, index: int) -> bool:
    """Whether the character there, if any, belongs to the one before it."""
    return index < len(text) and category(text[index]).startswith("M")
