// Runs of plans: the list, and one run with its steps over time and their items, failed ones first.
import { data, href, html } from './core.js';
import { act, btn, chips, count, fault, head, line, link, long, now, pager, parts, span, state, table } from './ui.js';

const STATES = ['', 'open', 'waiting', 'paused', 'failed', 'partial', 'done', 'cancelled', 'pending'];
const items = ['Items|bar', (it) => parts(['done', 'failed', 'cancelled', 'open'].map((name) => [name, it[name]]), it.total)];
const took = (it, from) => (from ? span((it.ended_at || now()) - from) : '–');
const isOf = (id) => (it) => (it.event === 'run' || it.event === 'step') && (!id || it.task_id === +id);

export function runs(id, query) {
	if (id) return run(id, query);
	const list = data('/v1/runs', { state: query.state, before: query.before, limit: 50 }, { on: isOf() });
	return html`${head('Runs', list)}${chips('runs', { state: query.state }, 'state', STATES)}
		${table('Runs', list.value?.runs, (it) => it.task_id, [['Run|num', (it) => link('runs', it.task_id)], 'State||state|state', ['Name|text', (it) => html`<div class="clip">${it.name || 'no name'}</div><div class=${`clip small ${it.error ? 'err' : 'dim'}`}>${it.reason || line(it.error)}</div>`],
			items, ['Done|wide num', (it) => `${count(it.done)}/${count(it.made)}`], 'Failed|num|failed|some', 'Began|wide num|created_at|age', ['Took|num', (it) => took(it, it.created_at)]], 'No run. kirosu run-pipeline --file plan.yaml starts one.')}
		${pager('runs', '', query, 'before', list.value?.next)}`;
}

/** When a step ran, as a bar in the time of its run. */
function bar(step, run) {
	const end = run.ended_at || now(), part = (at) => ((at - run.created_at) / Math.max(0.001, end - run.created_at)) * 100;
	return step.started_at && html`<svg class="parts" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect data-state=${step.state} x=${Math.min(99, part(step.started_at))} width=${Math.max(1, part(step.ended_at || end) - part(step.started_at))} height="4" /></svg>`;
}
/** Writes the news of steps into the answer of `run`. */
const patch = (run, events) => {
	for (const { event, task_id, step } of events) if (event === 'step' && task_id === run.task_id) Object.assign(run.steps.find((it) => it.path === step.path) || {}, step);
};

function run(id, query) {
	const path = `/v1/runs/${id}`, main = data(path, {}, { on: isOf(id), patch }), it = main.value;
	if (!it) return head(`Run ${id}`, main);
	const change = (verb, done, body) => () => act('POST', `${path}/${verb}`, body, done).then(main.reload);
	const cancel = (reason) => act('POST', `/v1/tasks/${id}/cancel`, { reason }, 'The run is cancelled.').then(main.reload);
	const bad = (step) => step.failed > 0 || step.state === 'failed', halted = it.state === 'paused' || it.state === 'waiting';
	return html`${head(html`${it.name || 'Run'} <a class="dim" href=${href('tasks', id)}>${id}</a>`, main, state(it.state), html`<span class="dim">${took(it, it.created_at)}</span>`,
			it.steps.some(bad) && btn('Retry what failed', 'enqueue', change('retry', 'What failed is repeated.', {}), { kind: 'main' }),
			!it.ended_at && btn(halted ? 'Resume' : 'Pause', 'enqueue', change(halted ? 'resume' : 'pause', halted ? 'The run goes on.' : 'The run is paused.', {})), !it.ended_at && btn('Cancel', 'enqueue', cancel, { kind: 'danger', ask: `Cancel run ${id} and its tasks?`, field: 'Reason (optional)' }))}
		${it.reason && html`<p class="note">${it.reason} ${it.state === 'waiting' && html`<a href="#/inbox">Inbox</a>`}</p>`}${it.error && long('Error', it.error, 8)}
		<h2>Steps</h2>${table('Steps', it.steps, (step) => step.path, [['Step|name', ({ path: name }) => html`<a data-row style=${{ paddingLeft: `${name.split('.').length - 1}rem` }} href=${href('runs', id, { step: name })} aria-current=${query.step === name && 'true'}>${name.split('.').at(-1)}</a>`],
			'Kind|wide|kind', 'State||state|state', items, ['Done|num', (step) => step.total && `${count(step.done)}/${count(step.total)}`], 'Failed|wide num|failed|some', ['Time|wide bar', (step) => bar(step, it)], ['Took|wide num', (step) => took(step, step.started_at)], 'Why|wide text|reason',
			['|num', (step) => bad(step) && btn('Retry', 'enqueue', change('retry', `${step.path} is repeated.`, { step: step.path }), { kind: 'small' })]], 'No step has begun.')}
		${query.step && itemsOf(id, query)}${it.result && long('Result', it.result)}`;
}

function itemsOf(id, query) {
	const path = `/v1/runs/${id}/items`, { step, cursor } = query, on = isOf(id);
	const failed = (!cursor && data(path, { step, state: 'failed', limit: 100 }, { on }).value?.items) || [];
	const all = data(path, { step, cursor, limit: 100, results: true }, { on });
	const retry = (it) => act('POST', `/v1/runs/${id}/retry`, { step, item: it.key }, `${it.key} is repeated.`);
	return html`<h2>Items of ${step}</h2>${fault(all.error, all.reload)}${table('Items', all.value && failed.concat(all.value.items.filter((it) => cursor || it.state !== 'failed')), (it) => it.index, ['Task|num|task_id|task', 'State||state|state', 'Key|name|key', ['Result|text', (it) => html`<div class=${`clip ${it.error && 'err'}`}>${line(it.error || it.result)}</div>`],
		['|num', (it) => it.state === 'failed' && btn('Retry', 'enqueue', () => retry(it), { kind: 'small' })]])}${pager('runs', id, query, 'cursor', all.value?.next)}`;
}
