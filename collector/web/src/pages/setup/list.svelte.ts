// A list that a set-up page loads, and the outcome of the last thing it tried.

import { Refusal } from '../../api/client';

export class Listed<T> {
  rows = $state.raw<T[] | null>(null);
  refusal = $state.raw<Pick<Refusal, 'zh' | 'en'> | null>(null);
  busy = $state(false);
  saved = $state(false);
  #ask: () => Promise<T[]>;

  constructor(ask: () => Promise<T[]>) {
    this.#ask = ask;
    void this.load();
  }

  async load(): Promise<void> {
    try {
      this.rows = await this.#ask();
    } catch (error) {
      this.#refused(error);
    }
  }

  /** Does something, loads the list anew, and says whether it was done. */
  async act(doing: () => Promise<unknown>): Promise<boolean> {
    this.busy = true;
    this.saved = false;
    this.refusal = null;
    try {
      await doing();
      this.saved = true;
      await this.load();
      return true;
    } catch (error) {
      this.#refused(error);
      return false;
    } finally {
      this.busy = false;
    }
  }

  #refused(error: unknown): void {
    if (!(error instanceof Refusal)) throw error;
    this.refusal = error;
  }
}
