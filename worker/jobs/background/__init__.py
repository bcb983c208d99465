"""The tasks of every worker beside its jobs: revive silent syncs, read the inbox, deliver webhooks."""
