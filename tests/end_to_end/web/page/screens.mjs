// Each screen at the size of a desk and of a phone, dark and light: no fault of accessibility, no error, nothing too wide. With
// KIROSU_SCREENSHOTS the pictures go into that folder.
import fs from 'node:fs';
import { check, DESK, end, enter, go, ids, PHONE, until } from './browser.mjs';

const SCREENS = {
	overview: '', inbox: 'inbox', tasks: 'tasks', failed: 'tasks?status=failed', search: 'tasks?q=chapter', none: 'tasks?queue=nothing', task: `tasks/${ids.asked}`, running: `tasks/${ids.slow}`,
	failure: `tasks/${ids.failed}`, question: `tasks/${ids.form}`, waits: `tasks/${ids.waits}`, attack: `tasks/${ids.attack}`, runs: 'runs', run: `runs/${ids.run}?step=read`, pools: 'pools', schedules: 'schedules',
	usage: 'usage', tree: 'tree', events: 'events', keys: 'keys', unknown: 'unknown',
};
const folder = process.env.KIROSU_SCREENSHOTS;
if (folder) fs.mkdirSync(folder, { recursive: true });

for (const [size, viewport] of [['desk', DESK], ['phone', PHONE]]) for (const scheme of ['light', 'dark']) {
	const page = await enter('admin', { viewport, scheme });
	if (folder) await until('there is something to draw', async () => (await page.locator('polyline').nth(1).getAttribute('points')).split(' ').length > 8);
	for (const [name, path] of Object.entries(SCREENS)) {
		await go(page, path);
		await check(page, `${name}, ${size}, ${scheme}`);
		if (folder) await page.screenshot({ path: `${folder}/web-${name}-${size}-${scheme}.png` });
	}
	// The dialogs, over a screen.
	await page.keyboard.press('?');
	await page.getByRole('dialog').waitFor();
	await check(page, `keys, ${size}, ${scheme}`);
	await page.keyboard.press('Escape');
	await page.getByRole('dialog').waitFor({ state: 'detached' });
	await go(page, 'tasks?queue=bulk');
	await page.getByRole('button', { name: 'Cancel all' }).click();
	await page.getByText('130 tasks match.').waitFor();
	await check(page, `bulk, ${size}, ${scheme}`);
	await page.getByRole('button', { name: 'Close' }).click();
	// The login.
	await page.getByRole('button', { name: 'Log out' }).click();
	await page.getByLabel('Key').waitFor();
	await check(page, `login, ${size}, ${scheme}`);
	await page.context().close();
}
await end();
