// Draws what has no line: hatched stretches for gaps and faults, a dotted foot for doubtful values, limits as lines.

import type uPlot from 'uplot';
import type { Limit } from '../../api/types';
import type { Stretch } from './segments';

export interface Inks {
  text: string;
  dim: string;
  line: string;
  band: string;
  grid: string;
  unknown: string;
  background: string;
  priority: Record<Limit['priority'], string>;
  font: string;
}

/** The colours in force, read from the style sheet so that light and dark are told in one place. */
export function inks(element: Element): Inks {
  const style = getComputedStyle(element);
  const ink = (name: string) => style.getPropertyValue(name).trim();
  return {
    text: ink('--text'),
    dim: ink('--dim'),
    line: ink('--trend'),
    band: ink('--trend-band'),
    grid: ink('--grid'),
    unknown: ink('--unknown'),
    background: ink('--panel'),
    priority: { urgent: ink('--red'), high: ink('--orange'), medium: ink('--yellow'), low: ink('--blue') },
    font: style.fontFamily,
  };
}

const patterns = new Map<string, CanvasPattern | null>();

/** Diagonal lines; both ways for a fault, so that the two differ without colour. */
function hatching(ctx: CanvasRenderingContext2D, ink: string, crossed: boolean, ratio: number): CanvasPattern | string {
  const key = `${ink} ${crossed} ${ratio}`;
  let pattern = patterns.get(key);
  if (pattern === undefined) {
    const size = Math.round(8 * ratio);
    const tile = document.createElement('canvas');
    tile.width = size;
    tile.height = size;
    const pen = tile.getContext('2d');
    if (pen) {
      pen.strokeStyle = ink;
      pen.lineWidth = ratio;
      pen.beginPath();
      for (const shift of [-size, 0, size]) {
        pen.moveTo(shift, size);
        pen.lineTo(shift + size, 0);
        if (crossed) {
          pen.moveTo(shift, 0);
          pen.lineTo(shift + size, size);
        }
      }
      pen.stroke();
    }
    pattern = ctx.createPattern(tile, 'repeat');
    patterns.set(key, pattern);
  }
  return pattern ?? ink;
}

export function drawStretches(u: uPlot, stretches: readonly Stretch[], ink: Inks): void {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  for (const stretch of stretches) {
    const from = Math.max(left, u.valToPos(stretch.from / 1000, 'x', true));
    const to = Math.min(left + width, u.valToPos(stretch.to / 1000, 'x', true));
    if (to <= left || from >= left + width) continue;
    const wide = Math.max(to - from, 2 * ratio);
    if (stretch.kind === 'uncertain') {
      ctx.fillStyle = ink.dim;
      for (let x = from; x < from + wide; x += 6 * ratio) ctx.fillRect(x, top + height - 4 * ratio, 3 * ratio, 3 * ratio);
      continue;
    }
    ctx.globalAlpha = 0.45;
    ctx.fillStyle = hatching(ctx, stretch.kind === 'bad' ? ink.unknown : ink.dim, stretch.kind === 'bad', ratio);
    ctx.fillRect(from, top, wide, height);
    ctx.globalAlpha = 0.8;
    ctx.fillStyle = stretch.kind === 'bad' ? ink.unknown : ink.dim;
    ctx.fillRect(from, top, ratio, height);
    ctx.fillRect(from + wide - ratio, top, ratio, height);
    ctx.globalAlpha = 1;
  }
  ctx.restore();
}

export function drawLimits(u: uPlot, limits: readonly { limit: Limit; label: string }[], ink: Inks): void {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `${12 * ratio}px ${ink.font}`;
  ctx.textBaseline = 'bottom';
  // At the left, where the oldest readings are: the live end must stay free.
  ctx.textAlign = 'left';
  let lowest_label = Number.POSITIVE_INFINITY;
  const placed = limits
    .map((each) => ({ ...each, y: Math.round(u.valToPos(each.limit.setpoint, 'y', true)) }))
    .filter(({ y }) => y >= top && y <= top + height)
    .sort((a, b) => b.y - a.y);
  for (const { limit, label, y } of placed) {
    ctx.strokeStyle = ink.priority[limit.priority] ?? ink.text;
    ctx.lineWidth = 1.5 * ratio;
    ctx.setLineDash([7 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    // Labels of limits that lie close together would cover each other: the upper ones move up.
    let label_y = Math.min(y - 2 * ratio, lowest_label - 15 * ratio);
    // No room above the line: below it, rather than not at all.
    if (label_y - 13 * ratio < top) label_y = y + 16 * ratio;
    lowest_label = label_y;
    const text_width = ctx.measureText(label).width;
    ctx.globalAlpha = 0.82;
    ctx.fillStyle = ink.background;
    ctx.fillRect(left + 6 * ratio, label_y - 14 * ratio, text_width + 6 * ratio, 14 * ratio);
    ctx.globalAlpha = 1;
    ctx.fillStyle = ink.text;
    ctx.fillText(label, left + 9 * ratio, label_y);
  }
  ctx.restore();
}
