// The counters of the last minutes while the page was open, of which the overview makes its charts.
import { now } from './ui.js';

export const samples = [];
export function sample(stats) {
	if (samples.at(-1)?.stats === stats) return;
	samples.push({ at: now(), stats });
	if (samples.length > 300) samples.shift();
}
