"""Shared by the commands that start or continue syncs: start, follow and report them, and name the next step."""
