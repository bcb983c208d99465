"""The text of a `.env` file: what is read from it, and that changing a value changes nothing else."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.cli.environment.env_text import MalformedLine, line_of, parse_env, quoted, with_values

VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
ODD = st.text(st.sampled_from("'\"#$`\\ \t=é\r\na"), max_size=12)

FILE = """\
# keys of this project

OTHER='kept as it is'   # of another program
export SEGMENT_TOKEN = "old token"  # from the settings page
MAVERA_API_KEY=old#key
EMPTY= # nothing yet
"""


@given(VALUES | ODD)
def test_any_value_that_is_written_is_read_back(value: str) -> None:
    written = with_values("", {"NAME": value})
    assert parse_env(written) == {"NAME": value}


@given(VALUES | ODD, ODD, ODD)
def test_a_changed_value_leaves_the_other_values_unchanged(value: str, before: str, after: str) -> None:
    text = with_values("# first\n", {"BEFORE": before, "NAME": "old", "AFTER": after}) + "# last"
    changed = with_values(text, {"NAME": value})
    assert parse_env(changed) == {"BEFORE": before, "NAME": value, "AFTER": after}
    assert changed.startswith("# first\n")
    assert changed.endswith("# last")


def test_comments_other_lines_and_export_are_kept() -> None:
    changed = with_values(FILE, {"SEGMENT_TOKEN": "new", "MAVERA_API_KEY": "it's", "EMPTY": "1", "ADDED": "2"})
    assert changed == (
        "# keys of this project\n"
        "\n"
        "OTHER='kept as it is'   # of another program\n"
        "export SEGMENT_TOKEN=new  # from the settings page\n"
        "MAVERA_API_KEY='it\\'s'\n"
        "EMPTY=1 # nothing yet\n"
        "ADDED=2\n"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=$HOME", "$HOME"),
        ("A='$HOME'", "$HOME"),
        ("A=`id`", "`id`"),
        ("export A=1", "1"),
        ("A = 1 # comment", "1"),
        ("A=1#2", "1#2"),
        ('A="x # y"', "x # y"),
        ("A=", ""),
        ("A", None),
        ("A=1\r\n", "1"),
        ("\ufeffA=1", "1"),
        ("A=1\nA=2", "2"),
    ],
)
def test_a_line_is_read_literally(text: str, value: str | None) -> None:
    assert parse_env(text) == {"A": value}


def test_the_last_of_several_lines_is_changed_as_it_is_the_one_that_counts() -> None:
    assert with_values("A=1\nA=2\nB=3", {"A": "9", "C": "4"}) == "A=1\nA=9\nB=3\nC=4\n"


def test_a_file_with_crlf_gets_lines_with_crlf() -> None:
    assert with_values("A=1\r\n", {"A": "2", "B": "3"}) == "A=2\r\nB=3\r\n"


@pytest.mark.parametrize("malformed", ["source other.sh", "A='not closed", "=value", "A='x' y"])
def test_a_malformed_line_is_named_by_its_number(malformed: str) -> None:
    with pytest.raises(MalformedLine) as caught:
        parse_env(f"B=1\n\n\n{malformed}\nC=2\n")
    assert caught.value.line == 4
    assert malformed not in str(caught.value)


def test_the_line_of_a_variable_is_found_below_empty_lines() -> None:
    assert line_of("A=1\n\n# c\nB=2\n", "B") == 4


def test_a_shell_reads_common_values_in_the_same_way() -> None:
    values = ["mvra_live_AbC-123", "https://eu.example.com:8443/v1?a=b,c", "two words", "$HOME", "#1", "é", ""]
    lines = "\n".join(f"V{number}={quoted(value)}" for number, value in enumerate(values))
    shown = " ".join(f'"$V{number}"' for number in range(len(values)))
    read = subprocess.run(["sh", "-c", f"{lines}\nprintf '%s\\n' {shown}"], capture_output=True, check=True, text=True)
    assert read.stdout.split("\n")[:-1] == values
