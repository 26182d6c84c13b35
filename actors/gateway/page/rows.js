// The rows of tasks in a list, and their news.
import { html } from './core.js';
import { line, link, state } from './ui.js';

/** Why it waits, or its error, or its result. */
const note = (it) => html`<div class=${`clip small ${!it.waiting && it.error ? 'err' : 'dim'}`}>${line(it.waiting?.message || it.error || it.result)}</div>`;
export const COLUMNS = [
	['Task|num', (it) => link('tasks', it.task_id)], ['State', (it) => state(it.status)], ['Prompt|text', (it) => html`<div class="clip">${line(it.prompt) || 'no prompt'}</div>${note(it)}`],
	'Queue|wide name|queue', 'Worker|wide name|worker_id', 'Tries|wide num|attempts', 'Since|num|updated_at|age',
];
/** Writes the news of events into the tasks of an answer of `list`. */
export function patch({ tasks }, events) {
	const news = new Map(events.filter((it) => it.event === 'task').map((it) => [it.task_id, it]));
	for (const it of tasks) {
		const { status, worker_id = it.worker_id, time } = news.get(it.task_id) || {};
		if (status && status !== it.status) Object.assign(it, { status, worker_id, updated_at: time, waiting: null });
	}
}
