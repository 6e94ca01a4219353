// Pure: may this value be shown as current? Unknown is worse than high, so every doubt is answered with no.

import type { ChannelNow, Millis } from '../api/types';

/** `current`; `stale` overdue; `last_known` we no longer hear the collector; `none` never read. */
export type Freshness = 'current' | 'stale' | 'last_known' | 'none';

// Live is two periods and a second (DESIGN.md 4); frames reach the page once a second.
const MARGIN_MS = 2000;

export function overdueAfter(period_ms: number): number {
  return 2 * Math.max(0, period_ms) + MARGIN_MS;
}

type Timed = Pick<ChannelNow, 'sampled_at' | 'received_at' | 'live' | 'period_ms'>;

/** True when the gateway's clock cannot be right: the collector says live, the times are far apart. */
export function clockIsOff(channel: Timed): boolean {
  const { sampled_at, received_at, live, period_ms } = channel;
  if (!live || sampled_at === null || received_at === null) return false;
  return Math.abs(received_at - sampled_at) > overdueAfter(period_ms);
}

export function freshness(channel: Timed, now: Millis, linked: boolean): Freshness {
  if (channel.sampled_at === null) return 'none';
  if (!linked) return 'last_known';
  if (!channel.live) return 'stale';
  // The collector judged `live` by monotonic time. With a gateway clock that is off only the time of
  // arrival tells how long ago that was.
  const since = clockIsOff(channel) ? (channel.received_at ?? channel.sampled_at) : channel.sampled_at;
  return now - since > overdueAfter(channel.period_ms) ? 'stale' : 'current';
}
