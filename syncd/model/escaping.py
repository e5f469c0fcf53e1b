r"""Text from outside, written so that whoever shows it shows it and nothing else happens. Pure.

Keys, folder names, messages of servers, principals and file names are chosen by others. On a terminal, in a log and on a
page they are written with escapes: `\x1b` for a control character, `\u202e` for one that turns the text around,
`\U000e0041` beyond those. JSON documents hold such text as it came, in ASCII.
"""

import re

LONGEST_LINE = 2_000
LONGEST_KEY = 1_024
"""S3 takes keys of 1,024 bytes, so no key of S3 is ever cut."""
CUT = "…"
_DEEPEST = 16

# Printable by Unicode's categories and invisible all the same (Default_Ignorable_Code_Point), and a blank of Braille.
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff"
# Arrows, check marks and crosses begin lines of our own: nobody else's text has them.
_MARKS = "\u2190-\u21ff\u2705\u2713-\u2718\u274c\u274e\u2794-\u27be\u27f0-\u27ff\u2900-\u297f\u2b00-\u2b11\u2b30-\u2b4f"

_HIDDEN = re.compile(f"[{_INVISIBLE}]")
_OURS = re.compile(f"[{_MARKS}]")
_MORE_SPACES = re.compile(r"(?<= ) +")
_NOT_OF_A_KEY = re.compile(f"[{_MARKS}\\\\' {CUT}]")
_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9@%+:,./_][A-Za-z0-9@%+=:,./_-]*")
_ESCAPE = re.compile(
    r"\\(?:(?P<self>\\)|x(?P<x>[0-9A-Fa-f]{2})|u(?P<u>[0-9A-Fa-f]{4})|U(?P<U>[0-9A-Fa-f]{8})|(?P<other>))"
)
_LAST_CODE_POINT = 0x10FFFF


def visible(text: str) -> str:
    """Return the text with an escape in place of each character that cannot be seen, line ends among them."""
    if text.isprintable() and _HIDDEN.search(text) is None:
        return text
    return "".join(char if char.isprintable() and not _HIDDEN.match(char) else _escaped(char) for char in text)


def safe_line(text: str, most: int = LONGEST_LINE) -> str:
    """Return the text as part of one line: visible, without our own marks, cut in the middle beyond `most` characters."""
    one = _OURS.sub(_escape_each, visible(cut(text, most)))
    # A row of spaces would push what follows to the beginning of a terminal's next line.
    return cut(_MORE_SPACES.sub(_escape_each, one), most)


def safe_indented(line: str) -> str:
    """Return a line with the blanks that it begins with, as far as they are an indentation, and the rest made safe."""
    text = line.lstrip(" ")
    return " " * min(len(line) - len(text), _DEEPEST) + safe_line(text)


def safe_key(key: str) -> str:
    """Return a key as it is shown and can be pasted into a shell: in one word, in quotes if the shell asks for them."""
    head, middle, tail = _parts(key, LONGEST_KEY)
    word = _key_escaped(head) + middle + _key_escaped(tail)
    word = f"\\x2d{word[1:]}" if word.startswith("-") else word
    return word if _NEEDS_NO_QUOTES.fullmatch(word) else f"'{word}'"


def key_of(word: str) -> str:
    r"""Return the key that `safe_key` wrote, once the shell has taken the quotes away.

    Raises:
        ValueError: the word was cut, or a backslash in it begins no escape.
    """
    if CUT in word:
        raise ValueError(f"this key was cut ({CUT}); `syncd ledger quarantine list --json` has all of it")
    return _ESCAPE.sub(_unescaped, word)


def cut(text: str, most: int) -> str:
    """Return the text with its middle left out if it is longer than `most` characters."""
    return "".join(_parts(text, most))


def _parts(text: str, most: int) -> tuple[str, str, str]:
    if len(text) <= most:
        return text, "", ""
    tail = (most - 1) // 2
    return text[: most - 1 - tail], CUT, text[len(text) - tail :]


def _key_escaped(part: str) -> str:
    # The backslash first: those of the escapes are not the key's.
    return visible(_NOT_OF_A_KEY.sub(lambda found: "\\\\" if found[0] == "\\" else _escaped(found[0]), part))


def _escape_each(found: re.Match[str]) -> str:
    return "".join(map(_escaped, found[0]))


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _unescaped(found: re.Match[str]) -> str:
    if found["self"]:
        return "\\"
    digits = found["x"] or found["u"] or found["U"]
    if digits is None or int(digits, 16) > _LAST_CODE_POINT:
        raise ValueError(r"a backslash begins an escape such as \x1b or \u202e here; write one of the key's own as \\")
    return chr(int(digits, 16))
