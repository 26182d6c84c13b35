// The list of tasks: windows by cursor, the filter in the URL, and changes of everything that the filter matches.
import { api, data, draw, get, href, html, route, use } from './core.js';
import { COLUMNS, patch } from './rows.js';
import { btn, chips, count, head, named, pager, popup, say, table } from './ui.js';

const OPEN = ['queued', 'leased', 'awaiting_approval', 'scheduled', 'blocked'];
const STATES = ['', 'failed', 'awaiting_approval', 'leased', 'queued', 'scheduled', 'blocked', 'done', 'cancelled'];
const WINDOW = 50, STEP = 100, SEARCHED = 5000;

const filterOf = ({ status, queue, type, label, parent }) => ({ status, queue, type, label, parent_id: parent });
const matches = (task, words = '') => {
	const text = [task.task_id, task.prompt, task.result, task.error, task.worker_id, task.queue, task.type].join('\n').toLowerCase();
	return words.toLowerCase().split(/\s+/).every((it) => text.includes(it));
};
/** Tasks that the query matches, from the cursor `before`, a page at a time with the cursor of the next one. */
async function* pages(query, before) {
	do {
		const page = await get('/v1/tasks', { ...filterOf(query), before, limit: STEP, preview_bytes: 4000 });
		before = page.next;
		yield [page.tasks.filter((it) => matches(it, query.q)), before, page.tasks.length];
	} while (before);
}

/** A dialog that counts what the query matches, asks, and changes it in steps, until somebody stops it. */
function bulk(verb, title) {
	const { query } = route();
	const states = (verb === 'retry' ? ['failed', 'cancelled'] : OPEN).filter((it) => !query.status || it === query.status);
	const filter = Object.entries({ search: query.q, ...filterOf(query) }).filter(([, it]) => it).map(([key, it]) => `${key.replace('_id', '')} ${named(it)}`);
	const job = { ids: [], at: 0, changed: 0 };
	const run = (phase, next, steps) => async () => {
		Object.assign(job, { phase, stop: false });
		try { for await (const _ of steps()) { draw(); if (job.stop) break; } } catch (error) { job.stop = true; say(error.message, true); }
		job.phase = job.stop && phase === 'count' ? '' : next;
		draw();
	};
	const find = run('count', 'counted', async function* () {
		job.ids = [];
		for (const status of states) for await (const [found] of pages({ ...query, status })) yield job.ids.push(...found.map((it) => it.task_id));
	});
	const change = run('change', 'end', async function* () {
		for (; job.at < job.ids.length; yield job.at += STEP) {
			const answer = await api('POST', `/v1/tasks/${verb}`, { ids: job.ids.slice(job.at, job.at + STEP) });
			job.changed += answer.cancelled ?? answer.retried;
		}
	});
	popup(title, (close) => {
		const { phase } = job, n = job.ids.length;
		const says = { count: `${count(n)} found …`, counted: `${count(n)} tasks match.`, change: `${count(job.at)} of ${count(n)} …`, end: `${count(job.changed)} of ${count(n)} were ${verb === 'cancel' ? 'cancelled' : 'queued again'}${job.stop ? '; then it was stopped' : ''}.` };
		const button = (text, on, kind) => html`<button type="button" class=${kind} onClick=${on}>${text}</button>`;
		return html`<p>${filter.length ? filter.join(', ') : 'No filter is set'}: those that are ${states.map(named).join(', ') || 'in a state that this can change (none)'}.</p>
			<p role="status">${says[phase]}</p>${phase === 'change' && html`<progress max=${n} value=${job.at} aria-label="Progress" />`}
			<div class="row end">${phase === 'count' || phase === 'change' ? button('Stop', () => { job.stop = true; }) : button('Close', () => close(null))}
				${!phase && states.length > 0 && button('Count them', find, 'main')}${phase === 'counted' && n > 0 && button(`${verb === 'cancel' ? 'Cancel' : 'Retry'} ${count(n)} tasks`, change, 'main')}</div>`;
	});
	if (states.length) find();
}

export function tasks(_, query) {
	const { value, error, reload } = data('/v1/tasks', { ...filterOf(query), before: query.before, limit: WINDOW, preview_bytes: 1000 }, {
		patch, on: (it) => it.event === 'task' && (!query.before || value?.tasks.some((task) => task.task_id === it.task_id)),
	});
	const older = use(`older${JSON.stringify(query)}`, () => ({ tasks: [], seen: 0 }));
	const further = async () => {
		const end = older.seen + SEARCHED, ends = older.tasks.length + WINDOW;
		try {
			for await (const [found, next, seen] of pages(query, older.seen ? older.next : value.next)) {
				older.tasks.push(...found);
				Object.assign(older, { next, seen: older.seen + seen });
				draw();
				if (older.seen >= end || older.tasks.length >= ends) break;
			}
		} catch (problem) { say(problem.message, true); }
	};
	const s = value?.stats || {};
	const set = (name) => ({ target }) => { history.replaceState(null, '', href('tasks', '', { ...query, [name]: target.value, before: '' })); draw(); };
	const field = (name, label, type) => html`<label>${label}<input type=${type} defaultValue=${query[name] || ''} onInput=${set(name)} /></label>`;
	const rows = value && (query.q ? value.tasks.filter((it) => matches(it, query.q)).concat(older.tasks) : value.tasks);
	const next = older.seen ? older.next : value?.next;
	return html`${head('Tasks', { error, reload }, btn('Retry all …', 'enqueue', () => bulk('retry', 'Retry all that match')), btn('Cancel all …', 'enqueue', () => bulk('cancel', 'Cancel all that match'), { kind: 'danger' }))}
		${chips('tasks', { ...query, before: '' }, 'status', STATES.map((it) => [it, `${named(it || 'all')} ${count(s[it || 'total_tasks'])}`]))}
		<div class="filters">${field('q', 'Search', 'search')}${field('queue', 'Queue')}${field('label', 'Label')}${field('type', 'Type')}${field('parent', 'Parent', 'number')}</div>
		${table('Tasks', rows, (it) => it.task_id, COLUMNS, 'No task here matches.')}
		${query.q ? html`<div class="row dim">searched ${count(value?.tasks.length + older.seen)} tasks ${next && btn('Search older ones', '', further)}</div>` : pager('tasks', '', query, 'before', next)}`;
}
