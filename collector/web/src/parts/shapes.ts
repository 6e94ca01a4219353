// One shape for each level and priority, so that none depends on its colour. Used by the marks in the text and
// by the images of the map: a 24 by 24 box.

import type { Level, Priority } from '../api/types';

export const SHAPES: Readonly<Record<Level, string>> = {
  red: 'M12 1.5 22.5 12 12 22.5 1.5 12Z',
  orange: 'M12 2.5 22.5 21H1.5Z',
  yellow: 'M12 2.5a9.5 9.5 0 1 1 0 19 9.5 9.5 0 0 1 0-19Z',
  blue: 'M3.5 3.5h17v17h-17Z',
};

export const LEVEL_OF: Readonly<Record<Priority, Level>> = { urgent: 'red', high: 'orange', medium: 'yellow', low: 'blue' };
