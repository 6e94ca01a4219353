import { expect, test } from 'vitest';
import { enrolCommand, isGatewayId, isUscc } from './checks';

test('a credit code has eighteen characters without the five that are mistaken', () => {
  expect(isUscc('91130500MA0ABCDE1X')).toBe(true);
  for (const bad of ['', '91130500MA0ABCDE1', '91130500MA0ABCDE1O', '91130500ma0abcde1x']) expect(isUscc(bad), bad).toBe(false);
});
test('a gateway id is what a topic allows', () => {
  expect(isGatewayId('face-3')).toBe(true);
  for (const bad of ['', 'Face', 'a/b', 'x'.repeat(33), '井下']) expect(isGatewayId(bad), bad).toBe(false);
});
test('the command can be pasted into a shell as it is', () => {
  expect(enrolCommand('http://10.0.0.5:8080', 'K7-PQ', 'face-3')).toBe('davy-gateway enrol --url http://10.0.0.5:8080 --code K7-PQ --gateway face-3');
  expect(enrolCommand('http://h', `a'; rm -rf /`, 'g')).toBe(`davy-gateway enrol --url http://h --code 'a'\\''; rm -rf /' --gateway g`);
});
