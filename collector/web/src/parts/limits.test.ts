import { expect, test } from 'vitest';
import type { Limit } from '../api/types';
import { crossed, gaugeEnds } from './limits';

const limit = (direction: Limit['direction'], setpoint: number, priority: Limit['priority']): Limit =>
  ({ rule: 'r', direction, setpoint, release: setpoint, on_delay_ms: 0, off_delay_ms: 0, priority, source: '' });
const oxygen = [limit('low', 19.5, 'high'), limit('low', 18, 'urgent'), limit('high', 23.5, 'high')];
const check = (value: number | null, setpoint: number | null, quality: 'good' | 'bad' = 'good') =>
  expect(crossed({ value, quality, limits: oxygen })?.setpoint ?? null).toBe(setpoint);

test('the worst limit beyond which the value stands', () => {
  check(20.9, null);
  check(19.5, 19.5);
  check(17, 18);
  check(24, 23.5);
});
test('no value and no trust is no crossing, and never a zero', () => {
  check(null, null);
  check(0, null, 'bad');
});
test('the gauge shows the limits even when the range is far wider', () => {
  const [low, high] = gaugeEnds({ value: 0.2, range: [0, 100], limits: [limit('high', 1, 'high')] });
  expect(low).toBe(0);
  expect(high).toBeGreaterThan(1);
  expect(high).toBeLessThan(5);
  expect(gaugeEnds({ value: 20.9, range: [0, 30], limits: oxygen })).toEqual([0, 30]);
  expect(gaugeEnds({ value: null, range: null, limits: [] })).toEqual([0, 1]);
});
