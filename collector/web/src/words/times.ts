// Times of day as they are written on the pages, in the time zone of the person who looks.

const two = (n: number) => String(n).padStart(2, '0');

/** 14:03:07 */
export function timeText(at: number): string {
  const d = new Date(at);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** 2026-11-24 */
export function dayText(at: number): string {
  const d = new Date(at);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

/** 14:03:07 today, 11-23 14:03:07 on another day, with the year in another year. */
export function momentText(at: number, now: number): string {
  const day = dayText(at);
  const today = dayText(now);
  if (day === today) return timeText(at);
  return `${day.slice(0, 4) === today.slice(0, 4) ? day.slice(5) : day} ${timeText(at)}`;
}

/** 2026-11-24 14:03:07.123 */
export function exactText(at: number): string {
  return `${dayText(at)} ${timeText(at)}.${String(new Date(at).getMilliseconds()).padStart(3, '0')}`;
}
