import { describe, expect, test } from 'vitest';
import { ageWords, latencyWords } from './age';
import { en } from './en';
import { bytesText, countText, unitText, valueText } from './numbers';
import { codeWords } from './qualities';
import { zh } from './zh';

describe('age', () => {
  const check = (ms: number, si: string | null, chinese: string | null) => {
    expect(ageWords(ms, 'si')).toBe(si);
    expect(ageWords(ms, 'zh')).toBe(chinese);
  };
  test('seconds are whole and do not round up', () => check(3999, '3 s', '3 秒'));
  test('minutes keep two digits of seconds', () => check(125_000, '2 min 05 s', '2 分 05 秒'));
  test('hours keep two digits of minutes', () => check(3_720_000, '1 h 02 min', '1 小时 02 分'));
  test('days keep hours', () => check(90_000_000, '1 d 1 h', '1 天 1 小时'));
  test('jitter into the future is zero', () => check(-1500, '0 s', '0 秒'));
  test('a clock that is ahead is said, not hidden', () => check(-5000, null, null));
  test('no number is no age', () => check(Number.NaN, null, null));
});

test('a latency is written in the unit that shows it', () => {
  expect(latencyWords(38.4)).toBe('38 ms');
  expect(latencyWords(1234)).toBe('1.23 s');
  expect(latencyWords(12_340)).toBe('12.3 s');
  expect(latencyWords(61_000)).toBe('1 min 01 s');
});

test('a missing value is never a zero', () => {
  for (const none of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) expect(valueText(none, 'ppm')).toBe('—');
  expect(valueText(0, 'ppm')).toBe('0.0');
  expect(valueText(-0.001, '%vol')).toBe('0.00');
  expect(valueText(20.9, '%vol')).toBe('20.90');
  expect(valueText(1234.6, 'ppm')).toBe('1235');
});

test('units, counts and sizes are printed as people write them', () => {
  expect(unitText('mg/m3')).toBe('mg/m³');
  expect(unitText('1')).toBe('');
  expect(countText(1234567)).toBe('1\u2009234\u2009567');
  expect(bytesText(1536)).toBe('1.5 KiB');
});

test('every sentence is there in both languages, with the same blanks', () => {
  for (const key of Object.keys(zh) as (keyof typeof zh)[]) {
    expect(en[key].trim(), key).not.toBe('');
    const blanks = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();
    expect(blanks(en[key]), key).toEqual(blanks(zh[key]));
  }
});

test('a code that is newer than the page keeps its name', () => {
  expect(codeWords('WireBreak').zh).toBe('断线');
  expect(codeWords('SomethingNew')).toEqual({ zh: 'SomethingNew', en: 'SomethingNew' });
});
