// One task: why it waits, its texts, live output, attempts over time, children and decisions.
import { data, draw, get, href, html, search, use } from './core.js';
import { question } from './inbox.js';
import { COLUMNS, patch } from './rows.js';
import { act, age, btn, clock, count, head, long, now, pretty, span, state, table, usd } from './ui.js';

const TAIL = 500, KEPT = 4 << 20;
/** Where the last `lines` lines of a text begin. */
function tail(text, lines) {
	let at = text.length;
	for (let n = 0; n < lines && at > 0; n++) at = text.lastIndexOf('\n', at - 2);
	return at + 1;
}
/** Reads the output of an attempt, and follows it while it is `live`. */
function read(id, fence, live) {
	const own = { text: '', lines: TAIL, follow: true };
	own.stop = () => { own.gone = true; own.stream?.close(); document.removeEventListener('visibilitychange', again); };
	const add = (text) => { own.text = (own.text + text).slice(-KEPT); draw(); };
	const later = () => { clearTimeout(own.timer); own.timer = setTimeout(again, 2000); };
	// Reads it anew: at first, after a stream has broken for good, and when a hidden page, which has no stream, is seen again.
	const again = () => {
		own.stream?.close();
		if (!own.gone && !document.hidden) get(`/v1/tasks/${id}`, { output: true, attempt: fence }).then(show, later);
	};
	const show = ({ output: [it] }) => {
		own.text = '';
		if (it) add((it.cut ? '(the rest is not stored)\n' : '') + it.text);
		if (!live || own.gone || document.hidden) return;
		own.stream = new EventSource(`/v1/tasks/${id}/output${search({ follow: true, after: it?.next_chunk ? it.next_chunk - 1 : '' })}`);
		own.stream.addEventListener('output', ({ data: text }) => { const piece = JSON.parse(text); if (piece.fence === fence) add(piece.text); });
		own.stream.addEventListener('gap', () => { own.text = ''; });
		own.stream.addEventListener('end', () => own.stream.close());
		own.stream.onerror = () => { if (own.stream.readyState === 2) later(); };
	};
	if (live) document.addEventListener('visibilitychange', again);
	again();
	return own;
}
/** The tail of the output; it follows until somebody scrolls up. */
function output(id, fence, live) {
	const own = use(`output ${id} ${fence} ${live}`, () => read(id, fence, live));
	const from = tail(own.text, own.lines);
	const follow = (it) => { if (it && own.follow) it.scrollTop = it.scrollHeight; };
	const scroll = ({ target: it }) => { const end = it.scrollHeight - it.scrollTop - it.clientHeight < 8; if (end !== own.follow) { own.follow = end; draw(); } };
	return html`<div class="head"><h2>Output</h2>${live && state('live')}${from > 0 && btn('Older lines', '', () => { own.follow = false; own.lines *= 4; draw(); })}
			<button aria-keyshortcuts="f" type="button" aria-pressed=${own.follow} onClick=${() => { own.follow = !own.follow; draw(); }}>Follow</button></div>
		<pre class="output" ref=${follow} tabindex="0" role="group" aria-label="Output" onScroll=${scroll}>${own.text.slice(from) || 'Nothing yet.'}</pre>`;
}

/** The attempts as bars, from the enqueue until the end or now; the table below says the same. */
function timeline(task, attempts) {
	const end = task.finished_at || now(), all = Math.max(0.001, end - task.created_at);
	const bars = attempts.map((it) => [it.started_at, it.ended_at, it.outcome === 'done' ? 'done' : 'failed']);
	if (task.status === 'leased') bars.push([task.updated_at, end, 'leased']);
	return html`<svg class="parts tall" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
		${bars.map(([from, to, it]) => html`<rect data-state=${it} x=${((from - task.created_at) / all) * 100} width=${Math.max(0.5, ((to - from) / all) * 100)} height="4" />`)}</svg>
		<p class="row dim"><span>enqueued ${clock(task.created_at)}</span><span>${span(all)} ${task.finished_at ? 'until its end' : 'until now'}</span></p>`;
}

const FIELDS = ['type', 'priority', 'provider', 'model', 'workdir', 'max_attempts', 'timeout_ms', 'accept', 'metadata'];
export function task(id, query) {
	const on = (it) => it.task_id === +id && it.event !== 'step';
	const main = data(`/v1/tasks/${id}`, {}, { on, every: 10 });
	const asked = data('/v1/approvals', { task_id: id }, { on });
	const children = data('/v1/tasks', { parent_id: id, limit: 50, preview_bytes: 500 }, { patch, on: (it) => it.event === 'task' && it.task_id > id }).value?.tasks || [];
	if (!main.value) return head(`Task ${id}`, main);
	const { task: it, attempts, progress, decisions, depends_on } = main.value;
	const change = (verb, done) => (reason) => act('POST', `/v1/tasks/${id}/${verb}`, { reason }, `Task ${id} is ${done}.`).then(main.reload);
	const other = (to) => html`<a href=${href('tasks', to)}>${to}</a> `;
	const ended = ['done', 'failed', 'cancelled'].indexOf(it.status), fence = +query.attempt || it.fence;
	const detail = (name, value) => !!value && html`<dt>${name.replace('_', ' ')}</dt><dd>${value}</dd>`;
	return html`${head(`Task ${id}`, main, state(it.status), html`<span class="dim">${it.queue} · ${it.worker_id} ${age(it.updated_at)}</span>`, it.type === 'plan' && html`<a class="button" href=${href('runs', id)}>Its run</a>`,
			ended > 0 && btn('Retry', 'enqueue', change('retry', 'queued again'), { kind: 'main' }), ended < 0 && btn('Cancel', 'enqueue', change('cancel', 'cancelled'), { kind: 'danger', ask: `Cancel task ${id}?`, field: 'Reason (optional)' }))}
		${it.waiting && html`<p class="note"><b>It waits:</b> ${it.waiting.message} ${it.waiting.until && age(it.waiting.until)} ${it.waiting.task_id && other(it.waiting.task_id)}</p>`}
		${asked.value?.approvals.map((one) => question(one, it, () => { main.reload(); asked.reload(); }, true))}
		${it.error && long('Error', it.error)}${long('Prompt', it.prompt)}${it.system_prompt && long('System prompt', it.system_prompt)}${it.result !== null && long('Result', it.result)}${progress && long('Progress', pretty(progress))}
		${fence > 0 && output(id, fence, it.status === 'leased' && fence === it.fence)}
		<h2>Attempts</h2>${timeline(it, attempts)}${table('Attempts', attempts, (one) => one.fence, [['No|num', (one) => html`<a href=${href('tasks', id, { attempt: one.fence })}>${attempts.indexOf(one) + 1}</a>`], 'Outcome||outcome|state', 'Worker|name|worker_id', 'Began|wide|started_at|clock',
			['Took|num', (one) => span(one.ended_at - one.started_at)], ['Usage|wide name', ({ provider, usage }) => [provider, usage && `${count(usage.input_tokens + usage.output_tokens)} tokens`, usage?.cost_usd && usd(usage.cost_usd)].filter(Boolean).join(', ')], 'Error|text|error'], 'None has ended.')}
		${children.length > 0 && html`<h2>Children</h2>${table('Children', children, (one) => one.task_id, COLUMNS)}`}
		${decisions && html`<h2>Decisions</h2>${table('Decisions', decisions, (one) => one.at, ['Decision||verdict|state', 'By|name|by', 'When||at|clock', 'Comment|text|comment'])}`}
		<h2>Details</h2><dl>${detail('parent', it.parent_id && other(it.parent_id))}${detail('depends on', depends_on?.map(other))}${detail('not before', it.run_at && clock(it.run_at))}
			${detail('labels', it.labels?.map((one) => html`<a class="chip" href=${href('tasks', '', { label: one })}>${one}</a> `))}
			${FIELDS.map((name) => detail(name, typeof it[name] === 'object' ? html`<pre tabindex="0">${pretty(it[name])}</pre>` : it[name]))}
			${detail('worktree', html`if its pool gives it one, on the agents' machine: <code>kirosu diff ${id}</code>, <code>kirosu apply ${id}</code>, <code>kirosu discard ${id}</code>`)}</dl>`;
}
