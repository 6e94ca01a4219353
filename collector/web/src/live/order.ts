// Pure: what comes first. Worst first everywhere, and never two orders for the same thing.

import type { Alarm, Level, Priority } from '../api/types';

export const LEVELS: readonly Level[] = ['red', 'orange', 'yellow', 'blue'];
export const PRIORITIES: readonly Priority[] = ['urgent', 'high', 'medium', 'low'];

// A name this page does not know sorts as the worst: unknown is worse than high.
const rank = <T>(order: readonly T[], item: T) => Math.max(-1, order.indexOf(item));

/** Negative when the first is the worse. */
export const compareLevels = (a: Level, b: Level) => rank(LEVELS, a) - rank(LEVELS, b);
export const comparePriorities = (a: Priority, b: Priority) => rank(PRIORITIES, a) - rank(PRIORITIES, b);

export const needsAcknowledgement = (alarm: Alarm) =>
  (alarm.state === 'unacknowledged' || alarm.state === 'returned_unacknowledged' || alarm.state === 'latched') &&
  alarm.acknowledged_at === null;

export const isOpen = (alarm: Alarm) => alarm.closed_at === null && alarm.state !== 'normal';

/** Still standing before those that came and went; unacknowledged before acknowledged; then worst; then newest. */
export function compareAlarms(a: Alarm, b: Alarm): number {
  return (
    Number(b.state === 'unacknowledged') - Number(a.state === 'unacknowledged') ||
    Number(needsAcknowledgement(b)) - Number(needsAcknowledgement(a)) ||
    comparePriorities(a.priority, b.priority) ||
    b.opened_at - a.opened_at ||
    (a.id < b.id ? -1 : 1)
  );
}

interface Graded {
  id: number;
  level: Level;
  guarded: boolean;
  open_alarms: number;
  name: string;
}

/** The worst level first; within a level the unguarded first, then the more alarms, then the name. */
export function comparePoints(a: Graded, b: Graded): number {
  return (
    compareLevels(a.level, b.level) ||
    Number(a.guarded) - Number(b.guarded) ||
    b.open_alarms - a.open_alarms ||
    a.name.localeCompare(b.name, 'zh-CN') ||
    a.id - b.id
  );
}
