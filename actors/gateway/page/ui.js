// Parts that several screens share: formats for people, tables, buttons, the dialog, charts.
import { api, can, clean, data, draw, href, html } from './core.js';

// Moments are in Unix seconds, durations in seconds.
const whole = new Intl.NumberFormat('en-GB');
const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });
export const now = () => Date.now() / 1000;
export const count = (n) => (n >= 100000 ? short : whole).format(Math.round(n || 0));
export const usd = (n) => `$${n && n < 1 ? n.toFixed(4) : n.toFixed(2)}`;
export const clock = (at) => new Date(at * 1000).toLocaleString('sv-SE'); // 2026-12-01 14:54:26
export function span(s) {
	if (s < 1) return `${Math.max(0, Math.round(s * 1000))} ms`;
	if (s < 90) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
	if (s < 5400) return `${Math.round(s / 60)} min`;
	return s < 172800 ? `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min` : `${Math.round(s / 86400)} days`;
}
/** How long ago a moment was, or `in` how long it comes. */
export const age = (at) => at ? html`<time datetime=${new Date(at * 1000).toISOString()} title=${clock(at)}>${at > now() + 1 ? `in ${span(at - now())}` : now() - at < 1 ? '<1 s' : span(now() - at)}</time>` : '–';
export const line = (text) => (text || '').trim().split('\n', 1)[0].slice(0, 300);
export const pretty = (value) => JSON.stringify(value, null, 2);
const NAMES = { leased: 'running', awaiting_approval: 'needs approval' };
export const named = (state) => NAMES[state] || `${state}`.replaceAll('_', ' ');
export const state = (of) => of && html`<span class="state" data-state=${of}>${named(of)}</span>`;
export const link = (screen, id, text = id, query) => html`<a data-row href=${href(screen, id, query)}>${text}</a>`;
const task = (id) => id && link('tasks', id);
const some = (n) => n ? count(n) : '';
const FORMATS = { age, clock, count, some, span, usd, state, task };

/** Text with its http and https addresses as links. */
const linked = (text) => clean(text).split(/(https?:\/\/[^\s<>"'`\\)\]⟨]*[^\s<>"'`\\)\]⟨.,;:!?])/).map((it, at) =>
	at % 2 && URL.canParse(it) ? html`<a href=${it} target="_blank" rel="noopener noreferrer nofollow">${it}</a>` : it);
/** A long text: its first lines, and the rest on demand. */
export function long(name, text, lines = 24) {
	let at = 0;
	for (let n = 0; n < lines && at >= 0; n++) at = text.indexOf('\n', at + 1);
	if (at < 0 || at > 4000) at = 4000;
	const pre = (it, label) => html`<pre tabindex="0" role="group" aria-label=${label}>${linked(it)}</pre>`;
	return html`${name && html`<h2>${name}</h2>`}${pre(text.slice(0, at), name || 'Text')}
		${text.length > at && html`<details><summary>${count(text.length - at)} more characters</summary>${pre(text.slice(at), 'The rest')}</details>`}`;
}

/**
 * A table for `rows`, each with the unique value `id(row)`. A column is 'Title|classes|field|format', or a list of such a text and
 * a function of the row. Columns of the class `wide` are left out on phones.
 */
export function table(name, rows, id, columns, empty = 'Nothing here.') {
	if (!rows) return html`<p class="dim">Loading …</p>`;
	if (!rows.length) return html`<p class="empty">${empty}</p>`;
	const cols = columns.filter(Boolean).map((it) => {
		const [text, cell] = [it].flat();
		const [title, kind, field, format] = text.split('|');
		return { title, kind, cell: cell || (FORMATS[format] ? (row) => row[field] !== undefined && FORMATS[format](row[field]) : (row) => row[field]) };
	});
	return html`<div class="scroll" role="group" aria-label=${name} tabindex="0"><table>
		<thead><tr>${cols.map(({ title, kind }) => html`<th scope="col" class=${kind}>${title || html`<span class="sr">Actions</span>`}</th>`)}</tr></thead>
		<tbody>${rows.map((row) => html`<tr key=${id(row)}>${cols.map(({ kind, cell }) => html`<td class=${kind}>${cell(row)}</td>`)}</tr>`)}</tbody></table></div>`;
}
export const fault = (error, retry) => error && html`<div class="note bad" role="alert">${error.message}${error.code === 'forbidden' && ' Log in with a key that has this right.'} ${retry && html`<button onClick=${retry}>Try again</button>`}</div>`;
/** The head of a screen with its title and buttons, and below it what went wrong with its data. */
export const head = (title, of, ...buttons) => html`<div class="head"><h1>${title}</h1>${buttons}</div>${fault(of?.error, of?.reload)}`;
/** Links that set one parameter of the URL: `values`, or pairs of one and its text. */
export const chips = (screen, query, name, values) => html`<div class="chips">${values.map((it) => {
	const [value, text = named(value || 'all')] = [it].flat();
	return html`<a class="chip" href=${href(screen, '', { ...query, [name]: value })} aria-current=${(query[name] || [values[0]].flat()[0]) === value && 'true'}>${text}</a>`;
})}</div>`;
export const pager = (screen, id, query, name, next) => html`<div class="row">${query[name] && html`<a class="button" href=${href(screen, id, { ...query, [name]: '' })}>First</a>`}
	${next && html`<a class="button" href=${href(screen, id, { ...query, [name]: next })}>More</a>`}</div>`;

// Short messages about what was done, in one live region.
let toasts = [];
export function say(text, bad) {
	const own = { text, bad };
	toasts.push(own);
	setTimeout(() => { toasts = toasts.filter((it) => it !== own); draw(); }, bad ? 12000 : 4000);
	draw();
}
/** Carries out a change, and says how it went. Returns the answer, or undefined. */
export async function act(method, path, body, done) {
	try {
		const answer = await api(method, path, body);
		if (done) say(done);
		return answer;
	} catch (error) { say(error.message, true); }
}

// The one dialog.
let dialog;
/** Shows a dialog with `body(close)`; the answer is what `close` gets, null if the person leaves it. */
export const popup = (title, body) => new Promise((answer) => { dialog = { title, body, answer }; draw(); });
/** A text, empty without a `field`; null if the person has decided otherwise. */
export const confirm = (title, field) => popup(title, (close) => html`<form onSubmit=${(event) => { event.preventDefault(); close(event.target.text?.value.trim() ?? ''); }}>
	${field && html`<label>${field}<textarea name="text" rows="3" maxlength="65536"></textarea></label>`}
	<div class="row end"><button type="button" onClick=${() => close(null)}>No, go back</button><button class="main">Yes</button></div></form>`);
/** Dialog and messages. */
export function above() {
	const own = dialog;
	const close = (value) => { dialog = null; own.answer(value); draw(); };
	const ref = (it) => { if (it && !it.open) it.showModal(); };
	return html`<div class="toasts" role="status">${toasts.map((it) => html`<p class=${it.bad && 'bad'}>${it.text}</p>`)}</div>
		${own && html`<dialog key=${own.title} ref=${ref} aria-labelledby="asked" onCancel=${(event) => { event.preventDefault(); close(null); }}><h2 id="asked">${own.title}</h2>${own.body(close)}</dialog>`}`;
}
/** A button for those who have the right. `keys`: its key while its entry has the focus. With `ask` (and `field`) it asks before `on(text)`. */
export function btn(label, right, on, { ask: question, field, kind, keys } = {}) {
	if (!can(right)) return '';
	const click = async ({ currentTarget: it }) => {
		const text = question ? await confirm(question, field) : '';
		if (text === null) return;
		it.disabled = true;
		await on(text || undefined, it);
		it.disabled = false;
	};
	return html`<button type="button" class=${kind} aria-keyshortcuts=${keys} onClick=${click}>${label}</button>`;
}

/** A bar of parts: [state, number]. */
export function parts(of, total) {
	const sum = total || of.reduce((all, [, n]) => all + n, 0) || 1;
	let x = 0;
	return html`<svg class="parts" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label=${of.filter(([, n]) => n).map(([it, n]) => `${n} ${named(it)}`).join(', ') || 'none'}>
		${of.map(([it, n = 0]) => html`<rect data-state=${it} x=${(x += (n / sum) * 100) - (n / sum) * 100} width=${(n / sum) * 100} height="4" />`)}</svg>`;
}
