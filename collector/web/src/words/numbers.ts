// Numbers as an instrument shows them: digits by unit, so that a value does not change its width.

const decimals: Record<string, number> = {
  '%vol': 2, '%LEL': 1, ppm: 1, ppb: 0, 'mg/m3': 1, '°C': 1, '%RH': 1, 'm/s': 2, 'm3/h': 0, m: 2,
  Pa: 0, hPa: 1, mA: 2, Hz: 1, '%': 1, s: 0, V: 2, A: 2,
};

/** A value in its unit. Not a number is never a zero. */
export function valueText(value: number | null | undefined, unit: string | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '—';
  const digits = decimals[unit ?? ''] ?? (Math.abs(value) >= 100 ? 0 : 2);
  const text = Math.abs(value) >= 1000 ? value.toFixed(Math.min(digits, 0)) : value.toFixed(digits);
  // "-0.0" looks like a fault of the instrument; it is a zero.
  return /^-0(\.0*)?$/.test(text) ? text.slice(1) : text;
}

/** A unit as it is printed: mg/m³ rather than mg/m3, nothing for a pure number. */
export function unitText(unit: string | null | undefined): string {
  if (!unit || unit === '1') return '';
  return unit.replace('m3', 'm³');
}

/** A count with thin groups: 1 234 567. */
export function countText(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+(?!\d))/g, '\u2009');
}

/** Bytes in the nearest binary unit. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes;
  let at = 0;
  while (size >= 1024 && at < units.length - 1) {
    size /= 1024;
    at += 1;
  }
  return `${at === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[at]}`;
}
