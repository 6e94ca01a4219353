// Dark, light, or as the system says.

export type Wanted = 'auto' | 'dark' | 'light';
const STORED = 'davy.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

class Theme {
  wanted = $state<Wanted>(stored());
  #system = $state(system.matches);
  readonly dark = $derived(this.wanted === 'auto' ? this.#system : this.wanted === 'dark');

  constructor() {
    system.addEventListener('change', () => {
      this.#system = system.matches;
      this.show();
    });
    this.show();
  }

  choose(wanted: Wanted): void {
    this.wanted = wanted;
    this.show();
    try {
      localStorage.setItem(STORED, wanted);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  }

  // Set at once rather than in an effect: whoever reads colours from the style sheet must find the new ones.
  show(): void {
    document.documentElement.dataset['theme'] = this.dark ? 'dark' : 'light';
  }
}

function stored(): Wanted {
  try {
    const value = localStorage.getItem(STORED);
    return value === 'dark' || value === 'light' ? value : 'auto';
  } catch {
    return 'auto';
  }
}
export const theme = new Theme();
