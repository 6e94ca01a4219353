import { expect, test } from 'vitest';
import type { Level } from '../../api/types';
import { boxOf, featuresOf, namesOf, propertiesOf } from './features';

const point = (id: number, level: Level, guarded = true, longitude = 114, latitude = 37) => ({ id, name: `p${id}`, level, guarded, longitude, latitude });

test('a worse point is drawn above a better one, and the unguarded above the guarded', () => {
  const ranks = [point(1, 'blue'), point(2, 'blue', false), point(3, 'yellow'), point(4, 'red')].map((p) => propertiesOf(p).rank);
  expect([...ranks].sort((a, b) => a - b)).toEqual(ranks);
});
test('level and guard each change the mark', () => {
  const marks = [point(1, 'blue'), point(2, 'blue', false), point(3, 'red'), point(4, 'red', false)].map((p) => propertiesOf(p).mark);
  expect(new Set(marks).size).toBe(4);
});
test('a point without a place is left off the map rather than drawn in the sea', () => {
  const features = featuresOf([point(1, 'blue'), point(2, 'red', true, 0, 0), point(3, 'red', true, Number.NaN, 37), point(4, 'red', true, 114, 99)]).features;
  expect(features.map((f) => f.id)).toEqual([1]);
});
test('the box holds every corner of every kind of geometry', () => {
  expect(boxOf([])).toBeNull();
  expect(
    boxOf([
      featuresOf([point(1, 'blue', true, 110, 30)]),
      { type: 'FeatureCollection', features: [{ type: 'Feature', properties: {}, geometry: { type: 'MultiPolygon', coordinates: [[[[114, 36], [115, 38], [113, 37], [114, 36]]]] } }] },
    ]),
  ).toEqual([110, 30, 115, 38]);
});
test('each boundary is named once, in its largest part', () => {
  const square = (x: number, size: number) => [[[x, 0], [x + size, 0], [x + size, size], [x, size], [x, 0]]];
  const names = namesOf({
    type: 'FeatureCollection',
    features: [
      { type: 'Feature', properties: { name: '甲县' }, geometry: { type: 'MultiPolygon', coordinates: [square(0, 1), square(10, 4)] } },
      { type: 'Feature', properties: {}, geometry: { type: 'Polygon', coordinates: square(20, 2) } },
    ],
  });
  expect(names.features.map((f) => [f.properties?.['name'], f.geometry.coordinates])).toEqual([['甲县', [12, 3]]]);
});
