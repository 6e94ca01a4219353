import { describe, expect, test } from 'vitest';
import type { Alarm, Level, Priority } from '../api/types';
import { clockIsOff, freshness } from './freshness';
import { compareAlarms, compareLevels, comparePoints, comparePriorities, isOpen, needsAcknowledgement } from './order';

describe('freshness', () => {
  const period_ms = 5000;
  const at = (sampled_at: number | null, received_at: number | null, live = true) => ({ sampled_at, received_at, live, period_ms });

  test('a value goes stale by the clock alone, when nothing more arrives', () => {
    expect(freshness(at(100_000, 100_100), 112_000, true)).toBe('current');
    expect(freshness(at(100_000, 100_100), 112_001, true)).toBe('stale');
  });
  test('what the collector does not call live is never current', () => {
    expect(freshness(at(100_000, 100_100, false), 100_200, true)).toBe('stale');
  });
  test('without a connection even a fresh value is only last known', () => {
    expect(freshness(at(100_000, 100_100), 100_200, false)).toBe('last_known');
  });
  test('a channel that was never read has no value', () => {
    expect(freshness(at(null, null), 100_000, true)).toBe('none');
  });
  test('a gateway clock an hour off is told, and does not make live values stale or dead ones fresh', () => {
    for (const off of [-3_600_000, 3_600_000]) {
      const channel = at(1_000_000_000 + off, 1_000_000_000);
      expect(clockIsOff(channel)).toBe(true);
      expect(freshness(channel, 1_000_001_000, true)).toBe('current');
      expect(freshness(channel, 1_000_013_000, true)).toBe('stale');
    }
  });
});

test('levels and priorities are ordered worst first, and an unknown one comes before all', () => {
  const levels: Level[] = ['blue', 'red', 'yellow', 'orange'];
  expect([...levels].sort(compareLevels)).toEqual(['red', 'orange', 'yellow', 'blue']);
  const priorities = ['low', 'urgent', 'medium', 'high', 'catastrophic'] as Priority[];
  expect([...priorities].sort(comparePriorities)).toEqual(['catastrophic', 'urgent', 'high', 'medium', 'low']);
});

test('within a level the unguarded point comes first', () => {
  const point = (id: number, level: Level, guarded: boolean, open_alarms = 0) => ({ id, level, guarded, open_alarms, name: `p${id}` });
  const sorted = [point(1, 'blue', false), point(2, 'yellow', true, 3), point(3, 'yellow', false), point(4, 'red', true)].sort(comparePoints);
  expect(sorted.map((p) => p.id)).toEqual([4, 3, 2, 1]);
});

describe('alarms', () => {
  const alarm = (id: string, fields: Partial<Alarm>): Alarm =>
    ({ id, state: 'unacknowledged', priority: 'high', opened_at: 0, acknowledged_at: null, closed_at: null, ...fields }) as Alarm;

  test('what stands unacknowledged comes before worse alarms that somebody has seen', () => {
    const sorted = [
      alarm('acknowledged', { state: 'acknowledged', priority: 'urgent', acknowledged_at: 5 }),
      alarm('returned', { state: 'returned_unacknowledged', priority: 'urgent' }),
      alarm('low', { priority: 'low', opened_at: 9 }),
      alarm('older', { priority: 'urgent', opened_at: 1 }),
      alarm('newer', { priority: 'urgent', opened_at: 2 }),
    ].sort(compareAlarms);
    expect(sorted.map((a) => a.id)).toEqual(['newer', 'older', 'low', 'returned', 'acknowledged']);
  });
  test('a latched alarm asks for a person until one has answered', () => {
    expect(needsAcknowledgement(alarm('a', { state: 'latched' }))).toBe(true);
    expect(needsAcknowledgement(alarm('a', { state: 'latched', acknowledged_at: 5 }))).toBe(false);
    expect(needsAcknowledgement(alarm('a', { state: 'shelved' }))).toBe(false);
  });
  test('an alarm is open until it is closed', () => {
    expect(isOpen(alarm('a', { state: 'acknowledged', acknowledged_at: 5 }))).toBe(true);
    expect(isOpen(alarm('a', { state: 'normal', closed_at: 9 }))).toBe(false);
  });
});
