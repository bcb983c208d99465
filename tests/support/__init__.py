"""Real processes for tests: a redis-server of one's own, workers that can be killed, and their environment."""
