"""What arq calls, and the worker that calls it. Orchestration only: one file a job, and the watcher.

tickets   jobs as they stand in the queue          walk       reads pages, folds, commits, by way of
context   what a worker's jobs share               ahead      … the next pages already on their way
job       the frame of every job, and its ends     finalize   one persona per cluster, by way of
lease     heartbeat, and the end of an epoch       purchase   … buying exactly once
attempts  throttle, retries, patience              lookup     … what is at Mavera already
watcher   finds syncs whose job is lost            runner     the worker process
                                                   arq_cli    the same under arq's own command line
"""
