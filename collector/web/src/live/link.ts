// Pure: whether the page still hears the collector, and what to do about it. No network and no clock: events
// come in with their monotonic time, actions go out.
//
// Promises: after 12 s without a byte the link is lost, and stays lost until a new `hello` and, when the collector
// could not resume, until every list has been loaded anew. A short break that resumes in time is never shown.

export const LOST_AFTER_MS = 12_000;
/** Once lost, an attempt that is not greeted within this is given up: the next may find the way. */
const GREETING_MS = 5000;
const BACKOFF_MS = [250, 500, 1000, 2000, 4000] as const;

export type Phase = 'connecting' | 'open' | 'lost';
export type LinkAction = { kind: 'connect'; last_id: string | null } | { kind: 'abort' } | { kind: 'reload' };

type Line = 'down' | 'asked' | 'reloading' | 'up';

export class Link {
  phase: Phase = 'connecting';
  /** When the last byte came; before the first one, when we began to listen. */
  heard_at: number;
  #line: Line = 'down';
  #last_id: string | null = null;
  #failures = 0;
  #connect_at: number;
  #asked_at = Number.NEGATIVE_INFINITY;

  constructor(at: number) {
    this.heard_at = at;
    this.#connect_at = at;
  }

  /** Time has passed. */
  tick(at: number): LinkAction[] {
    const actions: LinkAction[] = [];
    if (at - this.heard_at >= LOST_AFTER_MS) {
      this.phase = 'lost';
      // Open but mute: a half-dead connection never ends by itself, so it is given up.
      const patience = this.#line === 'asked' ? GREETING_MS : LOST_AFTER_MS;
      if (this.#line !== 'down' && at - Math.max(this.heard_at, this.#asked_at) >= patience) {
        actions.push({ kind: 'abort' });
        this.#fail(at);
      }
    }
    if (this.#line === 'down' && at >= this.#connect_at) {
      this.#line = 'asked';
      this.#asked_at = at;
      actions.push({ kind: 'connect', last_id: this.#last_id });
    }
    return actions;
  }

  /** Any bytes at all, a heartbeat comment included. */
  heard(at: number): void {
    this.heard_at = at;
  }

  /** An event carried this id: where to resume from. */
  reached(id: string | null): void {
    if (id !== null) this.#last_id = id;
  }

  /** The collector greeted us. What it could not replay has to be loaded. */
  greeted(resumed: boolean, at: number): LinkAction[] {
    this.heard_at = at;
    if (resumed) {
      this.#open();
      return [];
    }
    this.#line = 'reloading';
    return [{ kind: 'reload' }];
  }

  /** The lists have been loaded. */
  reloaded(): void {
    if (this.#line === 'reloading') this.#open();
  }

  /** The lists could not be loaded: what is shown cannot be trusted, begin again. */
  reload_failed(at: number): LinkAction[] {
    if (this.#line !== 'reloading') return [];
    this.#last_id = null;
    this.#fail(at);
    return [{ kind: 'abort' }];
  }

  /** The stream ended or could not be opened. */
  closed(at: number): void {
    if (this.#line !== 'down') this.#fail(at);
  }

  /** The machine slept or its clock jumped: nothing on the screen may pass for current until heard again. */
  woke(at: number): LinkAction[] {
    this.phase = 'lost';
    const actions: LinkAction[] = this.#line === 'down' ? [] : [{ kind: 'abort' }];
    this.#line = 'down';
    this.#connect_at = at;
    return actions;
  }

  #open(): void {
    this.#line = 'up';
    this.#failures = 0;
    this.phase = 'open';
  }

  #fail(at: number): void {
    this.#line = 'down';
    this.#connect_at = at + (BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)] ?? 4000);
    this.#failures += 1;
  }
}
