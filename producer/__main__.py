"""`python -m producer`: the same as `segment-personas`."""

from producer.cli import main

if __name__ == "__main__":
    main()
