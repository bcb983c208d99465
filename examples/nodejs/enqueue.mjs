// Starts a sync of a Segment space with only a Redis client, and waits for its end.
//
//   npm install redis
//   REDIS_URL=redis://localhost:6379 node enqueue.mjs SPACE_ID ID
//
// ID identifies this request, such as nightly-2026-01-31. A second request with the same ID starts no second sync.
// docs/other-languages.md describes the format.

import { createClient } from 'redis';

const [spaceId, id] = process.argv.slice(2);
const prefix = process.env.REDIS_PREFIX ?? '';
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const redis = createClient({ url: process.env.REDIS_URL });
await redis.connect();

const document = { v: 1, id, request: { space_id: spaceId, max_credits: 1200 } };
await redis.rPush(`${prefix}sp:inbox`, JSON.stringify(document));

let answer;
while (!(answer = await redis.get(`${prefix}sp:answer:${id}`))) await pause(200);
const { sync_id: syncId, code, message } = JSON.parse(answer);

if (!syncId) {
  console.error(`${code}: ${message}`);
  process.exitCode = 1;
} else {
  const ended = ['completed', 'failed', 'cancelled'];
  let state;
  while (!ended.includes((state = await redis.hGet(`${prefix}sp:sync:${syncId}`, 'state')))) await pause(500);
  const outcomes = await redis.hGetAll(`${prefix}sp:sync:${syncId}:outcomes`);
  console.log(JSON.stringify({ sync_id: syncId, state, clusters: Object.keys(outcomes).sort() }));
  process.exitCode = state === 'completed' ? 0 : 1;
}
await redis.quit();
