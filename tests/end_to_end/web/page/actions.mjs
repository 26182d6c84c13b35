// What people do on the page, by what they see: buttons, fields and keys.
import assert from 'node:assert/strict';
import { end, enter, go, hub, ids, keys, until, url } from './browser.mjs';

const button = (page, name) => page.getByRole('button', { name, exact: true });
const row = (page, text) => page.getByRole('row').filter({ hasText: text });
const told = (page, text) => page.getByRole('status').getByText(text).first().waitFor();
const status = async (id) => (await hub('get', { task_id: id })).task.status;
const is = (id, wanted) => until(`task ${id} is ${wanted}`, async () => (await status(id)) === wanted);
const unfaulted = (page) => assert.deepEqual(page.faults, []);

// Who may only look sees no button that changes anything, and no screen of keys.
{
	const page = await enter('observe');
	for (const path of ['inbox', `tasks/${ids.slow}`, `tasks/${ids.failed}`, 'tasks', `runs/${ids.run}?step=read`, 'pools', 'schedules']) {
		await go(page, path);
		await page.getByRole('heading', { level: 1 }).waitFor();
		const buttons = await page.locator('main').getByRole('button').allTextContents();
		assert.deepEqual(buttons.filter((it) => !['Follow', 'Older lines'].includes(it)), [], path);
	}
	assert.equal(await page.getByRole('navigation').getByRole('link', { name: 'Keys' }).count(), 0);
	unfaulted(page);
	await page.context().close();
}

// The inbox with the keyboard alone.
{
	const page = await enter('person');
	await page.keyboard.press('g');
	await page.keyboard.press('i');
	const first = page.getByRole('article', { name: 'permission: git push origin main' });
	await first.getByText('"git push origin main --force-with-lease"').waitFor();
	await page.keyboard.press('j');
	await until('the first entry has the focus', () => first.evaluate((it) => it === document.activeElement));
	await page.keyboard.press('a');
	await first.waitFor({ state: 'detached' });
	const choice = page.getByRole('article', { name: 'permission: Which database?' });
	await choice.focus();
	await page.keyboard.press('a');
	await told(page, 'Choose one of the answers first.');
	await page.keyboard.press('Tab');
	while (!(await page.evaluate(() => document.activeElement.type === 'radio'))) await page.keyboard.press('Tab');
	await page.keyboard.press('ArrowDown');
	await page.keyboard.press('Escape');
	await page.keyboard.press('a');
	await choice.waitFor({ state: 'detached' });
	const { approvals } = await hub('approvals', { state: 'approved', task_id: ids.asked });
	assert.deepEqual(approvals.map((it) => [it.tool, it.option ?? '', it.by]).sort(), [['choose', 'my', 'person-1'], ['shell', '', 'person-1']]);
	// A rejection with its reason.
	const drop = page.getByRole('article', { name: 'approval: Drop the table `events`?' });
	await drop.getByText('It has 41 million rows.').waitFor();
	await drop.focus();
	await page.keyboard.press('x');
	await page.getByLabel('Reason (optional)').waitFor();
	await page.keyboard.press('Tab');
	await page.getByLabel('Reason (optional)').focus();
	await page.keyboard.type('too risky');
	await page.keyboard.press('Tab');
	await page.keyboard.press('Tab');
	await page.keyboard.press('Enter');
	await is(ids.approval, 'failed');
	assert.match((await hub('get', { task_id: ids.approval })).task.error, /too risky/);
	// An answer.
	const names = page.getByRole('article', { name: 'question: Which of the two names?' });
	await names.focus();
	await page.keyboard.press('w');
	await page.keyboard.type('the second');
	await page.keyboard.press('Tab');
	await page.keyboard.press('Enter');
	await is(ids.human, 'done');
	assert.equal((await hub('get', { task_id: ids.human })).task.result, 'the second');
	// Without an entry that has the focus a shortcut decides nothing, not even one that is kept down.
	await page.evaluate(() => document.activeElement.blur());
	for (let n = 0; n < 3; n++) await page.keyboard.down('a');
	await page.keyboard.up('a');
	// A form that is none breaks nothing: the entries after it are there, and can be decided.
	const odd = (await hub('enqueue', { prompt: 'An odd form', type: 'human', queue: 'people', metadata: { form: { required: 1, properties: { a: null, b: { enum: {} } } } } })).task_id;
	await page.getByRole('article', { name: 'question: An odd form' }).waitFor();
	assert.equal(await status(ids.form), 'queued');
	await hub('cancel', { task_id: odd });
	await page.getByRole('article', { name: 'question: An odd form' }).waitFor({ state: 'detached' });
	// A form.
	const form = page.getByRole('article', { name: 'question: How severe is the leak?' });
	await form.getByLabel('severity').selectOption({ label: 'high' });
	await form.getByLabel('days').fill('3');
	await form.getByLabel('notify').check();
	await form.getByRole('button', { name: 'Answer' }).click();
	await is(ids.form, 'done');
	assert.deepEqual(JSON.parse((await hub('get', { task_id: ids.form })).task.result), { severity: 'high', days: 3, notify: true });
	unfaulted(page);
	await page.context().close();
}

const page = await enter('admin');
// A task: its output follows until somebody scrolls up, older lines come on demand, and it can be cancelled.
await go(page, `tasks/${ids.asked}`);
const output = page.getByRole('group', { name: 'Output' });
await output.getByText('2999 src/module_2999.rs').waitFor();
assert.equal((await output.textContent()).split('\n').length, 501);
await button(page, 'Older lines').click();
await until('older lines are shown', async () => (await output.textContent()).split('\n').length > 1500);
await go(page, `tasks/${ids.slow}`);
await output.getByText('line 3:').waitFor();
const bottom = () => output.evaluate((it) => it.scrollHeight - it.scrollTop - it.clientHeight < 8);
await until('the output is longer than its box', () => output.evaluate((it) => it.scrollHeight > it.clientHeight + 40));
await until('it follows', bottom);
await output.evaluate((it) => { it.scrollTop = 0; });
await until('it does not follow', async () => (await button(page, 'Follow').getAttribute('aria-pressed')) === 'false');
const length_before = (await output.textContent()).length;
await until('more came', async () => (await output.textContent()).length > length_before);
assert.equal(await output.evaluate((it) => it.scrollTop), 0);
await page.locator('main').focus();
await page.keyboard.press('f');
await until('it follows', bottom);
await button(page, 'Cancel').click();
await page.getByLabel('Reason (optional)').fill('seen enough');
await button(page, 'Yes').click();
await is(ids.slow, 'cancelled');
await button(page, 'Retry').click();
await is(ids.slow, 'leased');
await go(page, `tasks/${ids.waits}`);
await page.getByText("no pool serves queue 'forgotten'").waitFor();

// The filter is in the URL, and changes act on all that it matches, after it was said how many.
await go(page, 'tasks');
assert.equal(await page.getByRole('row').count(), 51);
await page.getByLabel('Queue').fill('bulk');
await page.getByLabel('Search').fill('work 12');
await until('the list is that of the filter', async () => (await page.getByRole('row').count()) < 40);
assert.equal(new URL(page.url()).hash, '#/tasks?queue=bulk&q=work+12');
await page.reload();
assert.equal(await page.getByLabel('Queue').inputValue(), 'bulk');
await page.getByRole('button', { name: 'Cancel all' }).click();
const some = (await hub('list', { queue: 'bulk', limit: 200 })).tasks.filter((it) => `${it.task_id} ${it.prompt}`.includes('12')).length;
await button(page, `Cancel ${some} tasks`).click();
await page.getByText(`${some} of ${some} were cancelled.`).waitFor();
await button(page, 'Close').click();
await page.getByLabel('Search').fill('');
await page.getByRole('button', { name: 'Cancel all' }).click();
await button(page, `Cancel ${130 - some} tasks`).click();
await page.getByText(`${130 - some} of ${130 - some} were cancelled.`).waitFor();
await button(page, 'Close').click();
assert.deepEqual((await hub('wait', { queue: 'bulk', timeout_seconds: 0 })).counts, { cancelled: 130 });
await page.getByRole('button', { name: 'Retry all' }).click();
await button(page, 'Retry 130 tasks').click();
await page.getByText('130 of 130 were queued again.').waitFor();
await button(page, 'Close').click();

// A task that ends while the list is on the screen changes there.
const added = await hub('enqueue', { prompt: 'Seen at once', queue: 'seen' });
await go(page, 'tasks?queue=seen');
await row(page, 'Seen at once').getByText('queued').waitFor();
await hub('cancel', { task_id: added.task_id });
await row(page, 'Seen at once').getByText('cancelled', { exact: true }).waitFor();

// Runs.
await go(page, 'runs');
await row(page, 'review-modules').getByRole('link').click();
await page.getByRole('link', { name: 'read' }).click();
await page.getByText('Items of read').waitFor();
await until('the failed item is the first', async () => /fail-here/.test((await row(page, 'failed').last().textContent()) || ''));
const failures = (await hub('run_items', { task_id: ids.run, step: 'read', state: 'failed' })).items[0].task_id;
await row(page, 'fail-here').getByRole('button', { name: 'Retry' }).click();
await until('the item is repeated', async () => (await hub('run_items', { task_id: ids.run, step: 'read', key: 'fail-here' })).items[0].task_id !== failures || (await hub('get', { task_id: failures })).attempts.length > 1);
const long_run = (await hub('enqueue', { type: 'plan', prompt: "{name: takes-long, pipeline: [{id: look, pool: coders, prompt: 'slow'}]}" })).task_id;
const run = async () => (await hub('run', { task_id: long_run })).state;
await go(page, `runs/${long_run}`);
await row(page, 'look').getByText('open').waitFor();
await button(page, 'Pause').click();
await until('it is paused', async () => (await run()) === 'paused');
await button(page, 'Resume').click();
await until('it goes on', async () => (await run()) === 'open');
await button(page, 'Cancel').click();
await button(page, 'Yes').click();
await until('it is cancelled', async () => (await run()) === 'cancelled');

// Pools and queues.
await go(page, 'pools');
await page.getByLabel('Size of echo').fill('4');
await row(page, 'echo').first().getByRole('button', { name: 'Set' }).click();
await until('the pool is resized', async () => (await hub('pools')).pools.find((it) => it.name === 'echo').size === 4);
const queues = page.getByRole('group', { name: 'Queues' });
await queues.getByRole('row').filter({ hasText: 'coders' }).getByRole('button', { name: 'Pause' }).click();
await queues.getByRole('row').filter({ hasText: 'coders' }).getByRole('button', { name: 'Resume' }).click();
await until('the queue goes on', async () => (await hub('stats')).stats.paused.length === 0);
await button(page, 'Pause all').click();
await until('all are paused', async () => (await hub('stats')).stats.paused.includes('*'));
await button(page, 'Resume all').click();
await until('all go on', async () => (await hub('stats')).stats.paused.length === 0);

// Schedules.
await go(page, 'schedules');
const fired = async () => (await hub('schedule_list')).schedules;
await row(page, 'links').getByRole('button', { name: 'Run now' }).click();
await until('it has fired', async () => (await fired())[0].fired === 1);
await row(page, 'links').getByRole('button', { name: 'Pause' }).click();
await row(page, 'links').getByText('paused').waitFor();
await page.getByRole('button', { name: 'Add …' }).click();
await page.getByLabel('Name').fill('often');
await page.getByLabel('Or every … seconds').fill('3600');
await page.getByLabel('Prompt').fill('Look around');
await button(page, 'Add').click();
await row(page, 'often').getByText('every 60 min').waitFor();
await row(page, 'links').getByRole('button', { name: 'Remove' }).click();
await button(page, 'Yes').click();
await until('it is removed', async () => (await fired()).map((it) => it.name).join() === 'often');
// A wrong one is refused with what is wrong, and stays in the form.
await page.getByRole('button', { name: 'Add …' }).click();
await page.getByLabel('Name').fill('wrong');
await page.getByLabel('Cron, such').fill('99 * * * *');
await page.getByLabel('Prompt').fill('x');
await button(page, 'Add').click();
await told(page, /minute/);
await button(page, 'Close').click();

// Keys: a new secret is shown once, and it works until it is revoked.
await go(page, 'keys');
await page.getByRole('button', { name: 'Add …' }).click();
await page.getByLabel('Name').fill('guest');
await page.getByLabel('Role').selectOption('observe');
await button(page, 'Add').click();
const secret = await page.getByRole('dialog').locator('pre').textContent();
await button(page, 'I have copied it').click();
await until('the secret is gone', async () => !(await page.content()).includes(secret));
keys.guest = secret;
const guest = await enter('guest');
await row(page, 'guest').getByRole('button', { name: 'Revoke' }).click();
await button(page, 'Yes').click();
await row(page, 'guest').getByText('revoked').waitFor();
await guest.getByLabel('Key').waitFor();
await guest.context().close();

// Events, usage, the tree, the overview.
await go(page, 'events');
await hub('enqueue', { prompt: 'An event', queue: 'seen' });
await row(page, 'enqueued').first().waitFor();
await go(page, 'usage?by=model');
await row(page, 'opus').getByText('$0.4100').waitFor();
await row(page, 'pool:coders').getByText(/1M tokens/).first().waitFor();
await go(page, 'tree');
await row(page, 'writer').getByText('running').first().waitFor();
await page.getByRole('button', { name: 'Children of pools' }).click();
assert.equal(await row(page, 'coders').count(), 0);
await page.getByRole('button', { name: 'Children of pools' }).click();
await row(page, 'coders').first().waitFor();
unfaulted(page.faults.length ? { faults: page.faults.filter((it) => !/ (400|401|409|422) /.test(it)) } : page);

// Texts that attack are texts.
{
	const evil = await enter('admin');
	for (const path of ['', 'tasks', `tasks/${ids.attack}`, 'inbox', 'events', 'usage', 'tasks?q=onerror', 'pools']) {
		await go(evil, path);
		await evil.getByRole('heading', { level: 1 }).waitFor();
	}
	await go(evil, `tasks/${ids.attack}`);
	await evil.getByText('<script>window.attacked=1</script>').first().waitFor();
	await evil.getByText('⟨202e⟩txt.exe').first().waitFor();
	assert.equal(await evil.evaluate(() => window.attacked), undefined);
	assert.equal(await evil.locator('main img, main script, main b i').count(), 0);
	const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/;
	assert(!unseen.test(await evil.locator('main').innerText()), 'control characters are shown');
	const links = await evil.locator('main a').evaluateAll((all) => all.map((it) => [it.getAttribute('href'), it.rel]));
	assert(links.some(([to]) => to.startsWith('https://example.org/a')));
	for (const [to, rel] of links) assert(to.startsWith('#/') || (/^https?:/.test(to) && /noopener/.test(rel)), to);
	unfaulted(evil);
}
assert(url);
await end();
