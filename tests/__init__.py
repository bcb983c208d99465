"""The tests. Where pytest runs them, a failed assertion of `tests.support` shows its values too."""

import sys

if "pytest" in sys.modules:  # not in the workers and commands that tests start
    sys.modules["pytest"].register_assert_rewrite("tests.support")
