// Tells the collector when an alarm was first painted (t5). Painted means: its row is in the page, the page is
// visible, and a frame has been drawn since.

import type { Attachment } from 'svelte/attachments';
import * as api from '../api/client';
import type { Alarm } from '../api/types';
import { clock } from './clock.svelte';

const told = new Set<string>();
// Only what is on the screen is reported, so this is reached in days; forgetting costs one needless request.
const REMEMBERED = 5000;
const AT_ONCE = 4;
const waiting: { id: string; at: number }[] = [];
let busy = 0;

/** Attach to an alarm's row. */
export function reportsSeen(alarm: Pick<Alarm, 'id' | 'stages'>): Attachment {
  return () => {
    if (alarm.stages.t5 !== null || told.has(alarm.id)) return;
    const { id } = alarm;
    let frame = 0;
    const painted = () => {
      if (document.visibilityState !== 'visible') {
        document.addEventListener('visibilitychange', onShown, { once: true });
        return;
      }
      // The first frame callback runs before the paint, the second after it.
      frame = requestAnimationFrame(() => {
        frame = requestAnimationFrame(() => tell(id, clock.exact()));
      });
    };
    const onShown = () => painted();
    painted();
    return () => {
      cancelAnimationFrame(frame);
      document.removeEventListener('visibilitychange', onShown);
    };
  };
}

function tell(id: string, at: number): void {
  if (told.has(id)) return;
  if (told.size >= REMEMBERED) told.clear();
  told.add(id);
  waiting.push({ id, at });
  void drain();
}

async function drain(): Promise<void> {
  if (busy >= AT_ONCE) return;
  const next = waiting.shift();
  if (!next) return;
  busy += 1;
  try {
    await api.alarms.seen(next.id, next.at);
  } catch (error) {
    // A role that may not report is no reason to trouble the person; a lost line reports on the next painting.
    if (!(error instanceof api.Refusal) || error.status === 0) told.delete(next.id);
  } finally {
    busy -= 1;
    void drain();
  }
}
