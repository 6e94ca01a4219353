// Pure: which limits a value stands beyond now. Only for drawing; whether there is an alarm the collector says.

import type { ChannelNow, Limit } from '../api/types';
import { comparePriorities } from '../live/order';

export const beyond = (value: number, limit: Limit) =>
  limit.direction === 'high' ? value >= limit.setpoint : value <= limit.setpoint;

/** The worst limit that the value is beyond; null when none, or when there is no value. */
export function crossed(channel: Pick<ChannelNow, 'value' | 'quality' | 'limits'>): Limit | null {
  const { value } = channel;
  if (value === null || channel.quality === 'bad') return null;
  return channel.limits.filter((limit) => beyond(value, limit)).sort((a, b) => comparePriorities(a.priority, b.priority))[0] ?? null;
}

/** The ends of the gauge: the sensor's range, or what is needed to show the limits and the value. */
export function gaugeEnds(channel: Pick<ChannelNow, 'value' | 'range' | 'limits'>): [number, number] {
  const setpoints = channel.limits.map((limit) => limit.setpoint);
  const top = Math.max(...setpoints, channel.value ?? Number.NEGATIVE_INFINITY);
  const bottom = Math.min(...setpoints, channel.value ?? Number.POSITIVE_INFINITY);
  if (channel.range) {
    const [low, high] = channel.range;
    // A limit at 1 % of the range would sit on the very edge: the gauge shows the part that matters.
    if (setpoints.length > 0 && bottom >= low && top < low + (high - low) * 0.4) return [low, low + (top - low) * 1.6 || high];
    return [low, high];
  }
  if (!Number.isFinite(top) || !Number.isFinite(bottom)) return [0, 1];
  return [Math.min(0, bottom), top > 0 ? top * 1.3 : 1];
}
