"""`doctor`: checks settings, Redis, workers and APIs, and says what to do about what it finds."""
