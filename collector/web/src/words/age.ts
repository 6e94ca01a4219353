// How long ago, in words that do not jump about: whole seconds, then minutes and seconds, then hours, then days.

const S = 1000;
const MIN = 60 * S;
const H = 60 * MIN;
const D = 24 * H;

export type Ages = 'zh' | 'si';

// A clock a little ahead is transit jitter; more than this is said plainly.
const AHEAD_TOLERATED_MS = 2 * S;

/** The age in words; null when it is in the future by more than jitter. */
export function ageWords(age_ms: number, style: Ages): string | null {
  if (!Number.isFinite(age_ms) || age_ms < -AHEAD_TOLERATED_MS) return null;
  const age = Math.max(0, Math.floor(age_ms / S) * S);
  const two = (n: number) => String(n).padStart(2, '0');
  const [day, hour, minute, second] = style === 'zh' ? ['天', '小时', '分', '秒'] : ['d', 'h', 'min', 's'];
  if (age < MIN) return `${age / S} ${second}`;
  if (age < H) return `${Math.floor(age / MIN)} ${minute} ${two((age % MIN) / S)} ${second}`;
  if (age < D) return `${Math.floor(age / H)} ${hour} ${two(Math.floor((age % H) / MIN))} ${minute}`;
  return `${Math.floor(age / D)} ${day} ${Math.floor((age % D) / H)} ${hour}`;
}

/** A latency: milliseconds below a second, then seconds with one decimal, then words. */
export function latencyWords(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < MIN) return `${(ms / 1000).toFixed(1)} s`;
  return ageWords(ms, 'si') ?? '—';
}
