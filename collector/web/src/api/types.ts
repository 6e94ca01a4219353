// The shapes of the HTTP API v1, exactly as the collector publishes them. Times are Unix milliseconds.
// Adding a field? It comes from `collector/src/api`; nothing here is computed by the page.

export type Millis = number;
export type Level = 'red' | 'orange' | 'yellow' | 'blue';
export type Quality = 'good' | 'uncertain' | 'bad';
export type Priority = 'urgent' | 'high' | 'medium' | 'low';
export type Role = 'administrator' | 'regulator' | 'enterprise' | 'viewer';

export interface Session {
  user: string;
  name: string;
  role: Role;
  enterprise_id: number | null;
  must_change_password: boolean;
}

export interface NotSeen {
  kind: 'gateway' | 'channel' | 'point';
  id: number | string;
  name: string;
  reason_zh: string;
  reason_en: string;
  since: Millis | null;
}

export interface Overview {
  now: Millis;
  protecting: boolean;
  protecting_reason_zh: string | null;
  protecting_reason_en: string | null;
  simulated: boolean;
  points: { red: number; orange: number; yellow: number; blue: number; total: number };
  unguarded: number;
  open_alarms: number;
  unacknowledged: number;
  coverage: { channels: number; live: number; fault: number; silent: number; unbound: number };
  gateways: { total: number; online: number };
  latency: {
    t2_t4_p50_ms: number | null;
    t2_t4_p99_ms: number | null;
    t2_t6_p50_ms: number | null;
    t2_t6_p99_ms: number | null;
    count: number;
  };
  values_per_s: number;
  not_seen: NotSeen[];
  worst: Alarm[];
}

export interface Enterprise {
  id: number;
  name: string;
  uscc: string;
  kind: string;
  county: string;
  contact: string;
  phone: string;
  points: number;
}
export type NewEnterprise = Omit<Enterprise, 'id' | 'points'>;

export interface Limit {
  rule: string;
  direction: 'high' | 'low';
  setpoint: number;
  release: number;
  on_delay_ms: number;
  off_delay_ms: number;
  priority: Priority;
  source: string;
}

export interface ChannelNow {
  id: number;
  tag: string;
  gateway: string;
  name: string;
  quantity: string;
  unit: string;
  value: number | null;
  quality: Quality;
  doubt: string | null;
  fault: string | null;
  quality_zh: string;
  quality_en: string;
  sampled_at: Millis | null;
  received_at: Millis | null;
  live: boolean;
  period_ms: number;
  range: [number, number] | null;
  simulated: boolean;
  limits: Limit[];
}
export interface ListedChannel extends ChannelNow {
  point_id: number | null;
}

export interface Point {
  id: number;
  enterprise_id: number;
  enterprise: string;
  code: string;
  name: string;
  kind: string;
  assessed: Level;
  level: Level;
  guarded: boolean;
  unguarded_zh: string | null;
  unguarded_en: string | null;
  longitude: number;
  latitude: number;
  location: string;
  hazards: string;
  responsible: string;
  phone: string;
  simulated: boolean;
  open_alarms: number;
  channels: ChannelNow[];
}
export type NewPoint = Pick<
  Point,
  | 'enterprise_id' | 'code' | 'name' | 'kind' | 'assessed' | 'longitude' | 'latitude'
  | 'location' | 'hazards' | 'responsible' | 'phone'
>;

export interface SeriesRow {
  t: Millis;
  min: number | null;
  max: number | null;
  last: number | null;
  quality: Quality;
}
export interface SeriesGap {
  from: Millis;
  to: Millis;
  cause: string;
}
export interface Series {
  channel: number;
  unit: string;
  resolution: 'raw' | '1m' | '1h';
  from: Millis;
  to: Millis;
  rows: SeriesRow[];
  gaps: SeriesGap[];
}

export type AlarmKind =
  | 'limit' | 'silence' | 'fault' | 'not_protecting' | 'over_range' | 'gateway_lost' | 'identity';
export type AlarmState =
  | 'unacknowledged' | 'acknowledged' | 'returned_unacknowledged' | 'latched' | 'shelved' | 'suppressed'
  | 'out_of_service' | 'normal';
export type StageName = 't2' | 't3' | 't4' | 't5' | 't6' | 't7';
export type Stages = Record<StageName, Millis | null>;

export interface Alarm {
  id: string;
  channel_id: number | null;
  point_id: number | null;
  point: string | null;
  enterprise: string | null;
  tag: string | null;
  kind: AlarmKind;
  rule: string;
  priority: Priority;
  state: AlarmState;
  title_zh: string;
  title_en: string;
  value: number | null;
  unit: string | null;
  setpoint: number | null;
  late: boolean;
  simulated: boolean;
  began_at: Millis;
  opened_at: Millis;
  returned_at: Millis | null;
  acknowledged_at: Millis | null;
  acknowledged_by: string | null;
  note: string | null;
  closed_at: Millis | null;
  stages: Stages;
  unseen_points: string[];
}
export interface AlarmDetail extends Alarm {
  transitions: { at: Millis; event: string; who: string | null }[];
  deliveries: {
    endpoint: string;
    state: string;
    attempts: number;
    accepted_at: Millis | null;
    last_error: string | null;
  }[];
}

export interface JournalEntry {
  number: number;
  at: Millis;
  kind: string;
  about: string;
  who: string;
  text_zh: string;
  text_en: string;
  hash: string;
}
export interface JournalPage {
  entries: JournalEntry[];
  head: string;
}
export interface JournalVerdict {
  ok: boolean;
  entries: number;
  first_bad: number | null;
  message_zh: string;
  message_en: string;
}

export interface Gateway {
  id: string;
  name: string;
  online: boolean;
  last_heard: Millis | null;
  epoch: number | string | null;
  clock: 'synchronised' | 'holdover' | 'untrusted';
  unacknowledged: number;
  spool_bytes: number;
  spool_capacity: number;
  degraded: boolean;
  channels: number;
  enrolled_at: Millis | null;
  simulated: boolean;
}
export interface LedgerRow {
  gateway: string;
  day: string;
  expected: number;
  stored: number;
  gaps: Record<string, number>;
  open: number;
}
export interface Enrolment {
  code: string;
  expires_at: Millis;
}

export interface Webhook {
  id: number;
  name: string;
  url: string;
  enabled: boolean;
  min_priority: Priority;
}
export type NewWebhook = Omit<Webhook, 'id'>;

export interface User {
  user: string;
  name: string;
  role: Role;
  enterprise_id: number | null;
}
export interface NewUser extends User {
  password: string;
}

/** One row of a `readings` event: channel, value, quality, doubt or fault, sampled, received, live. */
export type ReadingRow = [
  channel: number, value: number | null, quality: Quality, code: string | null,
  sampled_at: Millis | null, received_at: Millis | null, live: boolean,
];
export interface Hello {
  now: Millis;
  resumed: boolean;
}
export interface Readings {
  now: Millis;
  rows: ReadingRow[];
}
export interface PointChange {
  id: number;
  level: Level;
  guarded: boolean;
  unguarded_zh: string | null;
  unguarded_en: string | null;
  open_alarms: number;
}
