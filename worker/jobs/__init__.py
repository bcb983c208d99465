"""What arq calls, and the worker that calls it. Orchestration only: one file a job, and the watcher.

tickets   jobs as they stand in the queue          walk       reads pages, folds, commits
context   what a worker's jobs share               finalize   one persona per cluster, by way of
lease     heartbeat, and the end of an epoch       purchase   … buying exactly once
attempts  throttle, retries, patience              lookup     … what is at Mavera already
watcher   finds syncs whose job is lost            runner     the worker process
"""
