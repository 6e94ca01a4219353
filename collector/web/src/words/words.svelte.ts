// Which language is shown, and the sentence for a key. Chinese first, English beside it, or one of them alone.

import { type Ages, ageWords } from './age';
import { en } from './en';
import { type Key, zh } from './zh';

export type Shown = 'both' | 'zh' | 'en';
const STORED = 'davy.language';

function stored(): Shown {
  try {
    const value = localStorage.getItem(STORED);
    return value === 'zh' || value === 'en' ? value : 'both';
  } catch {
    return 'both';
  }
}

class Language {
  shown = $state<Shown>(stored());

  choose(shown: Shown): void {
    this.shown = shown;
    try {
      localStorage.setItem(STORED, shown);
    } catch {
      // Without storage the choice lasts as long as the page; nothing is lost that matters.
    }
  }

  get ages(): Ages {
    return this.shown === 'zh' ? 'zh' : 'si';
  }
}
export const language = new Language();

export type Fill = Record<string, string | number>;
const filled = (sentence: string, fill?: Fill) =>
  fill ? sentence.replace(/\{(\w+)\}/g, (whole, name: string) => String(fill[name] ?? whole)) : sentence;

/** Both sentences of a key. */
export function pair(key: Key, fill?: Fill): { zh: string; en: string } {
  return { zh: filled(zh[key], fill), en: filled(en[key], fill) };
}

/** One string for where no markup fits: titles, placeholders, options. */
export function say(key: Key, fill?: Fill): string {
  return sayPair(pair(key, fill));
}

export function sayPair(words: { zh: string; en: string }): string {
  if (language.shown === 'zh') return words.zh;
  if (language.shown === 'en') return words.en;
  return words.zh === words.en ? words.zh : `${words.zh} ${words.en}`;
}

/** The key if the catalogue has it: for names that come from the collector and may be newer than this page. */
export function known(key: string): Key | null {
  return Object.hasOwn(zh, key) ? (key as Key) : null;
}

/** An age in the shown language; "clock ahead" when it lies in the future. */
export function sayAge(age_ms: number): string {
  return ageWords(age_ms, language.ages) ?? say('channel.ahead');
}
