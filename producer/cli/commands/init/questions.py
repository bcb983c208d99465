"""Questions at the terminal, for the command `init`. What is typed for a secret is not shown."""

from __future__ import annotations

import getpass
import sys

from producer.cli.terminal import Screen
from worker.environment import strip_value


class Questions:
    """Asks at the terminal. Every method raises EOFError at the end of the input (Ctrl-D)."""

    def __init__(self, err: Screen) -> None:
        self._err = err

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Returns what the user types, without white space and quotes around it."""
        if secret:
            return strip_value(getpass.getpass(prompt, stream=sys.stderr))
        self._err.print(prompt, end="", soft_wrap=True)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return strip_value(line)

    def confirm(self, question: str, *, default: bool) -> bool:
        """Returns whether the user agrees; anything but yes and no asks again."""
        while True:
            answer = self.ask(f"{question} [{'Y/n' if default else 'y/N'}] ").lower()
            if answer in {"", "y", "yes", "n", "no"}:
                return answer in {"y", "yes"} or (default and not answer)
