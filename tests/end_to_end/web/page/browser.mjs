// What the programs share: a browser, a person who is logged in, and what must hold everywhere.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import readline from 'node:readline';

const require = createRequire(`${process.env.MODULES}/`);
const { chromium } = require('playwright-core');
const axe = fs.readFileSync(`${process.env.MODULES}/axe-core/axe.min.js`, 'utf8');

export const { url, keys, ids, seconds } = JSON.parse(process.env.PAGE);
export const DESK = { width: 1280, height: 800 }, PHONE = { width: 390, height: 844 };

const inPath = (name) => process.env.PATH.split(':').map((folder) => `${folder}/${name}`).find((file) => fs.existsSync(file));
const executablePath = ['chromium', 'chromium-browser', 'google-chrome'].map(inPath).find(Boolean);
assert(executablePath, 'no browser is installed: tests/setup.sh installs chromium');
// Without a sandbox, because root cannot have one; it opens pages of this test only.
export const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--enable-precise-memory-info'] });

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
/** Asks the test to do something; its answer. */
export async function ask(word) {
	console.log(`ask ${word}`);
	return JSON.parse((await lines.next()).value);
}
export const hub = (method, params = {}) => ask(`${method} ${JSON.stringify(params)}`);

/** Looks again until `look` returns something, for at most half a minute. */
export async function until(what, look) {
	const end = Date.now() + 30000;
	for (;;) {
		const found = await look();
		if (found) return found;
		assert(Date.now() < end, `waited for: ${what}`);
		await new Promise((done) => { setTimeout(done, 50); });
	}
}

/** A page of a person with the key of a role. `faults` lists errors and warnings of the console, and requests to others. */
export async function enter(role, { viewport = DESK, scheme = 'light' } = {}) {
	const context = await browser.newContext({ viewport, colorScheme: scheme, reducedMotion: 'reduce' });
	const page = await context.newPage();
	page.faults = [];
	page.on('console', (it) => { if (it.type() === 'error' || it.type() === 'warning') page.faults.push(`${it.type()}: ${it.text()} ${it.location().url}`); });
	page.on('pageerror', (error) => page.faults.push(error.stack));
	page.on('request', (it) => { if (new URL(it.url()).origin !== url) page.faults.push(`a request to ${it.url()}`); });
	page.on('dialog', (it) => { page.faults.push(`a dialog: ${it.message()}`); it.dismiss(); });
	page.setDefaultTimeout(30000);
	await page.goto(url);
	await page.getByLabel('Key').fill(keys[role]);
	if (role) await page.getByRole('button', { name: 'Log in' }).click();
	await page.getByRole('navigation').waitFor();
	return page;
}
export async function go(page, path) {
	await page.evaluate((to) => new Promise((done) => {
		location.hash = to;
		requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done)));
	}), path);
	await page.getByRole('heading', { level: 1 }).first().waitFor();
	await until('all is loaded', async () => (await page.getByText('Loading …').count()) === 0);
}

/** Faults that axe finds, and texts that make the page wider than the screen. */
export async function check(page, name) {
	// By the protocol of the browser, which the page's policy for scripts does not bind.
	const session = await page.context().newCDPSession(page);
	const run = async (expression) => {
		const { result, exceptionDetails } = await session.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
		assert(!exceptionDetails, JSON.stringify(exceptionDetails));
		return result.value;
	};
	await run(axe);
	const found = await run('axe.run().then((it) => it.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`))');
	assert.deepEqual(found, [], name);
	const [width, screen] = await run('[document.documentElement.scrollWidth, innerWidth]');
	assert(width <= screen, `${name} is ${width} wide on a screen of ${screen}`);
	await session.detach();
	assert.deepEqual(page.faults, [], name);
}
/** The end of a program: the open standard input would keep it. */
export async function end() {
	await browser.close();
	process.exit(0);
}
