// The only file of the pages that asks the time. What people see is the collector's time, carried forward by the
// browser's monotonic clock: a computer whose own clock is wrong shows the same ages as every other.

/** Milliseconds on a clock that is never set. */
export function monotonic(): number {
  return performance.now();
}

// The frame that travelled fastest tells the offset best; old ones are forgotten as the clocks drift.
const REMEMBERED = 60;

class Clock {
  /** The collector's time now, stepping once a second: what ages are counted by. */
  now = $state(Date.now());
  #offsets: number[] = [];
  #offset = Date.now() - performance.now();
  #wall = Date.now() - performance.now();
  #woke: (() => void)[] = [];

  constructor() {
    setInterval(() => this.#step(), 1000);
    document.addEventListener('visibilitychange', () => this.#step());
  }

  /** The collector said what time it is. */
  told(server_now: number): void {
    const offset = server_now - monotonic();
    // Far from all before: the collector's own clock was set, so what was learnt is void.
    if (Math.abs(offset - this.#offset) > 30_000) this.#offsets = [];
    this.#offsets.push(offset);
    if (this.#offsets.length > REMEMBERED) this.#offsets.shift();
    this.#offset = Math.max(...this.#offsets);
  }

  /** The collector's time to the millisecond. */
  exact(): number {
    return monotonic() + this.#offset;
  }

  /** Called when the machine has slept (the monotonic clock stands still meanwhile) or its clock was set. */
  whenWoken(handler: () => void): void {
    this.#woke.push(handler);
  }

  #step(): void {
    const wall = Date.now() - monotonic();
    const jumped = Math.abs(wall - this.#wall) > 5000;
    this.#wall = wall;
    this.now = Math.round(this.exact());
    if (jumped) for (const handler of this.#woke) handler();
  }
}
export const clock = new Clock();
