// The thin shell around `link.ts`: opens the stream, reads it, feeds the store, and keeps the time. Decides nothing.

import type { Alarm, Gateway, Hello, Overview, PointChange, Readings } from '../api/types';
import { clock, monotonic } from './clock.svelte';
import { Link, type LinkAction, type Phase } from './link';
import { signed } from './session.svelte';
import { EventParser, type StreamEvent } from './sse';
import { store } from './store.svelte';

const STREAM = '/api/v1/live';
const TICK_MS = 250;
// Events that come while the lists are being loaded wait here; more than this and the lists are loaded again.
const HELD_AT_MOST = 20_000;

class Pump {
  phase = $state<Phase>('connecting');
  /** The collector's time when the last byte came: since when everything is only last known. */
  heard_at = $state(0);

  #link: Link | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #request: AbortController | null = null;
  #held: StreamEvent[] | null = null;
  #points_wanted = false;
  #coverage = '';

  get linked(): boolean {
    return this.phase === 'open';
  }

  start(): void {
    this.stop();
    this.#link = new Link(monotonic());
    this.heard_at = clock.exact();
    this.#timer = setInterval(() => this.#do(this.#link?.tick(monotonic()) ?? []), TICK_MS);
    this.#do(this.#link.tick(monotonic()));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#request?.abort();
    this.#request = null;
    this.#link = null;
    this.#held = null;
    this.phase = 'connecting';
  }

  woke(): void {
    this.#do(this.#link?.woke(monotonic()) ?? []);
  }

  #do(actions: LinkAction[]): void {
    for (const action of actions) {
      if (action.kind === 'connect') void this.#listen(action.last_id);
      else if (action.kind === 'abort') this.#request?.abort();
      else void this.#reload();
    }
    if (this.#link) this.phase = this.#link.phase;
  }

  async #listen(last_id: string | null): Promise<void> {
    const link = this.#link;
    const request = new AbortController();
    this.#request = request;
    // What a request that was given up still delivers belongs to nobody.
    const current = () => this.#request === request && this.#link === link && !request.signal.aborted;
    try {
      const response = await fetch(STREAM, {
        signal: request.signal,
        cache: 'no-store',
        credentials: 'same-origin',
        headers: { accept: 'text/event-stream', ...(last_id === null ? {} : { 'last-event-id': last_id }) },
      });
      if (response.status === 401) return signed.leave();
      if (!response.ok || !response.body) throw new Error(`the stream answered ${response.status}`);
      const parser = new EventParser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || !current()) break;
        link?.heard(monotonic());
        this.heard_at = clock.exact();
        this.#take(parser.push(value));
      }
    } catch {
      // Refused, cut or given up: all the same, and the tick asks again.
      request.abort();
    }
    if (this.#request === request && this.#link === link && link) {
      link.closed(monotonic());
      this.#do([]);
    }
  }

  #take(events: StreamEvent[]): void {
    const alarms: Alarm[] = [];
    for (const event of events) {
      this.#link?.reached(event.id);
      if (event.event === 'hello') {
        const hello = parsed<Hello>(event);
        if (!hello) continue;
        clock.told(hello.now);
        this.#do(this.#link?.greeted(hello.resumed && store.loaded, monotonic()) ?? []);
      } else if (this.#held) this.#held.push(event);
      else this.#apply(event, alarms);
    }
    store.takeAlarms(alarms);
    if (this.#held && this.#held.length > HELD_AT_MOST) this.#do(this.#link?.reload_failed(monotonic()) ?? []);
    if (this.#link) this.phase = this.#link.phase;
  }

  #apply(event: StreamEvent, alarms: Alarm[]): void {
    switch (event.event) {
      case 'readings': {
        const readings = parsed<Readings>(event);
        if (readings) store.takeReadings(readings);
        break;
      }
      case 'alarm': {
        const alarm = parsed<Alarm>(event);
        if (alarm) alarms.push(alarm);
        break;
      }
      case 'point': {
        const change = parsed<PointChange>(event);
        if (change && !store.takePoint(change)) void this.#reloadPoints();
        break;
      }
      case 'overview': {
        const overview = parsed<Overview>(event);
        if (!overview) break;
        store.takeOverview(overview);
        // Somebody else registered a point or bound a channel.
        const coverage = `${overview.points.total} ${overview.coverage.channels} ${overview.coverage.unbound}`;
        if (this.#coverage !== '' && coverage !== this.#coverage) void this.#reloadPoints();
        this.#coverage = coverage;
        break;
      }
      case 'gateway': {
        const gateway = parsed<Gateway>(event);
        if (gateway) store.takeGateway(gateway);
        break;
      }
    }
  }

  async #reload(): Promise<void> {
    const link = this.#link;
    this.#held = [];
    try {
      await store.reload();
      if (this.#link !== link) return;
      const held = this.#held ?? [];
      this.#held = null;
      const alarms: Alarm[] = [];
      for (const event of held) this.#apply(event, alarms);
      store.takeAlarms(alarms);
      link?.reloaded();
      this.#do([]);
    } catch {
      if (this.#link !== link) return;
      this.#held = null;
      this.#do(link?.reload_failed(monotonic()) ?? []);
    }
  }

  async #reloadPoints(): Promise<void> {
    if (this.#points_wanted) return;
    this.#points_wanted = true;
    try {
      await new Promise((resolve) => setTimeout(resolve, 500));
      await store.reloadPoints();
    } catch {
      // The next change of coverage, or the next greeting, asks again.
    } finally {
      this.#points_wanted = false;
    }
  }
}

function parsed<T>(event: StreamEvent): T | null {
  try {
    return JSON.parse(event.data) as T;
  } catch {
    console.error(`an event "${event.event}" is not JSON`);
    return null;
  }
}

export const pump = new Pump();
clock.whenWoken(() => pump.woke());
