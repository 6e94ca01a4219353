// Asks for something again and again while a page is open and the collector is heard.

import { pump } from '../live/pump.svelte';

/** To be returned from an effect. A refusal is left to the connection banner: the next asking may succeed. */
export function watch(ask: () => Promise<void>, every_ms: number): () => void {
  const step = () => {
    if (pump.linked) ask().catch(() => undefined);
  };
  step();
  const timer = setInterval(step, every_ms);
  return () => clearInterval(timer);
}
