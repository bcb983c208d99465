"""The jobs that arq calls, and the worker process that calls them.

arq_worker    takes jobs from the queue and runs them           composition   builds each job
process/      the worker process, also under arq's command line services      what jobs are built from
job_runner    runs a job: lease, work, every way to end         watchdog      revives silent syncs
lease         heartbeats, and the hand-over on shutdown         job_payloads  jobs as arq's queue has them
api_caller    throttle, retry, defer                            audit_log     who was charged what
inbox_reader  syncs that programs without this package ask for  *_factories   stores, limiters and clients from settings
schedules/    syncs at set times                                webhook_deliverer  sends the events of the outbox
fetch/        reads pages: fetch job, batch job, strategies     personas/     creates and updates personas

From arq's task to the request of a page: arq_worker, job_runner, fetch_job, page_prefetcher, api_caller, the source
and its HTTP client.
"""
