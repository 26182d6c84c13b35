// What happens now: what waits, runs and fails, over the last minutes; cost by day; the queues.
import { data, href, html } from './core.js';
import { samples } from './samples.js';
import { clock, count, head, line, link, now, span, table, usd } from './ui.js';

const level = (field) => samples.map(({ at, stats }) => [at, stats[field]]);
/** Per second, between samples. A counter that went back is that of another store. */
const rate = (field) => samples.slice(1).map(({ at, stats }, n) => [at, Math.max(0, stats[field] - samples[n].stats[field]) / (at - samples[n].at)]);
const perSecond = (n) => `${n < 100 ? n.toFixed(1) : count(n)}/s`;

/** Unfinished tasks by queue, the one with the oldest task first. */
function queuesOf(metrics = []) {
	const queues = {};
	for (const { name, labels, value } of metrics) {
		if (!name.startsWith('kirosu_queue_')) continue;
		const it = queues[`q${labels.queue}`] ||= { queue: labels.queue, queued: 0, leased: 0, waits: 0, oldest: 0 };
		if (name === 'kirosu_queue_tasks') it[labels.state in it ? labels.state : 'waits'] += value;
		else if (labels.state === 'queued') it.oldest = value;
	}
	return Object.values(queues).filter((it) => it.queued + it.leased + it.waits).sort((a, b) => b.oldest - a.oldest);
}

/** A line over time of [moment, value]; screen readers get a table instead. */
function chart(title, points, format = count) {
	const max = Math.max(...points.map(([, it]) => it), 0);
	const from = points[0]?.[0], width = points.at(-1)?.[0] - from || 1;
	const path = points.map(([at, it]) => `${(((at - from) / width) * 300).toFixed(1)},${(59 - (it / (max || 1)) * 55).toFixed(1)}`).join(' ');
	const some = points.filter((_, at) => at % Math.ceil(points.length / 10) === 0);
	return html`<figure class="card chart"><figcaption>${title}<b>${points.length ? format(points.at(-1)[1]) : '–'}</b></figcaption>
		<svg viewBox="0 0 300 60" preserveAspectRatio="none" aria-hidden="true"><path class="axis" d="M0 59.5H300" />${points.length > 1 && html`<polygon points=${`0,60 ${path} 300,60`} /><polyline points=${path} />`}</svg>
		<small><span>${points.length > 1 ? `${span(now() - from)} ago` : 'collecting …'}</span><span>highest ${format(max)}</span></small>
		<table class="sr"><caption>${title}</caption>${some.map(([at, it]) => html`<tr><th scope="row">${clock(at)}</th><td>${format(it)}</td></tr>`)}</table></figure>`;
}

export function overview() {
	const stats = data('/v1/stats', {}, { every: 2 }), s = stats.value?.stats;
	const today = Math.floor(now() / 86400) * 86400, spent = {};
	for (const it of data('/v1/usage', { by: 'day', since: today - 29 * 86400 }, { every: 30 }).value?.rows || []) spent[Date.parse(it.key) / 1000] = it.cost_usd;
	const costs = Array.from({ length: 30 }, (_, day) => today - (29 - day) * 86400).map((at) => [at, spent[at] || 0]);
	const list = (status, every) => data('/v1/tasks', { status, limit: 8, preview_bytes: 300 }, { every, on: (it) => it.event === 'task' }).value?.tasks;
	const queues = queuesOf(data('/v1/metrics', {}, { every: 5 }).value?.metrics);
	if (!s) return head('Overview', stats);
	const tile = (label, value, bad, screen, status) => html`<a class=${`tile ${bad && value !== '0' && 'bad'}`} href=${href(screen || 'tasks', '', { status })}><b>${value}</b>${label}</a>`;
	const name = ['Task|num', (it) => link('tasks', it.task_id)];
	return html`${head('Overview', stats)}
		${s.draining && html`<p class="note">The hub drains: runs go on, nothing new starts until its next start.</p>`}
		${s.paused.length > 0 && html`<p class="note">Paused: ${s.paused.includes('*') ? 'all queues' : s.paused.join(', ')}. <a href="#/pools">Pools</a></p>`}
		<div class="tiles">${tile('failed', count(s.failed), 1, '', 'failed')}${tile('need approval', count(s.awaiting_approval), 1, 'inbox')}${tile('running', count(s.leased), 0, '', 'leased')}${tile('ready', count(s.queued), 0, '', 'queued')}
			${tile('oldest ready', queues[0]?.oldest ? span(queues[0].oldest) : '–', 0, '', 'queued')}${tile('scheduled or blocked', count(s.scheduled + s.blocked), 0, '', 'scheduled')}
			${tile('done within the hour', count(s.completed_last_hour), 0, '', 'done')}${tile('cost of 30 days', usd(costs.reduce((all, [, it]) => all + it, 0)), 0, 'usage')}</div>
		<div class="grid">${chart('Done', rate('done'), perSecond)}${chart('Ready', level('queued'))}${chart('Running', level('leased'))}${chart('Failed', rate('failed'), perSecond)}
			${chart('Cost by day', costs, usd)}</div>
		<div class="two"><section><h2>Running</h2>${table('Running tasks', list('leased', 5), (it) => it.task_id, [name, ['Prompt|text', (it) => line(it.prompt)], 'Worker|wide name|worker_id', 'For|num|updated_at|age'], 'No task runs.')}</section>
			<section><h2>Newest failures</h2>${table('Newest failures', list('failed'), (it) => it.task_id, [name, ['Error|text err', (it) => line(it.error)], 'Ago|num|updated_at|age'], 'Nothing has failed.')}</section></div>
		<h2>Queues</h2>${table('Queues', queues, (it) => it.queue, [['Queue|text', (it) => link('tasks', '', it.queue, { queue: it.queue })], 'Ready|num|queued|count', 'Running|num|leased|count', 'Waiting|num|waits|count', ['Oldest ready|num', (it) => (it.oldest ? span(it.oldest) : '–')]], 'No queue has unfinished tasks.')}`;
}
