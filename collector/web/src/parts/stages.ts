// Pure: the steps of an alarm's way, with what each took.

import type { Millis, StageName, Stages } from '../api/types';

export const STAGES: readonly StageName[] = ['t2', 't3', 't4', 't5', 't6', 't7'];

export interface Step {
  name: StageName;
  at: Millis | null;
  /** Since t2; null when either is missing. */
  since_start_ms: number | null;
  /** The stage it waited for: t5, t6 and t7 all begin at the commit (t4), not one after another. */
  from: StageName | null;
  since_previous_ms: number | null;
}

const FROM: Readonly<Record<StageName, readonly StageName[]>> = {
  t2: [], t3: ['t2'], t4: ['t3', 't2'], t5: ['t4'], t6: ['t4'], t7: ['t4'],
};

export function stageSteps(stages: Stages): Step[] {
  return STAGES.map((name) => {
    const at = stages[name];
    const from = FROM[name].find((earlier) => stages[earlier] !== null) ?? null;
    const began = from === null ? null : stages[from];
    return {
      name,
      at,
      since_start_ms: at === null || stages.t2 === null ? null : at - stages.t2,
      from,
      since_previous_ms: at === null || began === null ? null : at - began,
    };
  });
}
