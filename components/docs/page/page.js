// The playground. Its services and operations are in operations.js.

import { probes, services } from './operations.js';
import { buildRequest, formatCurl, formatJson, formatRequest, sendRequest } from './http.js';

const byId = (id) => document.getElementById(id);
const clone = (id) => byId(id).content.firstElementChild.cloneNode(true);

// Edited field values by the id of the control. They survive the selection of another operation of
// the same service.
const edited = {};

// The maximum number of characters of a response to show. The browser takes seconds to lay out more.
const MAX_SHOWN = 50_000;

// The response headers to show.
const HEADERS = [
  'content-type', 'api-version', 'etag', 'location', 'link', 'preference-applied', 'retry-after', 'allow',
  'www-authenticate',
];

function renderService(service) {
  const section = clone('service');
  section.id = service.id;
  section.setAttribute('aria-labelledby', `${service.id}-heading`);
  const heading = section.querySelector('h2');
  heading.id = `${service.id}-heading`;
  heading.textContent = service.title;
  section.querySelector('.about p').textContent = service.description;
  for (const operation of service.operations) {
    section.querySelector('.operations').append(renderOperation(section, service, operation));
  }
  section.querySelector('.copy').addEventListener('click', (event) => copyCurl(event.target, section));
  section.querySelector('.copy').hidden = !navigator.clipboard;
  byId('services').append(section);
  section.querySelector('.operations input').click();

  const link = document.createElement('a');
  link.href = `#${service.id}`;
  link.textContent = service.title;
  const item = document.createElement('li');
  item.append(link);
  byId('contents').append(item);
}

function renderOperation(section, service, operation) {
  const label = clone('operation');
  const radio = label.querySelector('input');
  radio.name = service.id;
  radio.value = operation.id;
  radio.addEventListener('change', () => selectOperation(section, operation));
  label.querySelector('.method').textContent = operation.method;
  label.querySelector('.name').textContent = operation.title;
  return label;
}

function selectOperation(section, operation) {
  const fields = operation.fields.filter((field) => !field.fixed);
  section.querySelector('.fields').replaceChildren(...fields.map((field) => renderField(section.id, field)));
  const form = section.querySelector('form');
  const request = () => buildRequest(operation, (field) => fieldValue(form, field), byId('token').value);
  const preview = () => {
    section.querySelector('.http').textContent = formatRequest(request());
    section.querySelector('.curl').textContent = formatCurl(request(), location.origin);
  };
  form.oninput = () => {
    for (const field of fields) saveEdit(form, field);
    preview();
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    preview();
    send(section, operation, request());
  };
  preview();
}

function renderField(serviceId, field) {
  const element = clone('field');
  const isMultiline = ['area', 'lines', 'prices', 'csv'].includes(field.as);
  const control = document.createElement(isMultiline ? 'textarea' : 'input');
  control.id = `${serviceId}-${field.name}`;
  control.name = field.name;
  control.value = edited[control.id] ?? field.value ?? '';
  control.required = !field.in;
  control.spellcheck = false;
  control.autocomplete = 'off';
  control.setAttribute('aria-describedby', `${control.id}-hint ${control.id}-error`);
  if (isMultiline) control.rows = control.value.split('\n').length + 1;
  const label = element.querySelector('label');
  label.htmlFor = control.id;
  label.textContent = field.label;
  label.after(control);
  const hint = element.querySelector('.hint');
  hint.id = `${control.id}-hint`;
  hint.textContent = [field.optional && 'optional', field.hint].filter(Boolean).join('; ');
  element.querySelector('.error').id = `${control.id}-error`;
  if (field.as === 'csv') control.after(createFileInput(control, field.maxBytes));
  return element;
}

// A chosen file replaces the text of the control. The form cannot be submitted with a larger one.
function createFileInput(control, maxBytes) {
  const input = document.createElement('input');
  input.type = 'file';
  input.name = `${control.name}-file`;
  input.accept = '.csv,text/csv';
  input.setAttribute('aria-label', 'CSV file');
  input.addEventListener('change', () => {
    const isTooLarge = input.files[0]?.size > maxBytes;
    const message = isTooLarge ? `The file is larger than ${maxBytes / 2 ** 20} MiB.` : '';
    input.setCustomValidity(message);
    input.closest('.field').querySelector('.error').textContent = message;
  });
  return input;
}

function fieldValue(form, field) {
  if (field.fixed) return field.value;
  return form.elements[`${field.name}-file`]?.files[0] ?? form.elements[field.name].value;
}

function saveEdit(form, field) {
  const { id, value } = form.elements[field.name];
  if (value === (field.value ?? '')) delete edited[id];
  else edited[id] = value;
}

// The number of the last request of each section, which ends the polling for earlier ones.
const requests = new Map();

async function send(section, operation, request) {
  const number = (requests.get(section) ?? 0) + 1;
  requests.set(section, number);
  section.querySelector('progress').hidden = true;
  const button = section.querySelector('.send');
  const outcome = section.querySelector('.outcome');
  button.disabled = true;
  outcome.textContent = 'Waiting for the response…';
  const start = performance.now();
  try {
    const response = await sendRequest(request, (sent, total) => {
      outcome.textContent = `Sent ${sent.toLocaleString()} of ${total.toLocaleString()} bytes…`;
    });
    const text = await response.text();
    const duration = performance.now() - start;
    showResponse(section, response, text, duration);
    showFieldErrors(section, text);
    if (response.ok) fillFields(section, operation, text);
    if (response.status === 202) {
      showProgress(section, parseJson(text)?.progress);
      poll(section, number, response);
    }
  } catch (error) {
    section.querySelector('.response').dataset.outcome = 'failed';
    outcome.textContent = `No response: ${error.message}`;
    section.querySelector('.headers').replaceChildren();
    section.querySelector('.body').hidden = true;
  } finally {
    button.disabled = false;
  }
}

// Polls a run until it is finished or another request is sent, at the intervals that the server asks
// for, and shows its progress.
async function poll(section, number, accepted) {
  const url = accepted.headers.get('location');
  let wait = accepted.headers.get('retry-after');
  while (wait) {
    await new Promise((resolve) => { setTimeout(resolve, wait * 1000); });
    if (requests.get(section) !== number) return;
    try {
      const start = performance.now();
      const response = await fetch(url, { cache: 'no-store' });
      const text = await response.text();
      if (requests.get(section) !== number) return;
      // A finished run has no Retry-After, and neither has a deleted one.
      wait = response.headers.get('retry-after');
      showResponse(section, response, text, performance.now() - start);
      showProgress(section, response.ok ? parseJson(text)?.progress : undefined);
    } catch {
      // The next attempt may succeed.
    }
  }
}

function showProgress(section, progress) {
  const bar = section.querySelector('progress');
  bar.hidden = !progress;
  if (!progress) return;
  [bar.max, bar.value] = [progress.total, progress.done];
  bar.textContent = `${progress.done} of ${progress.total} parts`;
}

function showResponse(section, response, text, duration) {
  const size = new Blob([text]).size;
  section.querySelector('.response').dataset.outcome = response.ok ? 'good' : 'failed';
  section.querySelector('.outcome').textContent =
    `${response.status} ${response.statusText}, ${size} bytes in ${duration.toFixed(1)} ms`;
  const rows = HEADERS.filter((name) => response.headers.has(name)).flatMap((name) => {
    const [term, value] = [document.createElement('dt'), document.createElement('dd')];
    term.textContent = name;
    value.textContent = response.headers.get(name);
    return [term, value];
  });
  section.querySelector('.headers').replaceChildren(...rows);
  const body = section.querySelector('.body');
  const formatted = isJson(response) ? formatJson(text) : text;
  const rest = formatted.length - MAX_SHOWN;
  body.textContent = rest > 0 ? `${formatted.slice(0, MAX_SHOWN)}\n… ${rest} more characters` : formatted;
  body.hidden = text === '';
}

const isJson = (response) => /^application\/(.+\+)?json$/.test(response.headers.get('content-type') ?? '');

// Returns undefined if the text is not JSON.
const parseJson = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

// Shows the validation errors of a response at the fields that they refer to.
function showFieldErrors(section, text) {
  const errors = parseJson(text)?.errors ?? [];
  for (const element of section.querySelectorAll('.field')) {
    const control = element.querySelector('input, textarea');
    const fieldErrors = errors.filter(({ pointer }) => pointer.split('/')[1] === control.name);
    element.querySelector('.error').textContent = fieldErrors.map(({ detail }) => detail).join('; ');
    if (fieldErrors.length) control.setAttribute('aria-invalid', 'true');
    else control.removeAttribute('aria-invalid');
  }
}

// Copies members of a response into the fields of other operations, as `fills` specifies.
function fillFields(section, operation, text) {
  const body = parseJson(text);
  for (const [field, member] of Object.entries(operation.fills ?? {})) {
    if (body?.[member] !== undefined) edited[`${section.id}-${field}`] = String(body[member]);
  }
}

async function copyCurl(button, section) {
  const label = button.textContent;
  await navigator.clipboard.writeText(section.querySelector('.curl').textContent);
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = label; }, 2000);
}

async function checkProbes() {
  byId('check').disabled = true;
  for (const element of byId('probes').children) await checkProbe(element);
  byId('check').disabled = false;
}

async function checkProbe(element) {
  const state = element.querySelector('.state');
  const start = performance.now();
  try {
    const response = await fetch(element.querySelector('.path').textContent, {
      cache: 'no-store', signal: AbortSignal.timeout(10_000),
    });
    const detail = parseJson(await response.text())?.detail;
    const duration = (performance.now() - start).toFixed(0);
    element.dataset.outcome = response.ok ? 'good' : 'failed';
    state.textContent = [`${response.status} in ${duration} ms`, detail].filter(Boolean).join(': ');
  } catch (error) {
    element.dataset.outcome = 'failed';
    state.textContent = `no response: ${error.message}`;
  }
}

for (const path of probes) {
  const element = clone('probe');
  element.querySelector('.path').textContent = path;
  byId('probes').append(element);
}
byId('check').addEventListener('click', checkProbes);
byId('token').addEventListener('input', () => {
  for (const form of document.forms) form.oninput();
});
services.forEach(renderService);
// When the page loaded, the section in the URL did not exist yet.
if (location.hash) document.querySelector(location.hash)?.scrollIntoView();
checkProbes();
