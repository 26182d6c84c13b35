// The pools with their accounts and queues, the agents of all processes, and the supervision tree.
import { can, data, draw, href, html } from './core.js';
import { act, age, btn, clock, count, head, link, span, state, table } from './ui.js';

export function pools() {
	const list = data('/v1/pools', {}, { every: 5, on: (it) => it.event === 'actor' }), all = list.value?.pools || [];
	const stats = data('/v1/stats', {}, { every: 2, on: (it) => it.event === 'queue' }), paused = stats.value?.stats.paused || [];
	const agents = data('/v1/agents', {}, { every: 10, on: (it) => it.event === 'session' }).value?.agents;
	const queues = [...new Set([...all.flatMap((it) => it.queues), ...paused])].filter((it) => it !== '*');
	const lanes = Object.values(Object.fromEntries(all.flatMap((pool) => pool.lanes || []).map((it) => [it.account, it])));
	const resize = (pool) => (event) => { event.preventDefault(); act('POST', '/v1/pools', { resize: { pool, size: +event.target.size.value } }, `Pool ${pool} is resized.`).then(list.reload); };
	const size = (it) => (can('admin') ? html`<form class="row" onSubmit=${resize(it.name)}><input name="size" type="number" min="0" max="10000" defaultValue=${it.size} aria-label=${`Size of ${it.name}`} /><button class="small">Set</button></form>` : it.size);
	const toggle = (queue) => { const verb = paused.includes(queue || '*') ? 'resume' : 'pause'; return btn(`${verb === 'pause' ? 'Pause' : 'Resume'}${queue ? '' : ' all'}`, 'admin', () => act('POST', `/v1/queues/${verb}`, { queue }, `${queue || 'All queues'}: ${verb}d.`).then(stats.reload), { kind: 'small' }); };
	const probe = (it) => it.state !== 'open' && btn('Probe', 'admin', () => act('POST', '/v1/pools', { probe: it.account }, `The next task of ${it.account} tests it.`).then(list.reload), { kind: 'small' });
	const limits = (it) => [['concurrency', 'at once'], ['requests_per_minute', 'requests/min'], ['tokens_per_minute', 'tokens/min']].filter(([name]) => it[name]).map(([name, unit]) => `${count(it[name])} ${unit}`).join(', ');
	return html`${head('Pools', list)}${table('Pools', list.value && all, (it) => it.name, ['Pool|name|name', 'State||state|state', ['Busy|num', (it) => html`${it.busy}/${it.size} <meter max=${it.size || 1} value=${it.busy} aria-label=${`busy agents of ${it.name}`} />`],
			['Size', size], ['Provider|wide name', (it) => `${it.provider} ${it.model || ''}`], ['Queues|wide text', (it) => it.queues.join(', ')], 'Note|text|note'], 'This hub has no pools; agents of other processes are below.')}
		<h2>Accounts</h2>${table('Accounts', lanes, (it) => it.account, ['Account|name|account', 'State||state|state', ['Open again', (it) => it.until && html`${clock(it.until)} (${age(it.until)})`], 'Running|num|running', 'Waiting|num|waiting', ['Limits|wide', limits], 'Note|text|note', ['|num', probe]], 'No account is in use.')}
		<div class="head"><h2>Queues</h2>${toggle()}</div>${table('Queues', queues, (it) => it, [['Queue|name', (it) => link('tasks', '', it, { queue: it })], ['State', (it) => state(paused.includes(it) || paused.includes('*') ? 'paused' : 'running')], ['Pools|text', (it) => all.filter((pool) => pool.queues.includes(it)).map((pool) => pool.name).join(', ')], ['|num', (it) => !paused.includes('*') && toggle(it)]])}
		<h2>Agents</h2>${table('Agents', agents, (it) => it.session_id || it.name, ['Agent|name|name', ['State', (it) => state(it.connected ? 'connected' : 'away')], ['Tasks|text', (it) => it.leases.slice(0, 9).map(({ task_id }) => html`<a href=${href('tasks', task_id)}>${task_id}</a> `)], 'Address|wide name|peer'], 'No agent is connected.')}`;
}

const closed = new Set(['/root/leases', '/root/listener/connections']);
/** A node and what is below it, unless it is closed, as rows. */
function rowsOf(node, above = '', depth = 0) {
	const path = `${above}/${node.name}`;
	return [{ ...node, path, depth }, ...(closed.has(path) ? [] : node.children.flatMap((it) => rowsOf(it, path, depth + 1)))];
}
export function tree() {
	const list = data('/v1/tree', {}, { every: 2, on: (it) => it.event === 'actor' });
	const toggle = (path) => () => { if (!closed.delete(path)) closed.add(path); draw(); };
	const name = (it) => html`<span style=${{ paddingLeft: `${it.depth * 1.1}rem` }}>${it.children.length ? html`<button class="twist" aria-expanded=${!closed.has(it.path)} aria-label=${`Children of ${it.name}`} onClick=${toggle(it.path)} />` : html`<i class="twist" />`}${it.name} ${closed.has(it.path) && html`<small class="dim">${it.children.length} below</small>`}</span>`;
	return html`${head('Supervision', list)}${table('Supervision tree', list.value && rowsOf(list.value.tree), (it) => it.path, [['Actor|name', name], ['State', (it) => html`${state(it.state)} ${it.next_restart_in !== null && `in ${span(it.next_restart_in)}`}`], 'Kind|wide|kind', ['Mailbox|num', (it) => it.mailbox ?? '–'],
		'Handled|wide num|handled|count', 'Restarts|num|restarts|some', 'Up|wide num|uptime|span', 'Last exit|wide text|last_exit'])}`;
}
