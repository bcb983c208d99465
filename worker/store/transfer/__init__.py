"""Copies of what must outlive a Redis so that no persona is bought again.

`state_copy` is the data and how it is merged, `copier` reads and writes it.
"""
