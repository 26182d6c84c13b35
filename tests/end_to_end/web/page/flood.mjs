// As many events as the hub can make: the page draws on, no task of its thread takes long, and its memory stays flat.
import assert from 'node:assert/strict';
import { ask, browser, end, enter, go, seconds, until } from './browser.mjs';

const LONG = 100; // milliseconds of processor time: those of the clock are not the page's alone on a busy machine
const page = await enter('admin');
const session = await page.context().newCDPSession(page);
const heap = async () => { await session.send('HeapProfiler.collectGarbage'); return (await session.send('Runtime.getHeapUsage')).usedSize / 1e6; };
const newest = async () => Number(await page.locator('tbody tr a').first().textContent());

await go(page, 'tasks');
const before = await newest();
await ask('begin');
await until('the list goes on', async () => (await newest()) > before + 1000);
const early = await heap();
await page.evaluate(() => { window.frames_seen = 0; const frame = () => { window.frames_seen++; requestAnimationFrame(frame); }; frame(); });
await browser.startTracing(page, { categories: ['toplevel'] });
for (const path of ['tasks', '', 'events', 'tasks']) {
	await go(page, path);
	await page.waitForTimeout((seconds * 1000) / 5);
}
const { traceEvents } = JSON.parse(await browser.stopTracing());
const late = await heap();
const events = await ask('end');
const frames = await page.evaluate(() => window.frames_seen);

const main = traceEvents.filter((it) => it.name === 'thread_name' && it.args.name === 'CrRendererMain').map((it) => `${it.pid} ${it.tid}`);
const tasks = traceEvents.filter((it) => it.tdur && /RunTask/.test(it.name) && main.includes(`${it.pid} ${it.tid}`)).map((it) => it.tdur / 1000).sort((a, b) => b - a);
console.log(`${Math.round(events / seconds)} events/s for ${seconds} s, ${frames} frames; the longest of ${tasks.length} tasks: ${tasks.slice(0, 5).map((it) => Math.round(it)).join(', ')} ms; heap ${early.toFixed(1)} MB, then ${late.toFixed(1)} MB`);
assert(tasks.length > 100, 'the tasks of the page are traced');
assert(tasks[0] < LONG, `a task took ${tasks[0]} ms`);
assert(late < early * 1.5 + 4, 'the memory grows');
await until('the page shows the end', async () => (await page.locator('tbody tr').first().textContent()).includes('done'));
assert.deepEqual(page.faults, []);
await end();
