// Takes the bytes of a server-sent event stream apart (WHATWG HTML, 9.2.6). Our own, because the browser's
// EventSource hides heartbeat comments, without which a quiet site and a dead line look the same.

export interface StreamEvent {
  event: string;
  data: string;
  /** The id in force, also when an earlier event set it. */
  id: string | null;
}

// An overview with its worst alarms is some 20 KB, a frame of 60,000 readings some 4 MB.
const LONGEST_EVENT = 32 * 1024 * 1024;

export class EventParser {
  #rest = '';
  #event = '';
  #data: string[] = [];
  #size = 0;
  #id: string | null = null;

  /** Takes the next piece of text and gives the events it completes. Throws when one is absurdly long. */
  push(text: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length + this.#size > LONGEST_EVENT) throw new Error('an event is longer than 32 MB');
    for (const line of lines) this.#take(line, events);
    return events;
  }

  #take(line: string, events: StreamEvent[]): void {
    if (line === '') {
      if (this.#data.length > 0) {
        events.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id });
      }
      this.#event = '';
      this.#data = [];
      this.#size = 0;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return; // A comment: the heartbeat. That bytes came is noted by whoever read them.
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#event = value;
    else if (field === 'data') {
      this.#data.push(value);
      this.#size += value.length;
    } else if (field === 'id' && !value.includes('\0')) this.#id = value;
  }
}
