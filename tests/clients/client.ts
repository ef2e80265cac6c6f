// Calls the service with a client generated from the OpenAPI document. tsc checks the types.

import createClient from 'openapi-fetch';

import type { components, paths } from './api.js';

type NewRun = components['schemas']['NewRun'];

declare const process: { argv: string[] };
const client = createClient<paths>({ baseUrl: process.argv[2] });

function expect<T>(status: number, { data, response }: { data?: T; response: Response }): T {
  if (response.status !== status) throw new Error(`${response.url}: status ${response.status}, expected ${status}`);
  return data as T;
}

// @ts-expect-error -- a run requires its kata
const missing: NewRun = { column: 'word' };

// The discriminator selects the variant.
function columnOf(run: NewRun): string {
  return run.kata === 'nth-char' ? run.column : run.item_column;
}

const users = '/api/v2/users';
const user = expect(201, await client.POST(users, { body: { username: 'Ada', email: 'ada@example.com' } }));
const params = { path: { id: user.id } };
const changed = expect(200, await client.PATCH(`${users}/{id}`, { params, body: { email: 'ada@example.org' } }));
if (changed.email !== 'ada@example.org' || changed.username !== 'Ada') throw new Error(JSON.stringify(changed));
const page = expect(200, await client.GET(users, { params: { query: { limit: 1 } } }));
if (page.items[0]?.id !== user.id || page.next !== null) throw new Error(JSON.stringify(page));

const dataset = expect(201, await client.POST('/api/v1/datasets', {
  params: { query: { name: 'words' } },
  body: 'word\nyoda\nbest\nhas\n',
  bodySerializer: (body: unknown) => body as string,
  headers: { 'Content-Type': 'text/csv' },
}));
const task: NewRun = { kata: 'nth-char', column: 'word' };
if (columnOf(task) !== 'word') throw new Error('the column differs');
const run = expect(201, await client.POST('/api/v1/datasets/{id}/runs', {
  params: { path: { id: dataset.id } },
  body: task,
}));
if (run.result?.word !== 'yes') throw new Error(JSON.stringify(run));

const order: components['schemas']['Order'] = { costs: { socks: 5 }, items: ['socks'], tax: 0 };
const total = expect(200, await client.POST('/api/v1/spending', { body: order }));
if (total.total !== 5) throw new Error(JSON.stringify(total));
const invalid = await client.POST('/api/v1/spending', { body: { ...order, tax: -1 } });
if (invalid.error?.status !== 422) throw new Error(JSON.stringify(invalid.error));
