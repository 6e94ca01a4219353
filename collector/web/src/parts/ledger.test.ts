import { expect, test } from 'vitest';
import { unexplained } from './ledger';

const row = { gateway: 'g', day: '2026-11-24', expected: 100, stored: 90, gaps: { power_lost: 4, thinned: 1 }, open: 5 };

test('stored, gaps and what is on the way add up to what was expected', () => expect(unexplained(row)).toBe(0));
test('one reading without an explanation is told', () => expect(unexplained({ ...row, stored: 89 })).toBe(1));
test('more than expected is told as well', () => expect(unexplained({ ...row, stored: 92 })).toBe(-2));
