import { expect, test } from 'vitest';
import { stageSteps } from './stages';

test('what a stage took is counted from the stage it waited for', () => {
  const steps = stageSteps({ t2: 1000, t3: null, t4: 1085, t5: 1200, t6: 1300, t7: null });
  expect(steps.map((s) => s.since_previous_ms)).toEqual([null, null, 85, 115, 215, null]);
  expect(steps.map((s) => s.since_start_ms)).toEqual([0, null, 85, 200, 300, null]);
});

test('without a parsed frame there is no total, rather than a wrong one', () => {
  const steps = stageSteps({ t2: null, t3: null, t4: 1085, t5: 1200, t6: null, t7: null });
  expect(steps.map((s) => s.since_start_ms)).toEqual([null, null, null, null, null, null]);
  expect(steps[3]?.since_previous_ms).toBe(115);
});
