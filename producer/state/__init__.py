"""The state directory: where syncs, records and claims are kept when no `REDIS_URL` names a Redis.

`directory` checks the directory, `server_program` chooses a Redis or Valkey, `keeper` is the small process that runs
it while a command needs it, and `server` lets a command use it.
"""
