// The frame of the page: login, navigation, keys, the banner of a lost connection.
import { api, can, connect, data, draw, get, href, html, leave, route, session, start } from './core.js';
import { above, count, fault, popup } from './ui.js';
import { sample } from './samples.js';

// Screen: its title, the key behind `g`, the module that draws it, the right that it needs.
const SCREENS = {
	overview: ['Overview', 'o', 'overview'], inbox: ['Inbox', 'i', 'inbox'], tasks: ['Tasks', 't', 'tasks'], runs: ['Runs', 'r', 'runs'], pools: ['Pools', 'p', 'pools'],
	schedules: ['Schedules', 's', 'more'], usage: ['Usage', 'u', 'more'], tree: ['Supervision', 'v', 'pools'], events: ['Events', 'e', 'more'], keys: ['Keys', 'k', 'more', 'admin'],
};
const modules = {};
/** Draws a screen; its module is loaded when it is first opened. */
function show(screen, id, query) {
	const name = screen === 'tasks' && id ? 'task' : screen, file = name === 'task' ? name : SCREENS[screen]?.[2];
	if (!file) return html`<h1>No such screen</h1><p><a href="#/overview">Overview</a></p>`;
	const it = modules[file] ||= {};
	it.asked ||= import(`./${file}.js`).then((module) => { it.module = module; }, (error) => { it.error = error; }).then(draw);
	return it.module ? it.module[name](id, query) : fault(it.error, () => location.reload()) || html`<p class="dim">Loading …</p>`;
}

let failed;
async function enter(credential) {
	try {
		if (credential) await api('POST', '/session', credential);
		else if (!localStorage.known) return;
		session.hello = await get('/v1/hello');
		localStorage.known = 1; // that there is a cookie: without one nothing is asked
		failed = null;
		connect();
	} catch (error) { failed = (credential || error.status !== 401) && error; }
	draw();
}
async function logout() {
	await api('DELETE', '/session').catch(() => {});
	localStorage.clear();
	leave();
}
const login = () => html`<main class="login"><form class="card" onSubmit=${(event) => { event.preventDefault(); enter({ key: event.target.key.value.trim() }); }}>
	<h1>Kirosu</h1><input hidden name="username" autocomplete="username" value="kirosu" />
	<label>Key<input name="key" type="password" autocomplete="current-password" required autofocus /></label><button class="main">Log in</button>${fault(failed)}
	<p class="dim"><code>kirosu web</code> opens this page logged in. <code>kirosu key add NAME --role person</code> makes a key.</p></form></main>`;

const HELP = { '?': 'this list', 'g o': 'overview, and so on: the letters are in the navigation', 'j k': 'next and previous entry', Enter: 'open the entry', '/': 'search', Esc: 'leave a field or dialog', 'a x w': 'inbox: approve, reject, write an answer', f: 'task: follow the output' };
const help = () => popup('Keys', (close) => html`<dl>${Object.entries(HELP).map(([key, text]) => html`<dt><kbd>${key}</kbd></dt><dd>${text}</dd>`)}</dl><div class="row end"><button class="main" onClick=${() => close(null)}>Close</button></div>`);

let prefix = 0;
/** Single keys outside of fields: navigation, and what names a key (`aria-keyshortcuts`) in the entry with the focus, or else on the page. */
document.addEventListener('keydown', (event) => {
	const { key, target } = event;
	if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector('dialog') || !session.hello) return;
	if (target.matches('input, textarea, select')) {
		if (key === 'Escape') (target.closest('[data-row]') || document.getElementById('main')).focus();
		return;
	}
	const rows = [...document.querySelectorAll('main [data-row]')], row = target.closest('[data-row]');
	const screen = event.timeStamp - prefix < 1500 && Object.keys(SCREENS).find((it) => SCREENS[it][1] === key);
	let to;
	prefix = key === 'g' ? event.timeStamp : -9999;
	if (screen) location.hash = href(screen);
	else if (key === '?') help();
	else if (key === '/') to = document.querySelector('input[type=search]');
	else if (key === 'j' || key === 'k') to = rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(row) + (key === 'j' ? 1 : -1)))];
	else if (/^[a-z]$/.test(key)) {
		// A decision is for the entry with the focus only, and once per press.
		const place = row || (key === 'f' ? document : null);
		to = event.repeat ? null : place?.querySelector(`[aria-keyshortcuts=${key}]`);
		if (to?.type === 'button') { to.click(); to = null; }
	} else return;
	if (to || screen) event.preventDefault();
	to?.focus();
});

const asks = (it) => it.event === 'approval' || (it.event === 'task' && (it.question || it.by || it.reason === 'enqueued'));
function app() {
	if (!session.hello) return login();
	const { screen, id, query } = route();
	const [title] = SCREENS[screen] || ['No such screen'];
	const stats = data('/v1/stats', {}, { every: 2 }).value?.stats;
	const waits = data('/v1/approvals', { limit: 100 }, { on: asks, every: 30 }).value;
	if (stats) sample(stats);
	document.title = `${id ? `${id} · ` : ''}${title} · Kirosu`;
	const badges = { inbox: waits?.approvals.length && `${waits.approvals.length}${waits.next ? '+' : ''}`, tasks: stats?.leased && count(stats.leased) };
	return html`<header><a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById('main').focus(); }}>Skip to the content</a>
		<a class="logo" href="#/overview"><img src="/page/icon.svg" alt="" width="20" height="20" />Kirosu<i class=${session.cause ? 'dot off' : 'dot'}></i></a>
		<nav aria-label="Screens">${Object.entries(SCREENS).filter(([, it]) => can(it[3])).map(([name, [text, key]]) => html`<a href=${href(name)} title=${`g ${key}`} aria-current=${screen === name && 'page'}>${text}
			${badges[name] ? html` <span class="badge ${name}">${badges[name]}<span class="sr">${name === 'inbox' ? ' wait for a person' : ' running'}</span></span>` : ''}</a>`)}</nav>
		<div class="who">${session.hello.role} <button class="small" onClick=${help} aria-label="Keys">?</button><button class="small" onClick=${logout}>Log out</button></div></header>
		${session.cause && html`<div class="banner" role="alert"><b>Not connected.</b> ${session.cause} You see the last known state; the page goes on by itself.</div>`}
		<main id="main" tabindex="-1" key=${`${screen}/${id}`}>${show(screen, id, query)}</main>${above()}`;
}
addEventListener('hashchange', draw);

// A link with a ticket logs in once. The ticket leaves the URL at once.
const ticket = /[#&]ticket=([^&]+)/.exec(location.hash)?.[1];
if (ticket) history.replaceState(null, '', '/');
await enter(ticket && { ticket: decodeURIComponent(ticket) });
start(app);
