// Everything that waits for a person: permission requests, tasks to approve, tasks to answer.
import { can, data, href, html } from './core.js';
import { act, age, btn, head, line, long, pager, pretty, say, state } from './ui.js';

/** A field of a form, by the JSON schema of its value. */
function field([name, { title = name, description, type, enum: choices, minimum, maximum }], required) {
	const label = html`<span>${title}${required && ' *'} <small>${description}</small></span>`;
	choices = Array.isArray(choices) ? choices : null;
	if (type === 'boolean') return html`<label class="check"><input type="checkbox" name=${name} />${label}</label>`;
	return html`<label>${label}${choices ? html`<select name=${name} required=${required}><option value="">–</option>${choices.map((it, at) => html`<option value=${at}>${`${it}`}</option>`)}</select>`
		: type === 'integer' || type === 'number' ? html`<input type="number" name=${name} required=${required} step=${type === 'integer' ? 1 : 'any'} min=${minimum} max=${maximum} />`
		: html`<textarea name=${name} required=${required} rows="1" placeholder=${type === 'string' ? '' : 'JSON'} />`}</label>`;
}
/** The value in a field, undefined without one. Throws if a field for JSON has something else. */
function valueOf({ type, enum: choices }, { checked, value }) {
	if (type === 'boolean') return checked;
	if (value === '') return undefined;
	return Array.isArray(choices) ? choices[value] : type === 'string' ? value : JSON.parse(value);
}

const KINDS = { tool: 'permission', run: 'approval', human: 'question' };
/** A question with its whole arguments, and the means to decide it. `task`: the whole task, of a question about one; `below`: its texts are on the page. */
export function question(it, task, done, below) {
	const path = it.approval_id ? `/v1/approvals/${it.approval_id}` : `/v1/tasks/${it.task_id}`;
	const send = (verb, body) => act('POST', `${path}/${verb}`, { ...body, ...(!it.approval_id && { fence: it.fence }) }, `${line(it.title).slice(0, 60)}: done (${verb}).`).then(done);
	const form = it.what === 'human' && task?.metadata?.form, fields = Object.entries(form?.properties || {}).filter(([, schema]) => schema && typeof schema === 'object');
	const answer = (event) => {
		event.preventDefault();
		const { elements } = event.target;
		try {
			send('answer', { text: fields.length ? pretty(Object.fromEntries(fields.map(([name, schema]) => [name, valueOf(schema, elements[name])]))) : elements.text.value });
		} catch (error) { say(`A field takes JSON: ${error.message}`, true); }
	};
	const approve = (_, button) => {
		const option = button.closest('article').querySelector(':checked')?.value;
		return it.options && !option ? say('Choose one of the answers first.', true) : send('approve', { option });
	};
	const title = it.approval_id || !task ? it.title : task.prompt;
	return html`<article key=${`${it.approval_id} ${it.task_id}`} class="card" data-row tabindex="-1" aria-label=${`${KINDS[it.what]}: ${line(it.title)}`}>
		<div class="row">${state(KINDS[it.what])}<b>${it.tool || it.queue}</b><a href=${href('tasks', it.task_id)}>task ${it.task_id}</a><span class="dim">${it.pool} asked ${age(it.asked_at)} ago ${it.expires_at && html`· expires ${age(it.expires_at)}`}</span></div>
		${!(below && !it.approval_id) && long('', title, 60)}${it.args && long('', prettyText(it.args), 60)}
		${it.what === 'human' && can('person') && html`<form onSubmit=${answer}>${fields.length ? fields.map((one) => field(one, [].concat(form.required).includes(one[0]))) : html`<label>Answer<textarea name="text" rows="2" required aria-keyshortcuts="w" /></label>`}<button class="main">Answer</button></form>`}
		${it.options && html`<fieldset><legend>Choose the answer</legend>${it.options.map((one) => html`<label class="check"><input type="radio" name=${`option${it.approval_id}`} value=${one.id} />${one.name}</label>`)}</fieldset>`}
		<div class="row">${btn('Approve', 'person', approve, { keys: 'a', kind: it.what !== 'human' && 'main' })}${btn('Reject', 'person', (reason) => send('reject', { reason }), { keys: 'x', kind: 'danger', ask: 'Reject it?', field: 'Reason (optional)' })}</div></article>`;
}
function prettyText(args) {
	try { return pretty(JSON.parse(args)); } catch { return args; } // cut, so not JSON
}

export function inbox(_, query) {
	const list = data('/v1/approvals', { limit: 50, cursor: query.cursor }, { on: (it) => it.event === 'approval' || it.event === 'task' });
	const items = list.value?.approvals || [];
	// Each of its own, so that a form stays while other questions come and go.
	const taskOf = (it) => !it.approval_id && data(`/v1/tasks/${it.task_id}`).value?.task;
	return html`${head('Inbox', list, list.value && html`<span class="dim">${items.length}${list.value.next && '+'} wait for a person</span>`)}
		${list.value && !items.length && html`<p class="empty">Nothing waits for a person.</p>`}
		${items.map((it) => question(it, taskOf(it), list.reload))}
		${pager('inbox', '', query, 'cursor', list.value?.next)}`;
}
