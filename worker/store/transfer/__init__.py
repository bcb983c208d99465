"""Copies the data that prevents a second purchase from one Redis to another.

`state_copy` is the data and how it is merged, `copier` reads and writes it.
"""
