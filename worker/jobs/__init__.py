"""The jobs that arq calls, and the worker process that calls them.

arq_worker    the worker process: takes jobs from the queue       composition   builds each job
arq_settings  the same under arq's own command line               services      what jobs are built from
job_runner    runs a job: lease, work, every way to end           watchdog      revives silent syncs
lease         heartbeats, and the hand-over on shutdown           job_payloads  jobs as arq's queue has them
api_caller    throttle, retry, defer                              audit_log     who was charged what
process       heartbeat file, garbage collector                   store_factories  stores and limiters from settings
fetch/        reads pages: fetch job, batch job, strategies       personas/     creates and updates personas

From arq's task to the request of a page: arq_worker, job_runner, fetch_job, page_prefetcher, api_caller, the source
and its HTTP client.
"""
