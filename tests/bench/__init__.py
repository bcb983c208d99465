"""Speed and memory, measured: `python -m tests.bench`. Every figure of the project is a file in `figures/`."""
