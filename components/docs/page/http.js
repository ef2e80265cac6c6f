// From a call and its values to a request, and from a request to text. Knows nothing of the page.

const string = (text) => JSON.stringify(text);
const lines = (text) => text.split('\n').map((line) => line.trim()).filter((line) => line !== '');

// The digits as they were typed: a number of JavaScript would lose some. What is no number is sent as
// the text it is, for the service to refuse.
const number = (text) => (/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? text : string(text));

function price(line) {
  const colon = line.lastIndexOf(':');
  const [item, digits] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1)];
  return `${string(item.trim())}: ${number(digits.trim())}`;
}

// From the text of a field to JSON.
const json = {
  text: string,
  area: string,
  number: (text) => number(text.trim()),
  lines: (text) => `[${lines(text).map(string).join(', ')}]`,
  prices: (text) => `{${lines(text).map(price).join(', ')}}`,
};

// The request that a call stands for. `value` gives a field's text, or the file chosen for it.
export function requestOf(call, value, token) {
  const given = call.fields
    .map((field) => ({ ...field, value: value(field) }))
    .filter((field) => !field.optional || field.value !== '');
  const all = (place) => given.filter((field) => field.in === place);

  const path = call.path.replace(/{(\w+)}/g, (_, name) =>
    encodeURIComponent(given.find((field) => field.name === name && !field.in).value));
  const query = new URLSearchParams(all('query').map((field) => [field.name, field.value]));
  const headers = {};
  for (const field of all('header')) headers[field.name] = field.value;
  if (call.accept) headers.Accept = call.accept;
  if (token && call.method !== 'GET') headers.Authorization = `Bearer ${token}`;

  let body;
  const members = all('json').map((field) => `${string(field.name)}: ${json[field.as ?? 'text'](field.value)}`);
  if (members.length) {
    headers['Content-Type'] = 'application/json';
    body = `{${members.join(', ')}}`;
  }
  for (const field of all('body')) {
    headers['Content-Type'] = 'text/csv';
    body = field.value;
  }
  return { method: call.method, url: path + (query.size ? `?${query}` : ''), headers, body };
}

// The request as it travels, but for the token: that is nobody's to read over a shoulder.
export function asText({ method, url, headers, body }) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${hidden(name, value, '…')}`);
  const text = body instanceof File ? `the ${body.size} bytes of ${body.name}` : body;
  return [`${method} ${url}`, ...lines, ...(text === undefined ? [] : ['', text])].join('\n');
}

// The request as a command for a shell.
export function asCurl({ method, url, headers, body }, origin) {
  const parts = ['curl -s'];
  if (method !== 'GET') parts.push(`-X ${method}`);
  parts.push(quoted(origin + url));
  for (const [name, value] of Object.entries(headers)) {
    const header = `${name}: ${hidden(name, value, '$TOKEN')}`;
    parts.push(name === 'Authorization' ? `-H "${header}"` : `-H ${quoted(header)}`);
  }
  if (body instanceof File) parts.push(`--data-binary ${quoted(`@${body.name}`)}`);
  else if (body !== undefined) parts.push(`--data-binary ${quoted(body)}`);
  return parts.join(' ');
}

const hidden = (name, value, instead) => (name === 'Authorization' ? `Bearer ${instead}` : value);
const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

// JSON with a member a line, and otherwise as it came: numbers keep their digits.
export function pretty(text) {
  const tokens = text.match(/"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let indent = '\n';
  return tokens.map((token, index) => {
    const empty = /[{[]/.test(tokens[index - 1] ?? '') && /[}\]]/.test(token);
    if (/[{[]/.test(token) && token.length === 1) {
      indent += '  ';
      return /[}\]]/.test(tokens[index + 1] ?? '') ? token : token + indent;
    }
    if (token === '}' || token === ']') {
      indent = indent.slice(0, -2);
      return empty ? token : indent + token;
    }
    if (token === ',') return token + indent;
    return token === ':' ? ': ' : token;
  }).join('');
}
