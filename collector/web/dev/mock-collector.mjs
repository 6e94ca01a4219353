// A MOCK of the collector for working on the pages alone: `npm run mock`, then `npm run dev`, or open the mock's
// own address for what `npm run build` made. NOT part of the product: nothing of it is built, embedded or shipped,
// and no test of the product may lean on it. Sign in as duty / duty-officer (or first / first for the first password).
//
// It invents a plant: 4 enterprises, 41 points, a leak every 90 s at one sensor, a cut wire, a silent gateway.
// Knobs, for looking at the unhappy half: POST /mock/mute (the stream falls silent), /mock/cut (connections are cut and refused),
// /mock/well (both end), /mock/forget (the ring is emptied, so a resume must fail), /mock/leak (a leak now), /mock/many (300 alarms).

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const PORT = Number(process.env.MOCK_PORT ?? 8090);
const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const PERIOD = 2000;
const started = Date.now();

// ---- the plant -------------------------------------------------------------------------------------------------------
const enterprises = [
  ['华宁第一煤矿', '91130500MA0HN0001A', '煤矿', '华宁县'], ['清源污水处理厂', '91130500MA0QY0002B', '污水处理', '清源区'],
  ['丰禾食品发酵有限公司', '91130500MA0FH0003C', '食品加工', '丰禾县'], ['<b>远山</b> & 化工', '91130500MA0YS0004D', '化工', '华宁县'],
].map(([name, uscc, kind, county], i) => ({ id: i + 1, name, uscc, kind, county, contact: '安全科', phone: `0319-55500${10 + i}` }));

const limit = (rule, direction, setpoint, release, priority, source, on_delay_ms = 0) => ({ rule, direction, setpoint, release, on_delay_ms, off_delay_ms: 2000, priority, source });
const GASES = {
  CH4m: { quantity: 'CH4', name: '甲烷', unit: '%vol', base: 0.22, noise: 0.02, range: [0, 4], limits: [limit('alarm', 'high', 1, 1, 'high', '煤矿安全规程 2025 第198条'), limit('cut', 'high', 1.5, 1, 'urgent', '煤矿安全规程 2025 第198条 断电')] },
  CH4: { quantity: 'CH4', name: '可燃气体', unit: '%LEL', base: 1.2, noise: 0.3, range: [0, 100], limits: [limit('low', 'high', 10, 9, 'medium', 'GB/T 50493-2019'), limit('high', 'high', 25, 23, 'urgent', 'GB/T 50493-2019')] },
  H2S: { quantity: 'H2S', name: '硫化氢', unit: 'ppm', base: 0.6, noise: 0.2, range: [0, 100], limits: [limit('low', 'high', 6.6, 6, 'high', 'GBZ 2.1-2019: MAC 10 mg/m3'), limit('high', 'high', 20, 18, 'urgent', '现场规定')] },
  O2: { quantity: 'O2', name: '氧气', unit: '%vol', base: 20.9, noise: 0.04, range: [0, 30], limits: [limit('low', 'low', 19.5, 19.7, 'high', 'GB 30871-2022'), limit('lowlow', 'low', 18, 18.5, 'urgent', '现场规定'), limit('rich', 'high', 23.5, 23, 'high', 'GB 30871-2022')] },
  CO: { quantity: 'CO', name: '一氧化碳', unit: 'ppm', base: 3, noise: 0.8, range: [0, 500], limits: [limit('alarm', 'high', 24, 22, 'high', '煤矿安全规程 2025 第166条')] },
};
const names = {
  1: ['3上05工作面 上隅角', '3上05工作面 回风流', '3上05进风巷', '7煤掘进头', '井下中央变电所', '采区避难硐室', '总回风巷', '主井皮带机头', '瓦斯泵站', '井口房'],
  2: ['调节池', '1号污泥浓缩池', '2号污泥浓缩池', '消化池气柜间', '格栅间', '提升泵房', '脱水机房', '加药间', '沼气锅炉房', '地下管廊', '曝气池检查井'],
  3: ['1号发酵罐', '2号发酵罐', '3号发酵罐', '原料地坑', '酱醅池', '腌制池', '酒糟池', '冷库氨机房', '废水集水井', '空压机房'],
  4: ['储罐区 T-101', '储罐区 T-102', '反应釜 R-201', '反应釜 R-202', '装卸台', '污水隔油池', '危废间', '循环水池', '尾气吸收塔', '事故应急池'],
};
const points = [];
const channels = [];
let next_channel = 1;
const centres = { 1: [114.36, 37.12], 2: [114.58, 37.07], 3: [114.83, 37.22], 4: [114.46, 36.93] };
for (const e of enterprises) {
  names[e.id].forEach((name, i) => {
    const angle = i * 2.4, radius = 0.012 + 0.011 * i;
    const point = {
      id: points.length + 1, enterprise_id: e.id, enterprise: e.name, code: `${e.uscc.slice(-4)}-${String(i + 1).padStart(3, '0')}`, name,
      kind: e.id === 1 ? '采掘作业场所' : '有限空间', assessed: ['yellow', 'orange', 'blue', 'blue', 'yellow'][i % 5],
      longitude: centres[e.id][0] + Math.cos(angle) * radius, latitude: centres[e.id][1] + Math.sin(angle) * radius * 0.8,
      location: e.id === 1 ? '-420 水平' : '厂区北侧', hazards: e.id === 1 ? '瓦斯积聚、一氧化碳' : '硫化氢中毒、缺氧窒息', responsible: '王建国', phone: `1380319${String(1000 + points.length)}`, simulated: true,
    };
    if (e.id === 1 && i === 0) point.assessed = 'orange';
    points.push(point);
    const kinds = e.id === 1 ? (i % 3 === 0 ? ['CH4m', 'CO', 'O2'] : ['CH4m', 'CO']) : i % 2 === 0 ? ['CH4', 'H2S', 'O2', 'CO'] : ['H2S', 'O2'];
    // One point is registered and nobody has bound anything to it yet.
    if (e.id === 4 && i === 9) return;
    for (const kind of kinds) addChannel(kind, point, e, i);
  });
}
for (const kind of ['H2S', 'O2', 'CO']) addChannel(kind, null, enterprises[3], 20);
function addChannel(kind, point, e, i) {
  const gas = GASES[kind];
  channels.push({
    id: next_channel, tag: `${['HN', 'QY', 'FH', 'YS'][e.id - 1]}-${String(i + 1).padStart(2, '0')}-${gas.quantity}`, gateway: ['huaning-face', 'qingyuan', 'fenghe', 'yuanshan'][e.id - 1],
    name: gas.name, quantity: gas.quantity, unit: gas.unit, period_ms: PERIOD, range: gas.range, simulated: true, limits: gas.limits,
    point_id: point?.id ?? null, gas, phase: next_channel * 1.7, leak: 0, fault: null, doubt: null, value: gas.base, quality: 'good', sampled_at: null, received_at: null, live: false, history: [],
  });
  next_channel += 1;
}
const gateways = ['huaning-face', 'qingyuan', 'fenghe', 'yuanshan', 'fenghe-2'].map((id, i) => ({
  id, name: ['华宁 采面网关', '清源 网关', '丰禾 网关', '远山 网关', '丰禾 2号网关'][i], online: i !== 4, last_heard: Date.now() - (i === 4 ? 847_000 : 300), epoch: 7_410_233 + i,
  clock: ['synchronised', 'holdover', 'synchronised', 'untrusted', 'synchronised'][i], unacknowledged: i * 3, spool_bytes: (i + 1) * 41_000_000, spool_capacity: 2 ** 30, degraded: i === 3, channels: channels.filter((c) => c.gateway === id).length, enrolled_at: started - 86_400_000 * (i + 3), simulated: true,
}));

// ---- alarms ----------------------------------------------------------------------------------------------------------
const alarms = [];
const latencies = [];
const zh = { high: '偏高', low: '偏低' };
function raise(fields) {
  const now = Date.now();
  const alarm = {
    id: randomBytes(8).toString('hex'), channel_id: null, point_id: null, point: null, enterprise: null, tag: null, kind: 'limit', rule: '', priority: 'high', state: 'unacknowledged', title_zh: '', title_en: '',
    value: null, unit: null, setpoint: null, late: false, simulated: true, began_at: now - 180, opened_at: now, returned_at: null, acknowledged_at: null, acknowledged_by: null, note: null, closed_at: null,
    stages: { t2: now - 140 - Math.floor(Math.random() * 80), t3: now - 120, t4: now, t5: null, t6: null, t7: null }, unseen_points: [], transitions: [{ at: now, event: 'raised', who: null }], deliveries: [{ endpoint: '县应急局', state: 'pending', attempts: 1, accepted_at: null, last_error: null }], ...fields,
  };
  alarms.unshift(alarm);
  latencies.push(alarm.stages.t4 - alarm.stages.t2);
  journal('alarm.raised', alarm.tag ?? alarm.rule, 'system', `报警:${alarm.title_zh}`, `Alarm: ${alarm.title_en}`);
  publishAlarm(alarm);
  setTimeout(() => {
    alarm.stages.t6 = Date.now();
    alarm.deliveries[0] = { endpoint: '县应急局', state: 'accepted', attempts: 1, accepted_at: alarm.stages.t6, last_error: null };
    publishAlarm(alarm);
  }, 240);
  return alarm;
}
const open = (a) => a.closed_at === null;
const ofChannel = (c) => { const p = points.find((p) => p.id === c.point_id); return { channel_id: c.id, point_id: c.point_id, point: p?.name ?? null, enterprise: p?.enterprise ?? null, tag: c.tag, unit: c.unit }; };
function publishAlarm(alarm) {
  emit('alarm', wireAlarm(alarm));
  if (alarm.point_id) emit('point', change(points.find((p) => p.id === alarm.point_id)));
}
const wireAlarm = ({ transitions, deliveries, ...alarm }) => alarm;
function back(alarm) {
  if (!open(alarm) || alarm.returned_at) return;
  alarm.returned_at = Date.now();
  alarm.transitions.push({ at: alarm.returned_at, event: 'returned', who: null });
  if (alarm.acknowledged_at) { alarm.state = 'normal'; alarm.closed_at = Date.now(); } else alarm.state = 'returned_unacknowledged';
  publishAlarm(alarm);
}
function judge(c) {
  if (c.point_id === null) return;
  for (const l of c.limits) {
    const standing = alarms.find((a) => open(a) && a.channel_id === c.id && a.rule === l.rule && a.kind === 'limit');
    const over = c.value !== null && (l.direction === 'high' ? c.value >= l.setpoint : c.value <= l.setpoint);
    if (over && (!standing || standing.returned_at)) {
      if (!standing) raise({ ...ofChannel(c), rule: l.rule, priority: l.priority, value: c.value, setpoint: l.setpoint, title_zh: `${c.name}${zh[l.direction]} ${c.value.toFixed(2)} ${c.unit}`, title_en: `${c.quantity} ${l.direction}: ${c.value.toFixed(2)} ${c.unit}` });
    } else if (!over && standing && c.value !== null) back(standing);
  }
}

// ---- the world moves ---------------------------------------------------------------------------------------------------
function sample(c, at) {
  const t = at / 1000;
  const wave = Math.sin(t / 37 + c.phase) * 0.5 + Math.sin(t / 11 + c.phase * 2) * 0.3 + (Math.random() - 0.5);
  const v = c.gas.base + c.gas.noise * wave + c.leak * (c.quantity === 'O2' ? -1 : 1);
  return Math.max(0, v);
}
const rnd = (c, v) => Number(v.toFixed(c.unit === '%vol' ? 3 : 2));
for (const c of channels) {
  // A past with a gap and a bad stretch, so that the trend has something to be honest about.
  const now = Date.now();
  for (let at = now - 3_700_000; at < now; at += PERIOD) {
    const ago = (now - at) / 1000;
    if (ago > 190 && ago < 245 && c.id % 3 === 1) continue;
    if (ago > 1500 && ago < 1900) continue;
    const bad = ago > 320 && ago < 370 && c.id % 3 === 1;
    const bump = c.id % 3 === 1 && ago < 520 && ago > 420 ? (c.limits[0].setpoint - c.gas.base) * 1.15 * Math.sin(((520 - ago) / 100) * Math.PI) : 0;
    c.history.push([at, bad ? null : rnd(c, sample(c, at) + bump * (c.quantity === 'O2' ? 1 : 1)), bad ? 'bad' : ago > 400 && ago < 415 ? 'uncertain' : 'good']);
  }
}
const leaking = channels[0];
channels[7].fault = 'WireBreak';
const stuck = channels[40]; stuck.doubt = 'Stuck';
const silent = channels[55];
let leak_at = Date.now() + 20_000;
let dirty = new Set();
function world() {
  const now = Date.now();
  const phase = (now - leak_at) / 1000;
  leaking.leak = phase < 0 ? 0 : phase < 20 ? phase * 0.085 : phase < 45 ? 1.7 : Math.max(0, 1.7 - (phase - 45) * 0.1);
  if (phase > 90) leak_at = now + 10_000;
  for (const c of channels) {
    if (c === silent && c.sampled_at !== null) continue;
    c.sampled_at = now - 120;
    c.received_at = now;
    c.live = true;
    c.value = c.fault ? null : c.doubt === 'Stuck' ? 4.2 : rnd(c, sample(c, now));
    c.quality = c.fault ? 'bad' : (c !== leaking && c.doubt) || (c === leaking && phase > 0 && phase < 12) ? 'uncertain' : 'good';
    if (c === leaking) c.doubt = c.quality === 'uncertain' ? 'Unconfirmed' : null;
    c.history.push([c.sampled_at, c.value, c.quality]);
    if (c.history.length > 50_000) c.history.shift();
    dirty.add(c);
    judge(c);
  }
  for (const g of gateways) if (g.online) g.last_heard = now - 200;
}
function guard(p) {
  const own = channels.filter((c) => c.point_id === p.id);
  if (own.length === 0) return ['没有绑定气体通道', 'no gas channel is bound'];
  for (const c of own) {
    if (c.fault) return [`${c.quantity}(${c.tag})无有效读数:断线`, `${c.quantity} (${c.tag}): no valid reading: WireBreak`];
    if (c === silent) return [`${c.quantity}(${c.tag})没有新鲜读数`, `${c.quantity} (${c.tag}): no fresh reading`];
    if (c.doubt === 'Stuck') return [`${c.quantity}(${c.tag})读数存疑:数值卡滞`, `${c.quantity} (${c.tag}): doubtful reading: Stuck`];
  }
  return null;
}
const ORDER = ['red', 'orange', 'yellow', 'blue'];
const LEVEL = { urgent: 'red', high: 'orange', medium: 'yellow', low: 'blue' };
function change(p) {
  const mine = alarms.filter((a) => open(a) && a.point_id === p.id);
  const levels = [p.assessed, ...mine.filter((a) => !a.returned_at).map((a) => LEVEL[a.priority])];
  const why = guard(p);
  return { id: p.id, level: ORDER[Math.min(...levels.map((l) => ORDER.indexOf(l)))], guarded: why === null, unguarded_zh: why?.[0] ?? null, unguarded_en: why?.[1] ?? null, open_alarms: mine.length };
}
const WORDS = { WireBreak: ['断线', 'wire break'], Stuck: ['数值卡滞', 'stuck'], Unconfirmed: ['待复核', 'unconfirmed'] };
function channelNow(c) {
  const code = c.fault ?? c.doubt;
  const live = c.live && Date.now() - c.sampled_at < 3 * PERIOD + 1000;
  return { id: c.id, tag: c.tag, gateway: c.gateway, name: c.name, quantity: c.quantity, unit: c.unit, value: c.value, quality: c.quality, doubt: c.quality === 'uncertain' ? c.doubt : null, fault: c.fault, quality_zh: WORDS[code]?.[0] ?? '', quality_en: WORDS[code]?.[1] ?? '', sampled_at: c.sampled_at, received_at: c.received_at, live, period_ms: c.period_ms, range: c.range, simulated: true, limits: c.limits };
}
const wirePoint = (p) => ({ ...p, ...change(p), channels: channels.filter((c) => c.point_id === p.id).map(channelNow) });
const quantile = (q) => { const s = [...latencies].sort((a, b) => a - b); return s.length ? s[Math.min(s.length - 1, Math.floor(q * s.length))] : null; };
function overview() {
  const changes = points.map(change);
  const count = (l) => changes.filter((c) => c.level === l).length;
  const standing = alarms.filter(open);
  const protecting = Date.now() - started > Number(process.env.MOCK_BLIND_MS ?? 3000);
  return {
    now: Date.now(), protecting, protecting_reason_zh: protecting ? '全部通道已评估' : '正在启动:尚未收到全部网关的实时读数', protecting_reason_en: protecting ? 'every channel has been judged' : 'starting: no live readings from every gateway yet', simulated: true,
    points: { red: count('red'), orange: count('orange'), yellow: count('yellow'), blue: count('blue'), total: points.length }, unguarded: changes.filter((c) => !c.guarded).length,
    open_alarms: standing.length, unacknowledged: standing.filter((a) => !a.acknowledged_at).length,
    coverage: { channels: channels.length, live: channels.filter((c) => !c.fault && c !== silent && c.point_id).length, fault: channels.filter((c) => c.fault).length, silent: 1, unbound: channels.filter((c) => !c.point_id).length },
    gateways: { total: gateways.length, online: gateways.filter((g) => g.online).length },
    latency: { t2_t4_p50_ms: quantile(0.5), t2_t4_p99_ms: quantile(0.99), t2_t6_p50_ms: quantile(0.5) === null ? null : quantile(0.5) + 241, t2_t6_p99_ms: quantile(0.99) === null ? null : quantile(0.99) + 262, count: latencies.length }, values_per_s: channels.length / (PERIOD / 1000),
    not_seen: [
      { kind: 'gateway', id: 'fenghe-2', name: '丰禾 2号网关', reason_zh: '网关失联', reason_en: 'gateway not heard', since: gateways[4].last_heard },
      ...channels.filter((c) => c.fault || c === silent).map((c) => ({ kind: 'channel', id: c.id, name: `${points.find((p) => p.id === c.point_id)?.name ?? ''} ${c.tag}`, reason_zh: c.fault ? '断线' : '没有新鲜读数', reason_en: c.fault ? 'wire break' : 'no fresh reading', since: started - (c.fault ? 300_000 : 0) })),
      ...points.map((p) => [p, guard(p)]).filter(([, w]) => w).map(([p, w]) => ({ kind: 'point', id: p.id, name: p.name, reason_zh: w[0], reason_en: w[1], since: started })),
    ], worst: standing.slice(0, 8).map(wireAlarm),
  };
}

// ---- journal -----------------------------------------------------------------------------------------------------------
const entries = [];
function journal(kind, about, who, text_zh, text_en) {
  const hash = createHash('sha256').update((entries[0]?.hash ?? '') + text_en + entries.length).digest('hex');
  entries.unshift({ number: entries.length + 1, at: Date.now(), kind, about, who, text_zh, text_en, hash });
}
journal('start', 'collector', 'system', '控制室服务启动', 'The collector started');
for (let i = 0; i < 130; i++) journal(['channel.bound', 'gateway.admitted', 'user.signed_in'][i % 3], `记录 ${i}`, ['admin', 'duty', 'system'][i % 3], ['绑定通道 HN-01-CH4 到 3上05工作面 上隅角', '网关 qingyuan 时钟转为守时', '王建国 登录'][i % 3], ['Bound channel HN-01-CH4 to its risk point', 'Gateway qingyuan: clock in holdover', 'Signed in'][i % 3]);

// ---- the stream ----------------------------------------------------------------------------------------------------------
const ring = [];
let sequence = 0, mute = false, cut = false;
const streams = new Set();
function emit(event, data) {
  sequence += 1;
  const text = `id: ${sequence}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
  ring.push([sequence, text]);
  if (ring.length > 500) ring.shift();
  if (!mute) for (const s of streams) s.write(text);
}
world();
setInterval(world, PERIOD);
setInterval(() => {
  const rows = [...dirty].map((c) => [c.id, c.value, c.quality, c.quality === 'good' ? null : (c.fault ?? c.doubt), c.sampled_at, c.received_at, c.live]);
  dirty.clear();
  if (rows.length) emit('readings', { now: Date.now(), rows });
  emit('overview', overview());
}, 1000);
setInterval(() => { if (!mute) for (const s of streams) s.write(': beat\n\n'); }, 5000);
const p0 = points[7 - 1];
raise({ ...ofChannel(channels[7]), kind: 'fault', rule: 'fault', priority: 'medium', title_zh: '断线:一氧化碳 HN-04-CO', title_en: 'Wire break: CO HN-04-CO', unit: null });
raise({ ...ofChannel(silent), kind: 'silence', rule: 'silence', priority: 'high', title_zh: '信号中断', title_en: 'Loss of signal', unit: null });
raise({ kind: 'gateway_lost', rule: 'gateway_lost', priority: 'urgent', tag: 'fenghe-2', title_zh: '网关失联:丰禾 2号网关', title_en: 'Gateway lost: fenghe-2', unseen_points: ['酱醅池', '腌制池', '酒糟池'] });
const late = raise({ point_id: p0.id, point: p0.name, enterprise: p0.enterprise, tag: 'HN-07-CH4', late: true, title_zh: '甲烷偏高 1.12 %vol', title_en: 'CH4 high: 1.12 %vol', value: 1.12, unit: '%vol', setpoint: 1, began_at: started - 5_400_000 });
late.state = 'returned_unacknowledged'; late.returned_at = started - 5_100_000;
const done = raise({ ...ofChannel(channels[20]), rule: 'low', title_zh: '硫化氢偏高 8.10 ppm', title_en: 'H2S high: 8.10 ppm', value: 8.1, setpoint: 6.6, opened_at: started - 7_200_000, began_at: started - 7_201_000, priority: 'high' });
Object.assign(done, { state: 'acknowledged', acknowledged_at: started - 7_150_000, acknowledged_by: '李值班', note: '已通知清源厂安全员到场,通风中。<script>alert(1)</script>' });
done.stages = { t2: started - 7_200_140, t3: started - 7_200_120, t4: started - 7_200_000, t5: started - 7_199_890, t6: started - 7_199_640, t7: started - 7_150_000 };
for (let i = 0; i < 30; i++) { const a = raise({ ...ofChannel(channels[i * 2]), priority: ['low', 'medium', 'high'][i % 3], title_zh: `历史报警 ${i}`, title_en: `Past alarm ${i}`, opened_at: started - 10_000_000 - i * 900_000, began_at: started - 10_000_000 - i * 900_000, value: 1.2 }); Object.assign(a, { state: 'normal', returned_at: a.opened_at + 60_000, closed_at: a.opened_at + 90_000, acknowledged_at: a.opened_at + 80_000, acknowledged_by: '李值班' }); }
latencies.length = 0; for (let i = 0; i < 400; i++) latencies.push(38 + Math.floor(Math.random() ** 5 * 300));

// ---- the API -----------------------------------------------------------------------------------------------------------
const sessions = new Map();
const users = [{ user: 'duty', name: '李值班', role: 'administrator', enterprise_id: null, password: 'duty-officer' }, { user: 'first', name: '管理员', role: 'administrator', enterprise_id: null, password: 'first', must: true }, { user: 'viewer', name: '访客', role: 'viewer', enterprise_id: null, password: 'viewer' }];
const webhooks = [{ id: 1, name: '县应急局', url: 'https://yingji.example.invalid/davy', enabled: true, min_priority: 'medium' }];
class Refused extends Error { constructor(status, code, zh_, en_) { super(en_); Object.assign(this, { status, code, zh: zh_, en: en_ }); } }
const missing = () => new Refused(404, 'not_found', '没有这一项', 'There is no such thing');
const who = ({ user, name, role, enterprise_id, must }) => ({ user, name, role, enterprise_id, must_change_password: must === true });
const wireUser = ({ password, must, ...u }) => u;
const withPoints = (e) => ({ ...e, points: points.filter((p) => p.enterprise_id === e.id).length });
const SQUARE = (x, y, w, h, name, wobble) => ({ type: 'Feature', properties: { name }, geometry: { type: 'Polygon', coordinates: [[...Array(25)].map((_, i) => { const a = (i % 24) / 24 * 2 * Math.PI; const k = 1 + 0.12 * Math.sin(a * 3 + wobble) + 0.07 * Math.sin(a * 7 + wobble * 2); return [x + Math.cos(a) * w * k, y + Math.sin(a) * h * k]; })] } });

function series(c, q) {
  const from = Number(q.get('from')), to = Number(q.get('to'));
  const resolution = to - from > 20_000_000 ? '1h' : to - from > 2_000_000 ? '1m' : 'raw';
  const bucket = { raw: 1, '1m': 60_000, '1h': 3_600_000 }[resolution];
  const by = new Map();
  for (const [t, v, quality] of c.history) {
    if (t < from || t > to) continue;
    const k = Math.floor(t / bucket) * bucket;
    const r = by.get(k);
    if (!r) by.set(k, { t: k, min: v, max: v, last: v, quality });
    else if (v !== null) { r.min = Math.min(r.min ?? v, v); r.max = Math.max(r.max ?? v, v); r.last = v; if (quality === 'uncertain') r.quality = quality; if (r.quality === 'bad') r.quality = 'good'; }
  }
  const rows = [...by.values()].sort((a, b) => a.t - b.t);
  const gaps = [];
  for (let i = 1; i < rows.length; i++) if (rows[i].t - rows[i - 1].t > Math.max(3 * PERIOD, bucket * 1.5)) gaps.push({ from: rows[i - 1].t, to: rows[i].t, cause: 'silence' });
  return { channel: c.id, unit: c.unit, resolution, from, to, rows, gaps };
}

async function answer(request, url, body, session) {
  const [, , , head, id, verb] = url.pathname.split('/');
  const q = url.searchParams, m = request.method;
  if (head === 'session' && !id) {
    if (m === 'POST') { const u = users.find((u) => u.user === body.user && u.password === body.password); if (!u) throw new Refused(401, 'wrong_password', '用户名或密码不对', 'Wrong user or password'); const key = randomBytes(16).toString('hex'); sessions.set(key, u); return { cookie: key, data: who(u) }; }
    if (m === 'DELETE') { sessions.delete(session.key); return {}; }
    if (!session.user) throw new Refused(401, 'signed_out', '请先登录', 'Sign in first');
    return { data: who(session.user) };
  }
  if (!session.user) throw new Refused(401, 'signed_out', '请先登录', 'Sign in first');
  const user = session.user;
  if (m !== 'GET' && user.role === 'viewer' && verb !== 'seen') throw new Refused(403, 'forbidden', '您的角色不能这样做', 'Your role may not do this');
  const point = () => points.find((p) => p.id === Number(id)) ?? (() => { throw missing(); })();
  const channel = () => channels.find((c) => c.id === Number(id)) ?? (() => { throw missing(); })();
  const alarm = () => alarms.find((a) => a.id === id) ?? (() => { throw missing(); })();
  switch (`${m} ${head}${id ? '/:' : ''}${verb ? `/${verb}` : ''}`) {
    case 'POST session/:': if (body.old !== user.password) throw new Refused(422, 'wrong_password', '原密码不对', 'The old password is wrong'); user.password = body.new; user.must = false; return {};
    case 'GET overview': return { data: overview() };
    case 'GET enterprises': return { data: enterprises.map(withPoints) };
    case 'POST enterprises': { if (enterprises.some((e) => e.uscc === body.uscc)) throw new Refused(409, 'exists', '该信用代码已登记', 'This credit code is registered already'); const e = { ...body, id: enterprises.length + 1 }; enterprises.push(e); journal('enterprise.registered', e.name, user.user, `登记企业 ${e.name}`, `Registered enterprise ${e.name}`); return { data: withPoints(e) }; }
    case 'PUT enterprises/:': return { data: withPoints(Object.assign(enterprises.find((e) => e.id === Number(id)), body)) };
    case 'GET points': return { data: points.map(wirePoint) };
    case 'POST points': { const p = { ...body, id: points.length + 1, enterprise: enterprises.find((e) => e.id === body.enterprise_id)?.name ?? '', simulated: false }; points.push(p); return { data: wirePoint(p) }; }
    case 'GET points/:': return { data: wirePoint(point()) };
    case 'PUT points/:': return { data: wirePoint(Object.assign(point(), body)) };
    case 'GET channels': return { data: channels.filter((c) => !q.get('unbound') || c.point_id === null).map((c) => ({ ...channelNow(c), point_id: c.point_id })) };
    case 'PUT channels/:/binding': { const c = channel(); c.point_id = body.point_id; journal('channel.bound', c.tag, user.user, `绑定通道 ${c.tag}`, `Bound channel ${c.tag}`); return { data: channelNow(c) }; }
    case 'PUT channels/:/limits': { const c = channel(); if (body.some((l, i) => l.direction === 'high' && l.setpoint > c.gas.limits[i].setpoint)) throw new Refused(422, 'looser', '限值比规则宽松：不得高于规则规定', 'Looser than the rule pack allows'); c.limits = body; return { data: channelNow(c) }; }
    case 'GET channels/:/series': return { data: series(channel(), q) };
    case 'GET alarms': { let list = alarms.filter((a) => (q.get('state') !== 'open' || open(a)) && (!q.get('point') || a.point_id === Number(q.get('point')))); if (q.get('before')) list = list.filter((a) => a.opened_at < Number(q.get('before'))); return { data: list.sort((a, b) => b.opened_at - a.opened_at).slice(0, Number(q.get('limit') ?? 100)).map(wireAlarm) }; }
    case 'GET alarms/:': return { data: alarm() };
    case 'POST alarms/:/acknowledge': { const a = alarm(); const now = Date.now(); Object.assign(a, { acknowledged_at: now, acknowledged_by: user.name, note: body.note || null }); a.stages.t7 = now; a.transitions.push({ at: now, event: 'acknowledged', who: user.name }); if (a.returned_at) { a.state = 'normal'; a.closed_at = now; } else a.state = 'acknowledged'; journal('alarm.acknowledged', a.id, user.user, `确认报警:${a.title_zh}`, `Acknowledged: ${a.title_en}`); publishAlarm(a); return { data: wireAlarm(a) }; }
    case 'POST alarms/:/seen': { const a = alarm(); if (a.stages.t5 === null) { a.stages.t5 = body.at; publishAlarm(a); } return {}; }
    case 'GET journal': { let list = entries; if (q.get('kind')) list = list.filter((e) => e.kind === q.get('kind')); if (q.get('before')) list = list.filter((e) => e.number < Number(q.get('before'))); return { data: { entries: list.slice(0, Number(q.get('limit') ?? 100)), head: entries[0].hash } }; }
    case 'GET journal/:': await new Promise((r) => setTimeout(r, 400)); return { data: process.env.MOCK_BROKEN ? { ok: false, entries: entries.length, first_bad: 17, message_zh: '第 17 条的哈希与内容不符', message_en: 'Entry 17 does not match its hash' } : { ok: true, entries: entries.length, first_bad: null, message_zh: '每条都与前一条相连', message_en: 'every entry is linked to the one before' } };
    case 'GET gateways': return { data: gateways };
    case 'POST gateways/:': return { data: { code: 'K7QP-3M9T-XW2A', expires_at: Date.now() + 900_000 } };
    case 'GET ledger': return { data: gateways.map((g, i) => ({ gateway: g.id, day: q.get('day'), expected: 1_728_000 - i * 1000, stored: 1_728_000 - i * 1000 - (i === 1 ? 412 : i === 3 ? 77 : 0) - i * 3, gaps: i === 1 ? { power_lost: 12, Thinned: 400 } : i === 3 ? { below_floor: 70 } : {}, open: i * 3 })) };
    case 'GET webhooks': return { data: webhooks };
    case 'POST webhooks': { const w = { ...body, id: webhooks.length + 1 }; webhooks.push(w); return { data: w }; }
    case 'DELETE webhooks/:': webhooks.splice(webhooks.findIndex((w) => w.id === Number(id)), 1); return {};
    case 'GET users': return { data: users.map(wireUser) };
    case 'POST users': users.push({ ...body, must: true }); return { data: wireUser(body) };
    case 'GET map/:': return { data: { type: 'FeatureCollection', features: [SQUARE(114.37, 37.13, 0.19, 0.15, '华宁县', 1), SQUARE(114.61, 37.06, 0.1, 0.1, '清源区', 2), SQUARE(114.83, 37.22, 0.2, 0.15, '丰禾县', 3)] } };
    default: throw missing();
  }
}

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
// As strict as the collector may be: the pages must work under it.
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

createServer(async (request, response) => {
  const url = new URL(request.url, 'http://mock');
  const knob = url.pathname.startsWith('/mock/') ? url.pathname.slice(6) : null;
  if (knob) {
    if (knob === 'mute') mute = true;
    if (knob === 'well') mute = cut = false;
    if (knob === 'forget') ring.length = 0;
    if (knob === 'leak') leak_at = Date.now();
    if (knob === 'many') for (let i = 0; i < 300; i++) raise({ ...ofChannel(channels[i % channels.length]), rule: `many ${i}`, priority: ['low', 'medium', 'high', 'urgent'][i % 4], title_zh: `批量报警 ${i}`, title_en: `Flood alarm ${i}`, value: i });
    if (knob === 'cut') { cut = true; for (const s of streams) s.destroy(); }
    return response.end(`${knob}\n`);
  }
  if (cut) return request.destroy();
  const key = /davy_session=([0-9a-f]+)/.exec(request.headers.cookie ?? '')?.[1];
  const session = { key, user: sessions.get(key) };
  if (url.pathname === '/api/v1/live') {
    if (!session.user) { response.writeHead(401); return response.end(); }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    if (mute) { response.flushHeaders(); return; }
    const last = Number(request.headers['last-event-id'] ?? NaN);
    const resumed = ring.length > 0 && last >= ring[0][0] - 1 && last <= sequence;
    response.write(`event: hello\ndata: ${JSON.stringify({ now: Date.now(), resumed })}\n\n`);
    if (resumed) for (const [id, text] of ring) if (id > last) response.write(text);
    streams.add(response);
    response.on('close', () => streams.delete(response));
    return;
  }
  if (url.pathname.startsWith('/api/v1/')) {
    let text = '';
    for await (const chunk of request) text += chunk;
    try {
      const { data, cookie } = await answer(request, url, text ? JSON.parse(text) : {}, session);
      const headers = { 'content-type': 'application/json', ...(cookie ? { 'set-cookie': `davy_session=${cookie}; HttpOnly; SameSite=Strict; Path=/` } : {}) };
      response.writeHead(data === undefined ? 204 : 200, headers);
      response.end(data === undefined ? undefined : JSON.stringify(data));
    } catch (error) {
      if (!(error instanceof Refused)) console.error(error);
      response.writeHead(error.status ?? 500, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { code: error.code ?? 'broken', message_zh: error.zh ?? '模拟服务出错', message_en: error.en ?? String(error) } }));
    }
    return;
  }
  const file = join(DIST, normalize(url.pathname === '/' ? '/index.html' : url.pathname));
  if (!file.startsWith(DIST) || !existsSync(file)) { response.writeHead(404); return response.end(); }
  response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-security-policy': CSP });
  response.end(readFileSync(file));
}).listen(PORT, '127.0.0.1', () => console.log(`MOCK collector on http://127.0.0.1:${PORT}`));
