"""Builds each job of a worker, and each task beside the jobs, from the services that it uses."""
