import { expect, test } from 'vitest';
import type { Series, SeriesRow } from '../../api/types';
import { drawing, scale, silence, withLive } from './segments';

const row = (t: number, last: number | null, quality: SeriesRow['quality'] = 'good'): SeriesRow => ({ t, min: last, max: last, last, quality });
const series = (rows: SeriesRow[], gaps: Series['gaps'] = [], resolution: Series['resolution'] = 'raw'): Series => ({
  channel: 1, unit: 'ppm', resolution, from: 0, to: 100_000, rows, gaps,
});
const PERIOD = 5000;

/** The runs of numbers between breaks: what the eye will see as one line each. */
function lines(s: Series): number[][] {
  const runs: number[][] = [[]];
  for (const value of drawing(s, PERIOD).last) {
    if (value === null) runs.push([]);
    else runs.at(-1)?.push(value);
  }
  return runs.filter((run) => run.length > 0);
}

test('readings one period apart are one line', () => {
  expect(lines(series([row(0, 1), row(5000, 2), row(10_000, 3)]))).toEqual([[1, 2, 3]]);
});

test('readings more than three periods apart are never joined, and the hole is hatched', () => {
  const s = series([row(0, 1), row(15_000, 2), row(30_001, 3)]);
  expect(lines(s)).toEqual([[1, 2], [3]]);
  expect(drawing(s, PERIOD).stretches).toEqual([{ kind: 'gap', from: 15_000, to: 30_001, cause: 'no_rows' }]);
});

test('a declared gap breaks the line however short it is', () => {
  const s = series([row(0, 1), row(5000, 2), row(10_000, 3)], [{ from: 6000, to: 9000, cause: 'power_lost' }]);
  expect(lines(s)).toEqual([[1, 2], [3]]);
  expect(drawing(s, PERIOD).stretches).toEqual([{ kind: 'gap', from: 6000, to: 9000, cause: 'power_lost' }]);
});

test('a gap that ends where a reading stands does not break what follows it', () => {
  const s = series([row(0, 1), row(20_000, 2), row(25_000, 3)], [{ from: 0, to: 20_000, cause: 'silence' }]);
  expect(lines(s)).toEqual([[1], [2, 3]]);
});

test('a fault breaks the line and is never a number, not even when one came with it', () => {
  const s = series([row(0, 1), row(5000, 0, 'bad'), row(10_000, null, 'bad'), row(15_000, 4)]);
  expect(lines(s)).toEqual([[1], [4]]);
  expect(drawing(s, PERIOD).stretches).toEqual([{ kind: 'bad', from: 5000, to: 15_000, cause: 'bad' }]);
});

test('an uncertain value is drawn and marked', () => {
  const s = series([row(0, 1), row(5000, 2, 'uncertain'), row(10_000, 3)]);
  expect(lines(s)).toEqual([[1, 2, 3]]);
  expect(drawing(s, PERIOD).stretches).toEqual([{ kind: 'uncertain', from: 5000, to: 10_000, cause: 'uncertain' }]);
});

test('minutes that follow each other are joined, a missing minute is not', () => {
  const s = series([row(0, 1), row(60_000, 2), row(240_000, 3)], [], '1m');
  expect(lines(s)).toEqual([[1, 2], [3]]);
});

test('x always rises, whatever order and duplicates the rows come in', () => {
  const { x, last } = drawing(series([row(5000, 2), row(0, 1), row(5000, 7)]), PERIOD);
  expect(x).toEqual([0, 5]);
  expect(last).toEqual([1, 7]);
});

test('a live reading is appended and the window moves on', () => {
  const s = withLive(series([row(0, 1), row(95_000, 2)]), { value: 3, quality: 'good', sampled_at: 105_000 }, 60_000);
  expect(s.rows.map((r) => r.t)).toEqual([95_000, 105_000]);
  expect([s.from, s.to]).toEqual([45_000, 105_000]);
});

test('a late or repeated reading does not change the live end', () => {
  const s = series([row(95_000, 2)]);
  expect(withLive(s, { value: 9, quality: 'good', sampled_at: 95_000 }, 60_000)).toBe(s);
  expect(withLive(s, { value: 9, quality: 'good', sampled_at: 1000 }, 60_000)).toBe(s);
  expect(withLive(s, { value: 9, quality: 'good', sampled_at: null }, 60_000)).toBe(s);
});

test('a live fault appends a break, not a zero', () => {
  const s = withLive(series([row(95_000, 2)]), { value: 0, quality: 'bad', sampled_at: 100_000 }, 60_000);
  expect(s.rows.at(-1)).toEqual({ t: 100_000, min: null, max: null, last: null, quality: 'bad' });
});

test('a live reading widens the extremes of its minute', () => {
  const start = series([{ t: 60_000, min: 1, max: 2, last: 2, quality: 'good' }], [], '1m');
  const more = withLive(start, { value: 5, quality: 'uncertain', sampled_at: 61_000 }, 3_600_000);
  expect(more.rows).toEqual([{ t: 60_000, min: 1, max: 5, last: 5, quality: 'uncertain' }]);
  const faulty = withLive(more, { value: null, quality: 'bad', sampled_at: 62_000 }, 3_600_000);
  expect(faulty.rows.at(-1)?.max).toBe(5);
  const next = withLive(faulty, { value: 3, quality: 'good', sampled_at: 121_000 }, 3_600_000);
  expect(next.rows.at(-1)).toEqual({ t: 120_000, min: 3, max: 3, last: 3, quality: 'good' });
});

test('silence after the newest reading is hatched up to now', () => {
  const s = series([row(0, 1), row(5000, 2)]);
  expect(silence(s, PERIOD, 20_000)).toEqual([]);
  expect(silence(s, PERIOD, 30_000)).toEqual([{ kind: 'gap', from: 10_000, to: 30_000, cause: 'no_rows' }]);
  expect(silence(series([]), PERIOD, 30_000)).toEqual([]);
});

test('the scale takes in the limits and does not go below zero for a concentration', () => {
  const [low, high] = scale(drawing(series([row(0, 0.1), row(5000, 0.4)]), PERIOD), [10]);
  expect(low).toBe(0);
  expect(high).toBeGreaterThan(10);
  expect(scale(drawing(series([]), PERIOD), [])).toEqual([0, 1]);
});
