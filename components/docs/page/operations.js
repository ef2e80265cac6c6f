// The services and operations of the playground.
//
// A field without `in` is a path parameter, `{name}` in the path. Otherwise `in` is `query`,
// `header`, `json` (a member of the body) or `body` (the whole body). `as` is the format of the
// input: `text` (the default), `area` (text of several lines), `number`, `boolean`, `lines` (an
// array of strings), `prices` (an object of numbers, one member a line) or `csv` (text or a file of
// up to `maxBytes` bytes). An `optional` field is omitted if it is empty, and the page hides a
// `fixed` field. `fills: { field: 'member' }` copies a member of a successful response into the
// field of that name in the other operations of the service.

const word = { name: 'word', label: 'Word', value: 'Apple' };
const definition = { name: 'definition', label: 'Definition', in: 'json', as: 'area', value: 'A fruit' };
const after = { name: 'after', label: 'Cursor (after)', in: 'query', optional: true, hint: 'next of the previous page' };
const limit = (value) => ({ name: 'limit', label: 'Limit', in: 'query', optional: true, value });
const skip = { name: 'skip', label: 'Skip', in: 'query', optional: true, value: '0' };
const ifMatch = { name: 'If-Match', label: 'If-Match', in: 'header', optional: true, hint: 'ETag of the version to replace' };
const items = { name: 'items', label: 'Items', in: 'json', as: 'lines', value: 'socks\nshoes', hint: 'one per line' };
const tax = { name: 'tax', label: 'Tax rate', in: 'json', as: 'number', value: '0.09', hint: '0.09 is 9 %' };
const costs = {
  name: 'costs', label: 'Prices', in: 'json', as: 'prices', value: 'socks: 5\nshoes: 60\nsweater: 30',
  hint: 'one per line, item: price',
};
const priceList = { name: 'price_list', label: 'Price list', in: 'json', value: 'shop' };
const priceListName = { name: 'name', label: 'Name', value: 'shop' };
const idempotencyKey = {
  name: 'Idempotency-Key', label: 'Idempotency-Key', in: 'header', optional: true,
  hint: 'a retry with the same key returns the existing receipt',
};
const userId = { name: 'user_id', label: 'User ID', value: '1' };
const username = { name: 'username', label: 'Name', in: 'json', value: 'August' };
const email = { name: 'email', label: 'E-mail', in: 'json', value: 'august@example.com' };
const run = { name: 'run', label: 'Run ID', hint: 'from Run spending asynchronously' };
const itemColumn = { name: 'item_column', label: 'Item column', in: 'json', value: 'item' };
const groupBy = { name: 'group_by', label: 'Group by column', in: 'json', optional: true, value: 'customer' };
const dataset = { name: 'dataset', label: 'Dataset ID', hint: 'from Load dataset' };
const csv = {
  name: 'csv', label: 'CSV', in: 'body', as: 'csv',
  value: 'customer,item,word\nAda,socks,yoda\nBob,shoes,best\nAda,socks,has\n',
  hint: 'column names in the first line; or choose a file of up to 64 MiB', maxBytes: 64 * 2 ** 20,
};
const respondAsync = { name: 'Prefer', in: 'header', value: 'respond-async', fixed: true };
const kata = (value) => ({ name: 'kata', in: 'json', value, fixed: true });

export const services = [
  {
    id: 'dictionary',
    title: 'Dictionary',
    description: 'Words and their definitions. Words are case-sensitive: Apple and apple are two entries.',
    operations: [
      { id: 'add', title: 'Add entry', method: 'POST', path: '/api/v1/newentry', fields: [{ ...word, in: 'json' }, definition] },
      { id: 'look', title: 'Look up word', method: 'GET', path: '/api/v1/look/{word}', fields: [word] },
      { id: 'list', title: 'List entries', method: 'GET', path: '/api/v1/entries', fields: [skip, limit('100')] },
      { id: 'delete', title: 'Delete entry', method: 'DELETE', path: '/api/v1/entries/{word}', fields: [word] },
      { id: 'put', title: 'Create or replace entry (v2)', method: 'PUT', path: '/api/v2/entries/{word}', fields: [word, definition, ifMatch] },
      { id: 'get', title: 'Get with ETag (v2)', method: 'GET', path: '/api/v2/entries/{word}', fields: [word] },
      {
        id: 'page', title: 'List entries in pages (v2)', method: 'GET', path: '/api/v2/entries',
        fields: [{ name: 'prefix', label: 'Prefix', in: 'query', optional: true, value: '' }, limit('50'), after],
      },
    ],
  },
  {
    id: 'spending',
    title: 'Spending',
    description: 'The total price of a list of items, with tax. The arithmetic is exact, and the total is rounded once.',
    operations: [
      { id: 'total', title: 'Calculate total', method: 'POST', path: '/api/v1/spending', fields: [costs, items, tax] },
      { id: 'put-list', title: 'Create or replace price list', method: 'PUT', path: '/api/v1/price-lists/{name}', fields: [priceListName, costs] },
      { id: 'get-list', title: 'Get price list', method: 'GET', path: '/api/v1/price-lists/{name}', fields: [priceListName] },
      { id: 'by-list', title: 'Calculate total from price list', method: 'POST', path: '/api/v1/spending', fields: [priceList, items, tax] },
      {
        id: 'receipt', title: 'Create receipt', method: 'POST', path: '/api/v1/receipts', fields: [priceList, items, tax, idempotencyKey],
        fills: { receipt: 'id' },
      },
      {
        id: 'get-receipt', title: 'Get receipt', method: 'GET', path: '/api/v1/receipts/{receipt}',
        fields: [{ name: 'receipt', label: 'Receipt ID', hint: 'from Create receipt' }],
      },
    ],
  },
  {
    id: 'nth-char',
    title: 'Nth-char',
    description: 'A word built from the first character of the first word, the second character of the second word, and so on.',
    operations: [
      {
        id: 'word', title: 'Build word', method: 'POST', path: '/api/v1/nth-char',
        fields: [{ name: 'words', label: 'Words', in: 'json', as: 'lines', value: 'yoda\nbest\nhas', hint: 'one per line' }],
      },
    ],
  },
  {
    id: 'users',
    title: 'Users',
    description: 'Users with a name and an e-mail address.',
    operations: [
      { id: 'add', title: 'Create user (v2)', method: 'POST', path: '/api/v2/users', fields: [username, email], fills: { user_id: 'id' } },
      { id: 'list', title: 'List users', method: 'GET', path: '/api/v1/users', fields: [skip, limit('100')] },
      { id: 'get', title: 'Get user', method: 'GET', path: '/api/v1/users/{user_id}', fields: [userId] },
      { id: 'put', title: 'Replace user (v2)', method: 'PUT', path: '/api/v2/users/{user_id}', fields: [userId, username, email, ifMatch] },
      {
        id: 'patch', title: 'Change user (v2)', method: 'PATCH', path: '/api/v2/users/{user_id}',
        fields: [userId, { ...username, optional: true }, { ...email, optional: true }, ifMatch],
      },
      { id: 'delete', title: 'Delete user (v2)', method: 'DELETE', path: '/api/v2/users/{user_id}', fields: [userId] },
    ],
  },
  {
    id: 'datasets',
    title: 'Datasets',
    description: 'Tables loaded from CSV. A run applies nth-char or spending to all rows of a table, at once or in the background.',
    operations: [
      {
        id: 'load', title: 'Load dataset', method: 'POST', path: '/api/v1/datasets',
        fields: [{ name: 'name', label: 'Name', in: 'query', value: 'purchases' }, csv],
        fills: { dataset: 'id' },
      },
      { id: 'list', title: 'List datasets', method: 'GET', path: '/api/v1/datasets', fields: [limit('50'), after] },
      { id: 'rows', title: 'List rows', method: 'GET', path: '/api/v1/datasets/{dataset}/rows', fields: [dataset, limit('50'), after] },
      { id: 'csv', title: 'Export as CSV', method: 'GET', path: '/api/v1/datasets/{dataset}/rows', accept: 'text/csv', fields: [dataset] },
      {
        id: 'run-nth-char', title: 'Run nth-char', method: 'POST', path: '/api/v1/datasets/{dataset}/runs',
        fields: [dataset, kata('nth-char'), { name: 'column', label: 'Column', in: 'json', value: 'word' }],
      },
      {
        id: 'run-spending', title: 'Run spending', method: 'POST', path: '/api/v1/datasets/{dataset}/runs',
        fields: [dataset, kata('spending'), itemColumn, priceList, tax, groupBy],
      },
      {
        id: 'run-async', title: 'Run spending asynchronously', method: 'POST', path: '/api/v1/datasets/{dataset}/runs',
        fields: [dataset, respondAsync, kata('spending'), itemColumn, priceList, tax, groupBy],
        fills: { run: 'id' },
      },
      {
        id: 'get-run', title: 'Get run', method: 'GET', path: '/api/v1/datasets/{dataset}/runs/{run}', fields: [dataset, run],
      },
      {
        id: 'delete-run', title: 'Delete run', method: 'DELETE', path: '/api/v1/datasets/{dataset}/runs/{run}', fields: [dataset, run],
      },
      { id: 'runs', title: 'List runs', method: 'GET', path: '/api/v1/datasets/{dataset}/runs', fields: [dataset, limit('50'), after] },
      { id: 'delete', title: 'Delete dataset', method: 'DELETE', path: '/api/v1/datasets/{dataset}', fields: [dataset] },
    ],
  },
];

// Requested one after the other when the page opens and on demand, never by a timer: an open page
// must not put load on the server.
export const probes = ['/.well-known/spin/health', '/health', '/db-check'];
