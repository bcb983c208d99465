"""How it scales: a prediction by formula, and a simulation that says whether the formula holds.

`python -m tests.bench.scale` prints both for each way to read a space of a thousand, a million and 50 million profiles.
"""
