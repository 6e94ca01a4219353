// The images of the map: the same shapes as everywhere, drawn on canvases, hatched and dashed when unguarded.

import type { Level } from '../../api/types';
import { LEVELS } from '../../live/order';
import { SHAPES } from '../shapes';

export const RATIO = 2;
const BOX = 24;
const MARGIN = 4;

export const markName = (level: Level, guarded: boolean) => `${level in SHAPES ? level : 'red'}${guarded ? '' : ' unguarded'}`;

export interface MarkInks {
  levels: Record<Level, string>;
  edge: string;
  unknown: string;
  panel: string;
}

/** Every mark there is, by name. */
export function marks(ink: MarkInks): Map<string, ImageData> {
  const images = new Map<string, ImageData>();
  for (const level of LEVELS) {
    for (const guarded of [true, false]) {
      const image = draw(level, guarded, ink);
      if (image) images.set(markName(level, guarded), image);
    }
  }
  return images;
}

function draw(level: Level, guarded: boolean, ink: MarkInks): ImageData | null {
  const side = (BOX + 2 * MARGIN) * RATIO;
  const canvas = document.createElement('canvas');
  canvas.width = side;
  canvas.height = side;
  const pen = canvas.getContext('2d');
  if (!pen) return null;
  pen.scale(RATIO, RATIO);
  if (!guarded) {
    // A dashed ring: nobody sees what happens here.
    pen.strokeStyle = ink.panel;
    pen.lineWidth = 4;
    ring(pen);
    pen.strokeStyle = ink.unknown;
    pen.lineWidth = 2;
    pen.setLineDash([4.2, 2.6]);
    ring(pen);
    pen.setLineDash([]);
  }
  const scale = guarded ? 0.92 : 0.72;
  const inset = MARGIN + (BOX * (1 - scale)) / 2;
  pen.translate(inset, inset);
  pen.scale(scale, scale);
  const shape = new Path2D(SHAPES[level]);
  pen.lineJoin = 'round';
  pen.strokeStyle = ink.panel;
  pen.lineWidth = 4.5;
  pen.stroke(shape);
  pen.fillStyle = ink.levels[level];
  pen.fill(shape);
  if (!guarded) {
    pen.save();
    pen.clip(shape);
    pen.strokeStyle = ink.edge;
    pen.lineWidth = 1.8;
    pen.beginPath();
    for (let x = -24; x <= 24; x += 8) {
      pen.moveTo(x, 24);
      pen.lineTo(x + 24, 0);
    }
    pen.stroke();
    pen.restore();
  }
  pen.strokeStyle = ink.edge;
  pen.lineWidth = 1.6;
  pen.stroke(shape);
  return pen.getImageData(0, 0, side, side);
}

function ring(pen: CanvasRenderingContext2D): void {
  pen.beginPath();
  pen.arc(BOX / 2 + MARGIN, BOX / 2 + MARGIN, 13.6, 0, 2 * Math.PI);
  pen.stroke();
}
