// The look has its own specification: text must be readable on every ground it stands on, in both lights.
import { expect, test } from 'vitest';
import css from './app.css?raw';

function colours(block: string): Map<string, string> {
  const body = css.slice(css.indexOf(block), css.indexOf('}', css.indexOf(block)));
  return new Map([...body.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})\b/g)].map((m) => [m[1] as string, m[2] as string]));
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

for (const [name, block] of [['light', ':root {'], ['dark', ":root[data-theme='dark'] {"]] as const) {
  const ink = colours(block);
  const check = (front: string, back: string, least: number) =>
    expect(contrast(ink.get(front) ?? '', ink.get(back) ?? ''), `${front} on ${back}, ${name}`).toBeGreaterThanOrEqual(least);

  test(`text is readable in ${name} (WCAG AA, 4.5)`, () => {
    for (const back of ['back', 'panel', 'raised', 'sunk']) for (const front of ['text', 'dim']) check(front, back, 4.5);
    for (const back of ['panel', 'unknown-back']) check('unknown', back, 4.5);
    for (const back of ['lost-back', 'lost-hatch']) check('lost-text', back, 4.5);
  });
  test(`marks stand out in ${name}, by their colour or by their edge (3.0)`, () => {
    for (const level of ['red', 'orange', 'yellow', 'blue']) {
      const best = Math.max(contrast(ink.get(level) ?? '', ink.get('panel') ?? ''), contrast(ink.get('mark-edge') ?? '', ink.get('panel') ?? ''));
      expect(best, `${level}, ${name}`).toBeGreaterThanOrEqual(3);
    }
    check('trend', 'panel', 3);
    check('focus', 'panel', 3);
  });
}
