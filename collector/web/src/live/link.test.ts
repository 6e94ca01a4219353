import { expect, test } from 'vitest';
import { Link, LOST_AFTER_MS } from './link';
import { EventParser } from './sse';

/** A link that was greeted at 0 and has loaded its lists. */
function open(): Link {
  const link = new Link(0);
  expect(link.tick(0)).toEqual([{ kind: 'connect', last_id: null }]);
  expect(link.greeted(false, 0)).toEqual([{ kind: 'reload' }]);
  expect(link.phase).toBe('connecting');
  link.reloaded();
  expect(link.phase).toBe('open');
  return link;
}

test('twelve seconds without a byte is a lost connection, one less is not', () => {
  const link = open();
  link.tick(LOST_AFTER_MS - 1);
  expect(link.phase).toBe('open');
  link.tick(LOST_AFTER_MS);
  expect(link.phase).toBe('lost');
});

test('a heartbeat comment keeps the link open', () => {
  const link = open();
  for (let at = 5000; at <= 60_000; at += 5000) {
    link.heard(at);
    expect(link.tick(at)).toEqual([]);
  }
  expect(link.phase).toBe('open');
});

test('a short break resumes from the last id and is never shown', () => {
  const link = open();
  link.reached('41');
  link.reached(null);
  link.closed(1000);
  expect(link.tick(1100)).toEqual([]);
  expect(link.tick(1250)).toEqual([{ kind: 'connect', last_id: '41' }]);
  expect(link.greeted(true, 1300)).toEqual([]);
  expect(link.phase).toBe('open');
});

test('after a loss only a greeting ends the banner, not the mere arrival of bytes', () => {
  const link = open();
  link.tick(LOST_AFTER_MS);
  link.heard(13_000);
  link.tick(13_000);
  expect(link.phase).toBe('lost');
});

test('when the collector cannot resume, the link is lost until the lists are loaded', () => {
  const link = open();
  link.closed(1000);
  link.tick(LOST_AFTER_MS);
  expect(link.greeted(false, 20_000)).toEqual([{ kind: 'reload' }]);
  expect(link.phase).toBe('lost');
  link.reloaded();
  expect(link.phase).toBe('open');
});

test('lists that cannot be loaded mean beginning again from nothing', () => {
  const link = new Link(0);
  link.tick(0);
  link.reached('7');
  link.greeted(false, 10);
  expect(link.reload_failed(20)).toEqual([{ kind: 'abort' }]);
  expect(link.tick(270)).toEqual([{ kind: 'connect', last_id: null }]);
});

test('an open but mute stream is given up and asked again', () => {
  const link = open();
  expect(link.tick(LOST_AFTER_MS)).toEqual([{ kind: 'abort' }]);
  expect(link.tick(LOST_AFTER_MS + 250)).toEqual([{ kind: 'connect', last_id: null }]);
  // The new attempt has its own patience, a shorter one.
  expect(link.tick(LOST_AFTER_MS + 5000)).toEqual([]);
  expect(link.tick(LOST_AFTER_MS + 5250)).toEqual([{ kind: 'abort' }]);
});

test('repeated failures wait longer, and never longer than four seconds', () => {
  const link = open();
  let at = 0;
  const waits: number[] = [];
  for (let i = 0; i < 7; i++) {
    link.closed(at);
    const from = at;
    while (link.tick(at).length === 0) at += 50;
    waits.push(at - from);
  }
  expect(waits).toEqual([250, 500, 1000, 2000, 4000, 4000, 4000]);
});

test('a machine that slept shows nothing as current until it is greeted', () => {
  const link = open();
  expect(link.woke(100)).toEqual([{ kind: 'abort' }]);
  expect(link.phase).toBe('lost');
  expect(link.tick(100)).toEqual([{ kind: 'connect', last_id: null }]);
  link.greeted(true, 200);
  expect(link.phase).toBe('open');
});

test('events come out whole however the bytes are cut', () => {
  const text = ': beat\n\nid: 5\nevent: hello\ndata: {"now":1,\ndata: "resumed":true}\n\ndata: x\r\n\r\n';
  const whole = new EventParser().push(text);
  expect(whole).toEqual([
    { event: 'hello', data: '{"now":1,\n"resumed":true}', id: '5' },
    { event: 'message', data: 'x', id: '5' },
  ]);
  for (let cut = 1; cut < 9; cut++) {
    const parser = new EventParser();
    const pieces = text.match(new RegExp(`[^]{1,${cut}}`, 'g')) ?? [];
    expect(pieces.flatMap((piece) => parser.push(piece)), `pieces of ${cut}`).toEqual(whole);
  }
});

test('an event without an end is refused before it fills the memory', () => {
  const parser = new EventParser();
  const piece = `data: ${'x'.repeat(1024 * 1024)}\n`;
  expect(() => {
    for (let i = 0; i < 64; i++) parser.push(piece);
  }).toThrow('longer than 32 MB');
});
