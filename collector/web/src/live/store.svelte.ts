// What the page knows of the world: filled by the lists, kept up to date by the stream, read by every page.
// One object a channel and a point, so that a frame of ten thousand readings wakes only what is on the screen.

import * as api from '../api/client';
import type {
  Alarm, ChannelNow, Gateway, Overview, Point, PointChange, ReadingRow, Readings,
} from '../api/types';
import { codeWords } from '../words/qualities';
import { clock } from './clock.svelte';
import { compareAlarms, comparePoints, isOpen, needsAcknowledgement } from './order';

export class LiveChannel {
  now = $state.raw() as ChannelNow;
  constructor(now: ChannelNow) {
    this.now = now;
  }
}

export class LivePoint {
  now = $state.raw() as Point;
  channels = $state.raw<LiveChannel[]>([]);
  constructor(now: Point, channels: LiveChannel[]) {
    this.now = now;
    this.channels = channels;
  }
}

// Closed alarms are kept for the lists that are open; the collector has all of them.
const CLOSED_KEPT = 500;

class Store {
  overview = $state.raw<Overview | null>(null);
  gateways = $state.raw<Gateway[]>([]);
  /** True once the lists have been loaded for the first time. */
  loaded = $state(false);
  /** Steps whenever any point changed its level or guard: for the map and sorted lists. */
  pointsVersion = $state(0);

  #points = new Map<number, LivePoint>();
  #channels = new Map<number, LiveChannel>();
  #alarms = new Map<string, Alarm>();
  #alarmsVersion = $state(0);
  /** Ids of the points changed since the map last asked. */
  #changed = new Set<number>();

  readonly points = $derived.by(() => {
    void this.pointsVersion;
    return [...this.#points.values()].sort((a, b) => comparePoints(a.now, b.now));
  });
  readonly openAlarms = $derived.by(() => {
    void this.#alarmsVersion;
    return [...this.#alarms.values()].filter(isOpen).sort(compareAlarms);
  });
  readonly unacknowledged = $derived(this.openAlarms.filter(needsAcknowledgement));

  point(id: number): LivePoint | undefined {
    void this.pointsVersion;
    return this.#points.get(id);
  }
  alarm(id: string): Alarm | undefined {
    void this.#alarmsVersion;
    return this.#alarms.get(id);
  }
  /** Every alarm the page has heard of, open or lately closed. */
  knownAlarms(): Alarm[] {
    void this.#alarmsVersion;
    return [...this.#alarms.values()];
  }
  takeChangedPoints(): number[] {
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }

  /** Loads every list. A list that this role may not see stays empty. */
  async reload(): Promise<void> {
    const permitted = async <T>(asked: Promise<T>, otherwise: T): Promise<T> => {
      try {
        return await asked;
      } catch (error) {
        if (error instanceof api.Refusal && error.status === 403) return otherwise;
        throw error;
      }
    };
    const [overview, points, alarms, gateways] = await Promise.all([
      api.overview(),
      api.points.list(),
      api.alarms.list({ state: 'open', limit: 1000 }),
      permitted(api.gateways.list(), []),
    ]);
    this.takeOverview(overview);
    this.#takePoints(points);
    this.#alarms = new Map(alarms.map((alarm) => [alarm.id, alarm]));
    this.#alarmsVersion += 1;
    this.gateways = gateways;
    this.loaded = true;
  }

  /** After a change of the registry by this page. */
  async reloadPoints(): Promise<void> {
    this.#takePoints(await api.points.list());
  }

  /** How long ago a gateway was heard changes without being news: the pages that show it ask. */
  async reloadGateways(): Promise<void> {
    this.gateways = await api.gateways.list();
  }

  takeOverview(overview: Overview): void {
    clock.told(overview.now);
    this.overview = overview;
  }

  takeReadings(readings: Readings): void {
    clock.told(readings.now);
    for (const row of readings.rows) {
      const channel = this.#channels.get(row[0]);
      if (channel) channel.now = withReading(channel.now, row);
    }
  }

  /** False when the point is new to us: somebody registered it, and the lists must be loaded. */
  takePoint(change: PointChange): boolean {
    const point = this.#points.get(change.id);
    if (!point) return false;
    point.now = { ...point.now, ...change };
    this.#changed.add(change.id);
    this.pointsVersion += 1;
    return true;
  }

  takeAlarms(alarms: Alarm[]): void {
    if (alarms.length === 0) return;
    for (const alarm of alarms) {
      this.#alarms.delete(alarm.id);
      this.#alarms.set(alarm.id, alarm);
    }
    let closed = 0;
    for (const alarm of this.#alarms.values()) if (!isOpen(alarm)) closed += 1;
    for (const [id, alarm] of this.#alarms) {
      if (closed <= CLOSED_KEPT) break;
      if (isOpen(alarm)) continue;
      this.#alarms.delete(id);
      closed -= 1;
    }
    this.#alarmsVersion += 1;
  }

  takeGateway(gateway: Gateway): void {
    const others = this.gateways.filter((known) => known.id !== gateway.id);
    this.gateways = [...others, gateway].sort((a, b) => a.id.localeCompare(b.id));
  }

  forget(): void {
    this.overview = null;
    this.gateways = [];
    this.loaded = false;
    this.#points.clear();
    this.#channels.clear();
    this.#alarms.clear();
    this.#changed.clear();
    this.pointsVersion += 1;
    this.#alarmsVersion += 1;
  }

  #takePoints(points: Point[]): void {
    const channels = new Map<number, LiveChannel>();
    const known = new Map<number, LivePoint>();
    for (const point of points) {
      const ofPoint = point.channels.map((now) => {
        const channel = this.#channels.get(now.id) ?? new LiveChannel(now);
        // A frame that overtook the list is the newer one.
        if ((channel.now.received_at ?? 0) <= (now.received_at ?? 0)) channel.now = now;
        else channel.now = { ...channel.now, limits: now.limits, name: now.name, period_ms: now.period_ms };
        channels.set(now.id, channel);
        return channel;
      });
      const live = this.#points.get(point.id) ?? new LivePoint(point, ofPoint);
      live.now = point;
      live.channels = ofPoint;
      known.set(point.id, live);
      this.#changed.add(point.id);
    }
    this.#points = known;
    this.#channels = channels;
    this.pointsVersion += 1;
  }
}

function withReading(channel: ChannelNow, row: ReadingRow): ChannelNow {
  const [, value, quality, code, sampled_at, received_at, live] = row;
  const words = code === null ? null : codeWords(code);
  return {
    ...channel,
    // A bad reading has no value, whatever came with it.
    value: quality === 'bad' ? null : value,
    quality,
    doubt: quality === 'uncertain' ? code : null,
    fault: quality === 'bad' ? code : null,
    quality_zh: words?.zh ?? '',
    quality_en: words?.en ?? '',
    sampled_at,
    received_at,
    live,
  };
}

export const store = new Store();
