"""What arq calls, and the worker that calls it. Orchestration only: one file a job, and the watcher.

tickets   jobs as they stand in the queue          walk       reads pages and commits, by way of
context   what a worker's jobs share               ahead      … the next pages already on their way
job       the frame of every job, and its ends     progress   … what it makes of them, which is either
lease     heartbeat, and the end of an epoch       counting   … … folding them: the chain
attempts  throttle, retries, caller              batching   … … listing them: fan-out, and then
watcher   finds syncs whose job is lost            batch      reads and counts pages that are listed
runner    the worker process                       finalize   one persona per cluster, by way of
arq_cli   the same under arq's own command line    purchase   … buying exactly once
                                                   lookup     … what is at Mavera already
                                                   persona_finder … whether one is surely absent
                                                   persona_guard  … whether most are gone at once
"""
