// Builds the request of an operation, and formats requests and responses. Does not access the
// document.

const string = (text) => JSON.stringify(text);
const splitLines = (text) => text.split('\n').map((line) => line.trim()).filter((line) => line !== '');

// Preserves the digits of a number, because a JavaScript number could lose some. Other text is sent
// as a string, so that the service reports the error.
const number = (text) => (/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? text : string(text));

function price(line) {
  const colon = line.lastIndexOf(':');
  const [item, digits] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1)];
  return `${string(item.trim())}: ${number(digits.trim())}`;
}

// Converts the text of a field to JSON, by the format of the field.
const toJson = {
  text: string,
  area: string,
  number: (text) => number(text.trim()),
  boolean: (text) => (/^(true|false)$/.test(text.trim()) ? text.trim() : string(text)),
  lines: (text) => `[${splitLines(text).map(string).join(', ')}]`,
  prices: (text) => `{${splitLines(text).map(price).join(', ')}}`,
};

// Returns the request of an operation. `valueOf` returns the text of a field, or the file chosen
// for it.
export function buildRequest(operation, valueOf, token) {
  const fields = operation.fields
    .map((field) => ({ ...field, value: valueOf(field) }))
    .filter((field) => !field.optional || field.value !== '');
  const fieldsIn = (place) => fields.filter((field) => field.in === place);

  const path = operation.path.replace(/{(\w+)}/g, (_, name) =>
    encodeURIComponent(fields.find((field) => field.name === name && !field.in).value));
  const query = new URLSearchParams(fieldsIn('query').map((field) => [field.name, field.value]));
  const headers = {};
  for (const field of fieldsIn('header')) headers[field.name] = field.value;
  if (operation.accept) headers.Accept = operation.accept;
  if (token) headers.Authorization = `Bearer ${token}`;

  let body;
  const members = fieldsIn('json').map((field) => `${string(field.name)}: ${toJson[field.as ?? 'text'](field.value)}`);
  if (members.length) {
    headers['Content-Type'] = 'application/json';
    body = `{${members.join(', ')}}`;
  }
  for (const field of fieldsIn('body')) {
    headers['Content-Type'] = 'text/csv';
    body = field.value;
  }
  return { method: operation.method, url: path + (query.size ? `?${query}` : ''), headers, body };
}

// Sends a request. While a file is sent, calls `onProgress` with the number of bytes sent and the size.
export function sendRequest(request, onProgress) {
  const { method, url, headers, body } = request;
  if (!(body instanceof File)) return fetch(url, { ...request, cache: 'no-store' });
  // fetch does not report progress.
  return new Promise((resolve, reject) => {
    const upload = new XMLHttpRequest();
    upload.open(method, url);
    for (const [name, value] of Object.entries(headers)) upload.setRequestHeader(name, value);
    upload.upload.onprogress = ({ loaded }) => onProgress(loaded, body.size);
    upload.onerror = () => reject(new Error('the connection failed'));
    upload.onload = () => {
      const lines = upload.getAllResponseHeaders().split('\r\n').filter((line) => line !== '');
      const { status, statusText, responseText } = upload;
      resolve(new Response(responseText, {
        status, statusText, headers: lines.map((line) => line.split(/: ?(.*)/s, 2)),
      }));
    };
    upload.send(body);
  });
}

// Returns the request as HTTP text, with the token redacted.
export function formatRequest({ method, url, headers, body }) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${redact(name, value, '…')}`);
  const text = body instanceof File ? `(${body.size} bytes of ${body.name})` : body;
  return [`${method} ${url}`, ...lines, ...(text === undefined ? [] : ['', text])].join('\n');
}

// Returns the request as a shell command, with the token as the variable TOKEN.
export function formatCurl({ method, url, headers, body }, origin) {
  const parts = ['curl -s'];
  if (method !== 'GET') parts.push(`-X ${method}`);
  parts.push(shellQuote(origin + url));
  for (const [name, value] of Object.entries(headers)) {
    const header = `${name}: ${redact(name, value, '$TOKEN')}`;
    parts.push(name === 'Authorization' ? `-H "${header}"` : `-H ${shellQuote(header)}`);
  }
  if (body instanceof File) parts.push(`--data-binary ${shellQuote(`@${body.name}`)}`);
  else if (body !== undefined) parts.push(`--data-binary ${shellQuote(body)}`);
  return parts.join(' ');
}

const redact = (name, value, replacement) => (name === 'Authorization' ? `Bearer ${replacement}` : value);
const shellQuote = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

// Indents JSON. Works on tokens, because JSON.parse could lose digits of numbers.
export function formatJson(text) {
  const tokens = text.match(/"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let indent = '\n';
  return tokens.map((token, index) => {
    const isEmpty = /[{[]/.test(tokens[index - 1] ?? '') && /[}\]]/.test(token);
    if (/[{[]/.test(token) && token.length === 1) {
      indent += '  ';
      return /[}\]]/.test(tokens[index + 1] ?? '') ? token : token + indent;
    }
    if (token === '}' || token === ']') {
      indent = indent.slice(0, -2);
      return isEmpty ? token : indent + token;
    }
    if (token === ',') return token + indent;
    return token === ':' ? ': ' : token;
  }).join('');
}
