-- Writes the checkpoint of a fetch job, cursor and statistics together; with a job, hands the sync to it as `follows` says:
-- `walk` (the next fetch job) or `finalize`.
-- Answers: ok | applied (this very commit had arrived before) | stale, state, epoch | conflict, message
local refused, before = check_commit(sync, lease, token, checkpoint.seq, 'pages')
if refused then return refused end
local at = { sync = sync, queue = queue, due = due, wake = wake, outcomes = outcomes }
write_commit(at, lease, token, note, checkpoint, before, follows, job, delay_ms, stall_ms, now_ms(),
  { 'pages', int(checkpoint.pages), 'profiles', int(checkpoint.profiles), 'aggregate', checkpoint.aggregate })
return { 'ok' }
