"""What every worker does beside its jobs: it revives silent syncs, reads the inbox and delivers webhooks."""
