// Pure: small judgements about how an alarm is worded.

import type { Alarm, ChannelNow } from '../api/types';

/** True while the alarm stands on a value that crossed the limit once and has not been read again. */
export function unconfirmed(alarm: Alarm, channel: ChannelNow | undefined): boolean {
  return alarm.state === 'unacknowledged' && alarm.kind === 'limit' && channel?.doubt === 'Unconfirmed';
}

/** What a kind of journal entry is called: `alarm.raised` shares the words of the alarm's events. */
export function factKey(kind: string): string {
  return kind.startsWith('alarm.') ? `event.${kind.slice('alarm.'.length)}` : `fact.${kind}`;
}

/** An event or delivery state as a word of the catalogue: the last part, in snake case. */
export function wordKey(prefix: string, name: string): string {
  const snake = name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
  return `${prefix}.${snake}`;
}
