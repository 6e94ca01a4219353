// Pure: turns a series into what a chart may draw. A line is drawn only between two readings that follow each
// other; a gap, a fault and a silence break it. Nothing is ever interpolated.

import type { ChannelNow, Millis, Series, SeriesRow } from '../../api/types';

export type Stretch = { kind: 'gap' | 'bad' | 'uncertain'; from: Millis; to: Millis; cause: string };

/** Columns for the chart, x in seconds, null where the line must break; and the stretches to be hatched. */
export interface Drawing {
  x: number[];
  last: (number | null)[];
  min: (number | null)[];
  max: (number | null)[];
  stretches: Stretch[];
}

const BUCKET_MS = { '1m': 60_000, '1h': 3_600_000 } as const;

/** How far apart two rows may be and still be joined. */
export function joinable(resolution: Series['resolution'], period_ms: number): number {
  // Three periods, as the collector counts a gap; at least two seconds, for devices asked many times a second.
  return resolution === 'raw' ? Math.max(3 * period_ms, 2000) : 2 * BUCKET_MS[resolution];
}

/** How long one row stands for: a bad reading is bad until the next could have come. */
function width(resolution: Series['resolution'], period_ms: number): number {
  return resolution === 'raw' ? Math.max(period_ms, 1) : BUCKET_MS[resolution];
}

export function drawing(series: Series, period_ms: number): Drawing {
  const out: Drawing = { x: [], last: [], min: [], max: [], stretches: [] };
  const longest = joinable(series.resolution, period_ms);
  const gaps = [...series.gaps].sort((a, b) => a.from - b.from);
  const rows = [...series.rows].sort((a, b) => a.t - b.t);
  let previous: SeriesRow | null = null;
  let gap_at = 0;

  const push = (t: Millis, row: SeriesRow | null) => {
    out.x.push(t / 1000);
    out.last.push(row?.last ?? null);
    out.min.push(row?.min ?? null);
    out.max.push(row?.max ?? null);
  };

  for (const row of rows) {
    if (previous) {
      // Two rows at the same moment: the later answer stands (uPlot needs rising x).
      if (row.t === previous.t) {
        drop(out);
        previous = null;
      } else {
        while (gap_at < gaps.length && (gaps[gap_at]?.to ?? 0) <= previous.t) gap_at += 1;
        const gap = gaps[gap_at];
        const declared = gap !== undefined && gap.from < row.t && gap.to > previous.t;
        const far = row.t - previous.t > longest;
        if (declared || far) push((previous.t + row.t) / 2, null);
        // The collector names its gaps itself; what it did not name is still no line.
        if (far && !declared) out.stretches.push({ kind: 'gap', from: previous.t, to: row.t, cause: 'no_rows' });
      }
    }
    push(row.t, isNumber(row) ? row : null);
    previous = row;
  }

  for (const gap of gaps) out.stretches.push({ kind: gap.cause === 'bad' ? 'bad' : 'gap', ...gap });
  out.stretches.push(...qualityStretches(rows, 'bad', width(series.resolution, period_ms)));
  out.stretches.push(...qualityStretches(rows, 'uncertain', width(series.resolution, period_ms)));
  return out;
}

/** Good and uncertain rows have numbers; a bad one has none, whatever it carries. */
function isNumber(row: SeriesRow): boolean {
  return row.quality !== 'bad' && row.last !== null && Number.isFinite(row.last);
}

function drop(out: Drawing): void {
  for (const column of [out.x, out.last, out.min, out.max]) column.pop();
}

function qualityStretches(rows: SeriesRow[], quality: 'bad' | 'uncertain', width_ms: number): Stretch[] {
  const stretches: Stretch[] = [];
  let open: Stretch | null = null;
  for (const [i, row] of rows.entries()) {
    if (row.quality !== quality) {
      open = null;
      continue;
    }
    const next = rows[i + 1];
    const to = next ? Math.min(next.t, row.t + width_ms) : row.t + width_ms;
    if (open && row.t - open.to <= width_ms) open.to = to;
    else {
      open = { kind: quality, from: row.t, to, cause: quality };
      stretches.push(open);
    }
  }
  return stretches;
}

/** The hole between the newest row and now, once it is longer than two rows may be apart. */
export function silence(series: Series, period_ms: number, now: Millis): Stretch[] {
  const newest = series.rows.at(-1);
  if (!newest) return [];
  const from = newest.t + width(series.resolution, period_ms);
  return now - newest.t > joinable(series.resolution, period_ms) ? [{ kind: 'gap', from, to: now, cause: 'no_rows' }] : [];
}

/** The series with one more live reading, and without what has left the window. A reading never changes the past. */
export function withLive(series: Series, reading: Pick<ChannelNow, 'value' | 'quality' | 'sampled_at'>, span_ms: number): Series {
  const t = reading.sampled_at;
  const newest = series.rows.at(-1);
  if (t === null || (newest && series.resolution === 'raw' && t <= newest.t)) return series;
  const value = reading.quality === 'bad' ? null : reading.value;
  const to = Math.max(series.to, t);
  const from = to - span_ms;
  const rows = series.rows.filter((row) => row.t >= from);

  if (series.resolution === 'raw') {
    rows.push({ t, min: value, max: value, last: value, quality: reading.quality });
  } else {
    const bucket = Math.floor(t / BUCKET_MS[series.resolution]) * BUCKET_MS[series.resolution];
    if (newest && bucket < newest.t) return series;
    if (newest && bucket === newest.t) rows[rows.length - 1] = merged(newest, value, reading.quality);
    else rows.push({ t: bucket, min: value, max: value, last: value, quality: reading.quality });
  }
  return { ...series, from, to, rows, gaps: series.gaps.filter((gap) => gap.to >= from) };
}

const WORSE = { good: 0, uncertain: 1, bad: 2 } as const;

function merged(row: SeriesRow, value: number | null, quality: SeriesRow['quality']): SeriesRow {
  if (value === null) return row;
  // A minute with any number shows its extremes; it is bad only when it has none.
  const worst = row.last === null ? quality : WORSE[quality] > WORSE[row.quality] ? quality : row.quality;
  return {
    t: row.t,
    min: row.min === null ? value : Math.min(row.min, value),
    max: row.max === null ? value : Math.max(row.max, value),
    last: value,
    quality: worst,
  };
}

/** The scale of the chart: the data, and the limits, so that one sees how far away danger is. */
export function scale(drawn: Drawing, setpoints: readonly number[]): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  const see = (value: number | null) => {
    if (value === null || !Number.isFinite(value)) return;
    low = Math.min(low, value);
    high = Math.max(high, value);
  };
  drawn.min.forEach(see);
  drawn.max.forEach(see);
  drawn.last.forEach(see);
  setpoints.forEach(see);
  if (low > high) return [0, 1];
  const margin = (high - low || Math.abs(high) || 1) * 0.1;
  // Concentrations do not go below zero; an axis that does would suggest it.
  return [low >= 0 && low - margin < 0 ? 0 : low - margin, high + margin];
}
