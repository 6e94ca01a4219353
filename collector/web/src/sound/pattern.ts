// Pure: which sound the present state asks for. Louder news first; the loss of the connection sounds unlike any alarm.

import type { Alarm, Priority } from '../api/types';
import { comparePriorities, needsAcknowledgement } from '../live/order';

export interface Note {
  /** Seconds after the beginning of the pattern. */
  at_s: number;
  hertz: number;
  length_s: number;
}
export interface Pattern {
  name: Priority | 'lost';
  notes: readonly Note[];
  /** Repeated this often until a person answers. */
  every_s: number;
}

const beeps = (hertz: number, count: number, spacing_s: number, length_s: number): Note[] =>
  Array.from({ length: count }, (_, i) => ({ at_s: i * spacing_s, hertz, length_s }));

export const PATTERNS: Readonly<Record<Pattern['name'], Pattern>> = {
  // Five quick beeps, then again: nobody sleeps through it, and it leaves room to speak.
  urgent: { name: 'urgent', notes: beeps(960, 5, 0.16, 0.1), every_s: 2 },
  high: {
    name: 'high',
    notes: [{ at_s: 0, hertz: 800, length_s: 0.18 }, { at_s: 0.26, hertz: 640, length_s: 0.18 }],
    every_s: 3,
  },
  medium: { name: 'medium', notes: beeps(600, 2, 0.3, 0.14), every_s: 8 },
  low: { name: 'low', notes: beeps(520, 1, 0, 0.16), every_s: 20 },
  // Falling, low and slow: we are blind, rather than something is high.
  lost: {
    name: 'lost',
    notes: [
      { at_s: 0, hertz: 392, length_s: 0.3 },
      { at_s: 0.36, hertz: 294, length_s: 0.3 },
      { at_s: 0.72, hertz: 220, length_s: 0.5 },
    ],
    every_s: 5,
  },
};

/** What should sound now, if anything. Acknowledging silences; late alarms belong to yesterday and do not ring. */
export function wanted(alarms: readonly Alarm[], lost: boolean): Pattern | null {
  if (lost) return PATTERNS.lost;
  const ringing = alarms.filter((alarm) => needsAcknowledgement(alarm) && !alarm.late);
  const worst = ringing.map((alarm) => alarm.priority).sort(comparePriorities)[0];
  return worst === undefined ? null : (PATTERNS[worst] ?? PATTERNS.urgent);
}
