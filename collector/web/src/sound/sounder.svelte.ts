// Makes the sound. A browser allows none before a person has touched the page, so the sounder is armed by a button,
// and says plainly while it is not: silence must never be taken for quiet.

import type { Pattern } from './pattern';

const STORED = 'davy.sound';
const VOLUME = 0.22;

class Sounder {
  /** True while sound can really be heard. */
  armed = $state(false);
  /** What sounds now. */
  playing = $state<Pattern['name'] | null>(null);
  readonly possible = typeof AudioContext !== 'undefined';

  #context: AudioContext | null = null;
  #pattern: Pattern | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #voice: GainNode | null = null;

  constructor() {
    // Whoever armed it before wants it again: the first touch of the page is the gesture the browser asks for.
    if (this.possible && wasWanted()) {
      const again = () => void this.arm();
      addEventListener('pointerdown', again, { once: true });
      addEventListener('keydown', again, { once: true });
    }
  }

  async arm(): Promise<void> {
    if (!this.possible || this.armed) return;
    this.#context ??= this.#newContext();
    await this.#context.resume();
    this.armed = this.#context.state === 'running';
    want(true);
    this.#again();
  }

  async disarm(): Promise<void> {
    want(false);
    this.#hush();
    await this.#context?.suspend();
    this.armed = false;
  }

  /** The state of the world asks for this sound, or for none. */
  sound(pattern: Pattern | null): void {
    if (pattern?.name === this.#pattern?.name) return;
    this.#pattern = pattern;
    this.#hush();
    this.#again();
  }

  #newContext(): AudioContext {
    const context = new AudioContext();
    // The system may take the sound away (a call, a lost device): then it is off, and must say so.
    context.addEventListener('statechange', () => {
      this.armed = context.state === 'running';
      if (!this.armed) this.playing = null;
    });
    return context;
  }

  #again(): void {
    clearTimeout(this.#timer);
    const context = this.#context;
    const pattern = this.#pattern;
    this.playing = this.armed ? (pattern?.name ?? null) : null;
    if (!context || !this.armed || !pattern) return;
    const voice = context.createGain();
    voice.gain.value = VOLUME;
    voice.connect(context.destination);
    this.#voice = voice;
    for (const note of pattern.notes) play(context, voice, note.hertz, context.currentTime + 0.02 + note.at_s, note.length_s);
    this.#timer = setTimeout(() => this.#again(), pattern.every_s * 1000);
  }

  #hush(): void {
    clearTimeout(this.#timer);
    this.#voice?.disconnect();
    this.#voice = null;
    this.playing = null;
  }
}

function play(context: AudioContext, voice: AudioNode, hertz: number, at: number, length: number): void {
  const tone = context.createOscillator();
  const shape = context.createGain();
  tone.type = 'triangle';
  tone.frequency.value = hertz;
  // Soft edges: a click is tiring after the hundredth time.
  shape.gain.setValueAtTime(0, at);
  shape.gain.linearRampToValueAtTime(1, at + 0.012);
  shape.gain.setValueAtTime(1, at + length - 0.03);
  shape.gain.linearRampToValueAtTime(0, at + length);
  tone.connect(shape).connect(voice);
  tone.start(at);
  tone.stop(at + length + 0.02);
}

function wasWanted(): boolean {
  try {
    return localStorage.getItem(STORED) === 'on';
  } catch {
    return false;
  }
}
function want(on: boolean): void {
  try {
    localStorage.setItem(STORED, on ? 'on' : 'off');
  } catch {
    // Without storage it must be armed anew on every visit; the state is on the screen.
  }
}

export const sounder = new Sounder();
