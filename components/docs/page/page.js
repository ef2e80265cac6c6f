// The page where every kata can be tried. What there is to try is in calls.js.

import { katas, probes } from './calls.js';
import { asCurl, asText, pretty, requestOf } from './http.js';

const byId = (id) => document.getElementById(id);
const clone = (id) => byId(id).content.firstElementChild.cloneNode(true);

// What somebody has typed, by the id of the control: it stays when they turn to another call of the
// same kata.
const typed = {};

// More of an answer than this nobody reads, and laying it out takes the browser seconds.
const SHOWN = 50_000;

// The headers that say something about the API.
const HEADERS = [
  'content-type', 'api-version', 'etag', 'location', 'link', 'retry-after', 'allow', 'www-authenticate',
];

function show(kata) {
  const section = clone('kata');
  section.id = kata.id;
  section.setAttribute('aria-labelledby', `${kata.id}-heading`);
  const heading = section.querySelector('h2');
  heading.id = `${kata.id}-heading`;
  heading.textContent = kata.title;
  section.querySelector('.about p').textContent = kata.about;
  for (const call of kata.calls) section.querySelector('.calls').append(choice(section, kata, call));
  section.querySelector('.copy').addEventListener('click', (event) => copy(event.target, section));
  section.querySelector('.copy').hidden = !navigator.clipboard;
  byId('katas').append(section);
  section.querySelector('.calls input').click();

  const link = document.createElement('a');
  link.href = `#${kata.id}`;
  link.textContent = kata.title;
  const item = document.createElement('li');
  item.append(link);
  byId('contents').append(item);
}

function choice(section, kata, call) {
  const label = clone('call');
  const radio = label.querySelector('input');
  radio.name = kata.id;
  radio.value = call.id;
  radio.addEventListener('change', () => choose(section, call));
  label.querySelector('.method').textContent = call.method;
  label.querySelector('.name').textContent = call.title;
  return label;
}

function choose(section, call) {
  const shown = call.fields.filter((field) => !field.fixed);
  const fields = shown.map((field) => fieldOf(section.id, field));
  section.querySelector('.fields').replaceChildren(...fields);
  const form = section.querySelector('form');
  const request = () => requestOf(call, (field) => valueIn(form, field), byId('token').value);
  const preview = () => {
    section.querySelector('.http').textContent = asText(request());
    section.querySelector('.curl').textContent = asCurl(request(), location.origin);
  };
  form.oninput = () => {
    for (const field of shown) remember(form, field);
    preview();
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    preview();
    send(section, call, request());
  };
  preview();
}

function fieldOf(id, field) {
  const element = clone('field');
  const many = ['area', 'lines', 'prices', 'csv'].includes(field.as);
  const control = document.createElement(many ? 'textarea' : 'input');
  control.id = `${id}-${field.name}`;
  control.name = field.name;
  control.value = typed[control.id] ?? field.value ?? '';
  control.required = !field.in;
  control.spellcheck = false;
  control.autocomplete = 'off';
  control.setAttribute('aria-describedby', `${control.id}-hint ${control.id}-error`);
  if (many) control.rows = control.value.split('\n').length + 1;
  const label = element.querySelector('label');
  label.htmlFor = control.id;
  label.textContent = field.label;
  label.after(control);
  const hint = element.querySelector('.hint');
  hint.id = `${control.id}-hint`;
  hint.textContent = [field.optional && 'optional', field.hint].filter(Boolean).join('; ');
  element.querySelector('.error').id = `${control.id}-error`;
  if (field.as === 'csv') control.after(fileFor(control));
  return element;
}

// A file in place of the text above it.
function fileFor(control) {
  const file = document.createElement('input');
  file.type = 'file';
  file.name = `${control.name}-file`;
  file.accept = '.csv,text/csv';
  file.setAttribute('aria-label', 'A CSV file');
  return file;
}

function valueIn(form, field) {
  if (field.fixed) return field.value;
  return form.elements[`${field.name}-file`]?.files[0] ?? form.elements[field.name].value;
}

function remember(form, field) {
  const { id, value } = form.elements[field.name];
  if (value === (field.value ?? '')) delete typed[id];
  else typed[id] = value;
}

async function send(section, call, request) {
  const button = section.querySelector('.send');
  const outcome = section.querySelector('.outcome');
  button.disabled = true;
  outcome.textContent = 'Sent; waiting.';
  const start = performance.now();
  try {
    const response = await fetch(request.url, { ...request, cache: 'no-store' });
    const text = await response.text();
    const took = performance.now() - start;
    answered(section, response, text, took);
    tellFields(section, text);
    if (response.ok) keep(section, call, text);
  } catch (error) {
    section.querySelector('.response').dataset.outcome = 'failed';
    outcome.textContent = `No answer: ${error.message}`;
    section.querySelector('.headers').replaceChildren();
    section.querySelector('.body').hidden = true;
  } finally {
    button.disabled = false;
  }
}

function answered(section, response, text, took) {
  const size = new Blob([text]).size;
  section.querySelector('.response').dataset.outcome = response.ok ? 'good' : 'failed';
  section.querySelector('.outcome').textContent =
    `${response.status} ${response.statusText}, ${size} bytes in ${took.toFixed(1)} ms`;
  const rows = HEADERS.filter((name) => response.headers.has(name)).flatMap((name) => {
    const [term, value] = [document.createElement('dt'), document.createElement('dd')];
    term.textContent = name;
    value.textContent = response.headers.get(name);
    return [term, value];
  });
  section.querySelector('.headers').replaceChildren(...rows);
  const body = section.querySelector('.body');
  const whole = isJson(response) ? pretty(text) : text;
  const more = whole.length - SHOWN;
  body.textContent = more > 0 ? `${whole.slice(0, SHOWN)}\n… and ${more} more characters` : whole;
  body.hidden = text === '';
}

const isJson = (response) => /^application\/(.+\+)?json$/.test(response.headers.get('content-type') ?? '');

const parsed = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

// Puts what is wrong with a field beside it.
function tellFields(section, text) {
  const errors = parsed(text)?.errors ?? [];
  for (const element of section.querySelectorAll('.field')) {
    const control = element.querySelector('input, textarea');
    const told = errors.filter(({ pointer }) => pointer.split('/')[1] === control.name);
    element.querySelector('.error').textContent = told.map(({ detail }) => detail).join('; ');
    if (told.length) control.setAttribute('aria-invalid', 'true');
    else control.removeAttribute('aria-invalid');
  }
}

// What was created, for the calls that look at it.
function keep(section, call, text) {
  const answer = parsed(text);
  for (const [field, member] of Object.entries(call.keeps ?? {})) {
    if (answer?.[member] !== undefined) typed[`${section.id}-${field}`] = String(answer[member]);
  }
}

async function copy(button, section) {
  const label = button.textContent;
  await navigator.clipboard.writeText(section.querySelector('.curl').textContent);
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = label; }, 2000);
}

// Asks the probes one after the other.
async function check() {
  byId('check').disabled = true;
  for (const element of byId('probes').children) await ask(element);
  byId('check').disabled = false;
}

async function ask(element) {
  const state = element.querySelector('.state');
  const start = performance.now();
  try {
    const response = await fetch(element.querySelector('.path').textContent, {
      cache: 'no-store', signal: AbortSignal.timeout(10_000),
    });
    const detail = parsed(await response.text())?.detail;
    const took = (performance.now() - start).toFixed(0);
    element.dataset.outcome = response.ok ? 'good' : 'failed';
    state.textContent = [`${response.status} in ${took} ms`, detail].filter(Boolean).join(': ');
  } catch (error) {
    element.dataset.outcome = 'failed';
    state.textContent = `no answer: ${error.message}`;
  }
}

for (const path of probes) {
  const element = clone('probe');
  element.querySelector('.path').textContent = path;
  byId('probes').append(element);
}
byId('check').addEventListener('click', check);
byId('token').addEventListener('input', () => {
  for (const form of document.forms) form.oninput();
});
for (const kata of katas) show(kata);
// The sections were not there when the browser looked for the one that the address names.
if (location.hash) document.querySelector(location.hash)?.scrollIntoView();
check();
