// Drawing, data, events, requests and the URL. State lives in plain objects; whatever changes it calls `draw`, and the
// whole page is drawn again on the next frame. What a screen needs it asks for while it is drawn (`use`, `data`); what
// no drawing asks for any more is dropped.
import { h, htm, render } from './preact.js';

// Texts of tasks are not trusted. They become text nodes only; here, where every element is made, escape sequences are
// taken out of them, and characters that control a display, change the direction of writing or are unseen become numbers.
const ESCAPES = /\x1b(?:\[[\d;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))|\r(?=\n)/g;
const UNSEEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const number = (it) => `⟨${it.codePointAt(0).toString(16).padStart(2, '0')}⟩`;
const cleaned = new Map();
export function clean(text) {
	if (cleaned.has(text)) return cleaned.get(text);
	const safe = text.replace(ESCAPES, '').replace(UNSEEN, number);
	if (text.length > 5000) {
		if (cleaned.size > 20) cleaned.clear();
		cleaned.set(text, safe);
	}
	return safe;
}
const child = (it) => (typeof it === 'string' ? clean(it) : Array.isArray(it) ? it.map(child) : it);
export const html = htm.bind((type, props, ...children) => {
	for (const name of ['title', 'aria-label']) if (props?.[name]) props[name] = clean(`${props[name]}`);
	return h(type, props, ...children.map(child));
});

let view, asked, frame = 0;
const uses = new Map();
/** Asks for a frame. A hidden page gets none. */
export function draw() {
	asked ||= requestAnimationFrame(() => {
		asked = 0;
		frame++;
		render(view(), document.body);
		for (const [key, it] of uses) if (it.frame < frame) { uses.delete(key); it.stop?.(); }
	});
}
export const start = (app) => { view = app; draw(); };
/** What `make` returned, while each drawing asks for it; then its `stop` is called. */
export function use(key, make) {
	if (!uses.has(key)) uses.set(key, make());
	const it = uses.get(key);
	it.frame = frame;
	return it;
}

// `hello`: the answer of GET /v1/hello, null before the login; `cause`: why there is no connection.
export const session = { hello: null, cause: null };
export const can = (right) => !right || !!session.hello?.rights?.includes(right);

/** Sends a request of REST /v1. Throws an error with `status` (0: no answer) and the problem's `code`. */
export async function api(method, path, body) {
	const fail = (status, { detail, title, code }) => {
		const error = Object.assign(new Error(detail || title || `The gateway answered ${status}.`), { status, code });
		if (!status || (status > 501 && status < 505)) session.cause = error.message;
		return error;
	};
	const headers = { 'x-kirosu-csrf': '1', ...(body && { 'content-type': 'application/json' }) };
	const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: 'no-store' })
		.catch(() => { throw fail(0, { detail: 'The gateway does not answer. Is kirosu running?' }); });
	const value = await answer.json().catch(() => ({}));
	if (session.cause && answer.status < 502) {
		session.cause = null;
		stale();
		connect();
	}
	if (answer.ok) return value;
	if (answer.status === 401 && session.hello) leave();
	throw fail(answer.status, value);
}
export const get = (path, query) => api('GET', path + search(query));
export function search(query = {}) {
	const given = Object.entries(query).filter(([, it]) => it !== undefined && it !== '' && it !== null);
	return given.length ? `?${new URLSearchParams(given)}` : '';
}
export function leave() {
	session.hello = null;
	disconnect();
	draw();
}

// The URL holds what is shown: #/SCREEN/ID?PARAMETERS.
export function route() {
	const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
	const [screen, id] = path.split('/');
	return { screen: screen || 'overview', id, query: Object.fromEntries(new URLSearchParams(query)) };
}
export const href = (screen, id, query) => `#/${screen}${id ? `/${encodeURIComponent(id)}` : ''}${search(query)}`;

/**
 * The answer of GET `path` as `value`, or `error`. It is read again after an event for which `on` holds (at most once a second,
 * less often where answers are slow), each `every` seconds, and after events were lost. `patch(value, events)` changes it in place.
 */
export function data(path, query, { on, every, patch } = {}) {
	const url = path + search(query);
	const it = use(url, () => ({ url, due: 0 }));
	Object.assign(it, { on, every, patch, reload: () => load(it) });
	if (!it.due) load(it);
	return it;
}
async function load(it) {
	const began = performance.now();
	it.due = Infinity;
	it.busy = true;
	try { Object.assign(it, { value: await api('GET', it.url), error: null }); } catch (error) { it.error = error; }
	it.busy = false;
	const end = performance.now();
	it.free = end + Math.max(1000, 4 * (end - began));
	it.due = Math.min(Math.max(it.due, it.free), it.every ? end + it.every * 1000 : Infinity);
	draw();
}
const stale = () => { for (const it of uses.values()) if (it.url) it.due = 1; };
let tick = 0;
setInterval(() => {
	if (document.hidden || !session.hello) return;
	const now = performance.now();
	for (const it of uses.values()) if (it.due <= now && !it.busy && (!session.cause || it.every === 2)) load(it);
	if (tick++ % 4 === 0) draw(); // ages
}, 250);

// The page's one stream of events. It is closed while the page is hidden; the id of the last event resumes it.
const KINDS = 'task,approval,progress,session,actor,queue,run,step,schedule,hub';
export const hearers = new Set();
let source, last = '', pause = 0, timer, news = [];
function receive(message) {
	last = message.lastEventId || last;
	const value = JSON.parse(message.data);
	if (!news.length) requestAnimationFrame(spread);
	news.push(...(value.events || [{ event: message.type, ...value }]));
}
function spread() {
	const events = news;
	news = [];
	for (const hear of hearers) hear(events);
	for (const it of uses.values()) {
		if (it.value) it.patch?.(it.value, events);
		if (it.on && events.some(it.on)) it.due = Math.min(it.due, it.free || 0);
	}
	draw();
}
export function connect() {
	if (source || document.hidden || !session.hello) return;
	const own = source = new EventSource(`/v1/events${search({ coalesce: 100, kinds: KINDS, since: last })}`);
	own.onopen = () => { pause = 0; if (!last) stale(); };
	for (const kind of ['batch', 'event', 'approval']) own.addEventListener(kind, receive);
	own.addEventListener('gap', ({ lastEventId }) => { last = lastEventId; stale(); });
	own.onerror = () => { if (own === source) { disconnect(); explain(); } };
}
function disconnect() {
	source?.close();
	source = null;
	clearTimeout(timer);
}
/** A stream does not say why it broke; another request does. Then it is opened again, after up to five seconds. */
async function explain() {
	pause = Math.min(5000, pause * 2 || 250);
	timer = setTimeout(connect, pause);
	await api('GET', '/v1/stats').catch(draw);
}
document.addEventListener('visibilitychange', () => {
	disconnect();
	stale();
	connect();
	draw();
});
