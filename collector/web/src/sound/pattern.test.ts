import { expect, test } from 'vitest';
import type { Alarm, AlarmState, Priority } from '../api/types';
import { PATTERNS, wanted } from './pattern';

const alarm = (priority: Priority, state: AlarmState = 'unacknowledged', late = false): Alarm =>
  ({ priority, state, late, acknowledged_at: state === 'acknowledged' ? 1 : null }) as Alarm;
const check = (alarms: Alarm[], lost: boolean, name: string | null) => expect(wanted(alarms, lost)?.name ?? null).toBe(name);

test('the worst unacknowledged alarm chooses the sound', () => check([alarm('low'), alarm('urgent'), alarm('high')], false, 'urgent'));
test('acknowledging silences', () => check([alarm('urgent', 'acknowledged')], false, null));
test('an alarm that returned by itself still rings until somebody answers', () =>
  check([alarm('high', 'returned_unacknowledged')], false, 'high'));
test('a late alarm does not ring today’s bell', () => check([alarm('urgent', 'unacknowledged', true)], false, null));
test('a lost connection has its own sound, above every alarm', () => check([alarm('urgent')], true, 'lost'));
test('a priority newer than this page rings as urgent', () => check([alarm('catastrophic' as Priority)], false, 'urgent'));
test('no pattern runs into its own repetition', () => {
  for (const pattern of Object.values(PATTERNS)) {
    const end = Math.max(...pattern.notes.map((note) => note.at_s + note.length_s));
    expect(end, pattern.name).toBeLessThan(pattern.every_s);
  }
});
