"""A configuration file is read as what it is: regular, of bounded size, and in bounded time."""

import os
import socket
from pathlib import Path

import pytest

from syncd.config.reading.toml_file import LARGEST_BYTES, MOST_DOTS, UnusableError, read_toml


def refusal(path: Path) -> UnusableError:
    with pytest.raises(UnusableError) as caught:
        read_toml(path)
    return caught.value


def written(folder: Path, text: str) -> Path:
    path = folder / "b.toml"
    path.write_text(text)
    return path


def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.toml")

    assert "is not a regular file" in str(refusal(tmp_path / "b.toml"))


def test_a_device_is_refused_without_being_opened() -> None:
    assert "is not a regular file" in str(refusal(Path("/dev/zero")))


def test_a_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "b.toml"))

        assert "is not a regular file" in str(refusal(tmp_path / "b.toml"))


def test_a_link_to_a_file_is_followed_as_kubernetes_makes_them(tmp_path: Path) -> None:
    written(tmp_path, 'name = "b"')
    (tmp_path / "link.toml").symlink_to("b.toml")

    assert read_toml(tmp_path / "link.toml") == {"name": "b"}


def test_a_file_may_be_as_large_as_the_limit_and_no_larger(tmp_path: Path) -> None:
    comment = "#" * (LARGEST_BYTES - 1) + "\n"

    assert read_toml(written(tmp_path, comment)) == {}
    assert "is larger than 1 MiB" in str(refusal(written(tmp_path, comment + "\n")))


@pytest.mark.parametrize(
    "line",
    [
        "a" + ".a" * 50_000 + " = 1",
        "[a" + ".a" * 50_000 + "]",
        '"a"' + '."a"' * 50_000 + " = 1",
        "a" + " . a" * 50_000 + " = 1",
        "b = {a" + ".a" * 50_000 + " = 1}",
        'b = """\n"""\na' + ".a" * 50_000 + " = 1",
        "b = '''\n'''\na" + ".a" * 50_000 + " = 1",
        'b = "\\""  # "\na' + ".a" * 50_000 + " = 1",
    ],
)
def test_a_key_of_too_many_parts_is_refused_before_it_is_parsed(tmp_path: Path, line: str) -> None:
    assert f"more than {MOST_DOTS} dots" in str(refusal(written(tmp_path, line)))


def test_dots_in_texts_and_comments_do_not_count(tmp_path: Path) -> None:
    dots = "." * 100
    text = (
        f'a = "{dots}\\"{dots}" # {dots}\nb = \'{dots}\'\nc = """\n{dots}\n"{dots}"""\nd = \'\'\'{dots}\n{dots}\'\'\'\n'
    )

    assert set(read_toml(written(tmp_path, text))) == {"a", "b", "c", "d"}


def test_the_line_with_the_dots_is_named(tmp_path: Path) -> None:
    assert "since line 3 has" in str(refusal(written(tmp_path, "a = 1\nb = 2\nc" + ".c" * 20 + " = 3\n")))


@pytest.mark.parametrize("opening", ["[", "{a="])
def test_deep_nesting_is_refused(tmp_path: Path, opening: str) -> None:
    assert "is not valid TOML" in str(refusal(written(tmp_path, "a = " + opening * 100_000)))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('name = "b"\nbroken = \n', "b"),
        ("# one\n  name = 'b.c'  # two\nbroken = \n", "b.c"),
        ('broken = \n[source]\nname = "b"\n', None),
        ('name = "b/../c"\nbroken = \n', None),
        ('title = "b"\nbroken = \n', None),
    ],
)
def test_a_file_that_is_no_toml_still_tells_the_name_of_its_job(tmp_path: Path, text: str, name: str | None) -> None:
    assert refusal(written(tmp_path, text)).job == name
