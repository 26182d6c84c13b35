// The hub is killed and started again under the page, which says so, keeps what it has, and goes on.
import assert from 'node:assert/strict';
import { ask, end, enter, go, ids } from './browser.mjs';

const page = await enter('admin');
await go(page, 'tasks?queue=people');
await page.getByText('Which of the two names?').waitFor();
await ask('kill');
await page.getByText('Not connected.').waitFor();
assert.match(await page.getByRole('alert').first().textContent(), /hub/);
await page.getByText('Which of the two names?').waitFor();
// What is done meanwhile is refused with the reason.
await go(page, `tasks/${ids.human}`);
await ask('start');
await page.getByText('Not connected.').waitFor({ state: 'detached' });
await page.getByRole('button', { name: 'Cancel', exact: true }).click();
await page.getByRole('button', { name: 'Yes' }).click();
await page.locator('main .head .state').getByText('cancelled').waitFor();
await go(page, 'tasks?queue=people');
await page.getByRole('row').filter({ hasText: 'Which of the two names?' }).getByText('cancelled', { exact: true }).waitFor();
await end();
