// Pure: risk points as the map's features, and the box around everything.

import type { Feature, FeatureCollection, Geometry, Point as GeoPoint, Position } from 'geojson';
import type { Level, Point } from '../../api/types';
import { compareLevels } from '../../live/order';
import { markName } from './marks';

export interface PointProperties {
  id: number;
  name: string;
  mark: string;
  /** The worse is drawn above the better. */
  rank: number;
}

type Located = Pick<Point, 'id' | 'name' | 'level' | 'guarded' | 'longitude' | 'latitude'>;

export function propertiesOf(point: Located): PointProperties {
  const worse = (['blue', 'yellow', 'orange', 'red'] as Level[]).filter((level) => compareLevels(point.level, level) < 0).length;
  return { id: point.id, name: point.name, mark: markName(point.level, point.guarded), rank: worse * 2 + (point.guarded ? 0 : 1) };
}

export const isLocated = (point: Pick<Point, 'longitude' | 'latitude'>) =>
  Number.isFinite(point.longitude) && Number.isFinite(point.latitude) &&
  Math.abs(point.longitude) <= 180 && Math.abs(point.latitude) <= 85 && (point.longitude !== 0 || point.latitude !== 0);

export function featuresOf(points: readonly Located[]): FeatureCollection<GeoPoint, PointProperties> {
  return {
    type: 'FeatureCollection',
    features: points.filter(isLocated).map((point): Feature<GeoPoint, PointProperties> => ({
      type: 'Feature',
      id: point.id,
      geometry: { type: 'Point', coordinates: [point.longitude, point.latitude] },
      properties: propertiesOf(point),
    })),
  };
}

/** One name for each boundary, in the upper part of its largest ring, away from the towns in its middle.
    A polygon cut into tiles would be named in each of them, so the map is given points. */
export function namesOf(boundaries: FeatureCollection): FeatureCollection<GeoPoint> {
  const features: Feature<GeoPoint>[] = [];
  for (const { geometry, properties } of boundaries.features) {
    const name: unknown = properties?.['name'] ?? properties?.['name_zh'];
    if (typeof name !== 'string' || !geometry) continue;
    const rings = geometry.type === 'Polygon' ? geometry.coordinates.slice(0, 1) : geometry.type === 'MultiPolygon' ? geometry.coordinates.flatMap((part) => part.slice(0, 1)) : [];
    let best: Box | null = null;
    for (const ring of rings) {
      const box = boxOf([{ type: 'FeatureCollection', features: [{ type: 'Feature', properties: null, geometry: { type: 'LineString', coordinates: ring } }] }]);
      if (box && (!best || (box[2] - box[0]) * (box[3] - box[1]) > (best[2] - best[0]) * (best[3] - best[1]))) best = box;
    }
    const at: Position | null = best ? [(best[0] + best[2]) / 2, best[1] + (best[3] - best[1]) * 0.75] : geometry.type === 'Point' ? geometry.coordinates : null;
    if (at) features.push({ type: 'Feature', properties: { name }, geometry: { type: 'Point', coordinates: at } });
  }
  return { type: 'FeatureCollection', features };
}

export type Box = [west: number, south: number, east: number, north: number];

/** The box around these; null when there is nothing. */
export function boxOf(collections: readonly FeatureCollection[]): Box | null {
  let box: Box | null = null;
  const see = (position: Position) => {
    const [x, y] = position;
    if (x === undefined || y === undefined || !Number.isFinite(x) || !Number.isFinite(y)) return;
    box = box ? [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)] : [x, y, x, y];
  };
  const walk = (part: unknown): void => {
    if (!Array.isArray(part)) return;
    if (typeof part[0] === 'number') see(part as Position);
    else part.forEach(walk);
  };
  const enter = (geometry: Geometry | null) => {
    if (!geometry) return;
    if (geometry.type === 'GeometryCollection') geometry.geometries.forEach(enter);
    else walk(geometry.coordinates);
  };
  for (const collection of collections) for (const feature of collection.features) enter(feature.geometry);
  return box;
}
