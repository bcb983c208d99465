"""The HTTP API: the same syncs and the same JSON documents as the command line, through `SyncClient`.

`server` listens, `app` puts the parts together. `routes` answers requests, `access` says who may ask, `events` streams
the changes of a sync, and `openapi` describes all of it.
"""
