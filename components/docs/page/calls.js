// What can be tried on the page: each kata with its calls, each call with its fields.
//
// A field of a call stands in the path where that has `{name}`, else where `in` says: `query`,
// `header`, `json` (a field of the body) or `body` (all of it). `as` says how its text becomes a
// value: `text` as it is, `number`, `lines` (a list), `prices` (an object of numbers, a line each).
// An `optional` field is left out when it is empty. Where an answer has `keeps: { field: 'member' }`, the
// fields of that name take its value, so that what was created can be looked at.

const word = { name: 'word', label: 'Word', value: 'Apple' };
const definition = { name: 'definition', label: 'Definition', in: 'json', as: 'area', value: 'A fruit' };
const after = { name: 'after', label: 'After', in: 'query', optional: true, hint: 'the next of the page before' };
const limit = (value) => ({ name: 'limit', label: 'Limit', in: 'query', optional: true, value });
const skip = { name: 'skip', label: 'Skip', in: 'query', optional: true, value: '0' };
const ifMatch = { name: 'If-Match', label: 'If-Match', in: 'header', optional: true, hint: 'the ETag of what was read' };
const items = { name: 'items', label: 'Items', in: 'json', as: 'lines', value: 'socks\nshoes', hint: 'one a line' };
const tax = { name: 'tax', label: 'Tax', in: 'json', as: 'number', value: '0.09', hint: 'of 1: 0.09 is nine per cent' };
const costs = {
  name: 'costs', label: 'Costs', in: 'json', as: 'prices', value: 'socks: 5\nshoes: 60\nsweater: 30',
  hint: 'one a line, item: price',
};
const priceList = { name: 'price_list', label: 'Price list', in: 'json', value: 'shop' };
const listName = { name: 'name', label: 'Name', value: 'shop' };
const key = {
  name: 'Idempotency-Key', label: 'Idempotency-Key', in: 'header', optional: true,
  hint: 'sent again, it is answered with the first receipt',
};
const userId = { name: 'user_id', label: 'User id', value: '1' };
const username = { name: 'username', label: 'Name', in: 'json', value: 'August' };
const email = { name: 'email', label: 'E-mail', in: 'json', value: 'august@example.com' };
const dataset = { name: 'dataset', label: 'Dataset id', hint: 'from loading one' };
const csv = {
  name: 'csv', label: 'CSV', in: 'body', as: 'csv',
  value: 'customer,item,word\nAda,socks,yoda\nBob,shoes,best\nAda,socks,has\n',
  hint: 'column names first; or choose a file',
};
const kata = (value) => ({ name: 'kata', in: 'json', value, fixed: true });

export const katas = [
  {
    id: 'dictionary',
    title: 'Dictionary',
    about: 'Words and what they mean. Apple and apple are two words.',
    calls: [
      { id: 'add', title: 'Add a word', method: 'POST', path: '/api/v1/newentry', fields: [{ ...word, in: 'json' }, definition] },
      { id: 'look', title: 'Look it up', method: 'GET', path: '/api/v1/look/{word}', fields: [word] },
      { id: 'list', title: 'List the words', method: 'GET', path: '/api/v1/entries', fields: [skip, limit('100')] },
      { id: 'remove', title: 'Remove it', method: 'DELETE', path: '/api/v1/entries/{word}', fields: [word] },
      { id: 'put', title: 'Create or replace (v2)', method: 'PUT', path: '/api/v2/entries/{word}', fields: [word, definition, ifMatch] },
      { id: 'get', title: 'Read with its tag (v2)', method: 'GET', path: '/api/v2/entries/{word}', fields: [word] },
      {
        id: 'page', title: 'Page through (v2)', method: 'GET', path: '/api/v2/entries',
        fields: [{ name: 'prefix', label: 'Prefix', in: 'query', optional: true, value: '' }, limit('50'), after],
      },
    ],
  },
  {
    id: 'spending',
    title: 'Spending',
    about: 'How much will you spend? Exact to the digit, rounded once, at the end.',
    calls: [
      { id: 'total', title: 'Add it up', method: 'POST', path: '/api/v1/spending', fields: [costs, items, tax] },
      { id: 'put-list', title: 'Keep a price list', method: 'PUT', path: '/api/v1/price-lists/{name}', fields: [listName, costs] },
      { id: 'get-list', title: 'Look at it', method: 'GET', path: '/api/v1/price-lists/{name}', fields: [listName] },
      { id: 'by-list', title: 'Add up by price list', method: 'POST', path: '/api/v1/spending', fields: [priceList, items, tax] },
      {
        id: 'receipt', title: 'Buy, for a receipt', method: 'POST', path: '/api/v1/receipts', fields: [priceList, items, tax, key],
        keeps: { receipt: 'id' },
      },
      {
        id: 'get-receipt', title: 'Look at the receipt', method: 'GET', path: '/api/v1/receipts/{receipt}',
        fields: [{ name: 'receipt', label: 'Receipt id', hint: 'from buying' }],
      },
    ],
  },
  {
    id: 'nth-char',
    title: 'Nth-char',
    about: 'The first letter of the first word, the second of the second, and so on, make a word.',
    calls: [
      {
        id: 'word', title: 'Find the word', method: 'POST', path: '/api/v1/nth-char',
        fields: [{ name: 'words', label: 'Words', in: 'json', as: 'lines', value: 'yoda\nbest\nhas', hint: 'one a line' }],
      },
    ],
  },
  {
    id: 'users',
    title: 'Users',
    about: 'People with a name and an e-mail address.',
    calls: [
      { id: 'add', title: 'Add one', method: 'POST', path: '/api/v2/users', fields: [username, email], keeps: { user_id: 'id' } },
      { id: 'list', title: 'List them', method: 'GET', path: '/api/v1/users', fields: [skip, limit('100')] },
      { id: 'get', title: 'Look at one', method: 'GET', path: '/api/v1/users/{user_id}', fields: [userId] },
      { id: 'put', title: 'Change one', method: 'PUT', path: '/api/v2/users/{user_id}', fields: [userId, username, email, ifMatch] },
      { id: 'remove', title: 'Remove one', method: 'DELETE', path: '/api/v2/users/{user_id}', fields: [userId] },
    ],
  },
  {
    id: 'datasets',
    title: 'Datasets',
    about: 'Lists kept as CSV, and katas run over all of their rows.',
    calls: [
      {
        id: 'load', title: 'Load one', method: 'POST', path: '/api/v1/datasets',
        fields: [{ name: 'name', label: 'Name', in: 'query', value: 'purchases' }, csv],
        keeps: { dataset: 'id' },
      },
      { id: 'list', title: 'List them', method: 'GET', path: '/api/v1/datasets', fields: [limit('50'), after] },
      { id: 'rows', title: 'Look at its rows', method: 'GET', path: '/api/v1/datasets/{dataset}/rows', fields: [dataset, limit('50'), after] },
      { id: 'csv', title: 'Get it back as CSV', method: 'GET', path: '/api/v1/datasets/{dataset}/rows', accept: 'text/csv', fields: [dataset] },
      {
        id: 'run-nth-char', title: 'Run nth-char on it', method: 'POST', path: '/api/v1/datasets/{dataset}/runs',
        fields: [dataset, kata('nth-char'), { name: 'column', label: 'Column', in: 'json', value: 'word' }],
      },
      {
        id: 'run-spending', title: 'Run spending on it', method: 'POST', path: '/api/v1/datasets/{dataset}/runs',
        fields: [
          dataset, kata('spending'),
          { name: 'item_column', label: 'Column of items', in: 'json', value: 'item' },
          priceList, tax,
          { name: 'group_by', label: 'A total for each', in: 'json', optional: true, value: 'customer' },
        ],
      },
      { id: 'runs', title: 'List its runs', method: 'GET', path: '/api/v1/datasets/{dataset}/runs', fields: [dataset, limit('50'), after] },
      { id: 'remove', title: 'Remove it', method: 'DELETE', path: '/api/v1/datasets/{dataset}', fields: [dataset] },
    ],
  },
];

// Asked when the page is opened and when somebody says so, one after the other, never by a clock:
// a page that is left open must not burden the server.
export const probes = ['/.well-known/spin/health', '/health', '/db-check'];
