// Schedules, usage and budgets, events, keys.
import { data, draw, hearers, html, use } from './core.js';
import { act, age, btn, chips, clock, count, head, line, link, named, popup, span, state, table, usd } from './ui.js';

/** A form in a dialog. A field is [name, label, attributes]; a list of `choices` among these makes it a choice. */
const ask = (title, fields, send) => popup(title, (close) => html`<form onSubmit=${async (event) => {
	event.preventDefault();
	if (await send(Object.fromEntries([...new FormData(event.target)].filter(([, it]) => it)))) close(true);
}}>${fields.map(([name, label, { choices, ...more } = {}]) => html`<label>${label}${choices ? html`<select name=${name}>${choices.map((it) => html`<option>${it}</option>`)}</select>`
	: more.rows ? html`<textarea name=${name} ...${more} />` : html`<input name=${name} ...${more} />`}</label>`)}
	<div class="row end"><button type="button" onClick=${() => close(null)}>Close</button><button class="main">Add</button></div></form>`);

const NUMBER = { type: 'number', min: 1 };
export function schedules() {
	const list = data('/v1/schedules', {}, { on: (it) => it.event === 'schedule' });
	const change = (method, path, body, done) => act(method, `/v1/schedules${path}`, body, done).then((answer) => { list.reload(); return answer; });
	const add = () => ask('Add a schedule', [['name', 'Name', { required: true }], ['cron', 'Cron, such as 0 3 * * * or @daily'], ['tz', 'Time zone of cron', { placeholder: 'UTC' }], ['every_seconds', 'Or every … seconds', NUMBER], ['prompt', 'Prompt', { rows: 3, required: true }], ['queue', 'Queue', { placeholder: 'default' }]],
		({ prompt, queue, every_seconds: every, ...rest }) => change('POST', '', { ...rest, every_seconds: every && +every, task: { prompt, queue } }, `Schedule ${rest.name} is added.`));
	const buttons = (it) => {
		const at = `/${encodeURIComponent(it.name)}`, kind = 'small';
		return html`<span class="row end">${btn('Run now', 'enqueue', () => change('POST', `${at}/run`, {}, `Schedule ${it.name} runs now.`), { kind })}${btn(it.paused ? 'Resume' : 'Pause', 'enqueue', () => change('PATCH', at, { paused: !it.paused }), { kind })}
			${btn('Remove', 'enqueue', () => change('DELETE', at, null, 'It is removed.'), { kind: 'small danger', ask: `Remove the schedule ${it.name}?` })}</span>`;
	};
	return html`${head('Schedules', list, btn('Add …', 'enqueue', add))}${table('Schedules', list.value?.schedules, (it) => it.name, ['Name|name|name', ['State', (it) => state(it.error ? 'failed' : it.paused ? 'paused' : it.next_at ? 'on' : 'finished')], ['When', (it) => (it.cron ? `${it.cron} ${it.tz}` : it.at ? clock(it.at) : `every ${span(it.every_seconds)}`)],
		['Next|wide num', (it) => !it.paused && age(it.next_at)], ['Last|wide', (it) => it.last_task && link('tasks', it.last_task, `${it.last_task} ${named(it.last_status || '')}`)], 'Fired|wide num|fired|count', ['Task|wide text', (it) => html`<div class="clip">${line(it.prompt)}</div><div class="err small">${it.error}</div>`], ['|num', buttons]], 'No schedule.')}`;
}

const BY = ['provider', 'pool', 'model', 'day', 'task'];
export function usage(_, query) {
	const by = query.by || BY[0], list = data('/v1/usage', { by, limit: 200 }, { every: 15 }), { rows, total, budgets = [] } = list.value || {};
	const limits = budgets.flatMap((it) => ['tokens', 'usd'].filter((unit) => it[unit]).map((unit) => ({ ...it, ...it[unit], show: unit === 'usd' ? usd : (n) => `${count(n)} tokens` })));
	const cost = (it) => `${it.estimated_usd ? '~' : ''}${usd(it.cost_usd)}${it.unpriced ? '+' : ''}`;
	return html`${head('Usage', list)}<h2>Budgets</h2>${table('Budgets', rows && limits, (it) => it.scope + it.show(1), ['Budget|name|scope', ['Used|num', (it) => html`${it.show(it.used)} <meter max=${it.limit || 1} value=${it.used} high=${it.limit * 0.8} aria-label=${`used of ${it.scope}`} />`], ['Reserved|wide num', (it) => it.show(it.reserved)],
			['Left|num', (it) => it.show(it.left)], ['Limit|num', (it) => it.show(it.limit)], 'Full again|num|resets_at|age'], 'No budget is set.')}
		<h2>Used by ${by}</h2>${chips('usage', query, 'by', BY)}${table('Usage', rows && [...rows, { key: 'total', ...total }], (it) => it.key, [[`${by}|name`, (it) => (by === 'task' && +it.key ? link('tasks', it.key) : it.key || 'not reported')], ['Cost|num', cost], 'Attempts|num|attempts|count',
			'Input|num|input_tokens|count', 'Cached|wide num|cache_read_tokens|count', 'Output|num|output_tokens|count'])}`;
}

const KINDS = ['', 'task', 'approval', 'progress', 'session', 'actor', 'queue', 'run', 'step', 'hub'], KEPT = 100;
/** The newest events, while a drawing asks for them. */
function listen() {
	const own = { list: [], n: 0, stop: () => hearers.delete(hear) };
	const hear = (events) => { if (!own.held) own.list = events.slice(-KEPT).reverse().map((it) => ({ ...it, key: ++own.n })).concat(own.list).slice(0, KEPT); };
	hearers.add(hear);
	return own;
}
const about = ({ event, task_id, time, seq, key, ...rest }) => Object.entries(rest).filter(([, it]) => it).map(([name, it]) => `${name} ${it.path || (it.trim ? it : JSON.stringify(it))}`).join('  ').slice(0, 300);
export function events(_, query) {
	const own = use('events', listen);
	return html`${head('Events', null, html`<span class="dim">the newest since you opened this</span><button aria-pressed=${!!own.held} onClick=${() => { own.held = !own.held; draw(); }}>Hold</button>`)}${chips('events', query, 'kind', KINDS)}
		${table('Events', own.list.filter((it) => !query.kind || it.event === query.kind), (it) => it.key, [['Time', (it) => it.time && clock(it.time).slice(11)], 'Kind||event', 'Task|num|task_id|task', ['What|text', (it) => html`<div class="clip">${about(it)}</div>`]], 'No event yet.')}`;
}

const ROLES = ['observe', 'enqueue', 'work', 'person', 'admin'], LIMITS = ['queues', 'types', 'labels', 'pools'];
export function keys() {
	const list = data('/v1/keys', {}, { every: 30 });
	const add = () => ask('Add a key', [['name', 'Name', { required: true }], ['role', 'Role', { choices: ROLES }], ['queues', 'Only these queues (enqueue, work)'], ['days', 'Valid for … days', NUMBER]], async ({ queues, days, ...rest }) => {
		const made = await act('POST', '/v1/keys', { ...rest, queues: queues?.split(/[\s,]+/), expires_seconds: days && days * 86400 });
		list.reload();
		if (made) setTimeout(() => popup(`The key of ${made.name}`, (close) => html`<p>It is shown only now. Whoever has it has its rights.</p><pre tabindex="0">${made.key}</pre><div class="row end"><button class="main" onClick=${() => close(null)}>I have copied it</button></div>`));
		return made;
	});
	const revoke = (it) => !it.revoked_at && btn('Revoke', 'admin', () => act('DELETE', `/v1/keys/${encodeURIComponent(it.name)}`, null, 'It is revoked.').then(list.reload), { kind: 'small danger', ask: `Revoke the key ${it.name}? Its clients are refused at once.` });
	return html`${head('Keys', list, btn('Add …', 'admin', add))}${table('Keys', list.value?.keys, (it) => it.name, ['Name|name|name', 'Role||role', ['State', (it) => state(it.revoked_at ? 'revoked' : it.expires_at * 1000 < Date.now() ? 'expired' : 'valid')],
		['Limits|wide text', (it) => LIMITS.filter((name) => it[name]).map((name) => `${name}: ${it[name].join(', ')}`).join('; ')], 'Last used|num|used_at|age', 'Ends|wide num|expires_at|age', ['|num', revoke]], 'No key: only that of the hub is valid.')}`;
}
