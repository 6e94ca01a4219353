// The one place that asks the collector. Every failure becomes a Refusal with a sentence in both languages,
// so that no page ever shows a status code or nothing at all.

import type * as Api from './types';

/** The collector said no, or could not be asked. `status` 0 means that nobody answered. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly zh: string,
    readonly en: string,
  ) {
    super(`${status} ${code}: ${en}`);
  }
}

// A hung request must not leave a page waiting for ever.
const TIMEOUT_MS = 20_000;

let onSignedOut: () => void = () => {};
/** Called whenever the collector no longer knows the session. */
export function whenSignedOut(handler: () => void): void {
  onSignedOut = handler;
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      credentials: 'same-origin',
      cache: 'no-store',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
  } catch {
    throw new Refusal(0, 'unreachable', '控制室服务没有应答', 'The collector did not answer');
  }
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  const answer = parse(text);
  if (response.ok && answer !== undefined) return answer as T;
  if (response.ok && text === '') return undefined as T;
  if (response.status === 401 && path !== '/session') onSignedOut();
  throw refusalOf(response.status, answer);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** What a refused answer says; a body that is not ours still gets a sentence. */
export function refusalOf(status: number, answer: unknown): Refusal {
  const error = (answer as { error?: Record<string, unknown> } | undefined)?.error;
  const text = (key: string, otherwise: string) => (typeof error?.[key] === 'string' ? (error[key] as string) : otherwise);
  return new Refusal(
    status,
    text('code', 'unexpected'),
    text('message_zh', `服务返回了意外的应答(${status})`),
    text('message_en', `The collector gave an unexpected answer (${status})`),
  );
}

const get = <T>(path: string) => ask<T>('GET', path);
const post = <T>(path: string, body: unknown = {}) => ask<T>('POST', path, body);
const put = <T>(path: string, body: unknown) => ask<T>('PUT', path, body);
const remove = (path: string) => ask<void>('DELETE', path);

/** `?a=1&b=2` of what is given; nothing for null. */
export function query(fields: Record<string, string | number | boolean | null | undefined>): string {
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`);
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

const segment = (id: string | number) => encodeURIComponent(String(id));

export const session = {
  now: () => get<Api.Session>('/session'),
  signIn: (user: string, password: string) => post<Api.Session>('/session', { user, password }),
  signOut: () => remove('/session'),
  changePassword: (old: string, next: string) => post<void>('/session/password', { old, new: next }),
};

export const overview = () => get<Api.Overview>('/overview');

export const enterprises = {
  list: () => get<Api.Enterprise[]>('/enterprises'),
  register: (enterprise: Api.NewEnterprise) => post<Api.Enterprise>('/enterprises', enterprise),
  change: (id: number, enterprise: Api.NewEnterprise) => put<Api.Enterprise>(`/enterprises/${id}`, enterprise),
};

export const points = {
  list: () => get<Api.Point[]>('/points'),
  one: (id: number) => get<Api.Point>(`/points/${id}`),
  register: (point: Api.NewPoint) => post<Api.Point>('/points', point),
  change: (id: number, point: Api.NewPoint) => put<Api.Point>(`/points/${id}`, point),
};

export const channels = {
  list: (unbound: boolean) => get<Api.ListedChannel[]>(`/channels${query({ unbound: unbound || null })}`),
  bind: (id: number, point_id: number | null) => put<unknown>(`/channels/${id}/binding`, { point_id }),
  setLimits: (id: number, limits: Api.Limit[]) => put<unknown>(`/channels/${id}/limits`, limits),
  series: (id: number, from: number, to: number, rows = 800) =>
    get<Api.Series>(`/channels/${id}/series${query({ from: Math.round(from), to: Math.round(to), points: rows })}`),
};

export const alarms = {
  list: (filter: { state: 'open' | 'all'; point?: number; limit?: number; before?: number }) =>
    get<Api.Alarm[]>(`/alarms${query(filter)}`),
  one: (id: string) => get<Api.AlarmDetail>(`/alarms/${segment(id)}`),
  reset: (id: string, note: string) => post<Api.Alarm>(`/alarms/${segment(id)}/reset`, { note }),
  acknowledge: (id: string, note: string) => post<Api.Alarm>(`/alarms/${segment(id)}/acknowledge`, { note }),
  seen: (id: string, at: number) => post<unknown>(`/alarms/${segment(id)}/seen`, { at: Math.round(at) }),
};

export const journal = {
  page: (filter: { before?: number; limit?: number; kind?: string }) => get<Api.JournalPage>(`/journal${query(filter)}`),
  verify: () => get<Api.JournalVerdict>('/journal/verify'),
};

export const gateways = {
  list: () => get<Api.Gateway[]>('/gateways'),
  ledger: (day: string) => get<Api.LedgerRow[]>(`/ledger${query({ day })}`),
  enrol: (name: string) => post<Api.Enrolment>('/gateways/enrolments', { name }),
};

export const webhooks = {
  list: () => get<Api.Webhook[]>('/webhooks'),
  add: (webhook: Api.NewWebhook) => post<Api.Webhook>('/webhooks', webhook),
  remove: (id: number) => remove(`/webhooks/${id}`),
};

export const users = {
  list: () => get<Api.User[]>('/users'),
  add: (user: Api.NewUser) => post<Api.User>('/users', user),
};

export const boundaries = () => get<GeoJSON.FeatureCollection>('/map/boundaries');
