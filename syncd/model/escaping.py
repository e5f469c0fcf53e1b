r"""Escaping of foreign text, so that showing it has no other effect. Pure.

Others choose keys, folder names, messages of servers, principals and file names. On terminals, in logs and on pages they
are shown with escapes: `\x1b` for a control character, `\u202e` for one that reverses text, `\U000e0041` beyond those.
JSON documents contain such text unchanged, in ASCII.
"""

import re

LONGEST_LINE = 2_000
LONGEST_KEY = 1_024
"""The longest key that is shown whole. Keys in S3 have at most 1,024 bytes, so none is cut."""
CUT = "…"
_DEEPEST = 16

# Printable by Unicode's categories but invisible (Default_Ignorable_Code_Point), and the Braille blank.
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff"
# Arrows, check marks and crosses begin our own lines, so they are escaped in foreign text.
_MARKS = "\u2190-\u21ff\u2705\u2713-\u2718\u274c\u274e\u2794-\u27be\u27f0-\u27ff\u2900-\u297f\u2b00-\u2b11\u2b30-\u2b4f"

# Compiled at their first use, and kept by `re`.
_HIDDEN = f"[{_INVISIBLE}]"
_OURS = f"[{_MARKS}]"
_MORE_SPACES = r"(?<= ) +"
_NOT_OF_A_KEY = f"[{_MARKS}\\\\' {CUT}]"
_NEEDS_NO_QUOTES = r"[A-Za-z0-9@%+:,./_][A-Za-z0-9@%+=:,./_-]*"
_ESCAPE = r"\\(?:(?P<self>\\)|x(?P<x>[0-9A-Fa-f]{2})|u(?P<u>[0-9A-Fa-f]{4})|U(?P<U>[0-9A-Fa-f]{8})|(?P<other>))"
_LAST_CODE_POINT = 0x10FFFF


def visible(text: str) -> str:
    """Return the text with invisible characters escaped, including line ends."""
    if text.isprintable() and (text.isascii() or re.search(_HIDDEN, text) is None):
        return text
    return "".join(char if char.isprintable() and not re.match(_HIDDEN, char) else _escaped(char) for char in text)


def safe_line(text: str, most: int = LONGEST_LINE) -> str:
    """Return the text for use in one line: visible, our own marks escaped, cut to `most` characters."""
    one = re.sub(_OURS, _escape_each, visible(cut(text, most)))
    # A row of spaces would push the rest to the beginning of a terminal's next line.
    return cut(re.sub(_MORE_SPACES, _escape_each, one), most)


def safe_indented(line: str) -> str:
    """Return a line made safe, with its indentation kept up to a limit."""
    text = line.lstrip(" ")
    return " " * min(len(line) - len(text), _DEEPEST) + safe_line(text)


def safe_key(key: str) -> str:
    """Return a key as one word that can be pasted into a shell, quoted if needed."""
    head, middle, tail = _parts(key, LONGEST_KEY)
    word = _key_escaped(head) + middle + _key_escaped(tail)
    word = f"\\x2d{word[1:]}" if word.startswith("-") else word
    return word if re.fullmatch(_NEEDS_NO_QUOTES, word) else f"'{word}'"


def key_of(word: str) -> str:
    r"""Return the key that `safe_key` escaped, after the shell has removed the quotes.

    Raises:
        ValueError: the word was cut, or has an invalid escape.
    """
    if CUT in word:
        raise ValueError(f"this key was cut ({CUT}); `syncd ledger quarantine list --json` has all of it")
    return re.sub(_ESCAPE, _unescaped, word)


def cut(text: str, most: int) -> str:
    """Return the text with its middle cut out if it is longer than `most` characters."""
    return "".join(_parts(text, most))


def _parts(text: str, most: int) -> tuple[str, str, str]:
    if len(text) <= most:
        return text, "", ""
    tail = (most - 1) // 2
    return text[: most - 1 - tail], CUT, text[len(text) - tail :]


def _key_escaped(part: str) -> str:
    # The backslash first, since those of the escapes must stay.
    return visible(re.sub(_NOT_OF_A_KEY, lambda found: "\\\\" if found[0] == "\\" else _escaped(found[0]), part))


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
