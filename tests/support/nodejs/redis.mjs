// A Redis client for the example in Node.js, with the part of the interface of the npm package `redis` that it uses: tests
// run without a package registry. It speaks RESP2 over a socket.

import { createConnection } from 'node:net';

export function createClient({ url }) {
  const { hostname, port } = new URL(url);
  let socket;
  let received = Buffer.alloc(0);
  const waiting = [];

  const read = (at) => {
    const end = received.indexOf('\r\n', at);
    if (end < 0) return null;
    const [kind, text, next] = [String.fromCharCode(received[at]), received.toString('utf8', at + 1, end), end + 2];
    if (kind === '+') return [text, next];
    if (kind === '-') return [new Error(text), next];
    if (kind === ':') return [Number(text), next];
    const count = Number(text);
    if (kind === '$') {
      if (count < 0) return [null, next];
      if (received.length < next + count + 2) return null;
      return [received.toString('utf8', next, next + count), next + count + 2];
    }
    const items = [];
    let place = next;
    for (let number = 0; number < count; number++) {
      const item = read(place);
      if (!item) return null;
      items.push(item[0]);
      place = item[1];
    }
    return [items, place];
  };

  const take = (chunk) => {
    received = Buffer.concat([received, chunk]);
    let found;
    while (waiting.length && (found = read(0))) {
      received = received.subarray(found[1]);
      const { resolve, reject } = waiting.shift();
      if (found[0] instanceof Error) reject(found[0]);
      else resolve(found[0]);
    }
  };

  const send = (...words) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
      socket.write(`*${words.length}\r\n${parts.join('')}`);
    });

  return {
    connect: () =>
      new Promise((resolve, reject) => {
        socket = createConnection({ host: hostname, port: Number(port) }, resolve);
        socket.on('data', take).on('error', reject);
      }),
    rPush: (key, value) => send('RPUSH', key, value),
    get: (key) => send('GET', key),
    hGet: (key, field) => send('HGET', key, field),
    hGetAll: async (key) => {
      const flat = await send('HGETALL', key);
      return Object.fromEntries(flat.flatMap((item, at) => (at % 2 ? [] : [[item, flat[at + 1]]])));
    },
    quit: async () => {
      await send('QUIT');
      socket.end();
    },
  };
}
